// RUN: quern-opt %s --split-input-file --verify-diagnostics \
// RUN:   --remarks-filter-missed=rewrite --remark-format=emitRemark \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fuse-add-norm))'

// LayerNorms that stay in f32, and why.

func.func @no_sum_quantizer(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %v = arith.constant dense<[3.0, 5.0]> : tensor<2xf32>
  // expected-remark @below {{stays in f32: the sum before it has no quantizer}}
  %0 = tq.layer_norm %x, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

!b = !quant.uniform<u8:f32, 0.5:10>

func.func @float_operand(%a: tensor<?x2xf32>, %bq: tensor<?x2x!b>)
    -> tensor<?x2xf32> {
  %v = arith.constant dense<[3.0, 5.0]> : tensor<2xf32>
  %b = tq.dequantize %bq : tensor<?x2x!b> -> tensor<?x2xf32>
  %0 = tq.add %a, %b : tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.u"} : tensor<?x2xf32> -> tensor<?x2x!b>
  %2 = tq.dequantize %1 : tensor<?x2x!b> -> tensor<?x2xf32>
  // expected-remark @below {{stays in f32: an operand of the sum has no quantizer}}
  %3 = tq.layer_norm %2, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}

// -----

!b = !quant.uniform<u8:f32, 0.5:10>

func.func @not_a_sum(%xq: tensor<?x2x!b>) -> tensor<?x2xf32> {
  %v = arith.constant dense<[3.0, 5.0]> : tensor<2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!b> -> tensor<?x2xf32>
  // expected-remark @below {{stays in f32: its input is not the quantized sum itself}}
  %0 = tq.layer_norm %x, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
