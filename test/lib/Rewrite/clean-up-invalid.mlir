// RUN: quern-opt %s --pass-pipeline='builtin.module(func.func(tq-clean-up))' \
// RUN:   | FileCheck %s

// What has an effect or a reader is never erased.

// CHECK-LABEL: func.func @forward
// CHECK: call @other
// CHECK: tq.relu
func.func private @other(%x: tensor<?x2xf32>) -> tensor<?x2xf32>
func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %0 = call @other(%x) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %1 = tq.relu %x : tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}
