// RUN: quern-opt %s --tq-quantize --split-input-file --verify-diagnostics

// expected-error @below {{expects the attribute 'tq.scheme' with the dictionaries 'sites' and 'weights'}}
module {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected 2 to 16 bits, got 17 : i64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 17 : i64, scale = 1.0 : f32, zero = 0 : i64}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected 2 to 16 bits, got 1 : i64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 1 : i64, scale = 1.0 : f32, zero = 0 : i64}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected a zero point of 5 bits, got 32 : i64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 5 : i64, scale = 1.0 : f32, zero = 32 : i64}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected a zero point of 8 bits, got 256 : i64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, scale = 1.0 : f32, zero = 256 : i64}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected a positive scale that f32 holds exactly, got 1.000000e-01 : f64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, scale = 0.1 : f64, zero = 0 : i64}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected "fp32" or {bits, scale, zero}, perhaps with channel_scale and channel_shift, perhaps with residual, or with offset, got "fp16"}}
module attributes {tq.scheme = {weights = {}, sites = {L0.x = "fp16"}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.p: expected "two" or "sqrt2", got "e"}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.p = {bits = 4 : i64, base = "e", scale = 1.0 : f32}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.p: expected 3 to 8 bits for logarithmic codes, got 2 : i64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.p = {bits = 2 : i64, base = "two", scale = 1.0 : f32}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.p: expected {bits, base, scale}, got {base = "two", bits = 4 : i64, scale = 1.000000e+00 : f32, zero = 16 : i64}}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.p = {bits = 4 : i64, base = "two", scale = 1.0 : f32, zero = 16 : i64}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.p: expected a positive scale that f32 holds exactly, got 0.000000e+00 : f32}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.p = {bits = 4 : i64, base = "two", scale = 0.0 : f32}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected "token", got "batch"}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, range = "batch", symmetric = false}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected {bits, range, symmetric}, got {bits = 8 : i64, range = "token"}}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, range = "token"}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected 2 to 8 bits for tokens, got 9 : i64}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 9 : i64, range = "token", symmetric = false}}}} {}

// -----

// expected-error @below {{tq.scheme: weights.bias: expected one of linear, pooler, classifier, word_table, table, norms, got "fp32"}}
module attributes {tq.scheme = {sites = {}, weights = {bias = "fp32"}}} {}

// -----

// expected-error @below {{tq.scheme: weights.linear: expected 2 to 8 bits, got 9 : i64}}
module attributes {tq.scheme = {sites = {}, weights = {
  linear = {bits = 9 : i64, granularity = "tensor", estimator = "mse"}}}} {}

// -----

// expected-error @below {{tq.scheme: weights.linear: expected "tensor" or "channel", got "row"}}
module attributes {tq.scheme = {sites = {}, weights = {
  linear = {bits = 8 : i64, granularity = "row", estimator = "mse"}}}} {}

// -----

// expected-error @below {{tq.scheme: weights.linear: expected one of minmax, percentile, mse, mse_grid, mse_golden, got "best"}}
module attributes {tq.scheme = {sites = {}, weights = {
  linear = {bits = 8 : i64, granularity = "tensor", estimator = "best"}}}} {}

// -----

// expected-error @below {{tq.scheme: weights.linear: expected a percentile above 50, at most 100, got 5.000000e+01 : f64}}
module attributes {tq.scheme = {sites = {}, weights = {
  linear = {bits = 8 : i64, granularity = "tensor", estimator = "percentile",
            percentile = 50.0 : f64}}}} {}

// -----

// expected-error @below {{tq.scheme: weights.linear: expected 2 to 10000 candidates, got 1 : i64}}
module attributes {tq.scheme = {sites = {}, weights = {
  linear = {bits = 8 : i64, granularity = "tensor", estimator = "mse_grid",
            candidates = 1 : i64}}}} {}

// -----

module attributes {tq.scheme = {sites = {}, weights = {}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{site 'L0.g' is not in tq.scheme, expected a quantizer or "fp32"}}
    %0 = tq.observe %x {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}

// -----

module attributes {tq.scheme = {sites = {}, weights = {
  norms = {bits = 8 : i64, granularity = "tensor", estimator = "mse"}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{expects finite weights, got}}
    %g = arith.constant dense<[1.0, 0x7FC00000]> : tensor<2xf32>
    %b = arith.constant dense<1.0> : tensor<2xf32>
    %0 = tq.layer_norm %x, %g, %b {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}

// -----

module attributes {tq.scheme = {weights = {}, sites = {
  L0.z = {bits = 8 : i64, scale = 1.0 : f32, zero = 0 : i64,
          channel_scale = dense<1.0> : tensor<2xf32>,
          channel_shift = dense<1.0> : tensor<2xf32>}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{site 'L0.z' has channel scales, expected tq-reparameterize to have moved them}}
    %0 = tq.observe %x {key = "z", layer = 0 : i64, site = "L0.z"}
        : tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}
