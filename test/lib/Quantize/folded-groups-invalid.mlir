// RUN: quern-opt %s --tq-reparameterize --tq-quantize --split-input-file --verify-diagnostics

// expected-error @below {{tq.scheme: sites.L0.x: expected "folded" or "auto", got "direct"}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, group_of = array<i64: 0, 1>,
          scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>,
          form = "direct"}}}} {}

// -----

// expected-error @below {{tq.scheme: sites.L0.x: expected {bits, group_of, scales, zeros}, perhaps with a form}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, group_of = array<i64: 0, 1>,
          scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>,
          shape = "folded"}}}} {}

// -----

// h is no LayerNorm output.
module attributes {tq.scheme = {weights = {}, sites = {
  L0.h = {bits = 8 : i64, group_of = array<i64: 0, 1>,
          scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>,
          form = "folded"}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{channel scales need a LayerNorm before site 'L0.h'}}
    %0 = tq.observe %x {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}

// -----

module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, group_of = array<i64: 0, 1>,
          scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>,
          form = "auto"}}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @below {{site 'L0.x' has groups of the form "auto", expected "folded" or no form: the driver decides}}
    %0 = tq.observe %x {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}

// -----

module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, group_of = array<i64: 0, 1>,
          scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>,
          form = "folded"}}}} {
  func.func @forward(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
    // expected-error @below {{expects groups of 3 channels, got 2}}
    %0 = tq.observe %x {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x3xf32>
    return %0 : tensor<?x3xf32>
  }
}

// -----

// expected-error @below {{tq.scheme: sites.L0.q: expected a least and a greatest code of 4 bits for each group}}
module attributes {tq.scheme = {weights = {}, sites = {
  L0.q = {bits = 4 : i64, group_of = array<i64: 0, 1>,
          scales = array<f32: 0.25, 2.0>, zeros = array<i64: 8, 8>,
          limits = array<i64: 0, 15, 4, 16>}}}} {}
