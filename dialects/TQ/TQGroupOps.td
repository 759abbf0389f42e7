//===- TQGroupOps.td - Ops of per-embedding groups ------------*- tablegen -*-//
//
// A group of channels has its own scale and zero point (`!tq.group`). What
// differs from the ops of one scale: the product sums group by group, and
// channels are put in an order in which groups are neighbours. Blocks of a
// weight's columns, each of its own scale, are summed by the same op.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TQ_TQGROUPOPS
#define QUERN_DIALECTS_TQ_TQGROUPOPS

include "dialects/TQ/TQBase.td"
include "dialects/TQ/TQFloatOps.td"

def TQ_ReorderOp : TQ_Op<"reorder", [SameOperandsAndResultType]> {
  let summary = "channels in another order";
  let description = [{
    `y[t, i] = x[t, order[i]]`; `order` is a permutation of the channels.

    ```mlir
    %0 = tq.reorder %x {order = array<i64: 2, 0, 1>} : tensor<?x3xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$x, DenseI64ArrayAttr:$order);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def TQ_QGroupLinearOp : TQ_Op<"qgroup_linear"> {
  let summary = "integer matrix product of grouped codes";
  let description = [{
    x has K groups of channels, each of its own scale and zero point.
    ```
    acc_g[n] = correction[g * N + n]
               + sum of x[k] * w[n, k] over the k of group g   i32, exact
    v        = f32(acc_0) * multiplier[n]
    v        = v + f32(acc_g) * multiplier[g * N + n]     g = 1, 2, ... K - 1
    v        = v + offset[n]
    none:    y = clampq(v)
    else:    y = clampq(act(v) * post_multiplier + post_offset)
    f32 result: y = v, or act(v); no clamp
    ```
    Products and sums are rounded one by one. correction[g * N + n] =
    -z_g * sum of w[n, k] over group g and multiplier[g * N + n] = s_g s_w[n],
    over s_y without activation; the rest is as in `tq.qlinear`.

    With `blocks`, the ascending ends of blocks of columns, block g is group g,
    whatever the type of x: weights have a scale for each block there, and
    multiplier[g * N + n] = s_x s_w[g], over s_y without activation. x has codes
    of one scale s_x and zero point z_x, which all blocks share, perhaps with a
    real offset o, of which offset[n] takes o s_w[g] * sum of w[n, k] from each
    block; or it has groups of columns, and then each block lies within one of
    them, whose scale and zero point are its s_x and z_x. A group that crosses
    blocks of a weight's scales is as many blocks here. correction[g * N + n] =
    -z_x * sum of w[n, k] over block g.

    x has at most 8 unsigned bits, its groups are groups of columns, and there
    is no `fixed` form.

    ```mlir
    %0 = tq.qgroup_linear %x, %w, %correction, %multiplier, %offset
        {sites = ["L0.f"]}
        : (tensor<?x3x!tq.group<u8, axis = 1, map = [0 x 2, 1],
                                params = [0.5:3, 0.25:128]>>,
           tensor<2x3xi8>, tensor<4xi32>, tensor<4xf32>, tensor<2xf32>)
        -> tensor<?x2x!quant.uniform<u8:f32, 0.125:2>>
    %1 = tq.qgroup_linear %y, %w, %correction, %multiplier, %offset
        {blocks = array<i64: 2, 3>}
        : (tensor<?x3x!quant.uniform<u8:f32, 0.5:3>>, tensor<2x3xi8>,
           tensor<4xi32>, tensor<4xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    ```
  }];
  let arguments = (ins
    TQ_CodeMatrix:$x, TQ_WeightMatrix:$w, TQ_IntVector:$correction,
    TQ_FloatVector:$multiplier, TQ_FloatVector:$offset,
    DefaultValuedAttr<TQ_ActivationAttr,
                      "::quern::tq::Activation::None">:$activation,
    DefaultValuedAttr<F32Attr, "1.0f">:$post_multiplier,
    DefaultValuedAttr<F32Attr, "0.0f">:$post_offset,
    DefaultValuedAttr<TQ_I64Attr, "0">:$lo,
    DefaultValuedAttr<TQ_I64Attr, "255">:$hi,
    DefaultValuedAttr<StrArrayAttr, "{}">:$sites,
    DefaultValuedAttr<TQ_I64Attr, "8">:$weight_bits,
    OptionalAttr<DenseI64ArrayAttr>:$blocks);
  let results = (outs TQ_FloatOrCodeMatrix:$result);
  let extraClassDeclaration = [{
    /// Number of groups, and the group of each column of x.
    int64_t getGroupCount();
    ::llvm::SmallVector<int64_t> getGroupMap();
  }];
  let assemblyFormat = [{
    $x `,` $w `,` $correction `,` $multiplier `,` $offset attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // QUERN_DIALECTS_TQ_TQGROUPOPS
