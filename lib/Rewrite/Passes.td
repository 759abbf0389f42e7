//===- Passes.td - Passes from L1 to L2 -----------------------*- tablegen -*-//
//
// Summaries, descriptions and options; the examples are the lit tests. Every
// constant is computed in double and rounded once to f32. What a pass cannot
// cover stays as f32 ops between tq.dequantize and tq.quantize: an island.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_REWRITE_PASSES
#define QUERN_LIB_REWRITE_PASSES

include "mlir/Pass/PassBase.td"

class TQ_RewritePass<string argument>
    : Pass<argument, "::mlir::func::FuncOp"> {
  let dependentDialects = ["::quern::tq::TQDialect",
                           "::mlir::arith::ArithDialect"];
}

def FoldLinear : TQ_RewritePass<"tq-fold-linear"> {
  let summary = "linear of 8-bit codes, with activation and quantizer, to "
                "integers";
  let description = [{
    From 8-bit unsigned codes of one scale and a symmetric weight, a linear is
    a product of codes, corrected by the zero point:

        y[n] = s_x s_w[n] (sum_k x[k] w[n, k] - z_x sum_k w[n, k]) + b[n]

    The correction becomes an i32 vector. Without an activation the quantizer
    behind the linear goes into multiplier and offset; with one it comes after
    the activation as post_multiplier and post_offset. A linear with no
    quantizer behind it gets an f32 result, as does one whose quantizer has the
    ranges of tokens: that stays a tq.quantize.

    From codes with the ranges of tokens, s_x and z_x are those of the token,
    found at run time: the correction is made for a zero point of 1 and the
    multiplier for a scale of 1 (see tq.qlinear).

    At most one code differs from the simulation, at ties.

    Refused, with a remark: input not in codes of one scale or one for each
    token, weight or
    bias not constant, more inputs than an i32 accumulator holds (65793).

    Before:
    ```mlir
    %x = tq.dequantize %xq
    %w = tq.dequantize_weight %codes, %scales
    %y = tq.linear %x, %w, %b
    %a = tq.gelu %y
    %q = tq.quantize %a {site = "L0.f"}
    ```
    After:
    ```mlir
    %q = tq.qlinear %xq, %codes, %correction, %multiplier, %b
      {activation = #tq.activation<gelu>, post_multiplier = ..., ...}
    ```
  }];
  let statistics = [
    Statistic<"folded", "folded", "Linears made integer">,
    Statistic<"refused", "refused", "Linears left in f32">,
  ];
}

def FoldGroups : TQ_RewritePass<"tq-fold-groups"> {
  let summary = "linear of codes in groups of channels, or to such, to integers";
  let description = [{
    From 8-bit codes of K groups, a linear is K products of codes, each
    corrected by the zero point of its group and scaled by the group's scale:

        y[n] = s_w[n] sum_g s_g (sum_{k in g} x[k] w[n, k]
                                 - z_g sum_{k in g} w[n, k]) + b[n]

    That is tq.qgroup_linear, with K times as many corrections and multipliers.
    To groups, multiplier and offset of a tq.qlinear take the scale and zero
    point of each output: it costs nothing. Behind an activation they cannot: the
    product writes f32 values, and a tq.qadd of them and nothing the codes, with
    a factor and an offset for each channel. Where groups have limits (bits that
    were learned for each block) a tq.qlimit is behind that, as it is behind every
    op that makes such codes.

    Of a weight with scales of blocks of columns each block is a group
    (`blocks`). A group of x that crosses blocks is as many groups.

    Runs before tq-fold-linear, which knows one scale only.

    Before:
    ```mlir
    %x = tq.dequantize %xq  // !tq.group
    %y = tq.linear %x, %w, %b
    %q = tq.quantize %y {site = "L0.f"}
    ```
    After:
    ```mlir
    %q = tq.qgroup_linear %xq, %codes, %correction, %multiplier, %offset
    ```
  }];
  let statistics = [
    Statistic<"folded", "folded", "Linears made integer">,
    Statistic<"refused", "refused", "Linears left in f32">,
  ];
}

