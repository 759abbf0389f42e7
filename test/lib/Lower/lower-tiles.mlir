// RUN: quern-opt %s --tq-lower-tiles | FileCheck %s

// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[X:.+]]: memref<?xi8>, %[[W:.+]]: memref<?xi8>, %[[OUT:.+]]: memref<?xi8>, %[[I:.+]]: index
func.func @product(%x: memref<?xi8>, %w: memref<?xi8>, %out: memref<?xi8>,
                   %i: index) {
  %zero = arith.constant dense<0> : vector<16x16xi32>
  // Sixteen rows of each operand, a stride apart.
  // CHECK-DAG: %[[C768:.+]] = arith.constant 768 : index
  // CHECK: vector.load %[[X]][%[[I]]] : memref<?xi8>, vector<64xi8>
  // CHECK: %[[AT:.+]] = arith.addi %[[I]], %[[C768]]
  // CHECK: vector.load %[[X]][%[[AT]]] : memref<?xi8>, vector<64xi8>
  // CHECK-COUNT-14: vector.load %[[X]]
  %a = tk.tile_load %x[%i] {stride = 768 : i64}
      : memref<?xi8>, vector<16x64xi8>
  // CHECK-COUNT-16: vector.load %[[W]]
  %b = tk.tile_load %w[%i] {stride = 64 : i64, streamed}
      : memref<?xi8>, vector<16x64xi8>
  // CHECK-COUNT-256: tk.dot4
  // CHECK-NOT: tk.dot4
  %r = tk.tile_dot %zero, %a, %b
  // CHECK-COUNT-16: vector.store {{.*}}, %[[OUT]]
  // CHECK-NOT: tk.tile
  tk.tile_store %r, %out[%i] {stride = 64 : i64} : memref<?xi8>
  return
}

// Numbers of 32 bits come as bytes.
// CHECK-LABEL: func.func @sums
func.func @sums(%m: memref<?xi8>, %i: index) -> vector<16x16xi32> {
  // CHECK: %[[ROW:.+]] = vector.load {{.*}} vector<64xi8>
  // CHECK: vector.bitcast %[[ROW]] : vector<64xi8> to vector<16xi32>
  %0 = tk.tile_load %m[%i] {stride = 0 : i64} : memref<?xi8>, vector<16x16xi32>
  return %0 : vector<16x16xi32>
}
