// RUN: quern-opt %s --split-input-file --tq-order-channels | FileCheck %s
// RUN: quern-opt %s --split-input-file --tq-order-channels --tq-quantize \
// RUN:   --tq-rewrite-pipeline | FileCheck %s --check-prefix=INTEGER

// Channel 0 of x is in group 1, channels 1 and 2 in group 0: the layer works in
// the order 1, 2, 0. What comes in is brought to it, what goes out back.

module attributes {tq.scheme = {
  sites = {
    L0.r = {bits = 8 : i64, scale = 0.5 : f32, zero = 128 : i64},
    L0.g = {bits = 8 : i64, scale = 0.5 : f32, zero = 128 : i64},
    L0.u = {bits = 8 : i64, scale = 0.5 : f32, zero = 128 : i64},
    L0.x = {bits = 8 : i64, group_of = array<i64: 1, 0, 0>,
            scales = array<f32: 0.25, 2.0>, zeros = array<i64: 128, 100>},
    L0.f = {bits = 8 : i64, scale = 0.5 : f32, zero = 0 : i64},
    L0.h = {bits = 8 : i64, group_of = array<i64: 1, 0, 0>,
            scales = array<f32: 0.5, 4.0>, zeros = array<i64: 128, 90>},
    L0.y = {bits = 8 : i64, group_of = array<i64: 1, 0, 0>,
            scales = array<f32: 0.5, 4.0>, zeros = array<i64: 128, 90>},
    L0.z = {bits = 8 : i64, scale = 0.125 : f32, zero = 128 : i64}},
  weights = {linear = {bits = 8 : i64, granularity = "tensor",
                       estimator = "minmax"}}}} {

  // CHECK-LABEL: func.func @forward
  // INTEGER-LABEL: func.func @forward
  func.func @forward(%c: tensor<?x3xf32>, %in: tensor<?x3xf32>)
      -> tensor<?x3xf32> {
    // CHECK-DAG: %[[WO:.*]] = arith.constant dense<{{\[\[}}4.000000e+00, 5.000000e+00, 6.000000e+00], [7.000000e+00, 8.000000e+00, 9.000000e+00], [1.000000e+00, 2.000000e+00, 3.000000e+00]]>
    // CHECK-DAG: %[[W1:.*]] = arith.constant dense<{{\[\[}}2.000000e+00, 3.000000e+00, 1.000000e+00], [5.000000e+00, 6.000000e+00, 4.000000e+00]]>
    // CHECK-DAG: %[[W2:.*]] = arith.constant dense<{{\[\[}}3.000000e+00, 4.000000e+00], [5.000000e+00, 6.000000e+00], [1.000000e+00, 2.000000e+00]]>
    // CHECK-DAG: %[[G:.*]] = arith.constant dense<[2.000000e+01, 3.000000e+01, 1.000000e+01]>
    %wo = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0],
                                [7.0, 8.0, 9.0]]> : tensor<3x3xf32>
    %w1 = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>
        : tensor<2x3xf32>
    %w2 = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]>
        : tensor<3x2xf32>
    %gamma = arith.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
    %b3 = arith.constant dense<0.0> : tensor<3xf32>
    %b2 = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
    // CHECK: %[[R:.*]] = tq.reorder %{{.*}} {order = array<i64: 1, 2, 0>}
    // CHECK: tq.observe %[[R]] {key = "r", layer = 0 : i64, site = "L0.r", tq.order = array<i64: 1, 2, 0>}
    %r = tq.observe %in {key = "r", layer = 0 : i64, site = "L0.r"}
        : tensor<?x3xf32>
    // CHECK: tq.linear %{{.*}}, %[[WO]]
    %0 = tq.linear %c, %wo, %b3 : (tensor<?x3xf32>, tensor<3x3xf32>,
        tensor<3xf32>) -> tensor<?x3xf32>
    %g = tq.observe %0 {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x3xf32>
    %1 = tq.add %g, %r : tensor<?x3xf32>
    %u = tq.observe %1 {key = "u", layer = 0 : i64, site = "L0.u"}
        : tensor<?x3xf32>
    // CHECK: tq.layer_norm
    %2 = tq.layer_norm %u, %gamma, %b3 {eps = 1.0e-12 : f64}
        : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %x = tq.observe %2 {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x3xf32>
    // CHECK: tq.linear %{{.*}}, %[[W1]]
    // INTEGER: tq.qgroup_linear
    // INTEGER-SAME: map = [0 x 2, 1]
    %3 = tq.linear %x, %w1, %b2 : (tensor<?x3xf32>, tensor<2x3xf32>,
        tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.relu %3 : tensor<?x2xf32>
    %f = tq.observe %4 {key = "f", layer = 0 : i64, site = "L0.f"}
        : tensor<?x2xf32>
    // CHECK: tq.linear %{{.*}}, %[[W2]]
    // INTEGER: tq.qlinear
    %5 = tq.linear %f, %w2, %b3 : (tensor<?x2xf32>, tensor<3x2xf32>,
        tensor<3xf32>) -> tensor<?x3xf32>
    %h = tq.observe %5 {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x3xf32>
    %6 = tq.add %h, %x : tensor<?x3xf32>
    %y = tq.observe %6 {key = "y", layer = 0 : i64, site = "L0.y"}
        : tensor<?x3xf32>
    // CHECK: %[[N:.*]] = tq.layer_norm %{{.*}}, %[[G]]
    // CHECK: tq.reorder %[[N]] {order = array<i64: 2, 0, 1>}
    // INTEGER: tq.qadd_norm
    // INTEGER-SAME: order = array<i64: 2, 0, 1>
    // INTEGER-SAME: sum_type = !tq.group
    %7 = tq.layer_norm %y, %gamma, %b3 {eps = 1.0e-12 : f64}
        : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %z = tq.observe %7 {key = "z", layer = 0 : i64, site = "L0.z"}
        : tensor<?x3xf32>
    return %z : tensor<?x3xf32>
  }
}

// -----

// A LayerNorm in front, read by products only: its output alone takes the
// order, and the products that of their inputs.

module attributes {tq.scheme = {
  sites = {L0.x = {bits = 8 : i64, group_of = array<i64: 1, 0, 0>,
                   scales = array<f32: 0.25, 2.0>, zeros = array<i64: 128, 100>}},
  weights = {linear = {bits = 8 : i64, granularity = "tensor",
                       estimator = "minmax"}}}} {
  // CHECK-LABEL: func.func @in_front
  // CHECK: %[[W:.*]] = arith.constant {{.*}}dense<{{\[\[}}2.000000e+00, 3.000000e+00, 1.000000e+00], [5.000000e+00, 6.000000e+00, 4.000000e+00]]>
  // CHECK: %[[N:.*]] = tq.layer_norm
  // CHECK: %[[R:.*]] = tq.reorder %[[N]] {order = array<i64: 1, 2, 0>}
  // CHECK: %[[X:.*]] = tq.observe %[[R]]
  // CHECK-SAME: tq.order = array<i64: 1, 2, 0>
  // CHECK: tq.linear %[[X]], %[[W]],
  func.func @in_front(%sum: tensor<?x3xf32>) -> tensor<?x2xf32> {
    %gamma = arith.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
    %w = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>
        : tensor<2x3xf32>
    %b = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
    %n = tq.layer_norm %sum, %gamma, %gamma {eps = 1.0e-12 : f64}
        : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %x = tq.observe %n {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x3xf32>
    %0 = tq.linear %x, %w, %b
        : (tensor<?x3xf32>, tensor<2x3xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  }
}
