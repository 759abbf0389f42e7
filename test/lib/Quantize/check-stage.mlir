// RUN: quern-opt %s --tq-check-stage=stage=simulate | FileCheck %s
// RUN: quern-opt %s --tq-rewrite-pipeline --tq-check-stage=stage=integer \
// RUN:   | FileCheck %s --check-prefix=INTEGER

// A legal simulation stays as it is; what the rewrites make of it is legal at
// the next level.

// CHECK-LABEL: func.func @forward
// CHECK: tq.linear
// INTEGER-LABEL: func.func @forward
// INTEGER: tq.qlinear
func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<0.5> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales {bits = 8 : i64}
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %q = tq.quantize %x {site = "L0.x"}
      : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u8:f32, 0.5:3>>
  %r = tq.dequantize %q
      : tensor<?x2x!quant.uniform<u8:f32, 0.5:3>> -> tensor<?x2xf32>
  %0 = tq.linear %r, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