def FuseAttention : TQ_RewritePass<"tq-fuse-attention"> {
  let summary = "scores, softmax, context and the Q, K, V products to integers";
  let description = [{
    Where q, k and v are 8-bit results of three tq.qlinear of one input, and
    scores, probabilities and context have quantizers, the products become one
    tq.qlinear of 3 D columns (`!tq.group` with the scale of each third) and the
    rest one tq.qattention. A quantizer of the context with the ranges of tokens
    stays behind it, and the tq.qattention gives it f32 values.

    exp is a product of two table entries: with a = s_score * softmax scale,
    exp(-(16 h + l) a) = exp(-16 h a) * exp(-l a). The first table is scaled by
    E = min(2^23 - 1, (2^32 - 1) / max_length) so that a row of max_length
    probabilities sums in u32.

    Logarithmic probabilities (`!tq.log`) become `prob_type` and `prob_step`: a
    code is linear in the distance d of its score, B a log2(e) d plus a number
    that a row has once.

    Where the block is one of `first_query`, the products of k and v become one
    and that of q stays, as the operand `q` of the tq.qattention.

    Refused, with a remark: a missing quantizer, scores or probabilities not in
    8 bits, a zero point of the probabilities other than 0 (of logarithmic ones,
    other than 2^bits), q, k, v that other ops read.

    Before: tq.scores, tq.softmax, tq.context with tq.quantize and
    tq.dequantize between. After:
    ```mlir
    %qkv = tq.qlinear %x, %w3, %correction, %multiplier, %offset
      {sites = ["L0.q", "L0.k", "L0.v"]}
    %c = tq.qattention %qkv, %offsets, %exp_hi, %exp_lo
      {sites = ["L0.s", "L0.p", "L0.c"], ...}
    ```
  }];
  let statistics = [
    Statistic<"fused", "fused", "Attention blocks made integer">,
    Statistic<"refused", "refused", "Attention blocks left in f32">,
  ];
}

def FuseAddNorm : TQ_RewritePass<"tq-fuse-add-norm"> {
  let summary = "quantized residual sum and LayerNorm to integers";
  let description = [{
    A sum of two code tensors with a quantizer behind it, then a LayerNorm of
    its codes, becomes one tq.qadd_norm: statistics are sums over codes, hence
    exact and without an order. Codes with the ranges of tokens are added as the
    f32 values that they stand for. Both operands and the sum may have 8 or 16 bits.
    The gain (of its codes, where it is quantized) and the shift take scale and
    zero point of the quantizer behind the LayerNorm; without one the result is
    f32.

    Of a sum that the next sum reads, too (LayerNorms in front), or whose groups
    have limits, the codes are those of a tq.qadd, whose operands may also be f32
    values, and the LayerNorm is a tq.qadd_norm of them and nothing.

    Refused, with a remark: an operand or the sum without a quantizer, gain or
    shift not constant.

    Before: tq.add, tq.quantize, tq.dequantize, tq.layer_norm, tq.quantize.
    After:
    ```mlir
    %x = tq.qadd_norm %g, %z, %ma, %mb, %mo, %gamma, %beta
      {sum_scale = ..., sum_zero = ..., sites = ["L0.u", "L0.x"]}
    ```
  }];
  let statistics = [
    Statistic<"fused", "fused", "Residual sums made integer">,
    Statistic<"refused", "refused", "LayerNorms left in f32">,
  ];
}

