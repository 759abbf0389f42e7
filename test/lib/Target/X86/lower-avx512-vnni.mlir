// RUN: quern-opt %s --tq-x86-avx512vnni | FileCheck %s

// CHECK-LABEL: func.func @dot
// CHECK-SAME: %[[ACC:.+]]: vector<16xi32>, %[[A:.+]]: vector<64xi8>, %[[B:.+]]: vector<64xi8>
func.func @dot(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>)
    -> vector<16xi32> {
  // CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[ACC]], %[[A]], %[[B]])
  %0 = tk.dot4 %acc, %a, %b
  return %0 : vector<16xi32>
}

// CHECK-LABEL: func.func @round
func.func @round(%v: vector<16xf32>) -> vector<16xi32> {
  // CHECK: "llvm.x86.avx512.max.ps.512"
  // CHECK: "llvm.x86.avx512.min.ps.512"
  // CHECK: "llvm.x86.avx512.mask.cvtps2dq.512"
  %0 = tk.round %v {lo = 0.0 : f32, hi = 255.0 : f32}
  return %0 : vector<16xi32>
}

// CHECK-LABEL: func.func @round_and_store
func.func @round_and_store(%v: vector<16xf32>, %m: memref<?xi8>, %i: index) {
  // CHECK-NOT: "llvm.x86.avx512.min.ps.512"
  // CHECK: arith.minui {{.+}} : vector<16xi32>
  // CHECK: arith.trunci {{.+}} : vector<16xi32> to vector<16xi8>
  // CHECK: vector.store %{{.+}}, %{{.+}}[%{{.+}}] : memref<?xi8>, vector<16xi8>
  %0 = tk.round %v {lo = 0.0 : f32, hi = 255.0 : f32}
  tk.store_codes %0, %m[%i] : memref<?xi8>
  return
}

// Other limits cannot use saturation.
// CHECK-LABEL: func.func @other_limits
func.func @other_limits(%v: vector<16xf32>, %m: memref<?xi8>, %i: index) {
  // CHECK: "llvm.x86.avx512.min.ps.512"
  // CHECK-NOT: arith.minui
  // CHECK: tk.store_codes
  %0 = tk.round %v {lo = 0.0 : f32, hi = 254.0 : f32}
  tk.store_codes %0, %m[%i] : memref<?xi8>
  return
}

// CHECK-LABEL: func.func @tables
func.func @tables(%c: vector<64xi8>, %m: memref<?xi8>, %o: index,
                  %i: vector<16xi32>, %t: vector<16xf32>)
    -> (vector<64xi8>, vector<16xf32>) {
  // CHECK-COUNT-2: "llvm.x86.avx512.vpermi2var.qi.512"
  %0 = tk.lut256 %c, %m[%o] : memref<?xi8>
  // CHECK: "llvm.x86.avx512.permvar.sf.512"
  %1 = tk.lut16 %i, %t
  return %0, %1 : vector<64xi8>, vector<16xf32>
}

// CHECK-LABEL: func.func @unpack
func.func @unpack(%a: vector<64xi8>) -> (vector<64xi8>, vector<64xi8>) {
  // CHECK: llvm.call_intrinsic "llvm.x86.avx512.permvar.qi.512"
  // CHECK: arith.shrui {{.+}} : vector<32xi16>
  // CHECK: llvm.call_intrinsic "llvm.x86.avx512.permvar.qi.512"
  %0 = tk.unpack %a {bits = 2 : i64, part = 0 : i64}
  %1 = tk.unpack %a {bits = 2 : i64, part = 3 : i64}
  return %0, %1 : vector<64xi8>, vector<64xi8>
}
