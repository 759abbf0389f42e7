// RUN: quern-opt %s --pass-pipeline='builtin.module(func.func(tq-fold-pool,tq-clean-up))' \
// RUN:   | FileCheck %s

!x = !quant.uniform<u8:f32, 0.5:10>

// CHECK-LABEL: func.func @mean
// CHECK-SAME: (%[[X:.*]]: tensor<{{.*}}>, %[[OFFSETS:.*]]: tensor<?xi32>)
// CHECK: %[[P:.*]] = tq.qpool %[[X]], %[[OFFSETS]] {kind = #tq.pool_kind<mean>}
// CHECK-SAME: -> tensor<?x2xf32>
// CHECK: tq.normalize %[[P]]
func.func @mean(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
    -> tensor<?x2xf32> {
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<mean>}
      : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %1 = tq.normalize %0 : tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// The codes of the first token stay codes.
// CHECK-LABEL: func.func @cls
// CHECK: %[[P:.*]] = tq.qpool %{{.*}}, %{{.*}} {kind = #tq.pool_kind<cls>}
// CHECK-SAME: -> tensor<?x2x!quant.uniform<u8:f32, 5.000000e-01:10>>
// CHECK: tq.dequantize %[[P]]
func.func @cls(%xq: tensor<?x2x!x>, %offsets: tensor<?xi32>)
    -> tensor<?x2xf32> {
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// So do those with a range of their own, row E29.
// CHECK-LABEL: func.func @cls_of_tokens
// CHECK: %[[P:.*]] = tq.qpool %{{.*}}, %{{.*}} {kind = #tq.pool_kind<cls>}
// CHECK-SAME: -> tensor<?x2x!tq.dynamic<u8, token>>
// CHECK: tq.dequantize %[[P]]
func.func @cls_of_tokens(%xq: tensor<?x2x!tq.dynamic<u8, token>>,
                         %offsets: tensor<?xi32>) -> tensor<?x2xf32> {
  %x = tq.dequantize %xq
      : tensor<?x2x!tq.dynamic<u8, token>> -> tensor<?x2xf32>
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// Codes with a real offset, row E18: the mean adds it.
// CHECK-LABEL: func.func @mean_with_offset
// CHECK: tq.qpool %{{.*}}, %{{.*}} {kind = #tq.pool_kind<mean>}
// CHECK-SAME: tensor<?x2x!tq.offset<u8, scale = 5.000000e-01, offset = -1.250000e+00>>
// CHECK-NOT: tq.dequantize
func.func @mean_with_offset(
    %xq: tensor<?x2x!tq.offset<u8, scale = 0.5, offset = -1.25>>,
    %offsets: tensor<?xi32>) -> tensor<?x2xf32> {
  %x = tq.dequantize %xq
      : tensor<?x2x!tq.offset<u8, scale = 0.5, offset = -1.25>>
      -> tensor<?x2xf32>
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<mean>}
      : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
