// RUN: quern-opt %s --tq-order-channels --split-input-file \
// RUN:   --verify-diagnostics

module attributes {tq.scheme = {
  sites = {L0.x = {bits = 8 : i64, group_of = array<i64: 1, 0>,
                   scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>}},
  weights = {}}} {
  func.func @forward(%in: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // expected-error @+1 {{has groups, but its layer's channels cannot be put in another order}}
    %x = tq.observe %in {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x2xf32>
    return %x : tensor<?x2xf32>
  }
}

// -----

// expected-error @+1 {{tq.scheme: sites.L0.x: expected no empty group}}
module attributes {tq.scheme = {
  sites = {L0.x = {bits = 8 : i64, group_of = array<i64: 1, 1>,
                   scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>}},
  weights = {}}} {
}

// -----

// expected-error @+1 {{tq.scheme: sites.L0.x: expected 2 to 8 bits for groups, got 16 : i64}}
module attributes {tq.scheme = {
  sites = {L0.x = {bits = 16 : i64, group_of = array<i64: 0, 1>,
                   scales = array<f32: 0.25, 2.0>, zeros = array<i64: 1, 2>}},
  weights = {}}} {
}
