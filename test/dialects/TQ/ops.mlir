// RUN: quern-opt %s | quern-opt | FileCheck %s
// RUN: quern-opt %s --mlir-print-op-generic | quern-opt | FileCheck %s

// Every example of the op descriptions, through the parser and back.

// CHECK-LABEL: func @embedding
// CHECK: tq.embedding
func.func @embedding(%table: tensor<10x4xf32>,
    %ids: tensor<?xi32>) {
  %0 = tq.embedding %table, %ids
      : (tensor<10x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @add
// CHECK: tq.add
func.func @add(%a: tensor<?x4xf32>,
    %b: tensor<?x4xf32>) {
  %0 = tq.add %a, %b : tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @scale_shift
// CHECK: tq.scale_shift
func.func @scale_shift(%x: tensor<?x4xf32>,
    %scale: tensor<4xf32>,
    %shift: tensor<4xf32>) {
  %0 = tq.scale_shift %x, %scale, %shift
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @layer_norm
// CHECK: tq.layer_norm
func.func @layer_norm(%x: tensor<?x4xf32>,
    %gamma: tensor<4xf32>,
    %beta: tensor<4xf32>) {
  %0 = tq.layer_norm %x, %gamma, %beta {eps = 1.0e-12 : f64}
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @linear
// CHECK: tq.linear
func.func @linear(%x: tensor<?x4xf32>,
    %w: tensor<8x4xf32>,
    %b: tensor<8xf32>) {
  %0 = tq.linear %x, %w, %b
      : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @gelu
// CHECK: tq.gelu
// CHECK: tq.gelu
func.func @gelu(%x: tensor<?x8xf32>) {
  %0 = tq.gelu %x : tensor<?x8xf32>
  %1 = tq.gelu %x {approximate = #tq.approximate<tanh>} : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @relu
// CHECK: tq.relu
func.func @relu(%x: tensor<?x8xf32>) {
  %0 = tq.relu %x : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @tanh
// CHECK: tq.tanh
func.func @tanh(%x: tensor<?x8xf32>) {
  %0 = tq.tanh %x : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @scores
// CHECK: tq.scores
func.func @scores(%q: tensor<?x4xf32>,
    %k: tensor<?x4xf32>,
    %offsets: tensor<?xi32>) {
  %0 = tq.scores %q, %k, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  return
}

// CHECK-LABEL: func @scores_of_first
// CHECK: tq.scores {{.*}}first_query
// CHECK: tq.softmax {{.*}}first_query
// CHECK: tq.context {{.*}}first_query
func.func @scores_of_first(%q: tensor<3x4xf32>,
    %k: tensor<?x4xf32>,
    %offsets: tensor<4xi32>) -> tensor<3x4xf32> {
  %0 = tq.scores %q, %k, %offsets {first_query, heads = 2 : i64}
      : (tensor<3x4xf32>, tensor<?x4xf32>, tensor<4xi32>) -> tensor<2x?xf32>
  %1 = tq.softmax %0, %offsets {first_query, scale = 0.125 : f32}
      : (tensor<2x?xf32>, tensor<4xi32>) -> tensor<2x?xf32>
  %2 = tq.context %1, %k, %offsets {first_query, heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<4xi32>) -> tensor<3x4xf32>
  return %2 : tensor<3x4xf32>
}

// CHECK-LABEL: func @softmax
// CHECK: tq.softmax
func.func @softmax(%s: tensor<2x?xf32>,
    %offsets: tensor<?xi32>) {
  %0 = tq.softmax %s, %offsets {scale = 0.125 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  return
}

// CHECK-LABEL: func @context
// CHECK: tq.context
func.func @context(%p: tensor<2x?xf32>,
    %v: tensor<?x4xf32>,
    %offsets: tensor<?xi32>) {
  %0 = tq.context %p, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @pool
// CHECK: tq.pool
func.func @pool(%x: tensor<?x4xf32>,
    %offsets: tensor<?xi32>) {
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<mean>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @normalize
// CHECK: tq.normalize
func.func @normalize(%x: tensor<?x4xf32>) {
  %0 = tq.normalize %x {eps = 1.0e-12 : f64} : tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @observe
// CHECK: tq.observe
func.func @observe(%x: tensor<?x4xf32>) {
  %0 = tq.observe %x {key = "x", layer = 3 : i64, site = "L3.x"}
      : tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @constant
// CHECK: tq.constant
func.func @constant() {
  %0 = tq.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi8>
      -> tensor<2x2x!quant.uniform<i8:f32, 0.5>>
  return
}

// CHECK-LABEL: func @quantize
// CHECK: tq.quantize
func.func @quantize(%x: tensor<?x4xf32>) {
  %0 = tq.quantize %x {site = "L0.x"}
      : tensor<?x4xf32> -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// CHECK-LABEL: func @dequantize
// CHECK: tq.dequantize
func.func @dequantize(%q: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) {
  %0 = tq.dequantize %q
      : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func @requantize
// CHECK: tq.requantize
func.func @requantize(%q: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) {
  %0 = tq.requantize %q {multiplier = 0.5 : f32, offset = 64.0 : f32}
      : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
      -> tensor<?x4x!quant.uniform<u8:f32, 0.2:128>>
  return
}

// CHECK-LABEL: func @dequantize_weight
// CHECK: tq.dequantize_weight
func.func @dequantize_weight(%codes: tensor<8x4xi8>,
    %scales: tensor<8xf32>) {
  %0 = tq.dequantize_weight %codes, %scales {bits = 8 : i64}
      : (tensor<8x4xi8>, tensor<8xf32>) -> tensor<8x4xf32>
  return
}

// CHECK-LABEL: func @qlinear
// CHECK: tq.qlinear
func.func @qlinear(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
    %w: tensor<8x4xi8>,
    %correction: tensor<8xi32>,
    %multiplier: tensor<8xf32>,
    %offset: tensor<8xf32>) {
  %0 = tq.qlinear %x, %w, %correction, %multiplier, %offset
      {activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32, sites = ["L0.f"]}
      : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>,
         tensor<8xi32>, tensor<8xf32>, tensor<8xf32>)
      -> tensor<?x8x!quant.uniform<u8:f32, 0.125:2>>
  return
}

// CHECK-LABEL: func @qattention
// CHECK: tq.qattention
func.func @qattention(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>,
    %offsets: tensor<?xi32>,
    %exp_hi: tensor<16xf32>,
    %exp_lo: tensor<16xf32>) {
  %0 = tq.qattention %qkv, %offsets, %exp_hi, %exp_lo
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32,
       score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32,
       context_multiplier = 0.01 : f32, context_offset = 128.0 : f32,
       sites = ["L0.s", "L0.p", "L0.c"]}
      : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>,
         tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// CHECK-LABEL: func @qattention_of_first
// CHECK: tq.qattention %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {
func.func @qattention_of_first(%kv: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>,
    %offsets: tensor<?xi32>,
    %exp_hi: tensor<16xf32>,
    %exp_lo: tensor<16xf32>,
    %q: tensor<?x4x!quant.uniform<u8:f32, 0.2:120>>) {
  %0 = tq.qattention %kv, %offsets, %exp_hi, %exp_lo, %q
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 128 : i64, score_multiplier = 0.25 : f32,
       score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32,
       context_multiplier = 0.01 : f32, context_offset = 128.0 : f32}
      : (tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>,
         tensor<16xf32>, tensor<16xf32>,
         tensor<?x4x!quant.uniform<u8:f32, 0.2:120>>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// CHECK-LABEL: func @qattention_log
// CHECK: tq.qattention
// CHECK-SAME: prob_step = 5.000000e-01 : f32, prob_type = !tq.log<u4, sqrt2, scale = 1.000000e+00, zero = 16>
func.func @qattention_log(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>,
    %offsets: tensor<?xi32>,
    %exp_hi: tensor<16xf32>,
    %exp_lo: tensor<16xf32>) {
  %0 = tq.qattention %qkv, %offsets, %exp_hi, %exp_lo
      {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
       zv = 130 : i64, score_multiplier = 0.25 : f32,
       score_offset = 128.0 : f32, prob_multiplier = 1.25e-7 : f32,
       context_multiplier = 0.01 : f32, context_offset = 128.0 : f32,
       prob_step = 0.5 : f32,
       prob_type = !tq.log<u4, sqrt2, scale = 1.0, zero = 16>}
      : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>,
         tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// CHECK-LABEL: func @qadd
// CHECK: tq.qadd %{{.*}} {fixed, site = "L0.u"}
// CHECK: tq.qadd %{{.*}} : (tensor<?x4xf32>
func.func @qadd(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
    %r: tensor<?x4xf32>, %m: tensor<4xf32>, %one: tensor<1xf32>) {
  %0 = tq.qadd %a, %a, %m, %one, %one {fixed, site = "L0.u"}
      : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
         tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>,
         tensor<1xf32>, tensor<1xf32>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.2:128>>
  %1 = tq.qadd %r, %a, %m, %m, %m
      : (tensor<?x4xf32>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
         tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.2:128>>
  return
}

// CHECK-LABEL: func @qadd_norm
// CHECK: tq.qadd_norm
func.func @qadd_norm(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
    %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
    %ma: tensor<4xf32>,
    %mb: tensor<4xf32>,
    %mo: tensor<4xf32>,
    %gamma: tensor<4xf32>,
    %beta: tensor<4xf32>) {
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %gamma, %beta
      {sum_lo = 0 : i64, sum_hi = 255 : i64, sum_scale = 0.1 : f32,
       sum_zero = 128 : i64, eps = 1.0e-12 : f64, sites = ["L0.u", "L0.x"]}
      : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
         tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>,
         tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// CHECK-LABEL: func @fixed
// CHECK: tq.qlinear {{.*}}activation = #tq.activation<i_gelu>, fixed
func.func @fixed(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
    %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>) {
  %0 = tq.qlinear %x, %w, %c, %m, %m
      {activation = #tq.activation<i_gelu>, post_multiplier = 8.0 : f32,
       post_offset = 2.0 : f32, fixed}
      : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>,
         tensor<8xi32>, tensor<8xf32>, tensor<8xf32>)
      -> tensor<?x8x!quant.uniform<u8:f32, 0.125:2>>
  return
}

// CHECK-LABEL: func @qshift_gelu
// CHECK: tq.qshift_gelu {{.*}}post_multiplier = 0.00999999977 : f32, {{.*}}unit = -6 : i64, zero = 128 : i64
func.func @qshift_gelu(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  %0 = tq.qshift_gelu %x
      {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32,
       post_offset = 2.0 : f32, sites = ["L0.f"]}
      : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
      -> tensor<?x8x!quant.uniform<u8:f32, 0.125:2>>
  return
}

// CHECK-LABEL: func @qlimit
// CHECK: tq.qlimit {{.*}}hi = array<i64: 255, 15>, sites = ["L0.k", "L0.v"]
func.func @qlimit(%x: tensor<?x8x!tq.group<u8, axis = 1, map = [0 x 4, 1 x 4],
                                           params = [0.1:128, 0.5:8]>>) {
  %0 = tq.qlimit %x {hi = array<i64: 255, 15>, sites = ["L0.k", "L0.v"]}
      : tensor<?x8x!tq.group<u8, axis = 1, map = [0 x 4, 1 x 4],
                             params = [0.1:128, 0.5:8]>>
  return
}

// CHECK-LABEL: func @qlimit_heads
// CHECK: tq.qlimit {{.*}}hi = array<i64: 255, 143>, lo = array<i64: 0, 112>, sites = ["L0.q"]
func.func @qlimit_heads(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  %0 = tq.qlimit %x {hi = array<i64: 255, 143>, lo = array<i64: 0, 112>,
                     sites = ["L0.q"]}
      : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// CHECK-LABEL: func @qattention_heads
// CHECK: tq.qattention {{.*}}per_head = array<f32: 2.500000e-01, 1.500000e+01, 1.500000e+01, 1.000000e-01, 1.120000e+02, 1.430000e+02, 5.000000e-01, 2.550000e+02, 2.550000e+02, 2.000000e-01, 0.000000e+00, 2.550000e+02>
func.func @qattention_heads(
    %qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>,
    %h: tensor<16xf32>, %l: tensor<16xf32>) {
  %0 = tq.qattention %qkv, %o, %h, %l
      {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64,
       zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32,
       prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32,
       context_offset = 128.0 : f32,
       per_head = array<f32: 0.25, 15.0, 15.0, 0.1, 112.0, 143.0,
                             0.5, 255.0, 255.0, 0.2, 0.0, 255.0>}
      : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>,
         tensor<16xf32>, tensor<16xf32>)
      -> tensor<?x4x!tq.group<u8, axis = 1, map = [0 x 2, 1 x 2],
                              params = [0.5:128, 0.25:128],
                              limits = [112:143, 0:255]>>
  return
}

// CHECK-LABEL: func @qembed
// CHECK: tq.qembed
func.func @qembed(%ids: tensor<?xi32>,
    %types: tensor<?xi32>,
    %positions: tensor<?xi32>,
    %word: tensor<10x4xi8>,
    %type: tensor<2x4xi8>,
    %position: tensor<16x4xi8>,
    %sw: tensor<10xf32>,
    %st: tensor<1xf32>,
    %sp: tensor<1xf32>,
    %gamma: tensor<4xf32>,
    %beta: tensor<4xf32>) {
  %0 = tq.qembed %ids, %types, %positions, %word, %type, %position,
      %sw, %st, %sp, %gamma, %beta
      {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32,
       e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32,
       eps = 1.0e-12 : f64, sites = ["E.t", "E.e", "E.z"]}
      : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>,
         tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>,
         tensor<1xf32>, tensor<4xf32>, tensor<4xf32>)
      -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// CHECK-LABEL: func @qpool
// CHECK: tq.qpool
func.func @qpool(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
    %offsets: tensor<?xi32>) {
  %0 = tq.qpool %x, %offsets {kind = #tq.pool_kind<mean>}
      : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>)
      -> tensor<?x4xf32>
  return
}
