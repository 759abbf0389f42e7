// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @f() {
  // expected-error @+1 {{expects codes in i8 or i8, got 'i16'}}
  %0 = tq.constant dense<1> : tensor<2xi16> -> tensor<2x!quant.uniform<i8:f32, 0.5>>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expects the value and the result to have one shape, got 'tensor<2xi8>' and 'tensor<3x!quant.uniform<i8:f32, 5.000000e-01>>'}}
  %0 = tq.constant dense<1> : tensor<2xi8> -> tensor<3x!quant.uniform<i8:f32, 0.5>>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expects codes in [-8, 7], got 9}}
  %0 = tq.constant dense<9> : tensor<2xi8> -> tensor<2x!quant.uniform<i4:f32, 0.5>>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expects 4 channels for axis 1, got 3}}
  %0 = tq.constant dense<1> : tensor<2x4xi8> -> tensor<2x4x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as the operand, got 5}}
  %0 = tq.quantize %x : tensor<?x4xf32> -> tensor<?x5x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{expects a result of rank 2, as the operand, got 1}}
  %0 = tq.quantize %x : tensor<?x4xf32> -> tensor<?x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{result #0 must be ranked tensor of quantized type values, but got 'tensor<?x4xf32>'}}
  %0 = tq.quantize %x : tensor<?x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{expects 4 channels for axis 1, got 3}}
  %0 = tq.quantize %x : tensor<?x4xf32> -> tensor<?x4x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{to be below the rank 1, got 1}}
  %0 = tq.quantize %x : tensor<4xf32> -> tensor<4x!tq.group<u8, axis = 1, map = [0 x 4], params = [0.5]>>
  return
}

// -----

func.func @f(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{expects 4 channels for axis 1, got 2}}
  %0 = tq.quantize %x : tensor<3x4xf32> -> tensor<3x4x!quant.uniform<u8:f32:1, {0.5, 0.25}>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as the operand, got 5}}
  %0 = tq.dequantize %x : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>) {
  // expected-error @+1 {{expects 4 channels for axis 1, got 3}}
  %0 = tq.dequantize %x : tensor<?x4x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>> -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>>) {
  // expected-error @+1 {{expects per-tensor !quant.uniform types, got '!tq.group<u8, axis = 1, map = [0 x 3], params = [5.000000e-01]>'}}
  %0 = tq.requantize %x {multiplier = 1.0 : f32, offset = 0.0 : f32} : tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 3], params = [0.5]>> -> tensor<?x3x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects a finite multiplier, got nan}}
  %0 = tq.requantize %x {multiplier = 0x7FC00000 : f32, offset = 0.0 : f32} : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
  return
}

// -----

func.func @f(%x: tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>) {
  // expected-error @+1 {{expects codes of at most 16 bits, got '!quant.uniform<u17:f32, 1.000000e-01>'}}
  %0 = tq.requantize %x {multiplier = 1.0 : f32, offset = 0.0 : f32} : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x4x!quant.uniform<u17:f32, 0.1>>
  return
}

// -----

func.func @f(%c: tensor<8x4xi8>, %s: tensor<7xf32>) {
  // expected-error @+1 {{expects scales to have size 8 in dimension 0, as codes, got 7}}
  %0 = tq.dequantize_weight %c, %s : (tensor<8x4xi8>, tensor<7xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @f(%c: tensor<8x4xi8>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expects codes of 2 to 8 bits, got 9}}
  %0 = tq.dequantize_weight %c, %s {bits = 9 : i64} : (tensor<8x4xi8>, tensor<8xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @f(%c: tensor<8x4x2xi8>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expects codes of rank 1 or 2, got 3}}
  %0 = tq.dequantize_weight %c, %s : (tensor<8x4x2xi8>, tensor<8xf32>) -> tensor<8x4x2xf32>
  return
}

// -----

func.func @f(%c: tensor<8x4xi8>, %s: tensor<1xf32>) {
  // expected-error @+1 {{expects the result to have size 4 in dimension 1, as the operand, got 5}}
  %0 = tq.dequantize_weight %c, %s : (tensor<8x4xi8>, tensor<1xf32>) -> tensor<8x5xf32>
  return
}

// -----

func.func @f(%c: tensor<8x4xi8>, %s: tensor<8xf32>, %z: tensor<7xi32>) {
  // expected-error @+1 {{expects zeros to have size 8 in dimension 0, as codes, got 7}}
  %0 = tq.dequantize_weight %c, %s, %z : (tensor<8x4xi8>, tensor<8xf32>, tensor<7xi32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @f(%c: tensor<8xi8>, %s: tensor<1xf32>, %z: tensor<8xi32>) {
  // expected-error @+1 {{expects codes of rank 2 beside zeros, got 1}}
  %0 = tq.dequantize_weight %c, %s, %z : (tensor<8xi8>, tensor<1xf32>, tensor<8xi32>) -> tensor<8xf32>
  return
}
