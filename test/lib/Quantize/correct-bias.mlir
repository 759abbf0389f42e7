// RUN: quern-opt %s --tq-correct-bias | FileCheck %s

// The bias of a site's linear takes the vector of the scheme, also behind an
// activation; others and other readers of the same constant do not.

module attributes {tq.scheme = {sites = {}, weights = {}, biases = {
  L0.g = dense<[0.5, -0.25]> : tensor<2xf32>,
  L0.f = dense<[2.0, 0.0]> : tensor<2xf32>}}} {

  // CHECK-LABEL: func.func @forward
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = arith.constant dense<1.0> : tensor<2x2xf32>
    // CHECK: %[[B:.*]] = arith.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
    %b = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
    // CHECK: %[[G:.*]] = arith.constant dense<[1.500000e+00, 1.750000e+00]> : tensor<2xf32>
    // CHECK: tq.linear %{{.*}}, %{{.*}}, %[[G]]
    %0 = tq.linear %x, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.observe %0 {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x2xf32>
    // CHECK: %[[F:.*]] = arith.constant dense<[3.000000e+00, 2.000000e+00]> : tensor<2xf32>
    // CHECK: tq.linear %{{.*}}, %{{.*}}, %[[F]]
    %2 = tq.linear %1, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %3 = tq.gelu %2 : tensor<?x2xf32>
    %4 = tq.observe %3 {key = "f", layer = 0 : i64, site = "L0.f"}
        : tensor<?x2xf32>
    // CHECK: tq.linear %{{.*}}, %{{.*}}, %[[B]]
    %5 = tq.linear %4, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %6 = tq.observe %5 {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x2xf32>
    return %6 : tensor<?x2xf32>
  }
}
