// RUN: quern-opt %s --tq-isolate-kernels | FileCheck %s

// CHECK-NOT: tk.buffer
// CHECK-NOT: tk.data
// CHECK-NOT: tk.program
// CHECK-NOT: @helper
// CHECK: func.func @kernel
// CHECK-NOT: @helper
module {
  tk.buffer @x kind(tokens) bytes(64) : i8
  tk.data @w = dense<1> : tensor<4xi8>
  func.func @kernel(%x: memref<?xi8>, %t: index, %s: index, %f: index,
                    %b: index, %e: index, %scratch: memref<?xi8>)
      attributes {tk.kernel} {
    return
  }
  func.func @helper() {
    return
  }
  tk.program @forward {
    tk.launch @kernel [@x] chunks(base = tokens, divide = 1, multiply = 1)
  }
}
