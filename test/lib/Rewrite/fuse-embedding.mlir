// RUN: quern-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tq-fuse-embedding,tq-clean-up))' \
// RUN:   | FileCheck %s

!t = !quant.uniform<u16:f32, 0.25:1000>
!e = !quant.uniform<u8:f32, 0.5:10>
!z = !quant.uniform<u8:f32, 0.25:128>

// Three look-ups, two sums and the LayerNorm become one op.

// CHECK-LABEL: func.func @forward
// CHECK-SAME: (%[[IDS:.*]]: tensor<?xi32>, %[[TYPES:.*]]: tensor<?xi32>, %[[POSITIONS:.*]]: tensor<?xi32>)
// CHECK-DAG: %[[WORD:.*]] = arith.constant dense<{{.*}}> : tensor<3x2xi8>
// CHECK-DAG: %[[TYPE:.*]] = arith.constant dense<{{.*}}> : tensor<2x2xi8>
// CHECK-DAG: %[[POSITION:.*]] = arith.constant dense<{{.*}}> : tensor<4x2xi8>
// CHECK: tq.qembed %[[IDS]], %[[TYPES]], %[[POSITIONS]], %[[WORD]], %[[TYPE]], %[[POSITION]],
// CHECK-SAME: e1_hi = 65535 : i64, e1_multiplier = 4.000000e+00 : f32, e1_scale = 2.500000e-01 : f32, e1_zero = 1000 : i64, e2_multiplier = 2.000000e+00 : f32, e2_scale = 5.000000e-01 : f32, e2_zero = 10 : i64
// CHECK-SAME: sites = ["E.t", "E.e", "E.z"]
// CHECK-NOT: tq.embedding
func.func @forward(%ids: tensor<?xi32>, %types: tensor<?xi32>,
                   %positions: tensor<?xi32>) -> tensor<?x2x!z> {
  %cw = arith.constant dense<[[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi8>
  %ct = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %cp = arith.constant dense<[[1, 2], [3, 4], [5, 6], [7, 8]]> : tensor<4x2xi8>
  %rows = arith.constant dense<[0.5, 1.0, 2.0]> : tensor<3xf32>
  %one = arith.constant dense<0.5> : tensor<1xf32>
  %v = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %word = tq.dequantize_weight %cw, %rows
      : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %type = tq.dequantize_weight %ct, %one
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %position = tq.dequantize_weight %cp, %one
      : (tensor<4x2xi8>, tensor<1xf32>) -> tensor<4x2xf32>
  %0 = tq.embedding %word, %ids
      : (tensor<3x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %1 = tq.embedding %type, %types
      : (tensor<2x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %2 = tq.add %0, %1 : tensor<?x2xf32>
  %3 = tq.quantize %2 {site = "E.t"} : tensor<?x2xf32> -> tensor<?x2x!t>
  %4 = tq.dequantize %3 : tensor<?x2x!t> -> tensor<?x2xf32>
  %5 = tq.embedding %position, %positions
      : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %6 = tq.add %4, %5 : tensor<?x2xf32>
  %7 = tq.quantize %6 {site = "E.e"} : tensor<?x2xf32> -> tensor<?x2x!e>
  %8 = tq.dequantize %7 : tensor<?x2x!e> -> tensor<?x2xf32>
  %9 = tq.layer_norm %8, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %10 = tq.quantize %9 {site = "E.z"} : tensor<?x2xf32> -> tensor<?x2x!z>
  return %10 : tensor<?x2x!z>
}

// -----

!t = !quant.uniform<u16:f32, 0.25:1000>
!e = !tq.group<u8, axis = 1, map = [0, 1], params = [0.125:10, 0.5:10]>
!z = !quant.uniform<u8:f32, 0.25:128>

// Power-of-two factors before the LayerNorm, row E39.

// CHECK-LABEL: func.func @factors
// CHECK: tq.qembed
// CHECK-SAME: e2_multiplier = 2.000000e+00 : f32, e2_scale = 5.000000e-01 : f32, e2_type = !tq.group<u8, axis = 1, map = [0, 1], params = [1.250000e-01:10, 5.000000e-01:10]>, e2_zero = 10 : i64
// CHECK-NOT: tq.embedding
func.func @factors(%ids: tensor<?xi32>, %types: tensor<?xi32>,
                   %positions: tensor<?xi32>) -> tensor<?x2x!z> {
  %cw = arith.constant dense<[[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi8>
  %ct = arith.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %cp = arith.constant dense<[[1, 2], [3, 4], [5, 6], [7, 8]]> : tensor<4x2xi8>
  %rows = arith.constant dense<[0.5, 1.0, 2.0]> : tensor<3xf32>
  %one = arith.constant dense<0.5> : tensor<1xf32>
  %v = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %word = tq.dequantize_weight %cw, %rows
      : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %type = tq.dequantize_weight %ct, %one
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %position = tq.dequantize_weight %cp, %one
      : (tensor<4x2xi8>, tensor<1xf32>) -> tensor<4x2xf32>
  %0 = tq.embedding %word, %ids
      : (tensor<3x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %1 = tq.embedding %type, %types
      : (tensor<2x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %2 = tq.add %0, %1 : tensor<?x2xf32>
  %3 = tq.quantize %2 {site = "E.t"} : tensor<?x2xf32> -> tensor<?x2x!t>
  %4 = tq.dequantize %3 : tensor<?x2x!t> -> tensor<?x2xf32>
  %5 = tq.embedding %position, %positions
      : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %6 = tq.add %4, %5 : tensor<?x2xf32>
  %7 = tq.quantize %6 {site = "E.e"} : tensor<?x2xf32> -> tensor<?x2x!e>
  %8 = tq.dequantize %7 : tensor<?x2x!e> -> tensor<?x2xf32>
  %9 = tq.layer_norm %8, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %10 = tq.quantize %9 {site = "E.z"} : tensor<?x2xf32> -> tensor<?x2x!z>
  return %10 : tensor<?x2x!z>
}
