// RUN: quern-opt %s | quern-opt | FileCheck %s

// CHECK-LABEL: func.func @forward
// CHECK: tq.scale_shift %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
func.func @forward(%x: tensor<?x4xf32>, %s: tensor<4xf32>)
    -> tensor<?x4xf32> {
  %0 = tq.scale_shift %x, %s, %s
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
