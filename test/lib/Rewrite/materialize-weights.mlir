// RUN: quern-opt %s --pass-pipeline='builtin.module(func.func(tq-materialize-weights,tq-clean-up))' \
// RUN:   | FileCheck %s

// Codes times the scale of their row, in f32.

// CHECK-LABEL: func.func @forward
// CHECK: %[[W:.*]] = arith.constant dense<{{\[\[}}5.000000e-01, 1.000000e+00], [6.000000e+00, -8.000000e+00]]> : tensor<2x2xf32>
// CHECK-NOT: tq.dequantize_weight
// CHECK: tq.linear %{{.*}}, %[[W]],
func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
