// RUN: quern-opt %s --split-input-file \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fold-groups,tq-fold-linear,tq-fuse-attention,tq-clean-up))' \
// RUN:   | FileCheck %s

// Three products of one input and an attention block become two ops. The
// products' constants lie one after the other; each third keeps its scale.

!x = !quant.uniform<u8:f32, 0.5:10>
!q = !quant.uniform<u8:f32, 0.5:120>
!k = !quant.uniform<u8:f32, 0.25:128>
!v = !quant.uniform<u8:f32, 0.125:130>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !quant.uniform<u8:f32, 0.00390625:0>
!c = !quant.uniform<u8:f32, 0.03125:64>

// With max_length 1024 the first entry of exp_hi is floor((2^32 - 1) / 1024).
module attributes {tq.model = {family = "bert", head = "embedding",
                               max_length = 1024 : i64}} {
  // CHECK-LABEL: func.func @forward
  // CHECK-SAME: (%[[X:.*]]: tensor<{{.*}}>, %[[OFFSETS:.*]]: tensor<?xi32>)
  // CHECK-DAG: %[[W:.*]] = arith.constant dense<{{\[\[}}1, 2], [3, 4], [5, 6], [7, 8], [-1, -2], [-3, -4]]> : tensor<6x2xi8>
  // CHECK-DAG: %[[C:.*]] = arith.constant dense<[-30, -70, -110, -150, 30, 70]> : tensor<6xi32>
  // CHECK-DAG: %[[M:.*]] = arith.constant dense<[1.000000e+00, 1.000000e+00, 2.000000e+00, 2.000000e+00, 4.000000e+00, 4.000000e+00]> : tensor<6xf32>
  // CHECK-DAG: %[[O:.*]] = arith.constant dense<[1.220000e+02, 1.200000e+02, 1.320000e+02, 1.280000e+02, 1.380000e+02, 1.300000e+02]> : tensor<6xf32>
  // CHECK: %[[QKV:.*]] = tq.qlinear %[[X]], %[[W]], %[[C]], %[[M]], %[[O]] {sites = ["L0.q", "L0.k", "L0.v"]}
  // CHECK-SAME: !tq.group<u8, axis = 1, map = [0 x 2, 1 x 2, 2 x 2], params = [5.000000e-01:120, 2.500000e-01:128, 1.250000e-01:130]>
  // CHECK-DAG: %[[HI:.*]] = arith.constant dense<[0x4A7FFFFC,
  // CHECK-DAG: %[[LO:.*]] = arith.constant dense<[1.000000e+00, 0.984496{{.*}}
  // CHECK: tq.qattention %[[QKV]], %[[OFFSETS]], %
  // CHECK-SAME: context_multiplier = 1.562500e-02 : f32
  // CHECK-SAME: context_offset = 6.400000e+01 : f32
  // CHECK-SAME: head_dim = 1 : i64, heads = 2 : i64
  // CHECK-SAME: prob_multiplier = 2.560000e+02 : f32
  // CHECK-SAME: score_multiplier = 2.000000e+00 : f32
  // CHECK-SAME: score_offset = 1.270000e+02 : f32
  // CHECK-SAME: sites = ["L0.s", "L0.p", "L0.c"]
  // CHECK-SAME: zk = 128 : i64, zq = 120 : i64, zv = 130 : i64
  // CHECK-NOT: tq.dequantize
  func.func @forward(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
      -> tensor<?x2x!c> {
    %cq = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %ck = arith.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi8>
    %cv = arith.constant dense<[[-1, -2], [-3, -4]]> : tensor<2x2xi8>
    %scale = arith.constant dense<1.0> : tensor<1xf32>
    %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
    %wq = tq.dequantize_weight %cq, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wk = tq.dequantize_weight %ck, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wv = tq.dequantize_weight %cv, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
    %0 = tq.linear %x, %wq, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
    %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
    %3 = tq.linear %x, %wk, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
    %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
    %6 = tq.linear %x, %wv, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
    %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
    %9 = tq.scores %2, %5, %offsets {heads = 2 : i64}
        : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
    %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
    %12 = tq.softmax %11, %offsets {scale = 0.25 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
    %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
    %15 = tq.context %14, %8, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
    return %16 : tensor<?x2x!c>
  }
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!q = !quant.uniform<u8:f32, 0.5:120>
!k = !quant.uniform<u6:f32, 0.25:32>
!v = !quant.uniform<u4:f32, 0.125:7>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !quant.uniform<u8:f32, 0.00390625:0>
!c = !quant.uniform<u8:f32, 0.03125:64>

// Codes of 8, 6 and 4 bits: the product bounds them by the widest, and each part
// is limited to its own. The sites are those of the limited codes.

module {
  // CHECK-LABEL: func.func @mixed
  // CHECK: %[[ALL:.*]] = tq.qlinear
  // CHECK-NOT: sites
  // CHECK-SAME: !tq.group<u8, axis = 1, map = [0 x 2, 1 x 2, 2 x 2], params = [5.000000e-01:120, 2.500000e-01:32, 1.250000e-01:7]>
  // CHECK: %[[QKV:.*]] = tq.qlimit %[[ALL]] {hi = array<i64: 255, 63, 15>, sites = ["L0.q", "L0.k", "L0.v"]}
  // CHECK: tq.qattention %[[QKV]]
  // CHECK-SAME: zk = 32 : i64, zq = 120 : i64, zv = 7 : i64
  func.func @mixed(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
      -> tensor<?x2x!c> {
    %cq = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %ck = arith.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi8>
    %cv = arith.constant dense<[[-1, -2], [-3, -4]]> : tensor<2x2xi8>
    %scale = arith.constant dense<1.0> : tensor<1xf32>
    %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
    %wq = tq.dequantize_weight %cq, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wk = tq.dequantize_weight %ck, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wv = tq.dequantize_weight %cv, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
    %0 = tq.linear %x, %wq, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
    %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
    %3 = tq.linear %x, %wk, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
    %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
    %6 = tq.linear %x, %wv, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
    %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
    %9 = tq.scores %2, %5, %offsets {heads = 2 : i64}
        : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
    %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
    %12 = tq.softmax %11, %offsets {scale = 0.25 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
    %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
    %15 = tq.context %14, %8, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
    return %16 : tensor<?x2x!c>
  }
}

// -----

!x = !tq.dynamic<u8, token>
!q = !quant.uniform<u8:f32, 0.5:120>
!k = !quant.uniform<u8:f32, 0.25:128>
!v = !quant.uniform<u8:f32, 0.125:130>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !quant.uniform<u8:f32, 0.00390625:0>
!c = !tq.dynamic<u8, token>

// Ranges of tokens before the block come in with the product, those of the
// context are found behind it: it is s_p s_v times the sum. Row E29.

module {
  // CHECK-LABEL: func.func @tokens
  // CHECK-SAME: (%[[X:.*]]: tensor<{{.*}}>, %[[OFFSETS:.*]]: tensor<?xi32>)
  // CHECK-DAG: %[[C:.*]] = arith.constant dense<[-3, -7, -11, -15, 3, 7]> : tensor<6xi32>
  // CHECK-DAG: %[[M:.*]] = arith.constant dense<[2.000000e+00, 2.000000e+00, 4.000000e+00, 4.000000e+00, 8.000000e+00, 8.000000e+00]> : tensor<6xf32>
  // CHECK: %[[QKV:.*]] = tq.qlinear %[[X]], %{{.*}}, %[[C]], %[[M]]
  // CHECK: %[[R:.*]] = tq.qattention %[[QKV]], %[[OFFSETS]], %
  // CHECK-SAME: context_multiplier = 4.8828125E-4 : f32
  // CHECK-SAME: context_offset = 0.000000e+00 : f32
  // CHECK-SAME: sites = ["L0.s", "L0.p", ""]
  // CHECK-SAME: -> tensor<?x2xf32>
  // CHECK: tq.quantize %[[R]] {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!tq.dynamic<u8, token>>
  func.func @tokens(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
      -> tensor<?x2x!c> {
    %cq = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %ck = arith.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi8>
    %cv = arith.constant dense<[[-1, -2], [-3, -4]]> : tensor<2x2xi8>
    %scale = arith.constant dense<1.0> : tensor<1xf32>
    %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
    %wq = tq.dequantize_weight %cq, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wk = tq.dequantize_weight %ck, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wv = tq.dequantize_weight %cv, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
    %0 = tq.linear %x, %wq, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
    %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
    %3 = tq.linear %x, %wk, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
    %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
    %6 = tq.linear %x, %wv, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
    %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
    %9 = tq.scores %2, %5, %offsets {heads = 2 : i64}
        : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
    %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
    %12 = tq.softmax %11, %offsets {scale = 0.25 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
    %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
    %15 = tq.context %14, %8, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
    return %16 : tensor<?x2x!c>
  }
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!q = !quant.uniform<u8:f32, 0.5:120>
!k = !quant.uniform<u8:f32, 0.25:128>
!v = !quant.uniform<u8:f32, 0.125:130>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !tq.log<u4, sqrt2, scale = 0.5, zero = 16>
!c = !quant.uniform<u8:f32, 0.03125:64>

// Logarithmic probabilities, row E23: prob_step is 2 a log2(e) with a = 0.0625 / 4,
// prob_multiplier is their scale over 2^23 - 1, and in context_multiplier the
// scale counts by the largest weight, 2^7.

module {
  // CHECK-LABEL: func.func @log_sqrt2
  // CHECK: tq.qattention
  // CHECK-SAME: context_multiplier = 1.562500e-02 : f32
  // CHECK-SAME: prob_multiplier = 5.96046518E-8 : f32
  // CHECK-SAME: prob_step = 0.0450842194 : f32
  // CHECK-SAME: prob_type = !tq.log<u4, sqrt2, scale = 5.000000e-01, zero = 16>
  // CHECK-NOT: prob_hi
  func.func @log_sqrt2(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
      -> tensor<?x2x!c> {
    %cq = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %ck = arith.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi8>
    %cv = arith.constant dense<[[-1, -2], [-3, -4]]> : tensor<2x2xi8>
    %scale = arith.constant dense<1.0> : tensor<1xf32>
    %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
    %wq = tq.dequantize_weight %cq, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wk = tq.dequantize_weight %ck, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wv = tq.dequantize_weight %cv, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
    %0 = tq.linear %x, %wq, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
    %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
    %3 = tq.linear %x, %wk, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
    %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
    %6 = tq.linear %x, %wv, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
    %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
    %9 = tq.scores %2, %5, %offsets {heads = 2 : i64}
        : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
    %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
    %12 = tq.softmax %11, %offsets {scale = 0.25 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
    %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
    %15 = tq.context %14, %8, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
    return %16 : tensor<?x2x!c>
  }
}


// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!q = !quant.uniform<u8:f32, 0.5:120>
!k = !quant.uniform<u8:f32, 0.25:128>
!v = !quant.uniform<u8:f32, 0.125:130>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !tq.log<u3, two, scale = 1.0, zero = 8>
!c = !quant.uniform<u8:f32, 0.03125:64>

// Logarithmic probabilities, row E22: prob_step is a log2(e) with a = 0.0625 / 4,
// prob_multiplier is their scale over 2^23 - 1, and in context_multiplier the
// scale counts by the largest weight, 2^7.

module {
  // CHECK-LABEL: func.func @log2
  // CHECK: tq.qattention
  // CHECK-SAME: context_multiplier = 3.125000e-02 : f32
  // CHECK-SAME: prob_multiplier = 1.19209304E-7 : f32
  // CHECK-SAME: prob_step = 0.0225421097 : f32
  // CHECK-SAME: prob_type = !tq.log<u3, two, scale = 1.000000e+00, zero = 8>
  // CHECK-NOT: prob_hi
  func.func @log2(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
      -> tensor<?x2x!c> {
    %cq = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %ck = arith.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi8>
    %cv = arith.constant dense<[[-1, -2], [-3, -4]]> : tensor<2x2xi8>
    %scale = arith.constant dense<1.0> : tensor<1xf32>
    %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
    %wq = tq.dequantize_weight %cq, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wk = tq.dequantize_weight %ck, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wv = tq.dequantize_weight %cv, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
    %0 = tq.linear %x, %wq, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
    %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
    %3 = tq.linear %x, %wk, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
    %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
    %6 = tq.linear %x, %wv, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
    %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
    %9 = tq.scores %2, %5, %offsets {heads = 2 : i64}
        : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
    %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
    %12 = tq.softmax %11, %offsets {scale = 0.25 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
    %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
    %15 = tq.context %14, %8, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
    return %16 : tensor<?x2x!c>
  }
}

// -----

// Queries of the first tokens only: keys and values are one product, that of
// the queries stays beside it.

!x = !quant.uniform<u8:f32, 0.5:10>
!q = !quant.uniform<u8:f32, 0.5:120>
!k = !quant.uniform<u8:f32, 0.25:128>
!v = !quant.uniform<u8:f32, 0.125:130>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !quant.uniform<u8:f32, 0.00390625:0>
!c = !quant.uniform<u8:f32, 0.03125:64>

// CHECK-LABEL: func.func @first_query
// CHECK-SAME: (%[[X:.*]]: tensor<{{.*}}>, %[[OFFSETS:.*]]: tensor<?xi32>)
// CHECK: %[[FIRST:.*]] = tq.qpool %[[X]], %[[OFFSETS]]
// CHECK: %[[Q:.*]] = tq.qlinear %[[FIRST]], {{.*}} {sites = ["L0.q"]}
// CHECK: %[[KV:.*]] = tq.qlinear %[[X]], {{.*}} {sites = ["L0.k", "L0.v"]}
// CHECK-SAME: map = [0 x 2, 1 x 2], params = [2.500000e-01:128, 1.250000e-01:130]
// CHECK: tq.qattention %[[KV]], %[[OFFSETS]], %{{.*}}, %{{.*}}, %[[Q]] {
// CHECK-SAME: zk = 128 : i64, zq = 120 : i64, zv = 130 : i64
func.func @first_query(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
    -> tensor<?x2x!c> {
  %codes = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %scale = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scale
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %fq = tq.qpool %xq, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x2x!x>, tensor<?xi32>) -> tensor<?x2x!x>
  %first = tq.dequantize %fq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %first, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
  %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
  %3 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
  %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
  %6 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
  %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
  %9 = tq.scores %2, %5, %offsets {first_query, heads = 2 : i64}
      : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
  %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
  %12 = tq.softmax %11, %offsets {first_query, scale = 0.25 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
  %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
  %15 = tq.context %14, %8, %offsets {first_query, heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
  return %16 : tensor<?x2x!c>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!q = !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:128, 0.25:128],
               limits = [0:255, 120:135]>
!k = !quant.uniform<u8:f32, 0.25:128>
!v = !tq.group<u8, axis = 1, map = [0, 1], params = [0.125:128, 0.0625:128]>
!s = !quant.uniform<u8:f32, 0.0625:127>
!p = !tq.group<u8, axis = 0, map = [0, 1], params = [0.00390625:0, 0.0625:0],
               limits = [0:255, 0:15]>
!c = !tq.group<u8, axis = 1, map = [0, 1], params = [0.03125:128, 0.5:128],
               limits = [0:255, 96:159]>

// Steps of heads, row E19: each has its constants in per_head, and codes of q
// are limited to the bits of its head. Heads of k have one step.

module {
  // CHECK-LABEL: func.func @heads
  // CHECK: %[[ALL:.*]] = tq.qlinear
  // CHECK-NOT: sites
  // CHECK-SAME: !tq.group<u8, axis = 1, map = [0, 1, 2, 3, 4, 5], params = [5.000000e-01:128, 2.500000e-01:128, 2.500000e-01:128, 2.500000e-01:128, 1.250000e-01:128, 6.250000e-02:128], limits = [0:255, 120:135, 0:255, 0:255, 0:255, 0:255]>
  // CHECK: %[[QKV:.*]] = tq.qlimit %[[ALL]] {hi = array<i64: 255, 135, 255, 255, 255, 255>, lo = array<i64: 0, 120, 0, 0, 0, 0>, sites = ["L0.q", "L0.k", "L0.v"]}
  // CHECK: tq.qattention %[[QKV]]
  // CHECK-SAME: per_head = array<f32: 2.000000e+00, 2.560000e+02, 2.550000e+02, 1.562500e-02, 0.000000e+00, 2.550000e+02, 1.000000e+00, 1.600000e+01, 1.500000e+01, 7.812500e-03, 9.600000e+01, 1.590000e+02>
  // CHECK-SAME: zk = 128 : i64, zq = 128 : i64, zv = 128 : i64
  // CHECK-NOT: tq.dequantize
  func.func @heads(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
      -> tensor<?x2x!c> {
    %cq = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %ck = arith.constant dense<[[5, 6], [7, 8]]> : tensor<2x2xi8>
    %cv = arith.constant dense<[[-1, -2], [-3, -4]]> : tensor<2x2xi8>
    %scale = arith.constant dense<1.0> : tensor<1xf32>
    %b = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
    %wq = tq.dequantize_weight %cq, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wk = tq.dequantize_weight %ck, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %wv = tq.dequantize_weight %cv, %scale
        : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
    %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
    %0 = tq.linear %x, %wq, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!q>
    %2 = tq.dequantize %1 : tensor<?x2x!q> -> tensor<?x2xf32>
    %3 = tq.linear %x, %wk, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.quantize %3 {site = "L0.k"} : tensor<?x2xf32> -> tensor<?x2x!k>
    %5 = tq.dequantize %4 : tensor<?x2x!k> -> tensor<?x2xf32>
    %6 = tq.linear %x, %wv, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.quantize %6 {site = "L0.v"} : tensor<?x2xf32> -> tensor<?x2x!v>
    %8 = tq.dequantize %7 : tensor<?x2x!v> -> tensor<?x2xf32>
    %9 = tq.scores %2, %5, %offsets {heads = 2 : i64}
        : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %10 = tq.quantize %9 {site = "L0.s"} : tensor<2x?xf32> -> tensor<2x?x!s>
    %11 = tq.dequantize %10 : tensor<2x?x!s> -> tensor<2x?xf32>
    %12 = tq.softmax %11, %offsets {scale = 0.25 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    %13 = tq.quantize %12 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
    %14 = tq.dequantize %13 : tensor<2x?x!p> -> tensor<2x?xf32>
    %15 = tq.context %14, %8, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %16 = tq.quantize %15 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
    return %16 : tensor<?x2x!c>
  }
}
