// RUN: quern-opt %s --tq-lower-pipeline=suffix=.plain | FileCheck %s

// CHECK: llvm.func @copy.plain(%[[B:.+]]: !llvm.ptr, %{{.+}}: i64, %{{.+}}: i64, %{{.+}}: i64, %{{.+}}: i64, %{{.+}}: i64, %{{.+}}: !llvm.ptr)
// CHECK: %[[A0:.+]] = llvm.getelementptr %[[B]][0]
// CHECK: llvm.load %[[A0]] : !llvm.ptr -> !llvm.ptr
// CHECK: %[[A1:.+]] = llvm.getelementptr %[[B]][1]
// CHECK: llvm.load %[[A1]] : !llvm.ptr -> !llvm.ptr
// CHECK: llvm.call @copy.body.plain
// CHECK: llvm.func internal @copy.body.plain(
// CHECK-SAME: always_inline
func.func @copy(%x: memref<?xi8>, %y: memref<?xi8>, %tokens: index,
                %sequences: index, %flags: index, %begin: index, %end: index,
                %scratch: memref<?xi8>) attributes {tk.kernel} {
  %c1 = arith.constant 1 : index
  scf.for %i = %begin to %end step %c1 {
    %v = memref.load %x[%i] : memref<?xi8>
    memref.store %v, %y[%i] : memref<?xi8>
  }
  return
}
