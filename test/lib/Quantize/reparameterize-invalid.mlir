// RUN: quern-opt %s --tq-reparameterize --tq-quantize --split-input-file --verify-diagnostics

// expected-error @below {{tq.scheme: sites.L0.x: expected channel_scale and channel_shift in f32 and of one length, got tensor<2xf32>}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, scale = 1.0 : f32, zero = 0 : i64,
          channel_scale = dense<1.0> : tensor<2xf32>,
          channel_shift = dense<1.0> : tensor<3xf32>}}}} {}

// -----

module attributes {tq.scheme = {weights = {}, sites = {
  L0.h = {bits = 8 : i64, scale = 1.0 : f32, zero = 0 : i64,
          channel_scale = dense<1.0> : tensor<2xf32>,
          channel_shift = dense<1.0> : tensor<2xf32>}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{channel scales need a LayerNorm before site 'L0.h'}}
    %0 = tq.observe %x {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}

// -----

module attributes {tq.scheme = {weights = {}, sites = {
  L0.z = {bits = 8 : i64, scale = 1.0 : f32, zero = 0 : i64,
          channel_scale = dense<1.0> : tensor<2xf32>,
          channel_shift = dense<1.0> : tensor<2xf32>}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %v = arith.constant dense<1.0> : tensor<2xf32>
    %0 = tq.layer_norm %x, %v, %v {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // expected-error @below {{channel scales of site 'L0.z' cannot move into its reader func.return}}
    %1 = tq.observe %0 {key = "z", layer = 0 : i64, site = "L0.z"}
        : tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}
