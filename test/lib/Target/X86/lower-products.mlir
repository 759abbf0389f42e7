// RUN: quern-opt %s --tq-x86-products=tier=avx2 | FileCheck %s

// CHECK: llvm.func @quern_product_avx2_w4(!llvm.ptr, i64, !llvm.ptr, i64, i64, i64, i64, !llvm.ptr)
// CHECK-LABEL: func.func @k
// CHECK-SAME: %[[X:.+]]: memref<?xi8>, %[[W:.+]]: memref<?xi8>, %[[AT:.+]]: index, %[[ROWS:.+]]: index
func.func @k(%x: memref<?xi8>, %w: memref<?xi8>, %at: index, %rows: index,
             %out: memref<?xi8>) {
  // Whole tiles of four rows.
  // CHECK: %[[I:.+]] = arith.index_cast %[[ROWS]]
  // CHECK: %[[UP:.+]] = arith.addi %[[I]]
  // CHECK: %[[R:.+]] = arith.andi %[[UP]]
  // CHECK: memref.extract_aligned_pointer_as_index %[[X]]
  // CHECK: %[[OFFSET:.+]] = arith.index_cast %[[AT]]
  // CHECK: llvm.getelementptr %{{.+}}[%[[OFFSET]]]
  // CHECK: llvm.call @quern_product_avx2_w4({{.*}}, %[[R]], {{.*}})
  // CHECK-NOT: tk.product
  %c0 = arith.constant 0 : index
  tk.product %x[%at], %w[%c0], %out[%c0] rows(%rows)
      {x_stride = 128 : i64, turns = 32 : i64, panels = 2 : i64,
       panel_bytes = 1024 : i64, bits = 4 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}
