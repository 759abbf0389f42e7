// RUN: quern-opt %s | quern-opt | FileCheck %s

!groups = !tq.group<u8, axis = 1, map = [0 x 2, 1], params = [0.5:3, 0.25:128]>

// CHECK-LABEL: func.func @reorder
func.func @reorder(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  // CHECK: tq.reorder %{{.*}} {order = array<i64: 2, 0, 1>} : tensor<?x3xf32>
  %0 = tq.reorder %x {order = array<i64: 2, 0, 1>} : tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// CHECK-LABEL: func.func @product
func.func @product(%x: tensor<?x3x!groups>, %w: tensor<2x3xi8>,
                   %c: tensor<4xi32>, %m: tensor<4xf32>, %o: tensor<2xf32>)
    -> tensor<?x2x!quant.uniform<u8:f32, 0.125:2>> {
  // CHECK: tq.qgroup_linear %{{.*}} {sites = ["L0.f"]}
  %0 = tq.qgroup_linear %x, %w, %c, %m, %o {sites = ["L0.f"]}
      : (tensor<?x3x!groups>, tensor<2x3xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<2xf32>) -> tensor<?x2x!quant.uniform<u8:f32, 0.125:2>>
  return %0 : tensor<?x2x!quant.uniform<u8:f32, 0.125:2>>
}

// CHECK-LABEL: func.func @sum
func.func @sum(%a: tensor<?x3x!groups>, %v: tensor<3xf32>)
    -> tensor<?x3x!groups> {
  // CHECK: tq.qadd_norm
  // CHECK-SAME: order = array<i64: 1, 0, 2>
  // CHECK-SAME: sum_type = !tq.group
  %0 = tq.qadd_norm %a, %a, %v, %v, %v, %v, %v
      {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64,
       sum_type = !groups, order = array<i64: 1, 0, 2>}
      : (tensor<?x3x!groups>, tensor<?x3x!groups>, tensor<3xf32>,
         tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
      -> tensor<?x3x!groups>
  return %0 : tensor<?x3x!groups>
}

// CHECK-LABEL: func.func @blocks
func.func @blocks(%x: tensor<?x3x!quant.uniform<u8:f32, 0.5:3>>,
                  %w: tensor<2x3xi8>, %s: tensor<2xf32>, %c: tensor<4xi32>,
                  %m: tensor<4xf32>) -> (tensor<2x3xf32>, tensor<?x2xf32>) {
  // CHECK: tq.dequantize_weight %{{.*}} {bits = 4 : i64, blocks = array<i64: 2, 3>}
  %0 = tq.dequantize_weight %w, %s {bits = 4 : i64, blocks = array<i64: 2, 3>}
      : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
  // CHECK: tq.qgroup_linear %{{.*}} {blocks = array<i64: 2, 3>}
  %1 = tq.qgroup_linear %x, %w, %c, %m, %s {blocks = array<i64: 2, 3>}
      : (tensor<?x3x!quant.uniform<u8:f32, 0.5:3>>, tensor<2x3xi8>,
         tensor<4xi32>, tensor<4xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<?x2xf32>
}

// Blocks within groups of x, one of which crosses two of them.
// CHECK-LABEL: @blocksInGroups
func.func @blocksInGroups(
    %x: tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 2, 1],
                             params = [0.5:3, 0.25:128]>>,
    %w: tensor<2x3xi8>, %c: tensor<6xi32>, %m: tensor<6xf32>,
    %s: tensor<2xf32>) -> tensor<?x2xf32> {
  // CHECK: tq.qgroup_linear %{{.*}} {blocks = array<i64: 1, 2, 3>}
  %0 = tq.qgroup_linear %x, %w, %c, %m, %s {blocks = array<i64: 1, 2, 3>}
      : (tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 2, 1],
                              params = [0.5:3, 0.25:128]>>,
         tensor<2x3xi8>, tensor<6xi32>, tensor<6xf32>, tensor<2xf32>)
      -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
