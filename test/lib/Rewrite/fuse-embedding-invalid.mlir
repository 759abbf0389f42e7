// RUN: quern-opt %s --verify-diagnostics \
// RUN:   --remarks-filter-missed=rewrite --remark-format=emitRemark \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fuse-embedding))'

// A sum of look-ups without quantizers stays in f32; another LayerNorm is none
// of this pass's business.

func.func @forward(%table: tensor<3x2xf32>, %ids: tensor<?xi32>)
    -> tensor<?x2xf32> {
  %v = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %0 = tq.embedding %table, %ids
      : (tensor<3x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %1 = tq.add %0, %0 : tensor<?x2xf32>
  // expected-remark @below {{stays in f32: the sum with the positions has no quantizer}}
  %2 = tq.layer_norm %1, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %3 = tq.layer_norm %2, %v, %v {eps = 1.0e-12 : f64}
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}
