// RUN: quern-opt %s --split-input-file --tq-slice-rows | FileCheck %s
// RUN: quern-opt %s --split-input-file --tq-validate --tq-slice-rows \
// RUN:   | FileCheck %s

!x = !quant.uniform<u8:f32, 0.5:10>

// One pool of the layer's input, for queries and the sum; keys and values are
// of all tokens.
// CHECK-LABEL: func.func @classifier
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[OFFSETS:.*]]: tensor<?xi32>)
// CHECK: %[[FIRST:.*]] = tq.pool %[[X]], %[[OFFSETS]] {kind = #tq.pool_kind<cls>}
// CHECK: %[[Q:.*]] = tq.linear %[[FIRST]],
// CHECK: %[[K:.*]] = tq.linear %[[X]],
// CHECK: %[[V:.*]] = tq.linear %[[X]],
// CHECK: %[[S:.*]] = tq.scores %[[Q]], %[[K]], %[[OFFSETS]] {first_query, heads = 2 : i64}
// CHECK: %[[SQ:.*]] = tq.quantize %[[S]] {site = "L0.s"}
// CHECK: %[[SD:.*]] = tq.dequantize %[[SQ]]
// CHECK: %[[P:.*]] = tq.softmax %[[SD]], %[[OFFSETS]] {first_query,
// CHECK: %[[C:.*]] = tq.context %[[P]], %[[V]], %[[OFFSETS]] {first_query,
// CHECK: %[[G:.*]] = tq.linear %[[C]],
// CHECK: %[[U:.*]] = tq.add %[[G]], %[[FIRST]]
// CHECK: %[[N:.*]] = tq.layer_norm %[[U]],
// CHECK: %[[F:.*]] = tq.linear %[[N]],
// CHECK: %[[A:.*]] = tq.gelu %[[F]]
// CHECK: %[[ZQ:.*]] = tq.quantize %[[A]] {site = "L0.z"}
// CHECK: %[[Z:.*]] = tq.dequantize %[[ZQ]]
// CHECK-NOT: tq.pool
// CHECK: tq.linear %[[Z]],
func.func @classifier(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %w = arith.constant dense<0.5> : tensor<4x4xf32>
  %b = arith.constant dense<1.0> : tensor<4xf32>
  %q = tq.linear %x, %w, %b
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %k = tq.linear %x, %w, %b
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %v = tq.linear %x, %w, %b
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %s = tq.scores %q, %k, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %sq = tq.quantize %s {site = "L0.s"}
      : tensor<2x?xf32> -> tensor<2x?x!x>
  %sd = tq.dequantize %sq : tensor<2x?x!x> -> tensor<2x?xf32>
  %p = tq.softmax %sd, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %v, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %g = tq.linear %c, %w, %b
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %u = tq.add %g, %x : tensor<?x4xf32>
  %n = tq.layer_norm %u, %b, %b {eps = 1.0e-12 : f64}
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %f = tq.linear %n, %w, %b
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %a = tq.gelu %f : tensor<?x4xf32>
  %zq = tq.quantize %a {site = "L0.z"} : tensor<?x4xf32> -> tensor<?x4x!x>
  %z = tq.dequantize %zq : tensor<?x4x!x> -> tensor<?x4xf32>
  %first = tq.pool %z, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %y = tq.linear %first, %w, %b
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A LayerNorm beside one that all tokens go through stays whole: a sum of the
// layer before is normalized twice, and its second copy is pooled as codes.
!x = !quant.uniform<u8:f32, 0.5:10>

// CHECK-LABEL: func.func @residual
// CHECK-SAME: (%[[Y:.*]]: tensor<?x4xf32>,
// CHECK: %[[N:.*]] = tq.layer_norm %[[Y]],
// CHECK: %[[X0:.*]] = tq.pool %[[N]],
// CHECK: tq.layer_norm %[[Y]],
// CHECK: %[[CODES:.*]] = tq.quantize
// CHECK: %[[R:.*]] = tq.dequantize %[[CODES]]
// CHECK: %[[R0:.*]] = tq.pool %[[R]],
// CHECK: tq.scores %[[X0]], %[[N]], %{{.*}} {first_query,
// CHECK: %[[C:.*]] = tq.context
// CHECK: tq.add %[[C]], %[[R0]]
func.func @residual(%y: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %b = arith.constant dense<1.0> : tensor<4xf32>
  %x = tq.layer_norm %y, %b, %b {eps = 1.0e-12 : f64}
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %n = tq.layer_norm %y, %b, %b {eps = 1.0e-12 : f64}
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %rq = tq.quantize %n {site = "E.z.residual"}
      : tensor<?x4xf32> -> tensor<?x4x!x>
  %r = tq.dequantize %rq : tensor<?x4x!x> -> tensor<?x4xf32>
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %u = tq.add %c, %r : tensor<?x4xf32>
  %first = tq.pool %u, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %first : tensor<?x4xf32>
}
