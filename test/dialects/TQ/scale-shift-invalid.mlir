// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @scale(%x: tensor<?x4xf32>, %s: tensor<3xf32>, %t: tensor<4xf32>)
    -> tensor<?x4xf32> {
  // expected-error @below {{scale}}
  %0 = tq.scale_shift %x, %s, %t
      : (tensor<?x4xf32>, tensor<3xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @shift(%x: tensor<?x4xf32>, %s: tensor<4xf32>, %t: tensor<5xf32>)
    -> tensor<?x4xf32> {
  // expected-error @below {{shift}}
  %0 = tq.scale_shift %x, %s, %t
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<5xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
