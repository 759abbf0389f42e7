// RUN: quern-opt %s --tq-order-channels --tq-reparameterize --tq-quantize | FileCheck %s
// RUN: quern-opt %s --tq-order-channels --tq-reparameterize --tq-quantize --tq-rewrite-pipeline \
// RUN:   | FileCheck %s --check-prefix=INTEGER
// RUN: sed 's/, form = "folded"//' %s \
// RUN:   | quern-opt --tq-order-channels --tq-reparameterize --tq-quantize --tq-rewrite-pipeline \
// RUN:   | FileCheck %s --check-prefix=DIRECT

// Channel 0 of x is in group 1 (scale 2, zero point 100), channels 1 and 2 in
// group 0 (0.25 and 128). Folded, all codes have the scale 0.5 and the zero
// point 119: channel 0 is 4 times as wide and 2 * (119 - 100) = 38 higher,
// the others half as wide and 0.25 * (119 - 128) = -2.25 lower. LayerNorm,
// weights and biases take that in, the residual sum reads it back. No product
// reads groups, so the channels stay where they are.

// CHECK-NOT: tq.reorder
// INTEGER-NOT: tq.qgroup_linear
// INTEGER-NOT: order = array
// DIRECT: tq.qgroup_linear
// DIRECT: order = array<i64: 2, 0, 1>

module attributes {tq.scheme = {
  sites = {
    L0.r = {bits = 8 : i64, scale = 0.5 : f32, zero = 128 : i64},
    L0.g = {bits = 8 : i64, scale = 0.5 : f32, zero = 128 : i64},
    L0.u = {bits = 8 : i64, scale = 0.5 : f32, zero = 128 : i64},
    L0.x = {bits = 8 : i64, group_of = array<i64: 1, 0, 0>,
            scales = array<f32: 0.25, 2.0>, zeros = array<i64: 128, 100>, form = "folded"},
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
    %wo = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0],
                                [7.0, 8.0, 9.0]]> : tensor<3x3xf32>
    %w1 = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>
        : tensor<2x3xf32>
    %w2 = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]>
        : tensor<3x2xf32>
    // CHECK-DAG: %[[GAMMA:.*]] = arith.constant dense<[2.500000e+00, 4.000000e+01, 6.000000e+01]>
    // CHECK-DAG: %[[BETA:.*]] = arith.constant dense<[-9.500000e+00, 4.500000e+00, 4.500000e+00]>
    %gamma = arith.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
    %b3 = arith.constant dense<0.0> : tensor<3xf32>
    %b2 = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
    %r = tq.observe %in {key = "r", layer = 0 : i64, site = "L0.r"}
        : tensor<?x3xf32>
    %0 = tq.linear %c, %wo, %b3 : (tensor<?x3xf32>, tensor<3x3xf32>,
        tensor<3xf32>) -> tensor<?x3xf32>
    %g = tq.observe %0 {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x3xf32>
    %1 = tq.add %g, %r : tensor<?x3xf32>
    %u = tq.observe %1 {key = "u", layer = 0 : i64, site = "L0.u"}
        : tensor<?x3xf32>
    // CHECK: %[[N:.*]] = tq.layer_norm %{{.*}}, %[[GAMMA]], %[[BETA]]
    // CHECK: %[[Q:.*]] = tq.quantize %[[N]] {site = "L0.x"}
    // CHECK-SAME: !quant.uniform<u8:f32, 5.000000e-01:119>
    // CHECK: %[[X:.*]] = tq.dequantize %[[Q]]
    %2 = tq.layer_norm %u, %gamma, %b3 {eps = 1.0e-12 : f64}
        : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    // CHECK-DAG: %[[S:.*]] = arith.constant dense<[4.000000e+00, 5.000000e-01, 5.000000e-01]>
    // CHECK-DAG: %[[T:.*]] = arith.constant dense<[3.800000e+01, -2.250000e+00, -2.250000e+00]>
    // CHECK: %[[BACK:.*]] = tq.scale_shift %[[X]], %[[S]], %[[T]]
    %x = tq.observe %2 {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x3xf32>
    // 4 w_0, w_1 / 2, w_2 / 2 for both rows; then in steps of 16 / 127.
    // CHECK-DAG: arith.constant dense<{{\[\[}}32, 8, 12], [127, 20, 24]]> : tensor<2x3xi8>
    // 0.5 + 38 - 2.25 * (2 + 3) and 0.25 + 4 * 38 - 2.25 * (5 + 6)
    // CHECK-DAG: %[[BIAS:.*]] = arith.constant dense<[2.725000e+01, 1.275000e+02]>
    // CHECK: tq.linear %[[X]], %{{.*}}, %[[BIAS]]
    // INTEGER: tq.qlinear
    %3 = tq.linear %x, %w1, %b2 : (tensor<?x3xf32>, tensor<2x3xf32>,
        tensor<2xf32>) -> tensor<?x2xf32>
    %4 = tq.relu %3 : tensor<?x2xf32>
    %f = tq.observe %4 {key = "f", layer = 0 : i64, site = "L0.f"}
        : tensor<?x2xf32>
    %5 = tq.linear %f, %w2, %b3 : (tensor<?x2xf32>, tensor<3x2xf32>,
        tensor<3xf32>) -> tensor<?x3xf32>
    %h = tq.observe %5 {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x3xf32>
    // CHECK: tq.add %{{.*}}, %[[BACK]]
    // The multipliers of the codes of x at the sum: 2 / 4 and 0.25 / 0.5, as
    // they are without folding.
    // INTEGER-DAG: arith.constant dense<5.000000e-01> : tensor<3xf32>
    // INTEGER-NOT: tq.scale_shift
    // INTEGER: tq.qadd_norm {{.*}} sum_type = !tq.group
    %6 = tq.add %h, %x : tensor<?x3xf32>
    %y = tq.observe %6 {key = "y", layer = 0 : i64, site = "L0.y"}
        : tensor<?x3xf32>
    %7 = tq.layer_norm %y, %gamma, %b3 {eps = 1.0e-12 : f64}
        : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %z = tq.observe %7 {key = "z", layer = 0 : i64, site = "L0.z"}
        : tensor<?x3xf32>
    return %z : tensor<?x3xf32>
  }
}
