// RUN: quern-opt %s --pass-pipeline='builtin.module(func.func(tq-clean-up))' \
// RUN:   | FileCheck %s

!x = !quant.uniform<u8:f32, 0.5:10>

// A chain that nobody reads goes in one sweep; dequantize of quantize is no
// identity and stays.

// CHECK-LABEL: func.func @forward
// CHECK-NEXT: tq.quantize
// CHECK-NEXT: tq.dequantize
// CHECK-NEXT: return
func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %c = arith.constant dense<0.0> : tensor<2xf32>
  %0 = tq.layer_norm %x, %c, %c {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.gelu %0 : tensor<?x2xf32>
  %2 = tq.quantize %x {site = "L0.x"} : tensor<?x2xf32> -> tensor<?x2x!x>
  %3 = tq.dequantize %2 : tensor<?x2x!x> -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}
