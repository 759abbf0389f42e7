// RUN: quern-opt %s --tq-choose-variants | FileCheck %s --check-prefix=PLAIN
// RUN: quern-opt %s --tq-choose-variants=means=library | FileCheck %s --check-prefix=LIBRARY
// RUN: quern-opt %s --tq-choose-variants=means=library,small | FileCheck %s --check-prefix=LIBRARY
// RUN: quern-opt %s --tq-choose-variants=means=small,library | FileCheck %s --check-prefix=SMALL
// RUN: quern-opt %s --tq-choose-variants=means=small | FileCheck %s --check-prefix=SMALL
// RUN: quern-opt %s --tq-choose-variants=means=tiles | FileCheck %s --check-prefix=TILES

// PLAIN-NOT: product
// PLAIN: func.func @linear(
// PLAIN: tk.dot4
// PLAIN-NOT: tk.variant_of
// PLAIN: func.func @other(
// PLAIN-NOT: product

// The variant takes the name, by which launches and the run time know it.
// LIBRARY-NOT: tk.dot4
// LIBRARY: func.func @other(
// LIBRARY: func.func @linear(
// LIBRARY-SAME: attributes {tk.kernel} {
// LIBRARY: tk.product
// LIBRARY-NOT: tk.dot4

// TILES-NOT: tk.dot4
// TILES: func.func @other(
// TILES-NOT: tk.product
// TILES: func.func @linear(
// TILES-SAME: attributes {tk.kernel} {
// TILES: tk.tile_dot
// TILES-NOT: tk.product

// SMALL-NOT: tk.dot4
// SMALL: func.func @other(
// SMALL-NOT: tk.product
// SMALL: func.func @linear(
// SMALL-SAME: attributes {tk.kernel} {
// SMALL: vector.load %{{.*}} : memref<?xi8>, vector<64xi8>
// SMALL: vector.load %{{.*}} : memref<?xi8>, vector<64xi8>
// SMALL-NOT: tk.product

func.func @linear(%x: memref<?xi8>, %w: memref<?xi8>, %t: index, %s: index,
                  %f: index, %b: index, %e: index, %scratch: memref<?xi8>)
    attributes {tk.kernel} {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0> : vector<16xi32>
  %a = tk.broadcast4 %x[%c0] : memref<?xi8>
  %v = vector.load %w[%c0] : memref<?xi8>, vector<64xi8>
  %r = tk.dot4 %acc, %a, %v
  tk.store_codes %r, %scratch[%c0] : memref<?xi8>
  return
}

func.func @other(%x: memref<?xi8>, %t: index, %s: index, %f: index, %b: index,
                 %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}

func.func @linear.library(%x: memref<?xi8>, %w: memref<?xi8>, %t: index,
                          %s: index, %f: index, %b: index, %e: index,
                          %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @linear, tk.variant = "library"} {
  %c0 = arith.constant 0 : index
  tk.product %x[%c0], %w[%c0], %scratch[%c0] rows(%t)
      {x_stride = 64 : i64, turns = 16 : i64, panels = 1 : i64,
       panel_bytes = 1024 : i64, bits = 8 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}

func.func @linear.small(%x: memref<?xi8>, %w: memref<?xi8>, %t: index,
                        %s: index, %f: index, %b: index, %e: index,
                        %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @linear, tk.variant = "small"} {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0> : vector<16xi32>
  %a = vector.load %x[%c0] : memref<?xi8>, vector<64xi8>
  %v = vector.load %w[%c0] : memref<?xi8>, vector<64xi8>
  %r = tk.dot4 %acc, %a, %v
  tk.store_codes %r, %scratch[%c0] : memref<?xi8>
  return
}

func.func @linear.tiles(%x: memref<?xi8>, %w: memref<?xi8>, %t: index,
                        %s: index, %f: index, %b: index, %e: index,
                        %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @linear, tk.variant = "tiles"} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0> : vector<16x16xi32>
  %a = tk.tile_load %x[%c0] {stride = 64 : i64}
      : memref<?xi8>, vector<16x64xi8>
  %v = tk.tile_load %w[%c0] {stride = 64 : i64}
      : memref<?xi8>, vector<16x64xi8>
  %r = tk.tile_dot %zero, %a, %v
  tk.tile_store %r, %scratch[%c0] {stride = 64 : i64} : memref<?xi8>
  return
}
