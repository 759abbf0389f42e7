// RUN: quern-opt %s --tq-x86-avx512vnni | FileCheck %s

// What finishes an earlier tile lies between the dot products, not before them,
// tied to sums by empty assembly.

// CHECK-LABEL: func.func @spread
// CHECK-NOT: llvm.alloca
// CHECK: scf.for
// CHECK: vector.load
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
// CHECK: arith.mulf
// CHECK-NEXT: llvm.inline_asm asm_dialect = att "", "=v,=v,0,1"
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
// CHECK: arith.addf
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
// CHECK: arith.subf
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
// The first product is used again far away: registers are left for it.
// CHECK-NOT: llvm.load
// CHECK: arith.addf
// CHECK: vector.store
// CHECK: scf.yield
func.func @spread(%x: memref<?xi8>, %sums: memref<?xf32>, %y: memref<?xf32>,
                  %from: index, %to: index, %a: vector<64xi8>,
                  %b: vector<64xi8>, %s: vector<16xf32>,
                  %start: vector<16xi32>) -> vector<16xi32> {
  %one = arith.constant 1 : index
  %end = scf.for %i = %from to %to step %one iter_args(%d0 = %start)
      -> vector<16xi32> {
    %v = vector.load %sums[%i] : memref<?xf32>, vector<16xf32>
    %m = arith.mulf %v, %s : vector<16xf32>
    %c0 = arith.addf %m, %s : vector<16xf32>
    %c1 = arith.subf %c0, %s : vector<16xf32>
    %c2 = arith.mulf %c1, %s : vector<16xf32>
    %c3 = arith.addf %c2, %s : vector<16xf32>
    %c4 = arith.subf %c3, %s : vector<16xf32>
    %c5 = arith.mulf %c4, %s : vector<16xf32>
    %c6 = arith.addf %c5, %s : vector<16xf32>
    %c7 = arith.subf %c6, %s : vector<16xf32>
    %last = arith.addf %c7, %m : vector<16xf32>
    vector.store %last, %y[%i] : memref<?xf32>, vector<16xf32>
    %d1 = tk.dot4 %d0, %a, %b
    %d2 = tk.dot4 %d1, %a, %b
    %d3 = tk.dot4 %d2, %a, %b
    %d4 = tk.dot4 %d3, %a, %b
    %d5 = tk.dot4 %d4, %a, %b
    %d6 = tk.dot4 %d5, %a, %b
    %d7 = tk.dot4 %d6, %a, %b
    %d8 = tk.dot4 %d7, %a, %b
    %d9 = tk.dot4 %d8, %a, %b
    %d10 = tk.dot4 %d9, %a, %b
    %d11 = tk.dot4 %d10, %a, %b
    %d12 = tk.dot4 %d11, %a, %b
    %d13 = tk.dot4 %d12, %a, %b
    %d14 = tk.dot4 %d13, %a, %b
    %d15 = tk.dot4 %d14, %a, %b
    %d16 = tk.dot4 %d15, %a, %b
    %d17 = tk.dot4 %d16, %a, %b
    %d18 = tk.dot4 %d17, %a, %b
    %d19 = tk.dot4 %d18, %a, %b
    %d20 = tk.dot4 %d19, %a, %b
    %d21 = tk.dot4 %d20, %a, %b
    %d22 = tk.dot4 %d21, %a, %b
    %d23 = tk.dot4 %d22, %a, %b
    %d24 = tk.dot4 %d23, %a, %b
    %d25 = tk.dot4 %d24, %a, %b
    %d26 = tk.dot4 %d25, %a, %b
    %d27 = tk.dot4 %d26, %a, %b
    %d28 = tk.dot4 %d27, %a, %b
    %d29 = tk.dot4 %d28, %a, %b
    %d30 = tk.dot4 %d29, %a, %b
    %d31 = tk.dot4 %d30, %a, %b
    %d32 = tk.dot4 %d31, %a, %b
    %d33 = tk.dot4 %d32, %a, %b
    %d34 = tk.dot4 %d33, %a, %b
    %d35 = tk.dot4 %d34, %a, %b
    %d36 = tk.dot4 %d35, %a, %b
    %d37 = tk.dot4 %d36, %a, %b
    %d38 = tk.dot4 %d37, %a, %b
    %d39 = tk.dot4 %d38, %a, %b
    %d40 = tk.dot4 %d39, %a, %b
    scf.yield %d40 : vector<16xi32>
  }
  return %end : vector<16xi32>
}

