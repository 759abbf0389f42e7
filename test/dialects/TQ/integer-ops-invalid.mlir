// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x5xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects w to have size 4 in dimension 1, as x, got 5}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x5xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<7xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects correction to have size 8 in dimension 0, as w, got 7}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<7xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<7xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects multiplier to have size 8 in dimension 0, as w, got 7}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<7xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<1xf32>) {
  // expected-error @+1 {{expects offset to have size 8 in dimension 0, as w, got 1}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<1xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<i8:f32, 0.1>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects x to have unsigned codes of at most 16 bits, got '!quant.uniform<i8:f32, 1.000000e-01>'}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<i8:f32, 0.1>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4x!quant.uniform<u8:f32, 0.1>>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects w to have signed codes of at most 8 bits, got '!quant.uniform<u8:f32, 1.000000e-01>'}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4x!quant.uniform<u8:f32, 0.1>>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects code bounds within [0, 255], got 0 and 65535}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {hi = 65535 : i64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects code bounds in order and within [-32768, 65535], got 3 and 2}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {lo = 3 : i64, hi = 2 : i64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects post_multiplier 1 and post_offset 0 without an activation, got 2.000000e+00 and 0.000000e+00}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {post_multiplier = 2.0 : f32} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects different sites, got 'L0.q' twice}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {sites = ["L0.q", "L0.q"]} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects 8 channels for axis 1, got 3}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects a finite post_offset, got nan}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {activation = #tq.activation<relu>, post_offset = 0x7FC00000 : f32} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x11x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects qkv to have size 12 in dimension 1, as 3 * heads * head_dim, got 11}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x11x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects positive heads and head_dim, got 0 and 2}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 0 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as heads * head_dim, got 5}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<15xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects exp_hi to have size 16 in dimension 0, as d / 16, got 15}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<15xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<17xf32>) {
  // expected-error @+1 {{expects exp_lo to have size 16 in dimension 0, as d % 16, got 17}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<17xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects zk in [0, 255], got 256}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 256 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects a positive prob_multiplier, got 0.000000e+00}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 0.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects 3 sites or none, got 1}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, sites = ["L0.s"]} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u16:f32, 0.1>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects qkv to have codes of at most 8 bits, got '!quant.uniform<u16:f32, 1.000000e-01>'}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u16:f32, 0.1>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects b to have size 4 in dimension 1, as a, got 5}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<3xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects ma to have size 4 in dimension 0, as a, got 3}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<1xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects gamma to have size 4 in dimension 0, as a, got 1}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<1xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<5xf32>) {
  // expected-error @+1 {{expects beta to have size 4 in dimension 0, as a, got 5}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<5xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects a positive sum_scale, got -1.000000e+00}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = -1.0 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects sum bounds in order and within [-32768, 65535], got 0 and 65536}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64, sum_hi = 65536 : i64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects 2 sites or none, got 3}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64, sites = ["a", "b", "c"]} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects an eps of 0 or more, got nan}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 0x7FF8000000000000 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %ma: tensor<4xf32>, %mb: tensor<4xf32>, %mo: tensor<4xf32>, %g: tensor<4xf32>, %be: tensor<4xf32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as the operand, got 5}}
  %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x5xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects type to have size 4 in dimension 1, as word, got 5}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x5xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<9xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects word_scales to have size 10 in dimension 0, as word, got 9}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<9xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<2xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects position_scales to have size 16 in dimension 0, as position, got 2}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<2xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<3xi32>, %t: tensor<2xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects types to have size 3 in dimension 0, as ids, got 2}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64} : (tensor<3xi32>, tensor<2xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<3x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects a positive e1_scale, got 0.000000e+00}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.0 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects e2 bounds in order and within [-32768, 65535], got 1 and 0}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64, e2_lo = 1 : i64, e2_hi = 0 : i64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects 3 sites or none, got 2}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64, sites = ["a", "b"]} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as word, got 6}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x6x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects cls to keep the type '!quant.uniform<u8:f32, 1.000000e-01:128>', got 'f32'}}
  %0 = tq.qpool %x, %o {kind = #tq.pool_kind<cls>} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects mean to give f32, got '!quant.uniform<u8:f32, 1.000000e-01:128>'}}
  %0 = tq.qpool %x, %o {kind = #tq.pool_kind<mean>} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>, %o: tensor<?xi32>) {
  // expected-error @+1 {{expects mean of a per-tensor !quant.uniform or !tq.offset type, got}}
  %0 = tq.qpool %x, %o {kind = #tq.pool_kind<mean>} : (tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>, tensor<?xi32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @bits(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects weight_bits in [2, 8], got 9}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {weight_bits = 9 : i64} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects prob_hi in [1, 255], got 256}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_hi = 256 : i64} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!tq.dynamic<u8, tensor>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects x with ranges at run time to have those of tokens, in unsigned codes of 2 to 8 bits, got '!tq.dynamic<u8, tensor>'}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!tq.dynamic<u8, tensor>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4x!tq.dynamic<u8, token>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects a result in f32 or of fixed ranges, got '!tq.dynamic<u8, token>'}}
  %0 = tq.qlinear %x, %w, %c, %m, %o : (tensor<?x4x!tq.dynamic<u8, token>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!tq.dynamic<u8, token>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!tq.dynamic<u8, token>>, %b: tensor<?x4xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{expects a in f32 or of fixed ranges, got '!tq.dynamic<u8, token>'}}
  %0 = tq.qadd_norm %a, %b, %v, %v, %v, %v, %v {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64} : (tensor<?x4x!tq.dynamic<u8, token>>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects prob_type and prob_step together}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects prob_type and prob_step together}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_type = !tq.log<u4, two, scale = 1.0, zero = 16>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects prob_type to be a !tq.log of 3 to 8 bits with the zero 2^bits, got '!tq.log<u2, two, scale = 1.000000e+00, zero = 4>'}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = !tq.log<u2, two, scale = 1.0, zero = 4>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects prob_type to be a !tq.log of 3 to 8 bits with the zero 2^bits, got '!tq.log<u4, sqrt2, scale = 1.000000e+00, zero = 15>'}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = !tq.log<u4, sqrt2, scale = 1.0, zero = 15>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects prob_type to be a !tq.log of 3 to 8 bits with the zero 2^bits, got 'i8'}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = i8} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects a positive prob_step, got 0.000000e+00}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.0 : f32, prob_type = !tq.log<u4, sqrt2, scale = 1.0, zero = 16>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects fixed with activation i_gelu, which has no form in f32}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {activation = #tq.activation<i_gelu>} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects a result in codes with fixed, got f32}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {fixed} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u16:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<16xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>) {
  // expected-error @+1 {{expects x of at most 8 bits and of one scale with fixed, got '!quant.uniform<u16:f32, 1.000000e-01:128>'}}
  %0 = tq.qlinear %x, %w, %c, %m, %o {fixed} : (tensor<?x4x!quant.uniform<u16:f32, 0.1:128>>, tensor<8x4xi8>, tensor<16xi32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %b: tensor<?x4xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{expects a and b in codes with fixed, got '!quant.uniform<u8:f32, 1.000000e-01:128>' and 'f32'}}
  %0 = tq.qadd_norm %a, %b, %v, %v, %v, %v, %v {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64, fixed} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// -----

func.func @f(%a: tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, %v: tensor<2xf32>) {
  // expected-error @+1 {{expects no order with fixed}}
  %0 = tq.qadd_norm %a, %a, %v, %v, %v, %v, %v {sum_scale = 0.1 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : f64, order = array<i64: 1, 0>, fixed} : (tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %offsets: tensor<?xi32>, %e: tensor<16xf32>) {
  // expected-error @+1 {{expects fixed with softmax shiftmax, which has no form in f32}}
  %0 = tq.qattention %qkv, %offsets, %e, %e {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 1 : i64, zv = 1 : i64, score_multiplier = 0.25 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.01 : f32, context_offset = 128.0 : f32, softmax = #tq.softmax_form<shiftmax>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>, %z: tensor<7xi32>) {
  // expected-error @+1 {{expects w_zeros to have size 8 in dimension 0, as w, got 7}}
  %0 = tq.qlinear %x, %w, %c, %m, %o, %z : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>, tensor<7xi32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u16:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<16xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>, %z: tensor<8xi32>) {
  // expected-error @+1 {{expects x of one scale and of at most 8 bits beside w_zeros}}
  %0 = tq.qlinear %x, %w, %c, %m, %o, %z : (tensor<?x4x!quant.uniform<u16:f32, 0.1:128>>, tensor<8x4xi8>, tensor<16xi32>, tensor<8xf32>, tensor<8xf32>, tensor<8xi32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %w: tensor<8x4xi8>, %c: tensor<8xi32>, %m: tensor<8xf32>, %o: tensor<8xf32>, %z: tensor<8xi32>) {
  // expected-error @+1 {{expects no w_zeros with fixed}}
  %0 = tq.qlinear %x, %w, %c, %m, %o, %z {fixed} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>, tensor<8xi32>, tensor<8xf32>, tensor<8xf32>, tensor<8xi32>) -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u16:f32, 0.1:128>>) {
  // expected-error @+1 {{expects x in unsigned codes of at most 8 bits of one scale, got '!quant.uniform<u16:f32, 1.000000e-01:128>'}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u16:f32, 0.1:128>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<i8:f32, 0.1>>) {
  // expected-error @+1 {{expects x in unsigned codes of at most 8 bits of one scale, got '!quant.uniform<i8:f32, 1.000000e-01>'}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<i8:f32, 0.1>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects the result in unsigned codes of at most 8 bits of one scale, got '!tq.dynamic<u8, token>'}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x8x!tq.dynamic<u8, token>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects zero in [0, 255], got 256}}
  %0 = tq.qshift_gelu %x {zero = 256 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects unit in [-32768, -1], got 0}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = 0 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects unit in [-32768, -1], got -32769}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -32769 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects code bounds within [0, 255], got 0 and 256}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32, hi = 256 : i64} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects a positive post_multiplier, got 0.000000e+00}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.0 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{the result to have size 8 in dimension 1}}
  %0 = tq.qshift_gelu %x {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32, post_offset = 2.0 : f32} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x7x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, %v: tensor<2xf32>) {
  // expected-error @+1 {{expects with fixed a sum_type of one zero point and of scales that are 1, 2, 4 or 8 times the least one, got '!tq.group}}
  %0 = tq.qadd_norm %a, %a, %v, %v, %v, %v, %v {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64, sum_type = !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:3, 1.5:3]>, fixed} : (tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// -----

func.func @f(%a: tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, %v: tensor<2xf32>) {
  // expected-error @+1 {{expects with fixed a sum_type of one zero point and of scales that are 1, 2, 4 or 8 times the least one, got '!tq.group}}
  %0 = tq.qadd_norm %a, %a, %v, %v, %v, %v, %v {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64, sum_type = !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:3, 1.0:4]>, fixed} : (tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// -----

func.func @f(%a: tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, %v: tensor<2xf32>) {
  // expected-error @+1 {{expects with fixed a sum_type of one zero point and of scales that are 1, 2, 4 or 8 times the least one, got '!tq.group}}
  %0 = tq.qadd_norm %a, %a, %v, %v, %v, %v, %v {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64, sum_type = !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:3, 8.0:3]>, fixed} : (tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x2x!quant.uniform<u8:f32, 0.1:128>>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x!quant.uniform<u8:f32, 0.05:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects with fixed a prob_type of base two and of 3 or 4 bits, and softmax table or i_exp, got '!tq.log<u4, sqrt2, scale = 1.000000e+00, zero = 16>' and table}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = !tq.log<u4, sqrt2, scale = 1.0, zero = 16>, fixed, softmax = #tq.softmax_form<table>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects with fixed a prob_type of base two and of 3 or 4 bits, and softmax table or i_exp, got '!tq.log<u5, two, scale = 1.000000e+00, zero = 32>' and table}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = !tq.log<u5, two, scale = 1.0, zero = 32>, fixed, softmax = #tq.softmax_form<table>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects with fixed a prob_type of base two and of 3 or 4 bits, and softmax table or i_exp, got '!tq.log<u4, two, scale = 1.000000e+00, zero = 16>' and shiftmax}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = !tq.log<u4, two, scale = 1.0, zero = 16>, fixed, softmax = #tq.softmax_form<shiftmax>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects a prob_type of scale 1 with softmax i_exp, got '!tq.log<u4, two, scale = 5.000000e-01, zero = 16>'}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, prob_step = 0.5 : f32, prob_type = !tq.log<u4, two, scale = 0.5, zero = 16>, fixed, softmax = #tq.softmax_form<i_exp>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%kv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>, %q: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects qkv to have size 8 in dimension 1, as 2 * heads * head_dim, got 12}}
  %0 = tq.qattention %kv, %o, %h, %l, %q {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%kv: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>, %q: tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects q to have size 4 in dimension 1, as heads * head_dim, got 5}}
  %0 = tq.qattention %kv, %o, %h, %l, %q {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>, tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%kv: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>, %q: tensor<3x4x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects the result to have size 3 in dimension 0, as q, got 2}}
  %0 = tq.qattention %kv, %o, %h, %l, %q {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>, tensor<3x4x!quant.uniform<u8:f32, 0.1:128>>) -> tensor<2x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%kv: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>, %q: tensor<?x4x!quant.uniform<u16:f32, 0.1:128>>) {
  // expected-error @+1 {{expects q to have codes of at most 8 bits, got}}
  %0 = tq.qattention %kv, %o, %h, %l, %q {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32} : (tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>, tensor<?x4x!quant.uniform<u16:f32, 0.1:128>>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %r: tensor<?x4xf32>, %m: tensor<4xf32>) {
  // expected-error @+1 {{expects a and b in codes with fixed, got '!quant.uniform<u8:f32, 1.000000e-01:128>' and 'f32'}}
  %0 = tq.qadd %a, %r, %m, %m, %m {fixed} : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %m: tensor<4xf32>) {
  // expected-error @+1 {{expects a result in codes of one scale, or of groups of columns, got '!tq.offset<}}
  %0 = tq.qadd %a, %a, %m, %m, %m : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!tq.offset<u8, scale = 0.1, offset = -0.5>>
  return
}

// -----

func.func @f(%a: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, %m: tensor<4xf32>, %n: tensor<3xf32>) {
  // expected-error @+1 {{expects mb to have size 4 in dimension 0, as a, got 3}}
  %0 = tq.qadd %a, %a, %m, %n, %m : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>, tensor<3xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u16:f32, 0.1:128>>) {
  // expected-error @+1 {{expects unsigned codes of at most 8 bits, got}}
  %0 = tq.qlimit %x {hi = array<i64: 255>} : tensor<?x8x!quant.uniform<u16:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects parts of equal width, got 8 columns and 3 parts}}
  %0 = tq.qlimit %x {hi = array<i64: 255, 15, 3>} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects parts of equal width, got 8 columns and 0 parts}}
  %0 = tq.qlimit %x {hi = array<i64>} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects hi within [0, 255], got 256}}
  %0 = tq.qlimit %x {hi = array<i64: 255, 256>} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects each site to have as many parts, got 2 parts and 3 sites}}
  %0 = tq.qlimit %x {hi = array<i64: 255, 15>, sites = ["L0.q", "L0.k", "L0.v"]} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects a lo for each of 2 parts, got 1}}
  %0 = tq.qlimit %x {hi = array<i64: 255, 15>, lo = array<i64: 0>} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects lo within [0, 15], got 16}}
  %0 = tq.qlimit %x {hi = array<i64: 255, 15>, lo = array<i64: 0, 16>} : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects 6 constants for each of 2 heads, got 6}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, per_head = array<f32: 0.5, 255.0, 255.0, 0.1, 0.0, 255.0>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects no per_head with fixed or prob_type}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, fixed, per_head = array<f32: 0.5, 255.0, 255.0, 0.1, 0.0, 255.0, 0.5, 255.0, 255.0, 0.1, 0.0, 255.0>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects a positive factors of per_head, got -5.000000e-01}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, per_head = array<f32: 0.5, 255.0, 255.0, 0.1, 0.0, 255.0, -0.5, 255.0, 255.0, 0.1, 0.0, 255.0>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects the probabilities of a head to end in [1, 255], got 2.560000e+02}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, per_head = array<f32: 0.5, 255.0, 255.0, 0.1, 0.0, 255.0, 0.5, 255.0, 256.0, 0.1, 0.0, 255.0>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%qkv: tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) {
  // expected-error @+1 {{expects the codes of a head's context within [0, 255], got 1.200000e+02 to 7.000000e+00}}
  %0 = tq.qattention %qkv, %o, %h, %l {heads = 2 : i64, head_dim = 2 : i64, zq = 1 : i64, zk = 2 : i64, zv = 3 : i64, score_multiplier = 0.5 : f32, score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.1 : f32, context_offset = 128.0 : f32, per_head = array<f32: 0.5, 255.0, 255.0, 0.1, 0.0, 255.0, 0.5, 255.0, 255.0, 0.1, 120.0, 7.0>} : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects an e2_type of at most 8 unsigned bits, of the zero point 128 and of scales that are 1, 2, 4 or 8 times the least one, got}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, e2_type = !tq.group<u8, axis = 1, map = [0, 0, 1, 1], params = [0.1:128, 0.3:128]>, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects 4 channels in e2_type, got 2}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, e2_type = !tq.group<u8, axis = 1, map = [0, 1], params = [0.1:128, 0.05:128]>, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, %sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects e2_scale to be the greatest of e2_type, 2.000000e-01, got 1.000000e-01}}
  %0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32, e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32, e2_type = !tq.group<u8, axis = 1, map = [0, 0, 1, 1], params = [0.1:128, 0.2:128]>, eps = 1.0e-12 : f64} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}
