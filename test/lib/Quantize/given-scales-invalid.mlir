// RUN: quern-opt %s --tq-quantize --split-input-file --verify-diagnostics

// expected-error @below {{tq.scheme: scales.some.weight: expected an array of positive f32, got array<f32: 0.000000e+00>}}
module attributes {tq.scheme = {sites = {}, weights = {},
  scales = {some.weight = array<f32: 0.0>}}} {}

// -----

module attributes {tq.scheme = {sites = {}, scales = {}, weights = {
  linear = {bits = 8 : i64, granularity = "tensor", estimator = "mse"}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{expects the scale of 'some.weight' in tq.scheme, or one for each of 2 rows in the model's order, got 0}}
    %w = arith.constant dense_resource<some.weight> : tensor<2x2xf32>
    %b = arith.constant dense<1.0> : tensor<2xf32>
    %0 = tq.linear %x, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      some.weight: "0x040000000000803F000000BFB81E853E00004040"
    }
  }
#-}
