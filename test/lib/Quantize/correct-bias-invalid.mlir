// RUN: quern-opt %s --tq-correct-bias --split-input-file --verify-diagnostics

// expected-error @below {{tq.scheme: biases.L0.g: expected a vector of f32 or bf16, got 1 : i64}}
module attributes {tq.scheme = {sites = {}, weights = {}, biases = {
  L0.g = 1 : i64}}} {}

// -----

// expected-error @below {{tq.scheme: biases.L0.g: expected finite elements, got dense<[0x7F800000, 0.000000e+00]> : tensor<2xf32>}}
module attributes {tq.scheme = {sites = {}, weights = {}, biases = {
  L0.g = dense<[0x7F800000, 0.0]> : tensor<2xf32>}}} {}

// -----

module attributes {tq.scheme = {sites = {}, weights = {}, biases = {
  L0.g = dense<[0.5, -0.25, 0.0]> : tensor<3xf32>}}} {
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = arith.constant dense<1.0> : tensor<2x2xf32>
    %b = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
    // expected-error @below {{expects a constant bias of 3 elements before site 'L0.g'}}
    %0 = tq.linear %x, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.observe %0 {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}