// No register is left beside 32 sums: the product waits in memory.
// CHECK-LABEL: func.func @many_sums
// CHECK: llvm.inline_asm asm_dialect = att "", "=r,0"
// CHECK: arith.mulf
// CHECK: llvm.store %{{.+}}, %{{.+}} {alignment = 64 : i64}
// CHECK-COUNT-12: "llvm.x86.avx512.vpdpbusd.512"
// CHECK: llvm.load %{{.+}} {alignment = 64 : i64} : !llvm.ptr -> vector<16xf32>
// CHECK: arith.addf
// CHECK: vector.store
!sum = vector<16xi32>
func.func @many_sums(%x: memref<?xf32>, %y: memref<?xf32>, %i: index,
                     %a: vector<64xi8>, %b: vector<64xi8>,
                     %s: vector<16xf32>, %d0: !sum)
    -> (!sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum,
        !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum,
        !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum) {
  %v = vector.load %x[%i] : memref<?xf32>, vector<16xf32>
  %m = arith.mulf %v, %s : vector<16xf32>
  %c0 = arith.addf %m, %s : vector<16xf32>
  %c1 = arith.subf %c0, %s : vector<16xf32>
  %c2 = arith.mulf %c1, %s : vector<16xf32>
  %c3 = arith.addf %c2, %s : vector<16xf32>
  %c4 = arith.subf %c3, %s : vector<16xf32>
  %c5 = arith.mulf %c4, %s : vector<16xf32>
  %c6 = arith.addf %c5, %s : vector<16xf32>
  %c7 = arith.subf %c6, %s : vector<16xf32>
  %last = arith.addf %c7, %m : vector<16xf32>
  vector.store %last, %y[%i] : memref<?xf32>, vector<16xf32>
  %d1 = tk.dot4 %d0, %a, %b
  %d2 = tk.dot4 %d0, %a, %b
  %d3 = tk.dot4 %d0, %a, %b
  %d4 = tk.dot4 %d0, %a, %b
  %d5 = tk.dot4 %d0, %a, %b
  %d6 = tk.dot4 %d0, %a, %b
  %d7 = tk.dot4 %d0, %a, %b
  %d8 = tk.dot4 %d0, %a, %b
  %d9 = tk.dot4 %d0, %a, %b
  %d10 = tk.dot4 %d0, %a, %b
  %d11 = tk.dot4 %d0, %a, %b
  %d12 = tk.dot4 %d0, %a, %b
  %d13 = tk.dot4 %d0, %a, %b
  %d14 = tk.dot4 %d0, %a, %b
  %d15 = tk.dot4 %d0, %a, %b
  %d16 = tk.dot4 %d0, %a, %b
  %d17 = tk.dot4 %d0, %a, %b
  %d18 = tk.dot4 %d0, %a, %b
  %d19 = tk.dot4 %d0, %a, %b
  %d20 = tk.dot4 %d0, %a, %b
  %d21 = tk.dot4 %d0, %a, %b
  %d22 = tk.dot4 %d0, %a, %b
  %d23 = tk.dot4 %d0, %a, %b
  %d24 = tk.dot4 %d0, %a, %b
  %d25 = tk.dot4 %d0, %a, %b
  %d26 = tk.dot4 %d0, %a, %b
  %d27 = tk.dot4 %d0, %a, %b
  %d28 = tk.dot4 %d0, %a, %b
  %d29 = tk.dot4 %d0, %a, %b
  %d30 = tk.dot4 %d0, %a, %b
  %d31 = tk.dot4 %d0, %a, %b
  %d32 = tk.dot4 %d0, %a, %b
  return %d1, %d2, %d3, %d4, %d5, %d6, %d7, %d8, %d9, %d10, %d11, %d12, %d13,
         %d14, %d15, %d16, %d17, %d18, %d19, %d20, %d21, %d22, %d23, %d24, %d25,
         %d26, %d27, %d28, %d29, %d30, %d31, %d32
      : !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum,
        !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum,
        !sum, !sum, !sum, !sum, !sum, !sum, !sum, !sum
}

