// RUN: quern-opt %s --tq-validate --tq-rewrite-pipeline | FileCheck %s
// RUN: quern-opt %s --tq-rewrite-pipeline > %t.plain
// RUN: quern-opt %s --tq-validate --tq-rewrite-pipeline | diff %t.plain -

// Every pass of the stage does what it promises, so that the flag changes
// nothing that is written.

!x = !quant.uniform<u8:f32, 0.5:10>
!y = !quant.uniform<u8:f32, 0.25:3>
!z = !quant.uniform<u8:f32, 0.125:128>

// CHECK-LABEL: func.func @forward
// CHECK: tq.qlinear
// CHECK: tq.qadd_norm
func.func @forward(%xq: tensor<?x2x!x>) -> tensor<?x2xf32> {
  %codes = arith.constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.g"} : tensor<?x2xf32> -> tensor<?x2x!y>
  %2 = tq.dequantize %1 : tensor<?x2x!y> -> tensor<?x2xf32>
  %3 = tq.add %2, %x : tensor<?x2xf32>
  %4 = tq.quantize %3 {site = "L0.u"} : tensor<?x2xf32> -> tensor<?x2x!z>
  %5 = tq.dequantize %4 : tensor<?x2x!z> -> tensor<?x2xf32>
  %gamma = arith.constant dense<[1.5, 0.5]> : tensor<2xf32>
  %6 = tq.layer_norm %5, %gamma, %b {eps = 1.0e-5 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %6 : tensor<?x2xf32>
}
