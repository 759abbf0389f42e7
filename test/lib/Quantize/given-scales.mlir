// RUN: quern-opt %s --tq-quantize --split-input-file | FileCheck %s

// Scales that the scheme gives are taken as they are: signed codes of a matrix,
// unsigned ones of a gain, which becomes the values that they mean.

module attributes {tq.scheme = {
  sites = {},
  scales = {some.weight = array<f32: 0.25>},
  unsigned_scales = {some.gain = array<f32: 0.25>},
  weights = {linear = {bits = 4 : i64, granularity = "tensor",
                       estimator = "mse"},
             norms = {bits = 2 : i64, granularity = "tensor",
                      estimator = "mse"}}}} {

  // CHECK-LABEL: func.func @forward
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // CHECK-DAG: arith.constant dense<2.500000e-01> : tensor<1xf32>
    // CHECK-DAG: arith.constant dense<{{\[\[}}4, -2], [1, 7]]> : tensor<2x2xi8>
    %w = arith.constant dense_resource<some.weight> : tensor<2x2xf32>
    // CHECK-DAG: %[[G:.*]] = arith.constant dense<[7.500000e-01, 2.500000e-01]> : tensor<2xf32>
    %g = arith.constant dense_resource<some.gain> : tensor<2xf32>
    %b = arith.constant dense<1.0> : tensor<2xf32>
    %0 = tq.linear %x, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // CHECK: tq.layer_norm {{.*}}, %[[G]],
    %1 = tq.layer_norm %0, %g, %b {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      some.weight: "0x040000000000803F000000BFB81E853E00004040",
      some.gain: "0x040000000000803F9A99993E"
    }
  }
#-}

// -----

// Scales of heads, with bits of their own: of blocks of columns they stay what
// they are, of blocks of rows each row gets its.

module attributes {tq.scheme = {
  sites = {},
  scales = {
    by.columns = {scales = array<f32: 0.25, 0.5>, bits = array<i64: 2, 4>,
                  along = "columns"},
    by.rows = {scales = array<f32: 0.25, 0.5>, bits = array<i64: 2, 4>,
               along = "rows"}},
  weights = {linear = {bits = 8 : i64, granularity = "tensor",
                       estimator = "mse"}}}} {

  // CHECK-LABEL: func.func @heads
  func.func @heads(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %c = arith.constant dense_resource<by.columns> : tensor<2x2xf32>
    %r = arith.constant dense_resource<by.rows> : tensor<2x2xf32>
    %b = arith.constant dense<1.0> : tensor<2xf32>
    // CHECK-DAG: %[[S:.*]] = arith.constant dense<[2.500000e-01, 5.000000e-01]> : tensor<2xf32>
    // CHECK-DAG: %[[C:.*]] = arith.constant dense<{{\[\[}}1, -1], [1, 6]]> : tensor<2x2xi8>
    // CHECK: tq.dequantize_weight %[[C]], %{{.*}} {bits = 4 : i64, blocks = array<i64: 1, 2>}
    %0 = tq.linear %x, %c, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // CHECK: %[[R:.*]] = arith.constant dense<{{\[\[}}1, -2], [1, 6]]> : tensor<2x2xi8>
    // CHECK: tq.dequantize_weight %[[R]], %{{.*}} {bits = 4 : i64} : (tensor<2x2xi8>, tensor<2xf32>)
    %1 = tq.linear %0, %r, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      by.columns: "0x040000000000803F000000BF0000003F00004040",
      by.rows: "0x040000000000803F000000BF0000003F00004040"
    }
  }
#-}
