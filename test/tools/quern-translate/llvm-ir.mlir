// RUN: quern-translate --mlir-to-llvmir %s | FileCheck %s

// CHECK-LABEL: define i32 @twice(i32 %0)
llvm.func @twice(%x: i32) -> i32 {
  // CHECK: add i32 %0, %0
  %0 = llvm.add %x, %x : i32
  llvm.return %0 : i32
}
