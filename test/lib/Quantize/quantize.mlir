// RUN: quern-opt %s --split-input-file --tq-quantize | FileCheck %s

// Sites become quantize and dequantize, or disappear; the linear's weight
// becomes codes with one scale per row; the bias stays.

module attributes {tq.scheme = {
  sites = {L0.g = {bits = 8 : i64, scale = 5.0e-01 : f32, zero = 3 : i64},
           L0.h = {bits = 16 : i64, scale = 2.5e-01 : f32, zero = 300 : i64},
           L0.u = "fp32"},
  weights = {linear = {bits = 8 : i64, granularity = "channel",
                       estimator = "minmax"},
             norms = {bits = 8 : i64, granularity = "tensor",
                      estimator = "minmax"}}}} {

  // CHECK-LABEL: func.func @forward
  // CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
  func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // 127 / 127 = 1 and 254 / 127 = 2 per row.
    // CHECK-DAG: %[[WS:.*]] = arith.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
    // CHECK-DAG: %[[WC:.*]] = arith.constant dense<{{\[\[}}127, -3], [-1, -127]]> : tensor<2x2xi8>
    // CHECK: %[[W:.*]] = tq.dequantize_weight %[[WC]], %[[WS]]
    %w = arith.constant dense<[[127.0, -3.4], [-2.0, -254.0]]> : tensor<2x2xf32>
    // CHECK: %[[B:.*]] = arith.constant dense<1.000000e+00> : tensor<2xf32>
    %b = arith.constant dense<1.0> : tensor<2xf32>
    // The gain has one scale whatever the recipe says.
    // CHECK-DAG: %[[GS:.*]] = arith.constant dense<1.000000e+00> : tensor<1xf32>
    // CHECK-DAG: %[[GC:.*]] = arith.constant dense<[127, 64]> : tensor<2xi8>
    // CHECK: %[[G:.*]] = tq.dequantize_weight %[[GC]], %[[GS]]
    %g = arith.constant dense<[127.0, 64.0]> : tensor<2xf32>
    // CHECK: %[[L:.*]] = tq.linear %[[X]], %[[W]], %[[B]]
    %0 = tq.linear %x, %w, %b
        : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // CHECK: %[[Q:.*]] = tq.quantize %[[L]] {site = "L0.g"} : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u8:f32, 5.000000e-01:3>>
    // CHECK: %[[D:.*]] = tq.dequantize %[[Q]]
    %1 = tq.observe %0 {key = "g", layer = 0 : i64, site = "L0.g"}
        : tensor<?x2xf32>
    // CHECK: %[[A:.*]] = tq.add %[[D]], %[[X]]
    %2 = tq.add %1, %x : tensor<?x2xf32>
    // CHECK-NEXT: %[[N:.*]] = tq.layer_norm %[[A]], %[[G]], %[[B]]
    %3 = tq.observe %2 {key = "u", layer = 0 : i64, site = "L0.u"}
        : tensor<?x2xf32>
    %4 = tq.layer_norm %3, %g, %b {eps = 1.0e-12 : f64}
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    // CHECK: tq.quantize %[[N]] {site = "L0.h"} : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u16:f32, 2.500000e-01:300>>
    %5 = tq.observe %4 {key = "h", layer = 0 : i64, site = "L0.h"}
        : tensor<?x2xf32>
    return %5 : tensor<?x2xf32>
  }
}

// -----

// Ranges found at run time, for each token its own, row E29.

module attributes {tq.scheme = {
  sites = {L0.x = {bits = 8 : i64, range = "token", symmetric = false},
           L0.f = {bits = 5 : i64, range = "token", symmetric = true}},
  weights = {}}} {

  // CHECK-LABEL: func.func @tokens
  // CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
  func.func @tokens(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // CHECK: %[[Q:.*]] = tq.quantize %[[X]] {site = "L0.x"} : tensor<?x2xf32> -> tensor<?x2x!tq.dynamic<u8, token>>
    // CHECK: %[[D:.*]] = tq.dequantize %[[Q]]
    // CHECK: %[[R:.*]] = tq.relu %[[D]]
    // CHECK: tq.quantize %[[R]] {site = "L0.f"} : tensor<?x2xf32> -> tensor<?x2x!tq.dynamic<u5, token, symmetric>>
    %0 = tq.observe %x {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x2xf32>
    %1 = tq.relu %0 : tensor<?x2xf32>
    %2 = tq.observe %1 {key = "f", layer = 0 : i64, site = "L0.f"}
        : tensor<?x2xf32>
    return %2 : tensor<?x2xf32>
  }
}

// -----

// Logarithmic codes of probabilities with a code of zero beyond the bits, rows
// E22 and E23.

module attributes {tq.scheme = {
  sites = {L0.p = {bits = 4 : i64, base = "sqrt2", scale = 7.5e-01 : f32},
           L1.p = {bits = 8 : i64, base = "two", scale = 1.0 : f32}},
  weights = {}}} {

  // CHECK-LABEL: func.func @log
  // CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
  func.func @log(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    // CHECK: %[[Q:.*]] = tq.quantize %[[X]] {site = "L0.p"} : tensor<?x2xf32> -> tensor<?x2x!tq.log<u4, sqrt2, scale = 7.500000e-01, zero = 16>>
    // CHECK: %[[D:.*]] = tq.dequantize %[[Q]]
    // CHECK: tq.quantize %[[D]] {site = "L1.p"} : tensor<?x2xf32> -> tensor<?x2x!tq.log<u8, two, scale = 1.000000e+00, zero = 256>>
    %0 = tq.observe %x {key = "p", layer = 0 : i64, site = "L0.p"}
        : tensor<?x2xf32>
    %1 = tq.observe %0 {key = "p", layer = 1 : i64, site = "L1.p"}
        : tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}

// -----

// Steps and bits of heads, row E19: blocks of columns, and of probabilities the
// rows.

module attributes {tq.scheme = {
  sites = {L0.q = {bits = 8 : i64, group_of = array<i64: 0, 0, 1, 1>,
                   scales = array<f32: 0.5, 0.25>, zeros = array<i64: 128, 128>,
                   limits = array<i64: 0, 255, 120, 135>},
           L0.p = {bits = 4 : i64, group_of = array<i64: 0, 1>,
                   scales = array<f32: 0.0625, 0.25>, zeros = array<i64: 0, 0>,
                   limits = array<i64: 0, 15, 0, 3>}},
  weights = {}}} {

  // CHECK-LABEL: func.func @heads
  // CHECK: tq.quantize %{{.*}} {site = "L0.q"} : tensor<?x4xf32> -> tensor<?x4x!tq.group<u8, axis = 1, map = [0 x 2, 1 x 2], params = [5.000000e-01:128, 2.500000e-01:128], limits = [0:255, 120:135]>>
  // CHECK: tq.quantize %{{.*}} {site = "L0.p"} : tensor<2x?xf32> -> tensor<2x?x!tq.group<u4, axis = 0, map = [0, 1], params = [6.250000e-02, 2.500000e-01], limits = [0:15, 0:3]>>
  func.func @heads(%x: tensor<?x4xf32>, %p: tensor<2x?xf32>)
      -> (tensor<?x4xf32>, tensor<2x?xf32>) {
    %0 = tq.observe %x {key = "q", layer = 0 : i64, site = "L0.q"}
        : tensor<?x4xf32>
    %1 = tq.observe %p {key = "p", layer = 0 : i64, site = "L0.p"}
        : tensor<2x?xf32>
    return %0, %1 : tensor<?x4xf32>, tensor<2x?xf32>
  }
}