// A store that a load could see keeps its place.
// CHECK-LABEL: func.func @same_memory
// CHECK-NOT: llvm.inline_asm
func.func @same_memory(%y: memref<?xf32>, %i: index, %a: vector<64xi8>,
                       %b: vector<64xi8>, %s: vector<16xf32>,
                       %d0: vector<16xi32>) -> vector<16xi32> {
  %v = vector.load %y[%i] : memref<?xf32>, vector<16xf32>
  %c0 = arith.addf %v, %s : vector<16xf32>
  %c1 = arith.subf %c0, %s : vector<16xf32>
  %c2 = arith.mulf %c1, %s : vector<16xf32>
  %c3 = arith.addf %c2, %s : vector<16xf32>
  %c4 = arith.subf %c3, %s : vector<16xf32>
  %c5 = arith.mulf %c4, %s : vector<16xf32>
  %c6 = arith.addf %c5, %s : vector<16xf32>
  %c7 = arith.subf %c6, %s : vector<16xf32>
  vector.store %c7, %y[%i] : memref<?xf32>, vector<16xf32>
  %d1 = tk.dot4 %d0, %a, %b
  %d2 = tk.dot4 %d1, %a, %b
  %d3 = tk.dot4 %d2, %a, %b
  %d4 = tk.dot4 %d3, %a, %b
  %d5 = tk.dot4 %d4, %a, %b
  %d6 = tk.dot4 %d5, %a, %b
  %d7 = tk.dot4 %d6, %a, %b
  %d8 = tk.dot4 %d7, %a, %b
  %d9 = tk.dot4 %d8, %a, %b
  %d10 = tk.dot4 %d9, %a, %b
  %d11 = tk.dot4 %d10, %a, %b
  %d12 = tk.dot4 %d11, %a, %b
  %d13 = tk.dot4 %d12, %a, %b
  %d14 = tk.dot4 %d13, %a, %b
  %d15 = tk.dot4 %d14, %a, %b
  %d16 = tk.dot4 %d15, %a, %b
  %d17 = tk.dot4 %d16, %a, %b
  %d18 = tk.dot4 %d17, %a, %b
  %d19 = tk.dot4 %d18, %a, %b
  %d20 = tk.dot4 %d19, %a, %b
  %d21 = tk.dot4 %d20, %a, %b
  %d22 = tk.dot4 %d21, %a, %b
  %d23 = tk.dot4 %d22, %a, %b
  %d24 = tk.dot4 %d23, %a, %b
  %d25 = tk.dot4 %d24, %a, %b
  %d26 = tk.dot4 %d25, %a, %b
  %d27 = tk.dot4 %d26, %a, %b
  %d28 = tk.dot4 %d27, %a, %b
  %d29 = tk.dot4 %d28, %a, %b
  %d30 = tk.dot4 %d29, %a, %b
  %d31 = tk.dot4 %d30, %a, %b
  %d32 = tk.dot4 %d31, %a, %b
  %d33 = tk.dot4 %d32, %a, %b
  %d34 = tk.dot4 %d33, %a, %b
  %d35 = tk.dot4 %d34, %a, %b
  %d36 = tk.dot4 %d35, %a, %b
  %d37 = tk.dot4 %d36, %a, %b
  %d38 = tk.dot4 %d37, %a, %b
  %d39 = tk.dot4 %d38, %a, %b
  %d40 = tk.dot4 %d39, %a, %b
  return %d40 : vector<16xi32>
}
