// RUN: quern-opt %s --verify-diagnostics \
// RUN:   --remarks-filter-missed=rewrite --remark-format=emitRemark \
// RUN:   --pass-pipeline='builtin.module(func.func(tq-fold-pool))'

func.func @float_input(%x: tensor<?x2xf32>, %offsets: tensor<?xi32>)
    -> tensor<?x2xf32> {
  // expected-remark @below {{stays in f32: its input has no codes}}
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<cls>}
      : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

func.func @mean_of_tokens(%xq: tensor<?x2x!tq.dynamic<u8, token>>,
                          %offsets: tensor<?xi32>) -> tensor<?x2xf32> {
  %x = tq.dequantize %xq
      : tensor<?x2x!tq.dynamic<u8, token>> -> tensor<?x2xf32>
  // expected-remark @below {{stays in f32: a mean of codes needs one scale, not one for each token}}
  %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<mean>}
      : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
