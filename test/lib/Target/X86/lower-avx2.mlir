// RUN: quern-opt %s --tq-x86-avx2 | FileCheck %s
// RUN: quern-opt %s --tq-x86-avx2 --tq-lower-micro-ops | FileCheck %s --check-prefix=ALL

// Even and odd bytes of both halves, none of whose sums can saturate.
// CHECK-LABEL: func.func @dot
// CHECK-SAME: %[[ACC:.+]]: vector<16xi32>, %[[A:.+]]: vector<64xi8>, %[[B:.+]]: vector<64xi8>
func.func @dot(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>)
    -> vector<16xi32> {
  // CHECK: %[[ODD:.+]] = arith.shrui
  // CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
  // CHECK-NOT: pmadd.ub
  // CHECK: return
  %0 = tk.dot4 %acc, %a, %b
  return %0 : vector<16xi32>
}

// CHECK-LABEL: func.func @lut
func.func @lut(%table: vector<16xf32>, %index: vector<16xi32>)
    -> vector<16xf32> {
  // CHECK: llvm.call_intrinsic "llvm.x86.avx2.permps"
  // CHECK: llvm.call_intrinsic "llvm.x86.avx2.permps"
  // CHECK: arith.select
  // CHECK: llvm.call_intrinsic "llvm.x86.avx2.permps"
  // CHECK: llvm.call_intrinsic "llvm.x86.avx2.permps"
  // CHECK: arith.select
  %0 = tk.lut16 %index, %table
  return %0 : vector<16xf32>
}

// Sixteen tables of 16 bytes for each half of the codes.
// CHECK-LABEL: func.func @lut256
// CHECK-COUNT-32: "llvm.x86.avx2.pshuf.b"
// CHECK-NOT: tk.lut256
// ALL-LABEL: func.func @lut256
// ALL-NOT: tk.
// ALL: return
func.func @lut256(%c: vector<64xi8>, %m: memref<?xi8>, %o: index)
    -> vector<64xi8> {
  %0 = tk.lut256 %c, %m[%o] : memref<?xi8>
  return %0 : vector<64xi8>
}

// What plain code does well is left to it.
// CHECK-LABEL: func.func @round
// CHECK: tk.round
// ALL-LABEL: func.func @round
// ALL-NOT: tk.
// ALL: return
func.func @round(%v: vector<16xf32>) -> vector<16xi32> {
  %0 = tk.round %v {lo = 0.0 : f32, hi = 255.0 : f32}
  return %0 : vector<16xi32>
}

// Products that add to one sum come one after the other.
// CHECK-LABEL: func.func @chains
// CHECK: pmadd.wd
// CHECK: %[[FIRST:.+]] = vector.shuffle
// CHECK-COUNT-4: pmadd.wd
// CHECK: %[[LAST:.+]] = vector.shuffle
// CHECK-COUNT-8: pmadd.wd
// CHECK: return %[[LAST]]
func.func @chains(%x: vector<16xi32>, %y: vector<16xi32>, %a: vector<64xi8>,
                  %b: vector<64xi8>, %c: vector<64xi8>)
    -> (vector<16xi32>, vector<16xi32>) {
  %0 = tk.dot4 %x, %a, %b
  %1 = tk.dot4 %y, %a, %b
  %2 = tk.dot4 %0, %c, %b
  %3 = tk.dot4 %1, %c, %b
  return %2, %3 : vector<16xi32>, vector<16xi32>
}
