// RUN: quern-opt %s --pass-pipeline='builtin.module(func.func(tq-materialize-weights,tq-clean-up))' \
// RUN:   | FileCheck %s

// A gain becomes numbers, codes times scale; the weights of a product and the
// table of a look-up stay codes, which their kernels make numbers of.

// CHECK-LABEL: func.func @forward
// CHECK: %[[T:.*]] = tq.dequantize_weight
// CHECK: tq.embedding %[[T]]
// CHECK: %[[G:.*]] = arith.constant dense<[5.000000e-01, -1.000000e+00]> : tensor<2xf32>
// CHECK: tq.layer_norm %{{.*}}, %[[G]],
// CHECK: %[[W:.*]] = tq.dequantize_weight
// CHECK: tq.linear %{{.*}}, %[[W]],
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %gain = arith.constant dense<[1, -2]> : tensor<2xi8>
  %half = arith.constant dense<0.5> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %table = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %x = tq.embedding %table, %ids
      : (tensor<2x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %gamma = tq.dequantize_weight %gain, %half
      : (tensor<2xi8>, tensor<1xf32>) -> tensor<2xf32>
  %n = tq.layer_norm %x, %gamma, %b {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %0 = tq.linear %n, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// No kernel of f32 products reads scales of blocks of columns.

// CHECK-LABEL: func.func @blocks
// CHECK: %[[W:.*]] = arith.constant dense<{{\[\[}}5.000000e-01, 4.000000e+00], [1.500000e+00, -8.000000e+00]]> : tensor<2x2xf32>
// CHECK: tq.linear %{{.*}}, %[[W]],
func.func @blocks(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales {blocks = array<i64: 1, 2>}
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
