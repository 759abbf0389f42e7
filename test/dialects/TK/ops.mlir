// RUN: quern-opt %s | quern-opt | FileCheck %s

// CHECK-LABEL: func.func @micro_ops
func.func @micro_ops(%acc: vector<16xi32>, %a: vector<64xi8>, %b: vector<64xi8>,
                     %v: vector<16xf32>, %m: memref<?xi8>, %h: memref<?xi16>,
                     %i: index) {
  // CHECK: tk.dot4 %{{.+}}, %{{.+}}, %{{.+}}
  %0 = tk.dot4 %acc, %a, %b
  // CHECK: tk.broadcast4 %{{.+}}[%{{.+}}] : memref<?xi8>
  %1 = tk.broadcast4 %m[%i] : memref<?xi8>
  // CHECK: tk.lut256 %{{.+}}, %{{.+}}[%{{.+}}] : memref<?xi8>
  %2 = tk.lut256 %a, %m[%i] : memref<?xi8>
  // CHECK: tk.lut16 %{{.+}}, %{{.+}}
  %3 = tk.lut16 %acc, %v
  // CHECK: tk.round %{{.+}} {hi = 2.550000e+02 : f32, lo = 0.000000e+00 : f32}
  %4 = tk.round %v {lo = 0.0 : f32, hi = 255.0 : f32}
  // CHECK: tk.requant %{{.+}}, %{{.+}}, %{{.+}} {
  %5 = tk.requant %acc, %v, %v {lo = 0.0 : f32, hi = 65535.0 : f32}
  // CHECK: tk.gelu %
  %6 = tk.gelu %v
  // CHECK: tk.gelu_tanh %
  %7 = tk.gelu_tanh %6
  // CHECK: tk.tanh %
  %8 = tk.tanh %7
  // CHECK: tk.exp %
  %9 = tk.exp %8
  // CHECK: tk.max %{{.+}}, %
  %10 = tk.max %9, %v
  // CHECK: tk.min %{{.+}}, %
  %11 = tk.min %10, %v
  // CHECK: tk.load_codes %{{.+}}[%{{.+}}] : memref<?xi8>
  %12 = tk.load_codes %m[%i] : memref<?xi8>
  // CHECK: tk.load_codes signed %{{.+}}[%{{.+}}] : memref<?xi16>
  %13 = tk.load_codes signed %h[%i] : memref<?xi16>
  // CHECK: tk.store_codes %{{.+}}, %{{.+}}[%{{.+}}] : memref<?xi16>
  tk.store_codes %12, %h[%i] : memref<?xi16>
  // CHECK: tk.unpack %{{.+}} {bits = 4 : i64, part = 1 : i64}
  %14 = tk.unpack %a {bits = 4 : i64, part = 1 : i64}
  return
}

// CHECK-LABEL: func.func @tile
func.func @tile(%acc: vector<16x16xi32>, %a: vector<16x64xi8>,
                %b: vector<16x64xi8>, %m: memref<?xi8>, %i: index)
    -> vector<16x16xi32> {
  // CHECK: tk.tile_load %{{.+}}[%{{.+}}] {streamed, stride = 768 : i64} : memref<?xi8>, vector<16x64xi8>
  %x = tk.tile_load %m[%i] {stride = 768 : i64, streamed}
      : memref<?xi8>, vector<16x64xi8>
  // CHECK: tk.tile_load %{{.+}}[%{{.+}}] {stride = 0 : i64} : memref<?xi8>, vector<16x16xi32>
  %s = tk.tile_load %m[%i] {stride = 0 : i64}
      : memref<?xi8>, vector<16x16xi32>
  // CHECK: tk.tile_store %{{.+}}, %{{.+}}[%{{.+}}] {stride = 64 : i64} : memref<?xi8>
  tk.tile_store %s, %m[%i] {stride = 64 : i64} : memref<?xi8>
  // CHECK: tk.tile_dot %{{.+}}, %{{.+}}, %{{.+}}
  %0 = tk.tile_dot %acc, %a, %b
  return %0 : vector<16x16xi32>
}

// CHECK: tk.buffer @ids kind(input) unit(tokens) bytes(4) : i32
tk.buffer @ids kind(input) unit(tokens) bytes(4) : i32
// CHECK: tk.buffer @x kind(tokens) bytes(768) : i8
tk.buffer @x kind(tokens) bytes(768) : i8
// CHECK: tk.data @table = dense<{{.+}}> : tensor<3xi8>
tk.data @table = dense<[1, 2, 3]> : tensor<3xi8>

func.func @gather(%ids: memref<?xi32>, %table: memref<?xi8>, %y: memref<?xi8>,
                  %tokens: index, %sequences: index, %flags: index,
                  %begin: index, %end: index, %scratch: memref<?xi8>)
    attributes {tk.kernel} {
  return
}

// CHECK: tk.program @forward {
// CHECK-NEXT: tk.launch @gather [@ids, @table, @x]
// CHECK-SAME: chunks(base = tokens, divide = 128, multiply = 1) {op = "embed"}
tk.program @forward {
  tk.launch @gather [@ids, @table, @x]
    chunks(base = tokens, divide = 128, multiply = 1) {op = "embed"}
}
