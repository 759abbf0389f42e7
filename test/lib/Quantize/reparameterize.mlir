// RUN: quern-opt %s --tq-reparameterize --tq-quantize | FileCheck %s
// RUN: quern-opt %s --tq-reparameterize --tq-quantize --tq-rewrite-pipeline \
// RUN:   | FileCheck %s --check-prefix=INTEGER

// Channel 0 is 4 times as wide as its codes say and sits at 2, channel 1 half
// as wide at 0. Gain and shift of the LayerNorm, weight and bias of the linear
// take that in; the residual sum reads it back through tq.scale_shift.

module attributes {tq.scheme = {
  sites = {L0.x = {bits = 8 : i64, scale = 0.0078125 : f32, zero = 128 : i64,
                   channel_scale = dense<[4.0, 0.5]> : tensor<2xf32>,
                   channel_shift = dense<[2.0, 0.0]> : tensor<2xf32>},
           L0.h = {bits = 16 : i64, scale = 0.25 : f32, zero = 300 : i64},
           L0.y = {bits = 16 : i64, scale = 0.5 : f32, zero = 100 : i64},
           L0.z = {bits = 8 : i64, scale = 0.0625 : f32, zero = 128 : i64}},
  weights = {linear = {bits = 8 : i64, granularity = "channel",
                       estimator = "minmax"}}}} {

  // CHECK-LABEL: func.func @forward
  // CHECK-SAME: (%[[U:.*]]: tensor<?x2xf32>)
  // INTEGER-LABEL: func.func @forward
  func.func @forward(%u: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // CHECK-DAG: %[[GAMMA:.*]] = arith.constant dense<[2.000000e+00, 1.600000e+01]> : tensor<2xf32>
    // CHECK-DAG: %[[BETA:.*]] = arith.constant dense<[-2.500000e-01, 2.000000e+00]> : tensor<2xf32>
    // CHECK: %[[N:.*]] = tq.layer_norm %[[U]], %[[GAMMA]], %[[BETA]]
    %gamma = arith.constant dense<8.0> : tensor<2xf32>
    %beta = arith.constant dense<1.0> : tensor<2xf32>
    %w = arith.constant dense<[[31.75, 2.0], [-1.0, 254.0]]> : tensor<2x2xf32>
    %b = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
    %0 = tq.layer_norm %u, %gamma, %beta {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // CHECK: %[[Q:.*]] = tq.quantize %[[N]] {site = "L0.x"}
    // CHECK: %[[X:.*]] = tq.dequantize %[[Q]]
    // CHECK-DAG: %[[S:.*]] = arith.constant dense<[4.000000e+00, 5.000000e-01]> : tensor<2xf32>
    // CHECK-DAG: %[[T:.*]] = arith.constant dense<[2.000000e+00, 0.000000e+00]> : tensor<2xf32>
    // CHECK: %[[R:.*]] = tq.scale_shift %[[X]], %[[S]], %[[T]]
    %1 = tq.observe %0 {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x2xf32>
    // CHECK-DAG: arith.constant dense<{{\[\[}}127, 1], [-4, 127]]> : tensor<2x2xi8>
    // CHECK-DAG: %[[B:.*]] = arith.constant dense<[6.400000e+01, -1.750000e+00]> : tensor<2xf32>
    // CHECK: %[[H:.*]] = tq.linear %[[X]], %{{.*}}, %[[B]]
    %2 = tq.linear %1, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %3 = tq.observe %2 {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x2xf32>
    // CHECK: tq.add %{{.*}}, %[[R]]
    // The sum reads the codes of x with a multiplier for each channel:
    // 4 / 128 / 0.5 and 0.5 / 128 / 0.5.
    // INTEGER-DAG: arith.constant dense<[6.250000e-02, 7.812500e-03]> : tensor<2xf32>
    // INTEGER-NOT: tq.scale_shift
    // INTEGER: tq.qadd_norm
    %4 = tq.add %3, %1 : tensor<?x2xf32>
    %5 = tq.observe %4 {key = "y", layer = 0 : i64, site = "L0.y"}
        : tensor<?x2xf32>
    %6 = tq.layer_norm %5, %gamma, %beta {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %7 = tq.observe %6 {key = "z", layer = 0 : i64, site = "L0.z"}
        : tensor<?x2xf32>
    return %7 : tensor<?x2xf32>
  }
}
