// RUN: quern-opt %s --split-input-file \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fuse-add-norm,tq-clean-up))' \
// RUN:   | FileCheck %s

!a = !quant.uniform<u16:f32, 0.25:1000>
!b = !quant.uniform<u8:f32, 0.5:10>
!u = !quant.uniform<u16:f32, 0.125:500>
!y = !quant.uniform<u8:f32, 0.25:128>

// ma = 0.25 / 0.125, mb = 0.5 / 0.125, mo = 500 - (250 + 5) / 0.125; gains are
// codes times 0.5 over 0.25; shifts b / 0.25 + 128.

// CHECK-LABEL: func.func @wide_sum
// CHECK-SAME: (%[[A:.*]]: tensor<{{.*}}>, %[[B:.*]]: tensor<{{.*}}>)
// CHECK-DAG: %[[MA:.*]] = arith.constant dense<2.000000e+00> : tensor<2xf32>
// CHECK-DAG: %[[MB:.*]] = arith.constant dense<4.000000e+00> : tensor<2xf32>
// CHECK-DAG: %[[MO:.*]] = arith.constant dense<-1.540000e+03> : tensor<2xf32>
// CHECK-DAG: %[[G:.*]] = arith.constant dense<[2.000000e+01, -4.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[S:.*]] = arith.constant dense<[1.320000e+02, 1.240000e+02]> : tensor<2xf32>
// CHECK: %[[Y:.*]] = tq.qadd_norm %[[A]], %[[B]], %
// CHECK-SAME: sites = ["L0.u", "L0.x"], sum_hi = 65535 : i64, sum_scale = 1.250000e-01 : f32, sum_zero = 500 : i64
// CHECK: return %[[Y]]
func.func @wide_sum(%aq: tensor<?x2x!a>, %bq: tensor<?x2x!b>)
    -> tensor<?x2x!y> {
  %codes = arith.constant dense<[10, -2]> : tensor<2xi8>
  %scale = arith.constant dense<0.5> : tensor<1xf32>
  %gamma = tq.dequantize_weight %codes, %scale
      : (tensor<2xi8>, tensor<1xf32>) -> tensor<2xf32>
  %beta = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %a = tq.dequantize %aq : tensor<?x2x!a> -> tensor<?x2xf32>
  %b = tq.dequantize %bq : tensor<?x2x!b> -> tensor<?x2xf32>
  %0 = tq.add %a, %b : tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.u"} : tensor<?x2xf32> -> tensor<?x2x!u>
  %2 = tq.dequantize %1 : tensor<?x2x!u> -> tensor<?x2xf32>
  %3 = tq.layer_norm %2, %gamma, %beta {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.x"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %4 : tensor<?x2x!y>
}

// -----

!b = !quant.uniform<u8:f32, 0.5:10>

// No quantizer behind: an f32 result with gain and shift as they are.

// CHECK-LABEL: func.func @float_result
// CHECK-DAG: arith.constant dense<[3.000000e+00, 5.000000e+00]> : tensor<2xf32>
// CHECK: tq.qadd_norm
// CHECK-SAME: sites = ["L0.u", ""]
// CHECK-SAME: -> tensor<?x2xf32>
func.func @float_result(%aq: tensor<?x2x!b>, %bq: tensor<?x2x!b>)
    -> tensor<?x2xf32> {
  %gamma = arith.constant dense<[3.0, 5.0]> : tensor<2xf32>
  %beta = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %a = tq.dequantize %aq : tensor<?x2x!b> -> tensor<?x2xf32>
  %b = tq.dequantize %bq : tensor<?x2x!b> -> tensor<?x2xf32>
  %0 = tq.add %a, %b : tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.u"} : tensor<?x2xf32> -> tensor<?x2x!b>
  %2 = tq.dequantize %1 : tensor<?x2x!b> -> tensor<?x2xf32>
  %3 = tq.layer_norm %2, %gamma, %beta {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}

// -----

!a = !quant.uniform<u8:f32, 0.25:100>
!t = !tq.dynamic<u8, token>
!u = !quant.uniform<u8:f32, 0.125:50>

// Codes with the ranges of tokens are summed as the values they stand for: mb
// is 1 / 0.125; and a quantizer of that kind stays behind. Row E29.

// CHECK-LABEL: func.func @tokens
// CHECK-SAME: (%[[A:.*]]: tensor<{{.*}}>, %[[T:.*]]: tensor<{{.*}}>)
// CHECK-DAG: %[[B:.*]] = tq.dequantize %[[T]]
// CHECK-DAG: %[[MA:.*]] = arith.constant dense<2.000000e+00> : tensor<2xf32>
// CHECK-DAG: %[[MB:.*]] = arith.constant dense<8.000000e+00> : tensor<2xf32>
// CHECK-DAG: %[[MO:.*]] = arith.constant dense<-1.500000e+02> : tensor<2xf32>
// CHECK: %[[Y:.*]] = tq.qadd_norm %[[A]], %[[B]], %[[MA]], %[[MB]], %[[MO]]
// CHECK-SAME: -> tensor<?x2xf32>
// CHECK: tq.quantize %[[Y]] {site = "L0.z"}
func.func @tokens(%aq: tensor<?x2x!a>, %tq: tensor<?x2x!t>)
    -> tensor<?x2x!t> {
  %gamma = arith.constant dense<[3.0, 5.0]> : tensor<2xf32>
  %beta = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %a = tq.dequantize %aq : tensor<?x2x!a> -> tensor<?x2xf32>
  %b = tq.dequantize %tq : tensor<?x2x!t> -> tensor<?x2xf32>
  %0 = tq.add %a, %b : tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.y"} : tensor<?x2xf32> -> tensor<?x2x!u>
  %2 = tq.dequantize %1 : tensor<?x2x!u> -> tensor<?x2xf32>
  %3 = tq.layer_norm %2, %gamma, %beta {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.z"} : tensor<?x2xf32> -> tensor<?x2x!t>
  return %4 : tensor<?x2x!t>
}

// -----

!b = !quant.uniform<u8:f32, 0.5:10>
!g = !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:10, 0.25:20]>
!x = !quant.uniform<u8:f32, 0.25:128>

// A block with its LayerNorm in front: the next sum reads this one, too. Its
// codes, in groups here, are an op of their own, from a summand in f32 as well;
// the LayerNorm's sum is that of the codes and nothing. Row E50.

// CHECK-LABEL: func.func @sum_goes_on
// CHECK-SAME: (%[[A:.*]]: tensor<{{.*}}>, %[[R:.*]]: tensor<?x2xf32>)
// CHECK-DAG: %[[MA:.*]] = arith.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[MB:.*]] = arith.constant dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[MO:.*]] = arith.constant dense<0.000000e+00> : tensor<2xf32>
// CHECK: %[[U:.*]] = tq.qadd %[[A]], %[[R]], %[[MA]], %[[MB]], %[[MO]] {site = "L0.u"}
// CHECK-SAME: -> tensor<?x2x!tq.group
// CHECK-DAG: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<1xf32>
// CHECK-DAG: %[[NONE:.*]] = arith.constant dense<0.000000e+00> : tensor<1xf32>
// CHECK: %[[V:.*]] = tq.dequantize %[[U]]
// CHECK: %[[X:.*]] = tq.qadd_norm %[[U]], %[[U]], %[[ONE]], %[[NONE]], %[[NONE]]
// CHECK-SAME: sites = ["", "L0.x"]
// CHECK: %[[NEXT:.*]] = tq.add %[[V]],
// CHECK: return %[[X]], %[[NEXT]]
func.func @sum_goes_on(%aq: tensor<?x2x!b>, %r: tensor<?x2xf32>)
    -> (tensor<?x2x!x>, tensor<?x2xf32>) {
  %v = arith.constant dense<[3.0, 5.0]> : tensor<2xf32>
  %a = tq.dequantize %aq : tensor<?x2x!b> -> tensor<?x2xf32>
  %0 = tq.add %a, %r : tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.u"} : tensor<?x2xf32> -> tensor<?x2x!g>
  %2 = tq.dequantize %1 : tensor<?x2x!g> -> tensor<?x2xf32>
  %3 = tq.layer_norm %2, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.x"} : tensor<?x2xf32> -> tensor<?x2x!x>
  %5 = tq.add %2, %r : tensor<?x2xf32>
  return %4, %5 : tensor<?x2x!x>, tensor<?x2xf32>
}
