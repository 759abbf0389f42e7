// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @short(%x: tensor<?x3xf32>) {
  // expected-error @+1 {{expects an order of 3 channels, got 2}}
  %0 = tq.reorder %x {order = array<i64: 1, 0>} : tensor<?x3xf32>
  return
}

// -----

func.func @twice(%x: tensor<?x3xf32>) {
  // expected-error @+1 {{expects an order that has every channel once, got 1 twice}}
  %0 = tq.reorder %x {order = array<i64: 1, 1, 0>} : tensor<?x3xf32>
  return
}

// -----

func.func @outside(%x: tensor<?x3xf32>) {
  // expected-error @+1 {{expects an order that has every channel once, got 3}}
  %0 = tq.reorder %x {order = array<i64: 3, 1, 0>} : tensor<?x3xf32>
  return
}

// -----

!one = !quant.uniform<u8:f32, 0.5:3>
func.func @oneScale(%x: tensor<?x3x!one>, %w: tensor<2x3xi8>, %c: tensor<2xi32>,
                    %m: tensor<2xf32>) {
  // expected-error @+1 {{expects x to have codes of at most 8 bits in groups of columns, got '!quant.uniform<u8:f32, 5.000000e-01:3>'}}
  %0 = tq.qgroup_linear %x, %w, %c, %m, %m
      : (tensor<?x3x!one>, tensor<2x3xi8>, tensor<2xi32>, tensor<2xf32>,
         tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

!groups = !tq.group<u8, axis = 1, map = [0 x 2, 1], params = [0.5:3, 0.25:128]>
func.func @fewCorrections(%x: tensor<?x3x!groups>, %w: tensor<2x3xi8>,
                          %c: tensor<2xi32>, %m: tensor<4xf32>,
                          %o: tensor<2xf32>) {
  // expected-error @+1 {{expects correction to have size 4 in dimension 0, as groups times outputs, got 2}}
  %0 = tq.qgroup_linear %x, %w, %c, %m, %o
      : (tensor<?x3x!groups>, tensor<2x3xi8>, tensor<2xi32>, tensor<4xf32>,
         tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

!one = !quant.uniform<u8:f32, 0.5:3>
func.func @sumOfOneScale(%a: tensor<?x3x!one>, %v: tensor<3xf32>) {
  // expected-error @+1 {{expects a sum_type of unsigned codes of at most 8 bits in groups of columns, got}}
  %0 = tq.qadd_norm %a, %a, %v, %v, %v, %v, %v
      {sum_scale = 1.0 : f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64,
       sum_type = !one}
      : (tensor<?x3x!one>, tensor<?x3x!one>, tensor<3xf32>, tensor<3xf32>,
         tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3x!one>
  return
}

// -----

!groups = !tq.group<u8, axis = 1, map = [0 x 2, 1], params = [0.5:3, 0.25:128]>
func.func @blocksAndGroups(%x: tensor<?x3x!groups>, %w: tensor<2x3xi8>,
                           %c: tensor<4xi32>, %m: tensor<4xf32>,
                           %o: tensor<2xf32>) {
  // expected-error @+1 {{expects each block within one group of x, got columns 1 and 2 of groups 0 and 1}}
  %0 = tq.qgroup_linear %x, %w, %c, %m, %o {blocks = array<i64: 1, 3>}
      : (tensor<?x3x!groups>, tensor<2x3xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

!wide = !quant.uniform<u16:f32, 0.1:300>
func.func @blocksOfWideCodes(%x: tensor<?x3x!wide>, %w: tensor<2x3xi8>,
                             %c: tensor<4xi32>, %m: tensor<4xf32>,
                             %o: tensor<2xf32>) {
  // expected-error @+1 {{expects x to have codes of one scale, or of groups of columns, in at most 8 bits beside blocks, got '!quant.uniform<u16}}
  %0 = tq.qgroup_linear %x, %w, %c, %m, %o {blocks = array<i64: 2, 3>}
      : (tensor<?x3x!wide>, tensor<2x3xi8>, tensor<4xi32>, tensor<4xf32>,
         tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @blocksBackwards(%w: tensor<2x3xi8>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expects blocks to end in ascending order, got 2 behind 2}}
  %0 = tq.dequantize_weight %w, %s {blocks = array<i64: 2, 2>}
      : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @blocksTooShort(%w: tensor<2x3xi8>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expects blocks that end at column 3, got 2}}
  %0 = tq.dequantize_weight %w, %s {blocks = array<i64: 1, 2>}
      : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scalesOfRows(%w: tensor<2x3xi8>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expects scales to have size 3 in dimension 0, as blocks, got 2}}
  %0 = tq.dequantize_weight %w, %s {blocks = array<i64: 1, 2, 3>}
      : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @zerosBesideBlocks(%w: tensor<2x3xi8>, %s: tensor<1xf32>,
                             %z: tensor<2xi32>) {
  // expected-error @+1 {{expects codes of rank 2 and no zeros beside blocks}}
  %0 = tq.dequantize_weight %w, %s, %z {blocks = array<i64: 3>}
      : (tensor<2x3xi8>, tensor<1xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  return
}
