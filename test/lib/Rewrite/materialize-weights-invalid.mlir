// RUN: quern-opt %s --verify-diagnostics \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-materialize-weights))'

func.func @forward(%x: tensor<?x2xf32>, %codes: tensor<2xi8>)
    -> tensor<?x2xf32> {
  %scale = arith.constant dense<0.5> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  // expected-error @below {{expects constant codes and scales}}
  %gamma = tq.dequantize_weight %codes, %scale
      : (tensor<2xi8>, tensor<1xf32>) -> tensor<2xf32>
  %0 = tq.layer_norm %x, %gamma, %b {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
