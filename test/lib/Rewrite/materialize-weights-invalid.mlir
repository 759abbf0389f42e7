// RUN: quern-opt %s --verify-diagnostics \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-materialize-weights))'

func.func @forward(%x: tensor<?x2xf32>, %codes: tensor<2x2xi8>)
    -> tensor<?x2xf32> {
  %scales = arith.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  // expected-error @below {{expects constant codes and scales}}
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
