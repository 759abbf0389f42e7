// RUN: not quern-translate --mlir-to-llvmir %s 2>&1 | FileCheck %s

// A function that was not lowered names its op.
// CHECK: error: cannot be converted to LLVM IR
func.func @relu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = tq.relu %x : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
