// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @order(%v: vector<16xf32>) {
  // expected-error @+1 {{expects lo <= hi, got 2.550000e+02 and 0.000000e+00}}
  %0 = tk.round %v {lo = 255.0 : f32, hi = 0.0 : f32}
  return
}

// -----

func.func @fraction(%v: vector<16xf32>) {
  // expected-error @+1 {{expects integral limits, got 5.000000e-01 and 1.000000e+00}}
  %0 = tk.round %v {lo = 0.5 : f32, hi = 1.0 : f32}
  return
}

// -----

func.func @wide(%acc: vector<16xi32>, %v: vector<16xf32>) {
  // expected-error @+1 {{expects limits within [-2^22, 2^22] or [0, 2^23], got -1.000000e+00 and 8.000000e+06}}
  %0 = tk.requant %acc, %v, %v {lo = -1.0 : f32, hi = 8.0e6 : f32}
  return
}

// -----

func.func @lanes(%acc: vector<8xi32>, %a: vector<64xi8>) {
  // expected-error @+1 {{operand #0 must be vector<16xI32> of 32-bit signless integer values}}
  %0 = "tk.dot4"(%acc, %a, %a) : (vector<8xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  return
}

// -----

// expected-error @+1 {{expects at least 6 arguments and no result, got 1 and 0}}
func.func @kernel(%x: memref<?xi8>) attributes {tk.kernel} {
  return
}

// -----

// expected-error @+1 {{expects kernel argument 0 to be memref<?xT> with T = i8, i16, i32 or f32, got 'memref<4xi8>'}}
func.func @kernel(%x: memref<4xi8>, %t: index, %s: index, %f: index, %b: index,
                  %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}

// -----

// expected-error @+1 {{expects kernel argument 1 to be index, got 'i64'}}
func.func @kernel(%x: memref<?xi8>, %t: i64, %s: index, %f: index, %b: index,
                  %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}

// -----

// expected-error @+1 {{expects the scratch argument to be memref<?xi8>, got 'memref<?xf32>'}}
func.func @kernel(%t: index, %s: index, %f: index, %b: index, %e: index,
                  %scratch: memref<?xf32>) attributes {tk.kernel} {
  return
}

// -----

// expected-error @+1 {{has unknown attribute 'tk.unknown'}}
func.func @kernel() attributes {tk.unknown} {
  return
}

// -----

// expected-error @+1 {{expects a unit for kind input}}
tk.buffer @x kind(input) bytes(4) : i32

// -----

// expected-error @+1 {{expects a unit only for kind input or output, got kind tokens}}
tk.buffer @x kind(tokens) unit(tokens) bytes(4) : i32

// -----

// expected-error @+1 {{expects bytes to be a multiple of 4, got 6}}
tk.buffer @x kind(tokens) bytes(6) : f32

// -----

// expected-error @+1 {{expects element type i8, i16, i32 or f32, got 'f64'}}
tk.data @x = dense<1.0> : tensor<2xf64>

// -----

tk.program @p {
  // expected-error @+1 {{cannot be in a 'tk.program', which holds launches only}}
  %0 = arith.constant 1 : i32
}

// -----

tk.program @p {
  // expected-error @+1 {{expects @none to be a kernel}}
  tk.launch @none [] chunks(base = one, divide = 1, multiply = 1)
}

// -----

func.func @k(%x: memref<?xi8>, %t: index, %s: index, %f: index, %b: index,
             %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}
tk.program @p {
  // expected-error @+1 {{expects 1 buffers for @k, got 0}}
  tk.launch @k [] chunks(base = one, divide = 1, multiply = 1)
}

// -----

func.func @k(%x: memref<?xi8>, %t: index, %s: index, %f: index, %b: index,
             %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}
tk.data @w = dense<1.0> : tensor<2xf32>
tk.program @p {
  // expected-error @+1 {{expects @w to hold 'i8', got 'f32'}}
  tk.launch @k [@w] chunks(base = one, divide = 1, multiply = 1)
}

// -----

func.func @k(%x: memref<?xi8>, %t: index, %s: index, %f: index, %b: index,
             %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}
tk.program @p {
  // expected-error @+1 {{expects @missing to be a tk.buffer or tk.data}}
  tk.launch @k [@missing] chunks(base = one, divide = 1, multiply = 1)
}

// -----

func.func @bits(%a: vector<64xi8>) {
  // expected-error @+1 {{expects bits to be 2 or 4, got 3}}
  %0 = tk.unpack %a {bits = 3 : i64, part = 0 : i64}
  return
}

// -----

func.func @part(%a: vector<64xi8>) {
  // expected-error @+1 {{expects part in [0, 4), got 4}}
  %0 = tk.unpack %a {bits = 2 : i64, part = 4 : i64}
  return
}

// -----

func.func @product_bits(%x: memref<?xi8>, %i: index) {
  // expected-error @+1 {{expects bits to be 8, 4 or 2, got 3}}
  tk.product %x[%i], %x[%i], %x[%i] rows(%i)
      {x_stride = 64 : i64, turns = 16 : i64, panels = 1 : i64,
       panel_bytes = 1024 : i64, bits = 3 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}

// -----

func.func @product_turns(%x: memref<?xi8>, %i: index) {
  // expected-error @+1 {{expects turns to be a multiple of 16, got 17}}
  tk.product %x[%i], %x[%i], %x[%i] rows(%i)
      {x_stride = 68 : i64, turns = 17 : i64, panels = 1 : i64,
       panel_bytes = 2048 : i64, bits = 8 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}

// -----

func.func @product_panels(%x: memref<?xi8>, %i: index) {
  // expected-error @+1 {{expects at least one panel, got 0}}
  tk.product %x[%i], %x[%i], %x[%i] rows(%i)
      {x_stride = 64 : i64, turns = 16 : i64, panels = 0 : i64,
       panel_bytes = 1024 : i64, bits = 8 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}

// -----

func.func @product_stride(%x: memref<?xi8>, %i: index) {
  // expected-error @+1 {{expects x_stride to be even and at least 64, got 62}}
  tk.product %x[%i], %x[%i], %x[%i] rows(%i)
      {x_stride = 62 : i64, turns = 16 : i64, panels = 1 : i64,
       panel_bytes = 1024 : i64, bits = 8 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}

// -----

func.func @product_panel_bytes(%x: memref<?xi8>, %i: index) {
  // expected-error @+1 {{expects panel_bytes of at least 1024, got 512}}
  tk.product %x[%i], %x[%i], %x[%i] rows(%i)
      {x_stride = 64 : i64, turns = 16 : i64, panels = 1 : i64,
       panel_bytes = 512 : i64, bits = 8 : i64}
      : memref<?xi8>, memref<?xi8>, memref<?xi8>
  return
}

// -----

// expected-error @+1 {{expects @missing to be a kernel with the same arguments}}
func.func @variant(%t: index, %s: index, %f: index, %b: index, %e: index,
                   %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @missing, tk.variant = "tiles"} {
  return
}

// -----

func.func @kernel(%x: memref<?xi8>, %t: index, %s: index, %f: index, %b: index,
                  %e: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}
// expected-error @+1 {{expects @kernel to be a kernel with the same arguments}}
func.func @variant(%t: index, %s: index, %f: index, %b: index, %e: index,
                   %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @kernel, tk.variant = "tiles"} {
  return
}

// -----

// expected-error @+1 {{expects 'tk.variant_of' to be a symbol, on a kernel}}
func.func @variant() attributes {tk.variant_of = @kernel} {
  return
}

// -----

func.func @kernel(%t: index, %s: index, %f: index, %b: index, %e: index,
                  %scratch: memref<?xi8>) attributes {tk.kernel} {
  return
}
// expected-error @+1 {{expects 'tk.variant' of a variant to be "library", "small" or "tiles", got "magic"}}
func.func @variant(%t: index, %s: index, %f: index, %b: index, %e: index,
                   %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant_of = @kernel, tk.variant = "magic"} {
  return
}

// -----

// expected-error @+1 {{expects 'tk.variant' beside 'tk.variant_of'}}
func.func @kernel(%t: index, %s: index, %f: index, %b: index, %e: index,
                  %scratch: memref<?xi8>)
    attributes {tk.kernel, tk.variant = "tiles"} {
  return
}

// -----

func.func @backward(%m: memref<?xi8>, %i: index) {
  // expected-error @+1 {{expects a stride of 0 or more, got -64}}
  %0 = tk.tile_load %m[%i] {stride = -64 : i64}
      : memref<?xi8>, vector<16x64xi8>
  return
}

// -----

func.func @overlap(%m: memref<?xi8>, %i: index, %v: vector<16x16xi32>) {
  // expected-error @+1 {{expects a stride of 64 or more, got 32}}
  tk.tile_store %v, %m[%i] {stride = 32 : i64} : memref<?xi8>
  return
}

// -----

func.func @bytes(%m: memref<?xi16>, %i: index) {
  // expected-error @+1 {{operand #0 must be 1D memref of 8-bit signless integer values}}
  %0 = tk.tile_load %m[%i] {stride = 64 : i64}
      : memref<?xi16>, vector<16x64xi8>
  return
}
