// RUN: quern-opt %s --tq-x86-avx512bw --tq-lower-micro-ops | FileCheck %s
// RUN: quern-opt %s --tq-x86-avx2=vnni=true | FileCheck %s --check-prefix=HALF

// Whole vectors without VNNI and VBMI; halves with AVX-VNNI.
// CHECK-LABEL: func.func @dot
// HALF-LABEL: func.func @dot
func.func @dot(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>)
    -> vector<16xi32> {
  // CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
  // CHECK-NOT: intrinsic
  // CHECK: return
  // HALF-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
  // HALF-NOT: intrinsic
  // HALF: vector.shuffle
  // HALF-NEXT: return
  %0 = tk.dot4 %acc, %a, %b
  return %0 : vector<16xi32>
}

// CHECK-LABEL: func.func @lut256
// CHECK-COUNT-16: "llvm.x86.avx512.pshuf.b.512"
// CHECK-NOT: intrinsic
// CHECK: return
func.func @lut256(%c: vector<64xi8>, %m: memref<?xi8>, %o: index)
    -> vector<64xi8> {
  %0 = tk.lut256 %c, %m[%o] : memref<?xi8>
  return %0 : vector<64xi8>
}

// CHECK-LABEL: func.func @others
// CHECK: "llvm.x86.avx512.permvar.sf.512"
// CHECK: "llvm.x86.avx512.mask.cvtps2dq.512"
// CHECK-NOT: tk.
func.func @others(%table: vector<16xf32>, %index: vector<16xi32>,
                  %p: vector<64xi8>) -> (vector<16xi32>, vector<64xi8>) {
  %0 = tk.lut16 %index, %table
  %1 = tk.round %0 {lo = 0.0 : f32, hi = 255.0 : f32}
  %2 = tk.unpack %p {bits = 4 : i64, part = 1 : i64}
  return %1, %2 : vector<16xi32>, vector<64xi8>
}
