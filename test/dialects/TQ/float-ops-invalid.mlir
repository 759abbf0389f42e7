// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @f(%t: tensor<10x4xf32>, %i: tensor<?xi32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as table, got 5}}
  %0 = tq.embedding %t, %i : (tensor<10x4xf32>, tensor<?xi32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%t: tensor<10x4xf32>, %i: tensor<3xi32>) {
  // expected-error @+1 {{expects the result to have size 3 in dimension 0, as index, got 2}}
  %0 = tq.embedding %t, %i : (tensor<10x4xf32>, tensor<3xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%t: tensor<10x4xf32>, %i: tensor<3xi64>) {
  // expected-error @+1 {{operand #1 must be 1D tensor of 32-bit signless integer values, but got 'tensor<3xi64>'}}
  %0 = tq.embedding %t, %i : (tensor<10x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  return
}

// -----

func.func @f(%a: tensor<?x4xf32>, %b: tensor<?x4xf32>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %0 = "tq.add"(%a, %b) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %g: tensor<5xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects gamma to have size 4 in dimension 0, as x, got 5}}
  %0 = tq.layer_norm %x, %g, %b {eps = 1.0e-12 : f64} : (tensor<?x4xf32>, tensor<5xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %g: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error @+1 {{expects beta to have size 4 in dimension 0, as x, got 3}}
  %0 = tq.layer_norm %x, %g, %b {eps = 1.0e-12 : f64} : (tensor<?x4xf32>, tensor<4xf32>, tensor<3xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects an eps of 0 or more, got -1.000000e+00}}
  %0 = tq.layer_norm %x, %g, %b {eps = -1.0 : f64} : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %w: tensor<8x5xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects w to have size 4 in dimension 1, as x, got 5}}
  %0 = tq.linear %x, %w, %b : (tensor<?x4xf32>, tensor<8x5xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %b: tensor<7xf32>) {
  // expected-error @+1 {{expects b to have size 8 in dimension 0, as w, got 7}}
  %0 = tq.linear %x, %w, %b : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<7xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects the result to have size 8 in dimension 1, as w, got 9}}
  %0 = tq.linear %x, %w, %b : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<?x9xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %0 = "tq.gelu"(%x) : (tensor<?x4xf32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %0 = "tq.relu"(%x) : (tensor<?x4xf32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %0 = "tq.tanh"(%x) : (tensor<?x4xf32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects the width to be a multiple of 3 heads, got 4}}
  %0 = tq.scores %q, %k, %o {heads = 3 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<3x?xf32>
  return
}

// -----

func.func @f(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects at least 1 head, got 0}}
  %0 = tq.scores %q, %k, %o {heads = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<3x?xf32>
  return
}

// -----

func.func @f(%q: tensor<?x4xf32>, %k: tensor<?x6xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects k to have size 4 in dimension 1, as q, got 6}}
  %0 = tq.scores %q, %k, %o {heads = 2 : i64} : (tensor<?x4xf32>, tensor<?x6xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  return
}

// -----

func.func @f(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %o: tensor<0xi32>) {
  // expected-error @+1 {{expects offsets to have at least 1 entry, got 0}}
  %0 = tq.scores %q, %k, %o {heads = 2 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<0xi32>) -> tensor<2x?xf32>
  return
}

// -----

func.func @f(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects the result to have size 2 in dimension 0, as heads, got 3}}
  %0 = tq.scores %q, %k, %o {heads = 2 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<3x?xf32>
  return
}

// -----

func.func @f(%s: tensor<2x?xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects a finite scale, got INF}}
  %0 = tq.softmax %s, %o {scale = 0x7F800000 : f32} : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
  return
}

// -----

func.func @f(%s: tensor<2x?xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects the result to have size 2 in dimension 0, as the operand, got 3}}
  %0 = tq.softmax %s, %o {scale = 1.0 : f32} : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<3x?xf32>
  return
}

// -----

func.func @f(%p: tensor<3x?xf32>, %v: tensor<?x4xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects p to have size 2 in dimension 0, as heads, got 3}}
  %0 = tq.context %p, %v, %o {heads = 2 : i64} : (tensor<3x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%p: tensor<3x?xf32>, %v: tensor<?x4xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects the width to be a multiple of 3 heads, got 4}}
  %0 = tq.context %p, %v, %o {heads = 3 : i64} : (tensor<3x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as x, got 5}}
  %0 = tq.pool %x, %o {kind = #tq.pool_kind<cls>} : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects rows of a matrix, got 'tensor<4xf32>'}}
  %0 = tq.normalize %x : tensor<4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{expects an eps of 0 or more, got -1.000000e+00}}
  %0 = tq.normalize %x {eps = -1.0 : f64} : tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{expects a site, got an empty name}}
  %0 = tq.observe %x {key = "x", site = ""} : tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{expects a layer of -1 or more, got -2}}
  %0 = tq.observe %x {key = "x", layer = -2 : i64, site = "L0.x"} : tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{requires attribute 'key'}}
  %0 = tq.observe %x {site = "L0.x"} : tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %s: tensor<3xf32>, %t: tensor<4xf32>) {
  // expected-error @+1 {{expects scale to have size 4 in dimension 0, as x, got 3}}
  %0 = tq.scale_shift %x, %s, %t : (tensor<?x4xf32>, tensor<3xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %s: tensor<4xf32>, %t: tensor<5xf32>) {
  // expected-error @+1 {{expects shift to have size 4 in dimension 0, as x, got 5}}
  %0 = tq.scale_shift %x, %s, %t : (tensor<?x4xf32>, tensor<4xf32>, tensor<5xf32>) -> tensor<?x4xf32>
  return
}
