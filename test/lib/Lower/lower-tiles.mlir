// RUN: quern-opt %s --tq-lower-tiles | FileCheck %s

// Tiles of a chain lie on the stack; the sums take the place of those before.
// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[X:.+]]: memref<?xi8>, %[[W:.+]]: memref<?xi8>, %[[OUT:.+]]: memref<?xi8>, %[[I:.+]]: index
// CHECK-COUNT-3: memref.alloca() {alignment = 64 : i64} : memref<1024xi8>
// CHECK-NOT: memref.alloca
func.func @product(%x: memref<?xi8>, %w: memref<?xi8>, %out: memref<?xi8>,
                   %i: index) {
  %zero = arith.constant dense<0> : vector<16x16xi32>
  // CHECK: scf.for %[[ROW:.+]] =
  // CHECK: %[[SKIP:.+]] = arith.muli %[[ROW]], %c768
  // CHECK: %[[AT:.+]] = arith.addi %[[I]], %[[SKIP]]
  // CHECK: vector.load %[[X]][%[[AT]]] : memref<?xi8>, vector<64xi8>
  // CHECK: vector.store
  %a = tk.tile_load %x[%i] {stride = 768 : i64}
      : memref<?xi8>, vector<16x64xi8>
  // CHECK: scf.for
  // CHECK: vector.load %[[W]]
  %b = tk.tile_load %w[%i] {stride = 64 : i64, streamed}
      : memref<?xi8>, vector<16x64xi8>
  // CHECK: scf.for
  // CHECK-COUNT-16: tk.dot4
  // CHECK: scf.for
  // CHECK-COUNT-16: tk.dot4
  // CHECK-NOT: tk.dot4
  %r = tk.tile_dot %zero, %a, %b
  %s = tk.tile_dot %r, %a, %b
  // CHECK: scf.for
  // CHECK: vector.store {{.*}}, %[[OUT]]
  // CHECK-NOT: tk.tile
  tk.tile_store %s, %out[%i] {stride = 64 : i64} : memref<?xi8>
  return
}

// What leaves the tile ops becomes vectors.
// CHECK-LABEL: func.func @leaves
func.func @leaves(%m: memref<?xi8>, %i: index) -> vector<16x16xi32> {
  // CHECK: %[[FIRST:.+]] = vector.load {{.*}} vector<64xi8>
  // CHECK: vector.bitcast %[[FIRST]] : vector<64xi8> to vector<16xi32>
  // CHECK-COUNT-15: vector.load
  %0 = tk.tile_load %m[%i] {stride = 0 : i64} : memref<?xi8>, vector<16x16xi32>
  // CHECK: return
  return %0 : vector<16x16xi32>
}
