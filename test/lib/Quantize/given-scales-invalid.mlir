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

// -----

// expected-error @below {{tq.scheme: scales.some.weight: expected {scales, bits}, perhaps with along, the bits those of all scales or of each, got}}
module attributes {tq.scheme = {sites = {}, weights = {},
  scales = {some.weight = {scales = array<f32: 1.0, 1.0, 1.0>,
                           bits = array<i64: 2, 3>}}}} {}

// -----

// expected-error @below {{tq.scheme: scales.some.weight: expected 2 to 8 bits, got array<i64: 9>}}
module attributes {tq.scheme = {sites = {}, weights = {},
  scales = {some.weight = {scales = array<f32: 1.0>,
                           bits = array<i64: 9>}}}} {}

// -----

// expected-error @below {{tq.scheme: scales.some.weight: expected "rows" or "columns", got "heads"}}
module attributes {tq.scheme = {sites = {}, weights = {},
  scales = {some.weight = {scales = array<f32: 1.0>, bits = array<i64: 8>,
                           along = "heads"}}}} {}

// -----

module attributes {tq.scheme = {sites = {}, weights = {
  linear = {bits = 8 : i64, granularity = "tensor", estimator = "mse"}},
  scales = {some.weight = {scales = array<f32: 1.0, 1.0, 1.0>,
                           bits = array<i64: 8>, along = "columns"}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{expects the scale of 'some.weight' in tq.scheme, or one for each block of its 2 columns in the model's order, got 3}}
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
