// RUN: quern-opt %s --tq-quantize | FileCheck %s

// The role of a weight follows from what reads it: the table indexed by the
// first argument is the word table, the linear under site P the pooler, the
// linear under site C the classifier.

module attributes {tq.scheme = {
  sites = {P = "fp32", C = "fp32"},
  weights = {
    linear = "fp32",
    pooler = {bits = 4 : i64, granularity = "tensor", estimator = "minmax"},
    classifier = {bits = 8 : i64, granularity = "tensor", estimator = "minmax"},
    word_table = {bits = 2 : i64, granularity = "channel",
                  estimator = "minmax"},
    table = {bits = 8 : i64, granularity = "tensor", estimator = "minmax"}}}} {

  // CHECK-LABEL: func.func @forward
  func.func @forward(%ids: tensor<?xi32>, %types: tensor<?xi32>)
      -> tensor<?x2xf32> {
    // 2-bit codes are -2, -1, 0, 1.
    // CHECK: arith.constant dense<{{\[\[}}1, -1], [1, 0]]> : tensor<2x2xi8>
    // CHECK: %[[WORD:.*]] = tq.dequantize_weight {{.*}} {bits = 2 : i64}
    %word = arith.constant dense<[[3.0, -3.0], [8.0, 1.0]]> : tensor<2x2xf32>
    // CHECK: %[[TYPE:.*]] = tq.dequantize_weight
    %type = arith.constant dense<[[127.0, 1.0], [2.0, -1.0]]> : tensor<2x2xf32>
    // CHECK: arith.constant dense<{{\[\[}}7, -2], [1, 0]]> : tensor<2x2xi8>
    // CHECK: %[[POOLER:.*]] = tq.dequantize_weight {{.*}} {bits = 4 : i64}
    %pooler = arith.constant dense<[[7.0, -2.0], [1.0, 0.4]]> : tensor<2x2xf32>
    // CHECK: %[[OTHER:.*]] = arith.constant dense<{{.*}}> : tensor<2x2xf32>
    %other = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
    %b = arith.constant dense<0.0> : tensor<2xf32>
    // CHECK: tq.embedding %[[WORD]], %arg0
    %0 = tq.embedding %word, %ids
        : (tensor<2x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    // CHECK: tq.embedding %[[TYPE]], %arg1
    %1 = tq.embedding %type, %types
        : (tensor<2x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
    %2 = tq.add %0, %1 : tensor<?x2xf32>
    // CHECK: tq.linear %{{.*}}, %[[OTHER]],
    %3 = tq.linear %2, %other, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // CHECK: tq.linear %{{.*}}, %[[POOLER]],
    %4 = tq.linear %3, %pooler, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %5 = tq.tanh %4 : tensor<?x2xf32>
    %6 = tq.observe %5 {key = "P", site = "P"} : tensor<?x2xf32>
    // One constant in two roles has codes for each: 7 becomes 127 here.
    // CHECK-NOT: tq.linear %{{.*}}, %[[POOLER]],
    %7 = tq.linear %6, %pooler, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %8 = tq.observe %7 {key = "C", site = "C"} : tensor<?x2xf32>
    return %8 : tensor<?x2xf32>
  }
}
