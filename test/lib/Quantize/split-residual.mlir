// RUN: quern-opt %s --tq-split-residual --tq-reparameterize --tq-quantize | FileCheck %s
// RUN: quern-opt %s --tq-split-residual --tq-reparameterize --tq-quantize --tq-rewrite-pipeline \
// RUN:   | FileCheck %s --check-prefix=INTEGER

// Products read x in 4 bits, the residual sum a LayerNorm of its own in 8, each
// with channel scales of its own.

module attributes {tq.scheme = {
  sites = {L0.g = {bits = 16 : i64, scale = 0.25 : f32, zero = 300 : i64},
           L0.u = {bits = 16 : i64, scale = 0.25 : f32, zero = 300 : i64},
           L0.x = {bits = 4 : i64, scale = 0.125 : f32, zero = 8 : i64,
                   channel_scale = dense<[4.0, 0.5]> : tensor<2xf32>,
                   channel_shift = dense<[2.0, 0.0]> : tensor<2xf32>,
                   residual = {
                     bits = 8 : i64, scale = 0.0078125 : f32, zero = 128 : i64,
                     channel_scale = dense<[8.0, 1.0]> : tensor<2xf32>,
                     channel_shift = dense<[1.0, 0.0]> : tensor<2xf32>}},
           L0.h = {bits = 16 : i64, scale = 0.25 : f32, zero = 300 : i64},
           L0.y = {bits = 16 : i64, scale = 0.5 : f32, zero = 100 : i64},
           L0.z = {bits = 8 : i64, scale = 0.0625 : f32, zero = 128 : i64}},
  weights = {linear = {bits = 8 : i64, granularity = "channel",
                       estimator = "minmax"}}}} {

  // CHECK-LABEL: func.func @forward
  // CHECK: %[[U:.*]] = tq.dequantize
  // CHECK: %[[U16:.*]] = tq.quantize %{{.*}} {site = "L0.u"}
  // CHECK: %[[SUM:.*]] = tq.dequantize %[[U16]]
  // CHECK-DAG: %[[N:.*]] = tq.layer_norm %[[SUM]], %[[GAMMA:.*]], %
  // CHECK-DAG: %[[W:.*]] = tq.layer_norm %[[SUM]], %[[WIDE:.*]], %
  // CHECK-DAG: tq.quantize %[[N]] {site = "L0.x"} : {{.*}}u4
  // CHECK-DAG: tq.quantize %[[W]] {site = "L0.x.residual"} : {{.*}}u8
  // CHECK: tq.scale_shift
  // CHECK-NOT: tq.scale_shift
  // INTEGER-LABEL: func.func @forward
  // INTEGER: %[[NARROW:.*]] = tq.qadd_norm {{.*}}sites = ["L0.u", "L0.x"]
  // INTEGER: %[[FULL:.*]] = tq.qadd_norm {{.*}}sites = ["", "L0.x.residual"]
  // INTEGER: %[[H:.*]] = tq.qlinear %[[NARROW]]
  // INTEGER: tq.qadd_norm %{{.*}}, %[[FULL]]
  func.func @forward(%a: tensor<?x2xf32>)
      -> tensor<?x2xf32> {
    %gamma = arith.constant dense<8.0> : tensor<2xf32>
    %beta = arith.constant dense<1.0> : tensor<2xf32>
    %w = arith.constant dense<[[31.75, 2.0], [-1.0, 254.0]]> : tensor<2x2xf32>
    %bias = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
    %g = tq.observe %a {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x2xf32>
    %u0 = tq.add %g, %g : tensor<?x2xf32>
    %u = tq.observe %u0 {key = "u", layer = 0 : i64, site = "L0.u"}
        : tensor<?x2xf32>
    %0 = tq.layer_norm %u, %gamma, %beta {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %1 = tq.observe %0 {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x2xf32>
    %2 = tq.linear %1, %w, %bias
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %3 = tq.observe %2 {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x2xf32>
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
