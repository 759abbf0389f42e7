// RUN: quern-opt %s --split-input-file --verify-diagnostics \
// RUN:   --remarks-filter-missed=rewrite --remark-format=emitRemark \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fuse-attention))'

// Attention that stays in f32, and why.

func.func @no_quantizer(%p: tensor<2x?xf32>, %v: tensor<?x2xf32>,
                        %offsets: tensor<?xi32>) -> tensor<?x2xf32> {
  // expected-remark @below {{stays in f32: the context has no quantizer}}
  %0 = tq.context %p, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

!c = !quant.uniform<u8:f32, 0.5:10>

func.func @float_probabilities(%p: tensor<2x?xf32>, %v: tensor<?x2xf32>,
                               %offsets: tensor<?xi32>) -> tensor<?x2x!c> {
  // expected-remark @below {{stays in f32: the probabilities have no quantizer}}
  %0 = tq.context %p, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
  return %1 : tensor<?x2x!c>
}

// -----

!c = !quant.uniform<u8:f32, 0.5:10>
!p = !quant.uniform<u8:f32, 0.0078125:1>

func.func @probability_zero_point(%s: tensor<2x?xf32>, %v: tensor<?x2xf32>,
                                  %offsets: tensor<?xi32>) -> tensor<?x2x!c> {
  %0 = tq.softmax %s, %offsets {scale = 0.25 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %1 = tq.quantize %0 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
  %2 = tq.dequantize %1 : tensor<2x?x!p> -> tensor<2x?xf32>
  // expected-remark @below {{stays in f32: the probabilities have zero point 1, expected 0}}
  %3 = tq.context %2, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
  return %4 : tensor<?x2x!c>
}

// -----

!c = !quant.uniform<u8:f32, 0.5:10>
!p = !quant.uniform<u16:f32, 0.0078125:0>

func.func @wide_probabilities(%s: tensor<2x?xf32>, %v: tensor<?x2xf32>,
                              %offsets: tensor<?xi32>) -> tensor<?x2x!c> {
  %0 = tq.softmax %s, %offsets {scale = 0.25 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %1 = tq.quantize %0 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
  %2 = tq.dequantize %1 : tensor<2x?x!p> -> tensor<2x?xf32>
  // expected-remark @below {{stays in f32: the probabilities have codes of 16 bits, expected at most 8}}
  %3 = tq.context %2, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
  return %4 : tensor<?x2x!c>
}

// -----

!c = !quant.uniform<u8:f32, 0.5:10>
!p = !tq.log<u2, two, scale = 1.0, zero = 4>

func.func @log_of_two_bits(%s: tensor<2x?xf32>, %v: tensor<?x2xf32>,
                              %offsets: tensor<?xi32>) -> tensor<?x2x!c> {
  %0 = tq.softmax %s, %offsets {scale = 0.25 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %1 = tq.quantize %0 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
  %2 = tq.dequantize %1 : tensor<2x?x!p> -> tensor<2x?xf32>
  // expected-remark @below {{stays in f32: the probabilities have logarithmic codes of 2 bits, expected 3 to 8}}
  %3 = tq.context %2, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
  return %4 : tensor<?x2x!c>
}

// -----

!c = !quant.uniform<u8:f32, 0.5:10>
!p = !tq.log<u4, sqrt2, scale = 1.0, zero = 15>

func.func @log_without_a_zero(%s: tensor<2x?xf32>, %v: tensor<?x2xf32>,
                              %offsets: tensor<?xi32>) -> tensor<?x2x!c> {
  %0 = tq.softmax %s, %offsets {scale = 0.25 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %1 = tq.quantize %0 {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!p>
  %2 = tq.dequantize %1 : tensor<2x?x!p> -> tensor<2x?xf32>
  // expected-remark @below {{stays in f32: the probabilities have the logarithmic zero 15, expected 16}}
  %3 = tq.context %2, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.c"} : tensor<?x2xf32> -> tensor<?x2x!c>
  return %4 : tensor<?x2x!c>
}
