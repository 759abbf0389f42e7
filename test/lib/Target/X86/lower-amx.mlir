// RUN: quern-opt %s --tq-x86-amx | FileCheck %s

// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[X:.+]]: memref<?xi8>, %[[W:.+]]: memref<?xi8>, %[[OUT:.+]]: memref<?xi8>, %[[I:.+]]: index
func.func @product(%x: memref<?xi8>, %w: memref<?xi8>, %out: memref<?xi8>,
                   %i: index) {
  %zero = arith.constant dense<0> : vector<16x16xi32>
  // CHECK: memref.extract_aligned_pointer_as_index %[[X]]
  // CHECK: %[[XP:.+]] = llvm.getelementptr
  // CHECK: %[[A:.+]] = llvm.call_intrinsic "llvm.x86.tileloadd64.internal"({{.*}}, {{.*}}, %[[XP]], {{.*}}) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
  %a = tk.tile_load %x[%i] {stride = 768 : i64}
      : memref<?xi8>, vector<16x64xi8>
  // CHECK: %[[B:.+]] = llvm.call_intrinsic "llvm.x86.tileloaddt164.internal"
  %b = tk.tile_load %w[%i] {stride = 64 : i64, streamed}
      : memref<?xi8>, vector<16x64xi8>
  // Each product that begins with zeros has zeros of its own.
  // CHECK: %[[Z:.+]] = llvm.call_intrinsic "llvm.x86.tilezero.internal"
  // CHECK: %[[R:.+]] = llvm.call_intrinsic "llvm.x86.tdpbusd.internal"({{.*}}, %[[Z]], %[[A]], %[[B]])
  %r = tk.tile_dot %zero, %a, %b
  // CHECK: llvm.call_intrinsic "llvm.x86.tdpbusd.internal"({{.*}}, %[[R]], %[[A]], %[[B]])
  %s = tk.tile_dot %r, %a, %b
  // CHECK: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
  // CHECK-NOT: tk.tile
  tk.tile_store %s, %out[%i] {stride = 64 : i64} : memref<?xi8>
  return
}
