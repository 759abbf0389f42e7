// RUN: quern-opt %s --split-input-file --verify-diagnostics \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-use-fixed-point))'

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {}}} {
func.func @codes_of_floats(%x: tensor<?x4xf32>) -> tensor<?x4x!x> {
  // expected-error @below {{found arithmetic "fixed", and tq.quantize at L0.x that is no op of fixed-point arithmetic}}
  %0 = tq.quantize %x {site = "L0.x"} : tensor<?x4xf32> -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>
!wide = !quant.uniform<u16:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {}}} {
func.func @wide_input(%x: tensor<?x4x!wide>, %w: tensor<4x4xi8>,
                      %c: tensor<8xi32>, %m: tensor<4xf32>) -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qlinear at L0.q that reads codes of more than 8 bits, expected codes of one scale throughout}}
  %0 = tq.qlinear %x, %w, %c, %m, %m {sites = ["L0.q"]}
      : (tensor<?x4x!wide>, tensor<4x4xi8>, tensor<8xi32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {}}} {
func.func @float_result(%x: tensor<?x4x!x>, %v: tensor<4xf32>)
    -> tensor<?x4xf32> {
  // expected-error @below {{and tq.qadd_norm at L0.u that adds or gives f32 values}}
  %0 = tq.qadd_norm %x, %x, %v, %v, %v, %v, %v
      {sum_lo = 0 : i64, sum_hi = 255 : i64, sum_scale = 0.1 : f32,
       sum_zero = 128 : i64, eps = 1.0e-12 : f64, sites = ["L0.u", "L0.x"]}
      : (tensor<?x4x!x>, tensor<?x4x!x>, tensor<4xf32>, tensor<4xf32>,
         tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
}

// -----

// expected-error @below {{expects tq.scheme.arithmetic to hold gelu = "polynomial", "i_gelu" or "shift_gelu" and softmax = "table", "i_exp" or "shiftmax", got softmax = "soft"}}
module attributes {tq.scheme = {arithmetic = {softmax = "soft"}}} {
func.func @unknown_form(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {gelu = "shift_gelu"}}} {
func.func @shift_gelu_without_constants(%x: tensor<?x4x!x>, %w: tensor<4x4xi8>,
                                        %c: tensor<4xi32>, %m: tensor<4xf32>)
    -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qlinear at L0.f that has no constants that take the scale of the input of ShiftGELU}}
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32, sites = ["L0.f"]}
      : (tensor<?x4x!x>, tensor<4x4xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>
!wide = !quant.uniform<u16:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {gelu = "shift_gelu"}}} {
func.func @shift_gelu_to_wide_codes(%x: tensor<?x4x!x>, %w: tensor<4x4xi8>,
                                    %c: tensor<4xi32>, %m: tensor<4xf32>)
    -> tensor<?x4x!wide> {
  // expected-error @below {{and tq.qlinear at L0.f that gives codes of more than 8 bits, or with a real offset, from ShiftGELU}}
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32, hi = 65535 : i64, sites = ["L0.f"]}
      : (tensor<?x4x!x>, tensor<4x4xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4x!wide>
  return %0 : tensor<?x4x!wide>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {gelu = "shift_gelu"}}} {
func.func @shift_gelu_of_coarse_steps(%x: tensor<?x4x!x>, %w: tensor<2x4xi8>,
                                      %c: tensor<2xi32>) -> tensor<?x2x!x> {
  %m = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  // expected-error @below {{found ShiftGELU at L0.f of inputs up to 2.531700e+02, expected at most 146: an 8-bit step is at most 1 / 1.702}}
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<gelu>, post_multiplier = 1.0 : f32,
       post_offset = 2.0 : f32, sites = ["L0.f"]}
      : (tensor<?x4x!x>, tensor<2x4xi8>, tensor<2xi32>, tensor<2xf32>,
         tensor<2xf32>) -> tensor<?x2x!x>
  return %0 : tensor<?x2x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {}}} {
func.func @sum_in_groups(%x: tensor<?x2x!x>, %v: tensor<2xf32>)
    -> tensor<?x2x!x> {
  // expected-error @below {{and tq.qadd_norm at L0.u that has a sum in groups other than those of power_of_two}}
  %0 = tq.qadd_norm %x, %x, %v, %v, %v, %v, %v
      {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64,
       sum_type = !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:3, 0.75:3]>,
       sites = ["L0.u", "L0.x"]}
      : (tensor<?x2x!x>, tensor<?x2x!x>, tensor<2xf32>, tensor<2xf32>,
         tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x!x>
  return %0 : tensor<?x2x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {}}} {
func.func @log_sqrt2(%x: tensor<?x12x!x>, %o: tensor<?xi32>, %e: tensor<16xf32>)
    -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qattention at L0.s that has logarithmic probabilities other than those of log2 in 3 or 4 bits}}
  %0 = tq.qattention %x, %o, %e, %e
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32, score_offset = 128.0 : f32,
       prob_multiplier = 255.0 : f32, context_multiplier = 0.01 : f32,
       context_offset = 128.0 : f32, score_unit = 0.125 : f32,
       prob_step = 0.5 : f32, prob_type = !tq.log<u4, sqrt2, scale = 1.0, zero = 16>,
       sites = ["L0.s", "L0.p", "L0.c"]}
      : (tensor<?x12x!x>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {}}} {
func.func @log2_of_five_bits(%x: tensor<?x12x!x>, %o: tensor<?xi32>, %e: tensor<16xf32>)
    -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qattention at L0.s that has logarithmic probabilities other than those of log2 in 3 or 4 bits}}
  %0 = tq.qattention %x, %o, %e, %e
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32, score_offset = 128.0 : f32,
       prob_multiplier = 255.0 : f32, context_multiplier = 0.01 : f32,
       context_offset = 128.0 : f32, score_unit = 0.125 : f32,
       prob_step = 0.5 : f32, prob_type = !tq.log<u5, two, scale = 1.0, zero = 32>,
       sites = ["L0.s", "L0.p", "L0.c"]}
      : (tensor<?x12x!x>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {softmax = "shiftmax"}}} {
func.func @log2_beside_shiftmax(%x: tensor<?x12x!x>, %o: tensor<?xi32>, %e: tensor<16xf32>)
    -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qattention at L0.s that has logarithmic probabilities beside softmax "shiftmax"}}
  %0 = tq.qattention %x, %o, %e, %e
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32, score_offset = 128.0 : f32,
       prob_multiplier = 255.0 : f32, context_multiplier = 0.01 : f32,
       context_offset = 128.0 : f32, score_unit = 0.125 : f32,
       prob_step = 0.5 : f32, prob_type = !tq.log<u4, two, scale = 1.0, zero = 16>,
       sites = ["L0.s", "L0.p", "L0.c"]}
      : (tensor<?x12x!x>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

module attributes {tq.scheme = {arithmetic = {softmax = "i_exp"}}} {
func.func @log2_of_another_scale(%x: tensor<?x12x!x>, %o: tensor<?xi32>, %e: tensor<16xf32>)
    -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qattention at L0.s that has logarithmic probabilities of another scale than 1 beside softmax "i_exp"}}
  %0 = tq.qattention %x, %o, %e, %e
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32, score_offset = 128.0 : f32,
       prob_multiplier = 255.0 : f32, context_multiplier = 0.01 : f32,
       context_offset = 128.0 : f32, score_unit = 0.125 : f32,
       prob_step = 0.5 : f32, prob_type = !tq.log<u4, two, scale = 0.5, zero = 16>,
       sites = ["L0.s", "L0.p", "L0.c"]}
      : (tensor<?x12x!x>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

// Only the pixels of an image may be f32 as far as the sum of the embedding.
module attributes {tq.scheme = {arithmetic = {}}} {
func.func @sum_of_floats(%pixels: tensor<?x4xf32>, %m: tensor<4xf32>)
    -> tensor<?x4x!x> {
  // expected-error @below {{and tq.qadd at L0.u that adds f32 values}}
  %0 = tq.qadd %pixels, %pixels, %m, %m, %m {site = "L0.u"}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}
