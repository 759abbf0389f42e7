// RUN: quern-opt %s --split-input-file --verify-diagnostics --tq-split-residual --tq-reparameterize --tq-quantize

// Only a LayerNorm output has a second reader to serve.

module attributes {tq.scheme = {
  sites = {L0.x = {bits = 4 : i64, scale = 0.125 : f32, zero = 8 : i64,
                   channel_scale = dense<1.0> : tensor<2xf32>,
                   channel_shift = dense<0.0> : tensor<2xf32>,
                   residual = {
                     bits = 8 : i64, scale = 0.0078125 : f32, zero = 128 : i64,
                     channel_scale = dense<1.0> : tensor<2xf32>,
                     channel_shift = dense<0.0> : tensor<2xf32>}}},
  weights = {}}} {
  func.func @forward(%u: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{codes for residual sums need a LayerNorm before site 'L0.x'}}
    %0 = tq.observe %u {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x2xf32>
    %1 = tq.add %0, %0 : tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}

// -----

// Channels of another number than the site's.

// expected-error @below {{tq.scheme: sites.L0.x.residual: expected {bits, scale, zero, channel_scale, channel_shift} beside as many channels of the site}}
module attributes {tq.scheme = {
  sites = {L0.x = {bits = 4 : i64, scale = 0.125 : f32, zero = 8 : i64,
                   channel_scale = dense<1.0> : tensor<2xf32>,
                   channel_shift = dense<0.0> : tensor<2xf32>,
                   residual = {
                     bits = 8 : i64, scale = 0.0078125 : f32, zero = 128 : i64,
                     channel_scale = dense<1.0> : tensor<3xf32>,
                     channel_shift = dense<0.0> : tensor<3xf32>}}},
  weights = {}}} {
}

// -----

// Bits that codes do not have.

// expected-error @below {{tq.scheme: sites.L0.x.residual: expected 2 to 16 bits, got 17}}
module attributes {tq.scheme = {
  sites = {L0.x = {bits = 4 : i64, scale = 0.125 : f32, zero = 8 : i64,
                   channel_scale = dense<1.0> : tensor<2xf32>,
                   channel_shift = dense<0.0> : tensor<2xf32>,
                   residual = {
                     bits = 17 : i64, scale = 0.0078125 : f32, zero = 128 : i64,
                     channel_scale = dense<1.0> : tensor<2xf32>,
                     channel_shift = dense<0.0> : tensor<2xf32>}}},
  weights = {}}} {
}

// -----

// Zero points are for matrices.

// expected-error @below {{tq.scheme: weights.norms: expected true, of all but linear, pooler and classifier, got false}}
module attributes {tq.scheme = {
  sites = {},
  weights = {norms = {bits = 8 : i64, granularity = "tensor",
                      estimator = "mse", symmetric = false}}}} {
}