def FuseEmbedding : TQ_RewritePass<"tq-fuse-embedding"> {
  let summary = "three table look-ups, two sums and LayerNorm to one op";
  let description = [{
    Word, type and position tables in codes, their sums behind the quantizers
    E.t and E.e, and the LayerNorm of the second become one tq.qembed.

    Refused, with a remark: a table in f32, a sum without a quantizer.

    Before: three tq.embedding, two tq.add with quantizers, tq.layer_norm,
    tq.quantize. After:
    ```mlir
    %x = tq.qembed %ids, %types, %positions, %word, %type, %position, ...
      {sites = ["E.t", "E.e", "E.z"], ...}
    ```
  }];
  let statistics = [
    Statistic<"fused", "fused", "Embeddings made integer">,
    Statistic<"refused", "refused", "Embeddings left in f32">,
  ];
}

def FoldPool : TQ_RewritePass<"tq-fold-pool"> {
  let summary = "pooling of 8-bit codes to integers";
  let description = [{
    Pooling by the first token gathers codes of every kind, also those with the
    ranges of tokens; pooling by the mean sums codes of one scale exactly and scales once.

    Before:
    ```mlir
    %r = tq.dequantize %q
    %p = tq.pool %r, %offsets {kind = #tq.pool_kind<mean>}
    ```
    After:
    ```mlir
    %p = tq.qpool %q, %offsets {kind = #tq.pool_kind<mean>}
    ```
  }];
  let statistics = [
    Statistic<"folded", "folded", "Poolings made integer">,
  ];
}

def UseFixedPoint : TQ_RewritePass<"tq-use-fixed-point"> {
  let summary = "fixed-point numbers in place of f32 steps, if the scheme asks";
  let description = [{
    Where the module's tq.scheme has the dictionary `arithmetic`, every integer
    op whose result is in codes becomes `fixed`: its f32 constants are read as
    mantissas and shifts and no f32 step is left in it. The dictionary's `gelu`
    (polynomial, i_gelu, shift_gelu) and `softmax` (table, i_exp, shiftmax)
    choose forms. ShiftGELU is a tq.qshift_gelu behind the product, whose codes
    have 8 bits, from -3 to as far as the results reach.

    Products with an f32 result, the logits, stay as they are, and so does the
    embedding of an image, up to the codes of its sum: pixels are real numbers. An op that makes
    codes of f32 values, and one without a fixed form (groups but those of
    power-of-two factors of a sum, ranges of tokens, products of 16-bit codes,
    logarithmic codes but those of base 2 in 3 or 4 bits), is an error: a scheme
    that asks for no float gets none.

    Before:
    ```mlir
    %q = tq.qlinear %xq, %codes, %correction, %multiplier, %b {...}
    ```
    After:
    ```mlir
    %q = tq.qlinear %xq, %codes, %correction, %multiplier, %b {fixed, ...}
    ```
  }];
  let statistics = [
    Statistic<"changed", "changed", "Ops made fixed">,
  ];
}

def MaterializeWeights : TQ_RewritePass<"tq-materialize-weights"> {
  let summary = "weights that stay in f32 ops to f32 constants";
  let description = [{
    A tq.dequantize_weight that no integer op has absorbed belongs to an island.
    Where its reader is a tq.linear or a tq.embedding it stays: their kernels
    read codes and make numbers of them. For all others its values, scale times
    code rounded to f32, become a constant. A missed remark names the ops that
    stay in f32.

    Before:
    ```mlir
    %gamma = tq.dequantize_weight %codes, %scales {bits = 8 : i64}
    ```
    After:
    ```mlir
    %gamma = arith.constant dense<...> : tensor<4xf32>
    ```
  }];
  let statistics = [
    Statistic<"materialized", "materialized", "Weights written in f32">,
  ];
}

def CleanUp : TQ_RewritePass<"tq-clean-up"> {
  let summary = "remove operations whose results nobody reads";
  let description = [{
    Erases pure operations without users, from the end backwards: constants
    that were folded into others, dequantizers all of whose readers read codes
    now. Folds nothing: tq.dequantize of tq.quantize stays.
  }];
  let statistics = [
    Statistic<"erased", "erased", "Operations erased">,
  ];
}

#endif // QUERN_LIB_REWRITE_PASSES
