// RUN: quern-opt %s --split-input-file --verify-diagnostics \
// RUN:   --remarks-filter-missed=rewrite --remark-format=emitRemark \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fold-linear))'

// What tq-fold-linear refuses, and the reason it gives.

func.func @float_input(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  // expected-remark @below {{stays in f32: its input has no codes of one scale}}
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>

func.func @float_weight(%xq: tensor<?x2x!x>) -> tensor<?x2xf32> {
  %w = arith.constant dense<1.0> : tensor<2x2xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  // expected-remark @below {{stays in f32: its weight is not quantized}}
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>

func.func @bias_argument(%xq: tensor<?x2x!x>, %b: tensor<2xf32>)
    -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  // expected-remark @below {{stays in f32: its bias is not a constant}}
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

!x = !tq.dynamic<u8, tensor>

// The range of all that is run together would make every row depend on it.

func.func @range_of_a_batch(%xq: tensor<?x2x!x>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  // expected-remark @below {{stays in f32: its input has no codes of one scale, or one for each token}}
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
