// RUN: quern-opt %s --split-input-file \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-use-fixed-point))' \
// RUN:   | FileCheck %s

!x = !quant.uniform<u8:f32, 0.1:128>

// Codes become fixed, logits stay.

// CHECK-LABEL: func.func @products
// CHECK: tq.qlinear {{.*}}activation = #tq.activation<gelu>, fixed, post_multiplier
// CHECK: tq.qlinear
// CHECK-NOT: fixed
// CHECK: return
module attributes {tq.scheme = {arithmetic = {}}} {
func.func @products(%x: tensor<?x4x!x>, %w: tensor<4x4xi8>, %c: tensor<4xi32>,
                    %m: tensor<4xf32>) -> tensor<?x4xf32> {
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32, sites = ["L0.f"]}
      : (tensor<?x4x!x>, tensor<4x4xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4x!x>
  %1 = tq.qlinear %0, %w, %c, %m, %m
      : (tensor<?x4x!x>, tensor<4x4xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

// CHECK-LABEL: func.func @forms
// CHECK: tq.qlinear {{.*}}activation = #tq.activation<i_gelu>, fixed
// CHECK: tq.qattention {{.*}}fixed{{.*}}score_unit = 1.250000e-01{{.*}}softmax = #tq.softmax_form<i_exp>
// CHECK: tq.qadd_norm {{.*}}fixed
module attributes {tq.scheme = {arithmetic = {gelu = "i_gelu",
                                              softmax = "i_exp"}}} {
func.func @forms(%x: tensor<?x4x!x>, %w: tensor<12x4xi8>, %c: tensor<12xi32>,
                 %m: tensor<12xf32>, %v: tensor<4xf32>, %o: tensor<?xi32>,
                 %e: tensor<16xf32>) -> tensor<?x4x!x> {
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<gelu_tanh>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32}
      : (tensor<?x4x!x>, tensor<12x4xi8>, tensor<12xi32>, tensor<12xf32>,
         tensor<12xf32>) -> tensor<?x12x!x>
  %1 = tq.qattention %0, %o, %e, %e
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32, score_offset = 128.0 : f32,
       prob_multiplier = 255.0 : f32, context_multiplier = 0.01 : f32,
       context_offset = 128.0 : f32, score_unit = 0.125 : f32}
      : (tensor<?x12x!x>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!x>
  %2 = tq.qadd_norm %1, %x, %v, %v, %v, %v, %v
      {sum_lo = 0 : i64, sum_hi = 255 : i64, sum_scale = 0.1 : f32,
       sum_zero = 128 : i64, eps = 1.0e-12 : f64}
      : (tensor<?x4x!x>, tensor<?x4x!x>, tensor<4xf32>, tensor<4xf32>,
         tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!x>
  return %2 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

// A scheme that says nothing changes nothing.

// CHECK-LABEL: func.func @unasked
// CHECK: tq.qlinear
// CHECK-NOT: fixed
// CHECK: return
module attributes {tq.scheme = {sites = {}, weights = {}}} {
func.func @unasked(%x: tensor<?x4x!x>, %w: tensor<4x4xi8>, %c: tensor<4xi32>,
                   %m: tensor<4xf32>) -> tensor<?x4x!x> {
  %0 = tq.qlinear %x, %w, %c, %m, %m
      : (tensor<?x4x!x>, tensor<4x4xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<4xf32>) -> tensor<?x4x!x>
  return %0 : tensor<?x4x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>
!y = !quant.uniform<u8:f32, 0.125:2>

// Codes of the GELU's input from -3 to (200 - 2) / 8 + 0.17, then whole rows: a
// step of 27.92 / 255 = 0.10949, whose zero is code 27.

// CHECK-LABEL: func.func @rows_of_gelu
// CHECK: %[[M:.+]] = arith.constant dense<[4.56661892, 2.28330946]>
// CHECK: %[[O:.+]] = arith.constant dense<[31.566618, 29.2833099]>
// CHECK: %[[T:.+]] = tq.qlinear %{{.+}}, %{{.+}}, %{{.+}}, %[[M]], %[[O]] {fixed}
// CHECK-SAME: -> tensor<?x2x!quant.uniform<u8:f32, 0.109490{{.*}}:27>>
// CHECK: tq.qshift_gelu %[[T]] {
// CHECK-SAME: hi = 200 : i64, post_multiplier = 0.00684313709 : f32, post_offset = 2.000000e+00 : f32, sites = ["L0.f"], unit = -6 : i64, zero = 27 : i64}
// CHECK-NOT: activation
module attributes {tq.scheme = {arithmetic = {gelu = "shift_gelu"}}} {
func.func @rows_of_gelu(%x: tensor<?x4x!x>, %w: tensor<2x4xi8>,
                        %c: tensor<2xi32>) -> tensor<?x2x!y> {
  %m = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32, hi = 200 : i64, sites = ["L0.f"]}
      : (tensor<?x4x!x>, tensor<2x4xi8>, tensor<2xi32>, tensor<2xf32>,
         tensor<2xf32>) -> tensor<?x2x!y>
  return %0 : tensor<?x2x!y>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

// Factors of 8 and 1, row E39.

// CHECK-LABEL: func.func @factors
// CHECK: tq.qadd_norm {{.*}}fixed{{.*}}sum_type = !tq.group<u8, axis = 1, map = [0, 1], params = [4.000000e+00:3, 5.000000e-01:3]>
module attributes {tq.scheme = {arithmetic = {}}} {
func.func @factors(%x: tensor<?x2x!x>, %v: tensor<2xf32>) -> tensor<?x2x!x> {
  %0 = tq.qadd_norm %x, %x, %v, %v, %v, %v, %v
      {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64,
       sum_type = !tq.group<u8, axis = 1, map = [0, 1], params = [4.0:3, 0.5:3]>}
      : (tensor<?x2x!x>, tensor<?x2x!x>, tensor<2xf32>, tensor<2xf32>,
         tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x!x>
  return %0 : tensor<?x2x!x>
}
}

// -----

!x = !quant.uniform<u8:f32, 0.1:128>

// Row E33.

// CHECK-LABEL: func.func @log_int_softmax
// CHECK: tq.qattention {{.*}}fixed{{.*}}prob_type = !tq.log<u4, two, {{.*}}softmax = #tq.softmax_form<i_exp>
module attributes {tq.scheme = {arithmetic = {softmax = "i_exp"}}} {
func.func @log_int_softmax(%x: tensor<?x12x!x>, %o: tensor<?xi32>, %e: tensor<16xf32>)
    -> tensor<?x4x!x> {
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
