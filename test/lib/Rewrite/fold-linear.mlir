// RUN: quern-opt %s --split-input-file \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fold-linear,tq-clean-up))' \
// RUN:   | FileCheck %s

!x = !quant.uniform<u8:f32, 0.5:10>
!y = !quant.uniform<u8:f32, 0.25:3>

// The quantizer goes into multiplier (0.5 * w / 0.25) and offset (b / 0.25 + 3);
// the correction is -10 times the row sums 3 and -1.

// CHECK-LABEL: func.func @plain
// CHECK-SAME: (%[[X:.*]]: tensor<
// CHECK-DAG: %[[W:.*]] = arith.constant dense<{{\[\[}}1, 2], [3, -4]]> : tensor<2x2xi8>
// CHECK-DAG: %[[C:.*]] = arith.constant dense<[-30, 10]> : tensor<2xi32>
// CHECK-DAG: %[[M:.*]] = arith.constant dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[O:.*]] = arith.constant dense<[7.000000e+00, -1.000000e+00]> : tensor<2xf32>
// CHECK: %[[Y:.*]] = tq.qlinear %[[X]], %[[W]], %[[C]], %[[M]], %[[O]] {sites = ["L0.g"]}
// CHECK: return %[[Y]]
func.func @plain(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.g"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %1 : tensor<?x2x!y>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!y = !quant.uniform<u16:f32, 0.25:300>

// Behind an activation the quantizer stays apart: 1 / 0.25 and 300.

// CHECK-LABEL: func.func @gelu_to_16_bits
// CHECK-DAG: arith.constant dense<{{\[\[}}1, 2], [3, -4]]> : tensor<2x2xi8>
// CHECK-DAG: arith.constant dense<5.000000e-01> : tensor<2xf32>
// CHECK-DAG: arith.constant dense<[1.000000e+00, -1.000000e+00]> : tensor<2xf32>
// CHECK: tq.qlinear
// CHECK-SAME: activation = #tq.activation<gelu>
// CHECK-SAME: hi = 65535 : i64, post_multiplier = 4.000000e+00 : f32, post_offset = 3.000000e+02 : f32, sites = ["L0.f"]
func.func @gelu_to_16_bits(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.gelu %0 : tensor<?x2xf32>
  %2 = tq.quantize %1 {site = "L0.f"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %2 : tensor<?x2x!y>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>

// Logits in f32: no quantizer, so the result is real.

// CHECK-LABEL: func.func @float_result
// CHECK: tq.qlinear
// CHECK-SAME: activation = #tq.activation<tanh>
// CHECK-SAME: -> tensor<?x2xf32>
func.func @float_result(%xq: tensor<?x2x!x>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.tanh %0 : tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// -----

!x = !quant.uniform<u16:f32, 0.5:40000>

// Codes of 16 bits: corrections -40000 * 300 = -46875 * 256 + 0 and
// -40000 * -1 = 156 * 256 + 64, high parts first.

// CHECK-LABEL: func.func @wide_input
// CHECK-DAG: arith.constant dense<[-46875, 156, 0, 64]> : tensor<4xi32>
// CHECK: tq.qlinear {{.*}} -> tensor<?x2xf32>
func.func @wide_input(%xq: tensor<?x4x!x>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[100, 100, 99, 1], [3, -4, 0, 0]]>
      : tensor<2x4xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x4xi8>, tensor<1xf32>) -> tensor<2x4xf32>
  %x = tq.dequantize %xq : tensor<?x4x!x> -> tensor<?x4xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x4xf32>, tensor<2x4xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

!x = !quant.uniform<u12:f32, 0.5:10>
!y = !quant.uniform<u5:f32, 0.25:3>

// Codes of 9 bits and more have two bytes: -10 * 3 = -1 * 256 + 226 and
// -10 * -1 = 10. The result is clamped to what its own bits hold.

// CHECK-LABEL: func.func @odd_widths
// CHECK-DAG: arith.constant dense<[-1, 0, 226, 10]> : tensor<4xi32>
// CHECK: tq.qlinear {{.*}}hi = 31 : i64
func.func @odd_widths(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<0.0> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.q"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %1 : tensor<?x2x!y>
}

// -----

!x = !tq.dynamic<u8, token>
!y = !quant.uniform<u8:f32, 0.25:3>

// Scale and zero point of a token come at run time: the correction is less the
// row sums 3 and -1, the multiplier w / 0.25. Row E29.

// CHECK-LABEL: func.func @tokens
// CHECK-SAME: (%[[X:.*]]: tensor<
// CHECK-DAG: %[[W:.*]] = arith.constant dense<{{\[\[}}1, 2], [3, -4]]> : tensor<2x2xi8>
// CHECK-DAG: %[[C:.*]] = arith.constant dense<[-3, 1]> : tensor<2xi32>
// CHECK-DAG: %[[M:.*]] = arith.constant dense<[4.000000e+00, 8.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[O:.*]] = arith.constant dense<[7.000000e+00, -1.000000e+00]> : tensor<2xf32>
// CHECK: %[[Y:.*]] = tq.qlinear %[[X]], %[[W]], %[[C]], %[[M]], %[[O]] {sites = ["L0.h"]} : (tensor<?x2x!tq.dynamic<u8, token>>
// CHECK: return %[[Y]]
func.func @tokens(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.h"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %1 : tensor<?x2x!y>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!y = !tq.dynamic<u8, token>

// A quantizer with the ranges of tokens needs the whole row: it stays.

// CHECK-LABEL: func.func @to_tokens
// CHECK: %[[Y:.*]] = tq.qlinear
// CHECK-SAME: activation = #tq.activation<relu>
// CHECK-SAME: -> tensor<?x2xf32>
// CHECK: tq.quantize %[[Y]] {site = "L0.f"}
func.func @to_tokens(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<1.0> : tensor<1xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<1xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.relu %0 : tensor<?x2xf32>
  %2 = tq.quantize %1 {site = "L0.f"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %2 : tensor<?x2x!y>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>
!y = !quant.uniform<u8:f32, 0.25:3>

// Zero points of weights stay apart, for the sums of rows at run time; the
// correction is -10 times the row sums of w - zero: 3 + 2 * 11 and -1 - 2 * 9.

// CHECK-LABEL: func.func @asymmetric
// CHECK-DAG: %[[C:.*]] = arith.constant dense<[-250, 190]> : tensor<2xi32>
// CHECK-DAG: %[[M:.*]] = arith.constant dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[Z:.*]] = arith.constant dense<[-11, 9]> : tensor<2xi32>
// CHECK: tq.qlinear %{{.*}}, %{{.*}}, %[[C]], %[[M]], %{{.*}}, %[[Z]] {sites = ["L0.g"], weight_bits = 4 : i64}
func.func @asymmetric(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %zeros = arith.constant dense<[-11, 9]> : tensor<2xi32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales, %zeros {bits = 4 : i64}
      : (tensor<2x2xi8>, tensor<2xf32>, tensor<2xi32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.g"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %1 : tensor<?x2x!y>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:10>

// Zero points that i32 sums might not hold.

// CHECK-LABEL: func.func @too_far
// CHECK-NOT: tq.qlinear
// CHECK: tq.linear
func.func @too_far(%xq: tensor<?x2x!x>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %zeros = arith.constant dense<[-11, 3000000]> : tensor<2xi32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales, %zeros
      : (tensor<2x2xi8>, tensor<2xf32>, tensor<2xi32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
