// RUN: quern-opt %s --split-input-file --verify-diagnostics --tq-slice-rows | FileCheck %s

// What is not sliced, and a scheme that is not understood.

// expected-error @below {{tq.scheme: rows: expected "all", got "some"}}
module attributes {tq.scheme = {rows = "some"}} {}

// -----

// CHECK-LABEL: module attributes {tq.scheme = {rows = "all"}}
// CHECK-NOT: first_query
module attributes {tq.scheme = {rows = "all"}} {
func.func @keeps_all(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %first = tq.pool %c, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %first : tensor<?x4xf32>
}
}

// -----

// A mean reads all rows.
// CHECK-LABEL: func.func @mean
// CHECK-NOT: first_query
func.func @mean(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %first = tq.pool %c, %offsets {kind = #tq.pool_kind<mean>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %first : tensor<?x4xf32>
}

// -----

// So do labels of tokens and answers.
// CHECK-LABEL: func.func @tokens
// CHECK-NOT: first_query
func.func @tokens(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %c : tensor<?x4xf32>
}

// -----

// And what is pooled and read whole as well.
// CHECK-LABEL: func.func @also_tokens
// CHECK-NOT: first_query
func.func @also_tokens(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %first = tq.pool %c, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %0 = tq.add %first, %first : tensor<?x4xf32>
  return %c, %0 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// The sequences of the pool are not those of the attention.
// CHECK-LABEL: func.func @other_offsets
// CHECK-NOT: first_query
func.func @other_offsets(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>, %other: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %first = tq.pool %c, %other {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %first : tensor<?x4xf32>
}

// -----

// A range that is found over all rows.
// CHECK-LABEL: func.func @range_of_all
// CHECK-NOT: first_query
func.func @range_of_all(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %s = tq.scores %x, %x, %offsets {heads = 2 : i64}
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %p = tq.softmax %s, %offsets {scale = 0.5 : f32}
      : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  %c = tq.context %p, %x, %offsets {heads = 2 : i64}
      : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %cq = tq.quantize %c {site = "L0.c"}
      : tensor<?x4xf32> -> tensor<?x4x!tq.dynamic<u8, tensor>>
  %cd = tq.dequantize %cq
      : tensor<?x4x!tq.dynamic<u8, tensor>> -> tensor<?x4xf32>
  %first = tq.pool %cd, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %first : tensor<?x4xf32>
}

// -----

// Without attention there is nothing to be gained.
// CHECK-LABEL: func.func @no_attention
// CHECK: %[[Y:.*]] = tq.gelu
// CHECK: tq.pool %[[Y]]
func.func @no_attention(%x: tensor<?x4xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x4xf32> {
  %y = tq.gelu %x : tensor<?x4xf32>
  %first = tq.pool %y, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %first : tensor<?x4xf32>
}
