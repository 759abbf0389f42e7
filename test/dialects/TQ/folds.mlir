// RUN: quern-opt %s --canonicalize --cse | FileCheck %s

!u8 = !quant.uniform<u8:f32, 0.1:128>

// A quantizer rounds: neither pair folds away.
// CHECK-LABEL: func @rounding
func.func @rounding(%x: tensor<?x4xf32>, %q: tensor<?x4x!u8>)
    -> (tensor<?x4xf32>, tensor<?x4x!u8>) {
  // CHECK: tq.quantize
  // CHECK: tq.dequantize
  %0 = tq.quantize %x : tensor<?x4xf32> -> tensor<?x4x!u8>
  %1 = tq.dequantize %0 : tensor<?x4x!u8> -> tensor<?x4xf32>
  // CHECK: tq.dequantize
  // CHECK: tq.quantize
  %2 = tq.dequantize %q : tensor<?x4x!u8> -> tensor<?x4xf32>
  %3 = tq.quantize %2 : tensor<?x4xf32> -> tensor<?x4x!u8>
  return %1, %3 : tensor<?x4xf32>, tensor<?x4x!u8>
}

// CHECK-LABEL: func @relu
func.func @relu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[R:.+]] = tq.relu
  // CHECK-NEXT: return %[[R]]
  %0 = tq.relu %x : tensor<?x4xf32>
  %1 = tq.relu %0 : tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// CHECK-LABEL: func @requantize
// CHECK-SAME: %[[X:.+]]: tensor
func.func @requantize(%x: tensor<?x4x!u8>) -> (tensor<?x4x!u8>, tensor<?x4x!u8>) {
  // CHECK-NEXT: %[[HALF:.+]] = tq.requantize
  // CHECK-NEXT: return %[[X]], %[[HALF]]
  %0 = tq.requantize %x {multiplier = 1.0 : f32, offset = 0.0 : f32}
      : tensor<?x4x!u8> -> tensor<?x4x!u8>
  %1 = tq.requantize %x {multiplier = 0.5 : f32, offset = 0.0 : f32}
      : tensor<?x4x!u8> -> tensor<?x4x!u8>
  return %0, %1 : tensor<?x4x!u8>, tensor<?x4x!u8>
}
