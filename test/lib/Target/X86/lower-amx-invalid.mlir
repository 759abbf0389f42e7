// RUN: quern-opt %s --tq-x86-amx --split-input-file --verify-diagnostics

func.func @leaves(%x: memref<?xi8>, %i: index) -> vector<16x16xi32> {
  // expected-error @+1 {{is used by func.return, expected only tile_dot and tile_store}}
  %0 = tk.tile_load %x[%i] {stride = 64 : i64} : memref<?xi8>, vector<16x16xi32>
  return %0 : vector<16x16xi32>
}

// -----

func.func @comes(%x: memref<?xi8>, %i: index, %v: vector<16x16xi32>) {
  // expected-error @+1 {{expects a value that is zero or made by tile_load and tile_dot}}
  tk.tile_store %v, %x[%i] {stride = 64 : i64} : memref<?xi8>
  return
}

// -----

func.func @bytes(%x: memref<?xi8>, %i: index, %v: vector<16x64xi8>) {
  %zero = arith.constant dense<0> : vector<16x16xi32>
  %a = tk.tile_load %x[%i] {stride = 64 : i64} : memref<?xi8>, vector<16x64xi8>
  // expected-error @+1 {{expects operands that are zeros or made by tile_load and tile_dot}}
  %0 = tk.tile_dot %zero, %a, %v
  tk.tile_store %0, %x[%i] {stride = 64 : i64} : memref<?xi8>
  return
}
