// RUN: quern-opt %s --tq-lower-micro-ops | FileCheck %s

// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: %[[M:.+]]: memref<?xi8>, %[[I:.+]]: index
func.func @broadcast(%m: memref<?xi8>, %i: index) -> vector<64xi8> {
  // CHECK: %[[V:.+]] = vector.load %[[M]][%[[I]]] : memref<?xi8>, vector<4xi8>
  // CHECK: %[[W:.+]] = vector.bitcast %[[V]] : vector<4xi8> to vector<1xi32>
  // CHECK: %[[B:.+]] = vector.broadcast %[[W]] : vector<1xi32> to vector<16xi32>
  // CHECK: vector.bitcast %[[B]] : vector<16xi32> to vector<64xi8>
  %0 = tk.broadcast4 %m[%i] : memref<?xi8>
  return %0 : vector<64xi8>
}

// CHECK-LABEL: func.func @dot
func.func @dot(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>)
    -> vector<16xi32> {
  // CHECK-COUNT-2: arith.muli {{.+}} : vector<32xi32>
  // CHECK-NOT: tk.
  // CHECK: return
  %0 = tk.dot4 %acc, %a, %b
  return %0 : vector<16xi32>
}

// CHECK-LABEL: func.func @max
func.func @max(%a: vector<16xf32>, %b: vector<16xf32>) -> vector<16xf32> {
  // CHECK: %[[C:.+]] = arith.cmpf ogt, %[[A:.+]], %[[B:.+]] : vector<16xf32>
  // CHECK: arith.select %[[C]], %[[A]], %[[B]]
  %0 = tk.max %a, %b
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func.func @store
func.func @store(%v: vector<16xi32>, %m: memref<?xi16>, %i: index) {
  // CHECK: %[[T:.+]] = arith.trunci %{{.+}} : vector<16xi32> to vector<16xi16>
  // CHECK: vector.store %[[T]], %{{.+}}[%{{.+}}] : memref<?xi16>, vector<16xi16>
  tk.store_codes %v, %m[%i] : memref<?xi16>
  return
}

// A constant table is kept in memory once.
// CHECK-LABEL: func.func @look_up
func.func @look_up(%i: vector<16xi32>) -> (vector<16xf32>, vector<16xf32>) {
  // CHECK: %[[T:.+]] = memref.get_global @[[NAME:.+]] : memref<16xf32>
  // CHECK-COUNT-16: memref.load %[[T]]
  // CHECK: memref.get_global @[[NAME]]
  %table = arith.constant dense<2.5> : vector<16xf32>
  %0 = tk.lut16 %i, %table
  %1 = tk.lut16 %i, %table
  return %0, %1 : vector<16xf32>, vector<16xf32>
}
