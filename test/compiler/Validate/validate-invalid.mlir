// RUN: quern-test-opt %s --tq-validate --split-input-file --verify-diagnostics \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fold-linear,test-wrong-bias,test-wrong-zero-point,tq-clean-up))'
// RUN: not quern-test-opt %s --tq-validate --split-input-file -o %t.mlir \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fold-linear,test-wrong-zero-point))' \
// RUN:   2>&1 | FileCheck %s
// RUN: not ls %t.mlir
// RUN: not quern-test-opt %s --tq-validate --split-input-file \
// RUN:   --pass-pipeline='builtin.module(func.func(test-silent))' \
// RUN:   2>&1 | FileCheck %s --check-prefix=SILENT

// The op, the element, both values; nothing is written.
// CHECK: error: 'tq.qlinear' op is not what it was before test-wrong-zero-point (one code): site 'L0.g' on calibration data, element [[E:[0-9]+]] (row {{[0-9]+}}, column 1): {{[0-9]+}} before, {{[0-9]+}} after, where the real value {{.*}} is {{.*}} of a step from the code it was rounded to, no tie

// SILENT: error: pass test-silent cannot be validated: found no class, expected one in compiler/Validate/PassClass.cpp

!x = !quant.uniform<u8:f32, 0.5:10>
!y = !quant.uniform<u8:f32, 0.26:100>

func.func @zero_point(%xq: tensor<?x2x!x>) -> tensor<?x2x!y> {
  %codes = arith.constant dense<[[1, 2], [1, -1]]> : tensor<2x2xi8>
  %scales = arith.constant dense<[0.1, 0.11]> : tensor<2xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %w = tq.dequantize_weight %codes, %scales
      : (tensor<2x2xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %x = tq.dequantize %xq : tensor<?x2x!x> -> tensor<?x2xf32>
  // expected-error @below {{is not what it was before test-wrong-zero-point (one code): site 'L0.g' on calibration data}}
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = tq.quantize %0 {site = "L0.g"} : tensor<?x2xf32> -> tensor<?x2x!y>
  return %1 : tensor<?x2x!y>
}

// -----

func.func @bias(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = arith.constant dense<[[1.0, 2.0], [1.0, -1.0]]> : tensor<2x2xf32>
  %b = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  // expected-error @below {{is not what it was before test-wrong-bias (relative 1e-6): result on calibration data, element 0}}
  %0 = tq.linear %x, %w, %b
      : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
