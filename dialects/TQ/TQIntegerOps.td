//===- TQIntegerOps.td - What the machine computes ------------*- tablegen -*-===//
//
// Part of Quern. The ops of L2. Every constant is an operand or an attribute,
// in f32 or i32 exactly as the machine uses it; no scale is implied by a type.
// Each description is the definition: interpreter, kernels and targets agree
// with it bit for bit. f32 steps are rounded one by one, never fused.
//
// With `fixed` an op holds no float: `at(q, m, o)` is the integer nearest to
// q m + o, ties to even, by the fixed-point numbers that `qi_make_affine` of
// integer_requant.h makes of m and o (mantissas of 31 bits, quantization.md
// 3.6). clamp limits integers.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQINTEGEROPS
#define QUERN_DIALECTS_TQ_TQINTEGEROPS

include "dialects/TQ/TQBase.td"
include "dialects/TQ/TQFloatOps.td"

def TQ_QLinearOp : TQ_Op<"qlinear"> {
  let summary = "integer matrix product, activation and requantization";
  let description = [{
    ```
    acc[n] = correction[n] + sum_k x[k] * w[n, k]        i32, exact
    v      = f32(acc) * multiplier[n] + offset[n]
    none:    y = clampq(v)
    else:    y = clampq(act(v) * post_multiplier + post_offset)
    f32 result: y = v, or act(v); no clamp
    ```
    x is unsigned, w is signed. correction = -z_x * sum_k w[n, k]. With x of
    9 to 16 bits the accumulator is exact in i64 and correction has two entries for
    each output: it is 256 * correction[n] + correction[N + n]. With activation
    `none`, multiplier = s_x s_w[n] / s_y and offset = b[n] / s_y + z_y;
    otherwise multiplier = s_x s_w[n], offset = b[n], post_multiplier = 1 / s_y
    and post_offset = z_y. With x of ranges of tokens (`!tq.dynamic<u8, token>`),
    s_t and z_t of the row t take part at run time and s_x, z_x are left out of
    the constants:
    ```
    acc[t, n] = z_t * correction[n] + sum_k x[t, k] * w[n, k]    i32, exact
    v         = f32(acc) * (s_t * multiplier[n]) + offset[n]
    ```
    correction = -sum_k w[n, k], and s_x = 1 in multiplier. `act` is `qm_gelu`, `qm_gelu_tanh`, `qm_tanh` of
    quant_math.h or relu. The result is f32, or has codes of fixed ranges, which
    `lo` and `hi` bound within their storage. Without an activation
    post_multiplier is 1 and post_offset 0.

    With `fixed`, for x of at most 8 bits of one scale and y in codes,
    ```
    none:    y = clamp(at(acc, multiplier[n], offset[n]))       lo..hi
    else:    t = clamp(at(acc, multiplier[n] * in, offset[n] * in))  +-2^26
             y = clamp(at(act(t), post_multiplier / out, post_offset))
    ```
    where act on integers is that of integer_activation.h, which has `in` units
    to 1 at its input and `out` at its result. `i_gelu` is there only.

    With `w_zeros` the weights are asymmetric, w_hat = s_w (w - w_zero), and x
    has at most 8 bits and one scale. The sum of a row's codes comes in at run
    time; correction = -z_x * sum_k (w[n, k] - w_zeros[n]):
    ```
    acc[n] = correction[n] - w_zeros[n] * sum_k x[k] + sum_k x[k] * w[n, k]
    ```
    It is exact in i32: K * 255 * max |w - w_zeros[n]| < 2^31. Not with `fixed`.

    `sites` names the quantizers this op holds, in the order in which their
    columns lie (a fused Q, K, V product has three and a `!tq.group` result
    of three groups). `weight_bits` (2 to 8) says that every code of w fits
    that many bits; 4 and 2 are stored packed.

    ```mlir
    %0 = tq.qlinear %x, %w, %correction, %multiplier, %offset
        {activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32,
         post_offset = 2.0 : f32, sites = ["L0.f"]}
        : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<8x4xi8>,
           tensor<8xi32>, tensor<8xf32>, tensor<8xf32>)
        -> tensor<?x8x!quant.uniform<u8:f32, 0.125:2>>
    ```
  }];
  let arguments = (ins
    TQ_CodeMatrix:$x, TQ_WeightMatrix:$w, TQ_IntVector:$correction,
    TQ_FloatVector:$multiplier, TQ_FloatVector:$offset,
    Optional<TQ_IntVector>:$w_zeros,
    DefaultValuedAttr<TQ_ActivationAttr,
                      "::quern::tq::Activation::None">:$activation,
    DefaultValuedAttr<F32Attr, "1.0f">:$post_multiplier,
    DefaultValuedAttr<F32Attr, "0.0f">:$post_offset,
    DefaultValuedAttr<TQ_I64Attr, "0">:$lo,
    DefaultValuedAttr<TQ_I64Attr, "255">:$hi,
    DefaultValuedAttr<StrArrayAttr, "{}">:$sites,
    DefaultValuedAttr<TQ_I64Attr, "8">:$weight_bits, UnitAttr:$fixed);
  let results = (outs TQ_FloatOrCodeMatrix:$result);
  let assemblyFormat = [{
    $x `,` $w `,` $correction `,` $multiplier `,` $offset (`,` $w_zeros^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_QShiftGeluOp : TQ_Op<"qshift_gelu"> {
  let summary = "GELU by shifts over rows of codes, to codes";
  let description = [{
    ```
    q = x - zero,  t = max_j q
    g = q * sigmoid(1.702 q S), by shifts relative to t     i32, qi_shift_gelu
    y = clamp(at(g, post_multiplier, post_offset))          lo..hi
    ```
    with qi_shift_gelu of integer_gelu.h (ShiftGELU, quantization.md 9.8), whose
    largest input sets the scale of the exponentials: a row of 4d values is one
    row here too. `unit` is qi_shift_gelu_unit(S) = floor(-1 / (1.702 S)), in
    [-32768, -1], S the scale of x; g has the unit S / 128, so that
    post_multiplier = S / (128 s_y) and post_offset = z_y. x and y have at most 8 unsigned bits and one scale.
    `sites` is that of y.

    ```mlir
    %0 = tq.qshift_gelu %x
        {zero = 128 : i64, unit = -6 : i64, post_multiplier = 0.01 : f32,
         post_offset = 2.0 : f32, sites = ["L0.f"]}
        : tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>
        -> tensor<?x8x!quant.uniform<u8:f32, 0.125:2>>
    ```
  }];
  let arguments = (ins
    TQ_CodeMatrix:$x, TQ_I64Attr:$zero, TQ_I64Attr:$unit,
    F32Attr:$post_multiplier, F32Attr:$post_offset,
    DefaultValuedAttr<TQ_I64Attr, "0">:$lo,
    DefaultValuedAttr<TQ_I64Attr, "255">:$hi,
    DefaultValuedAttr<StrArrayAttr, "{}">:$sites);
  let results = (outs TQ_CodeMatrix:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def TQ_QLimitOp : TQ_Op<"qlimit", [SameOperandsAndResultType]> {
  let summary = "codes limited by parts of their columns";
  let description = [{
    `y[t, n] = max(lo[part of n], min(x[t, n], hi[part of n]))`, the parts being
    as wide as each other; without `lo` it is 0. A product of Q, K and V bounds
    all of its columns alike; where their codes are of different widths, it does
    so by the widest and this op by each one's own. Of heads with bits of their
    own each is a part, as are blocks of channels behind a sum or a LayerNorm. x
    and y have at most 8 unsigned bits, which hold every lo and hi. `sites` are
    those of the op in front, each of as many parts.

    ```mlir
    %0 = tq.qlimit %x {hi = array<i64: 255, 15>, sites = ["L0.k", "L0.v"]}
        : tensor<?x8x!tq.group<u8, axis = 1, map = [0 x 4, 1 x 4],
                               params = [0.1:128, 0.5:8]>>
    ```
  }];
  let arguments = (ins
    TQ_CodeMatrix:$x, DenseI64ArrayAttr:$hi,
    OptionalAttr<DenseI64ArrayAttr>:$lo,
    DefaultValuedAttr<StrArrayAttr, "{}">:$sites);
  let results = (outs TQ_CodeMatrix:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def TQ_QAttentionOp : TQ_Op<"qattention"> {
  let summary = "attention in integers, all heads, within each sequence";
  let description = [{
    Rows of qkv are [q of all heads | k | v], each heads * head_dim codes.
    ```
    s_acc = sum_d (q - zq) * (k - zk)                    i32, exact
    s     = clampq(f32(s_acc) * score_multiplier + score_offset)   0..score_hi
    d     = max_j s - s
    e     = i32(rne(exp_hi[d >> 4] * exp_lo[d & 15]))
    S     = sum_j e                                      u32, exact
    r     = prob_multiplier / f32(S)
    p     = clampq(f32(e) * r)                0..prob_hi, zero point 0
    c_acc = sum_j p * (v - zv)                           i32, exact
    c     = clampq(f32(c_acc) * context_multiplier + context_offset)
    f32 result: c without clampq
    ```
    exp_hi[h] = f32(exp(-16 h a) * E) and exp_lo[l] = f32(exp(-l a)), where a
    is the score scale times the softmax scale, and E = 2^23 - 1 or
    floor(2^32 / max_length), whichever is less, so that S fits u32.
    prob_multiplier = 1 / s_p. A result clamps to its own storage range;
    score_hi and prob_hi are below 256. `sites` are those of s, p and c.

    With `prob_type`, a `!tq.log` of 3 to 8 bits whose zero is 2^bits, p has
    logarithmic codes (B = 1 of base 2, B = 2 of base sqrt(2)), found without a
    division or an exponential for each, and the context is a sum of planes; all
    by log_math.h. r and prob_hi play no part, prob_multiplier = s_p / E and
    prob_step = B a log2(e):
    ```
    b      = B * qm_log2(f32(S) * prob_multiplier)
    p      = clampq(f32(d) * prob_step + b)   0..2^bits, the last of which is 0
    m      = p >> (B - 1)                     the octave
    n      = min(8, 2^bits / B)               octaves of a plane
    w_k    = 2^(n - 1 - (m - n k))            n k <= m < n k + n, else 0
    A_k    = sum_j w_k * (v - zv)             p even or B = 1; i32, exact
    O_k    = sum_j w_k * (v - zv)             p odd and B = 2; i32, exact
    A      = 0;  A = A * 2^-n + f32(A_k)      k = 2^bits / (B n) - 1 .. 0
    O      = the same of O_k
    B = 1:   c = clampq(A * context_multiplier + context_offset)
    B = 2:   c = clampq((A + O * f32(sqrt(1/2))) * context_multiplier
                        + context_offset)
    ```
    so that context_multiplier = s_p s_v / (2^(n - 1) s_c). Planes of the
    smallest values that are empty change nothing and need not be summed.

    With `fixed`, for a result in codes,
    ```
    s     = clamp(at(s_acc, score_multiplier, score_offset))  0..score_hi
    p     = the row of integer_probs.h for `softmax`      0..prob_hi
    c     = clamp(at(c_acc, context_multiplier, context_offset))
    ```
    `table`: the same e, made at compile time for each of the 256 differences d,
    and p from the row's reciprocal. The other forms, which are there only, are
    published ones over scores of unit `score_unit` (integer_softmax.h):
    `i_exp`, where p has the scale 1/256, and `shiftmax`, where it has 1/128.
    With a prob_type of base 2 and of 3 or 4 bits, b,
    ```
    p     = the row of integer_log_probs.h for `softmax`        0..2^b
    c_acc = sum_j w * (v - zv), w = 2^(2^b - 1 - p), 0 for p = 2^b     i32
    c     = clamp(at(c_acc, context_multiplier * m, context_offset))
    ```
    with m = 2^-8 for b = 4 and 1 for b = 3. `table` rounds the logarithm to the
    nearest code, as above; `i_exp` is the published log-int-softmax, whose
    scale s_p is 1.

    With `per_head`, six numbers for each head, head after head, take the place
    of score_multiplier, prob_multiplier, prob_hi, context_multiplier and of the
    least and the greatest code of a result in codes: steps and bits that were
    learned by heads. Zero points are those of all heads. Not with `fixed` or
    prob_type.

    With `q` only the first token of each sequence asks: q has its codes, a row
    for each sequence, rows of qkv are [k | v], and the result has a row for
    each sequence. Scores and probabilities lie as in `tq.scores` with
    `first_query`.

    ```mlir
    %0 = tq.qattention %qkv, %offsets, %exp_hi, %exp_lo
        {heads = 2 : i64, head_dim = 2 : i64, zq = 120 : i64, zk = 128 : i64,
         zv = 130 : i64, score_multiplier = 0.25 : f32,
         score_offset = 128.0 : f32, prob_multiplier = 255.0 : f32,
         context_multiplier = 0.01 : f32, context_offset = 128.0 : f32,
         sites = ["L0.s", "L0.p", "L0.c"]}
        : (tensor<?x12x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>,
           tensor<16xf32>, tensor<16xf32>)
        -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
    ```
  }];
  let arguments = (ins
    TQ_CodeMatrix:$qkv, TQ_IntVector:$offsets, TQ_FloatVector:$exp_hi,
    TQ_FloatVector:$exp_lo, Optional<TQ_CodeMatrix>:$q,
    TQ_I64Attr:$heads, TQ_I64Attr:$head_dim, TQ_I64Attr:$zq, TQ_I64Attr:$zk, TQ_I64Attr:$zv,
    F32Attr:$score_multiplier, F32Attr:$score_offset, F32Attr:$prob_multiplier,
    F32Attr:$context_multiplier, F32Attr:$context_offset,
    DefaultValuedAttr<StrArrayAttr, "{}">:$sites,
    DefaultValuedAttr<TQ_I64Attr, "255">:$score_hi,
    DefaultValuedAttr<TQ_I64Attr, "255">:$prob_hi,
    OptionalAttr<TypeAttr>:$prob_type, OptionalAttr<F32Attr>:$prob_step,
    UnitAttr:$fixed,
    DefaultValuedAttr<TQ_SoftmaxFormAttr,
                      "::quern::tq::SoftmaxForm::Table">:$softmax,
    DefaultValuedAttr<F32Attr, "1.0f">:$score_unit,
    OptionalAttr<DenseF32ArrayAttr>:$per_head);
  let results = (outs TQ_FloatOrCodeMatrix:$result);
  let extraClassDeclaration = [{
    /// The constants that may be a head's own.
    struct HeadConstants {
      float score, prob, probHi, context, contextLo, contextHi;
    };
    HeadConstants constantsOf(int64_t head);
    static constexpr int64_t headConstants = 6;
  }];
  let assemblyFormat = [{
    $qkv `,` $offsets `,` $exp_hi `,` $exp_lo (`,` $q^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_QAddOp : TQ_Op<"qadd"> {
  let summary = "quantized residual sum";
  let description = [{
    ```
    y = clampq((f32(a) * ma[j] + f32(b) * mb[j]) + mo[j])   the range of y
    ```
    ma, mb, mo have one entry per channel or one for all; y has codes of one
    scale or of groups of channels. a and b have codes of fixed ranges, or are
    f32 values, which then stand for themselves: values of a product become codes
    of groups with mb = 0. `tq.qadd_norm` has this sum inside; of encoders whose
    LayerNorms are in front, the next sum reads it, too.

    With `fixed`, for operands in codes,
    ```
    y = clamp(at(a, ma[j], mo[j]) + at(b, mb[j], 0))
    ```

    ```mlir
    %0 = tq.qadd %a, %b, %ma, %mb, %mo {site = "L0.u"}
        : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
           tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>,
           tensor<4xf32>, tensor<4xf32>)
        -> tensor<?x4x!quant.uniform<u8:f32, 0.2:128>>
    ```
  }];
  let arguments = (ins
    TQ_FloatOrCodeMatrix:$a, TQ_FloatOrCodeMatrix:$b, TQ_FloatVector:$ma,
    TQ_FloatVector:$mb, TQ_FloatVector:$mo, OptionalAttr<StrAttr>:$site,
    UnitAttr:$fixed);
  let results = (outs TQ_CodeMatrix:$result);
  let assemblyFormat = [{
    $a `,` $b `,` $ma `,` $mb `,` $mo attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_QAddNormOp : TQ_Op<"qadd_norm"> {
  let summary = "quantized residual sum and LayerNorm over its codes";
  let description = [{
    ```
    u    = clampq((f32(a) * ma[j] + f32(b) * mb[j]) + mo[j])  sum_lo..sum_hi
    S1   = sum_j u,  S2 = sum_j u * u                         i64, exact
    n    = d * S2 - S1 * S1                                   i64, exact
    var  = f64(n) * (f64(sum_scale)^2 / (d * d)) + eps        f64
    rs   = f32(f64(sum_scale) / sqrt(var)),  mean = f32(f64(S1) / d)
    y    = clampq(((f32(u) - mean) * rs) * gamma[j] + beta[j])
    f32 result: y without clampq
    ```
    gamma[j] = g[j] / s_out, beta[j] = b[j] / s_out + z_out; for a f32 result
    g and b themselves. ma, mb, mo have one entry per channel or one for all.
    a or b may be f32 values, which then stand for themselves. Sums over codes
    are integers, so no order is implied. `sum_zero` and
    `sum_scale` also say what the codes of u mean. lo and hi of y are the
    storage range of the result type. `sites` are those of the sum and of y.

    With `sum_type`, a `!tq.group` of K groups of n_g columns in at most 8
    unsigned bits, which hold sum_lo and sum_hi, u has a scale s_g and a zero
    point z_g for each group; sum_scale and sum_zero play no
    part. Sums of a group are exact, the rest is f64 in ascending g:
    ```
    A     = sum_g s_g * f64(S1_g - n_g z_g)
    B     = sum_g (s_g * s_g) * f64(S2_g - 2 z_g S1_g + n_g z_g z_g)
    mean  = A / d,  var = max(B / d - mean * mean, 0) + eps
    rs    = f32(1 / sqrt(var))
    value = (f32(u) - f32(z_g)) * f32(s_g)
    y     = clampq(((value - f32(mean)) * rs) * gamma[j] + beta[j])
    ```
    With `order`, column i of the result holds channel order[i] of all this.

    With `fixed`, for operands and result in codes, without order,
    ```
    u    = clamp(at(a, ma[j], mo[j]) + at(b, mb[j], 0))   sum_lo..sum_hi
    y    = qi_layer_norm of integer_norm.h over u, with the constants that
           qi_make_channels makes of gamma and beta
    ```
    which has no eps: a row of equal codes gives beta. A sum_type may have up to
    four groups, of one zero point z and of scales that are the least one times
    2^f, f of 0 to 3 (power-of-two factors); the LayerNorm is then over
    (u - z) * 2^f.

    ```mlir
    %0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %gamma, %beta
        {sum_lo = 0 : i64, sum_hi = 255 : i64, sum_scale = 0.1 : f32,
         sum_zero = 128 : i64, eps = 1.0e-12 : f64, sites = ["L0.u", "L0.x"]}
        : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>,
           tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<4xf32>,
           tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
        -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
    ```
  }];
  let arguments = (ins
    TQ_FloatOrCodeMatrix:$a, TQ_FloatOrCodeMatrix:$b, TQ_FloatVector:$ma,
    TQ_FloatVector:$mb,
    TQ_FloatVector:$mo, TQ_FloatVector:$gamma, TQ_FloatVector:$beta,
    DefaultValuedAttr<TQ_I64Attr, "0">:$sum_lo,
    DefaultValuedAttr<TQ_I64Attr, "255">:$sum_hi,
    F32Attr:$sum_scale, TQ_I64Attr:$sum_zero, F64Attr:$eps,
    DefaultValuedAttr<StrArrayAttr, "{}">:$sites,
    OptionalAttr<TypeAttr>:$sum_type,
    OptionalAttr<DenseI64ArrayAttr>:$order, UnitAttr:$fixed);
  let results = (outs TQ_FloatOrCodeMatrix:$result);
  let assemblyFormat = [{
    $a `,` $b `,` $ma `,` $mb `,` $mo `,` $gamma `,` $beta attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_QEmbedOp : TQ_Op<"qembed"> {
  let summary = "three quantized embeddings, two quantized sums, LayerNorm";
  let description = [{
    With rows w, ty, p of the three tables (s8) and their row scales:
    ```
    t  = f32(w) * sw + f32(ty) * st
    e1 = clampq(t * e1_multiplier + f32(e1_zero))         e1_lo..e1_hi
    t2 = (f32(e1) - f32(e1_zero)) * e1_scale + f32(p) * sp
    e2 = clampq(t2 * e2_multiplier + f32(e2_zero))        e2_lo..e2_hi
    y  = the LayerNorm of tq.qadd_norm over u = e2, sum_scale = e2_scale
    ```
    e1_multiplier = f32(1 / e1_scale), likewise e2. Scales of a table are one
    per row or one for all. `sites` are E.t, E.e and E.z. `word_bits` and the
    like (2 to 8) say that every code of a table fits that many bits.

    With `fixed`, for a result in codes,
    ```
    e1 = clamp(at(w, sw e1_multiplier, 0) + at(ty, st e1_multiplier, 0)
               + e1_zero)
    e2 = clamp(at(e1 - e1_zero, e1_scale e2_multiplier, 0)
               + at(p, sp e2_multiplier, 0) + e2_zero)
    y  = the LayerNorm of a fixed tq.qadd_norm
    ```
    With `e2_type`, which only `fixed` has a kernel for, a `!tq.group` of columns
    in at most 8 unsigned bits whose scales are 1, 2, 4 or 8 times the least
    one and whose zero point is e2_zero (FQ-ViT's factors), e2_scale is the
    greatest of the scales, and 2^f[j] what it is of that of channel j:
    ```
    t2 = ((f32(e1) - f32(e1_zero)) * e1_scale + f32(p) * sp) * 2^f[j]
    e2 = clamp(at((e1 - e1_zero) * 2^f[j], ...) + at(p * 2^f[j], ...) + e2_zero)
    y  = the LayerNorm of tq.qadd_norm with sum_type = e2_type
    ```

    ```mlir
    %0 = tq.qembed %ids, %types, %positions, %word, %type, %position,
        %sw, %st, %sp, %gamma, %beta
        {e1_multiplier = 10.0 : f32, e1_zero = 128 : i64, e1_scale = 0.1 : f32,
         e2_multiplier = 10.0 : f32, e2_zero = 128 : i64, e2_scale = 0.1 : f32,
         eps = 1.0e-12 : f64, sites = ["E.t", "E.e", "E.z"]}
        : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>,
           tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>,
           tensor<1xf32>, tensor<4xf32>, tensor<4xf32>)
        -> tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>
    ```
  }];
  let arguments = (ins
    TQ_IntVector:$ids, TQ_IntVector:$types, TQ_IntVector:$positions,
    TQ_WeightMatrix:$word, TQ_WeightMatrix:$type, TQ_WeightMatrix:$position,
    TQ_FloatVector:$word_scales, TQ_FloatVector:$type_scales,
    TQ_FloatVector:$position_scales, TQ_FloatVector:$gamma,
    TQ_FloatVector:$beta,
    F32Attr:$e1_multiplier, TQ_I64Attr:$e1_zero, F32Attr:$e1_scale,
    DefaultValuedAttr<TQ_I64Attr, "0">:$e1_lo,
    DefaultValuedAttr<TQ_I64Attr, "255">:$e1_hi,
    F32Attr:$e2_multiplier, TQ_I64Attr:$e2_zero, F32Attr:$e2_scale,
    DefaultValuedAttr<TQ_I64Attr, "0">:$e2_lo,
    DefaultValuedAttr<TQ_I64Attr, "255">:$e2_hi,
    F64Attr:$eps, DefaultValuedAttr<StrArrayAttr, "{}">:$sites,
    DefaultValuedAttr<TQ_I64Attr, "8">:$word_bits,
    DefaultValuedAttr<TQ_I64Attr, "8">:$type_bits,
    DefaultValuedAttr<TQ_I64Attr, "8">:$position_bits, UnitAttr:$fixed,
    OptionalAttr<TypeAttr>:$e2_type);
  let results = (outs TQ_FloatOrCodeMatrix:$result);
  let assemblyFormat = [{
    $ids `,` $types `,` $positions `,` $word `,` $type `,` $position `,`
    $word_scales `,` $type_scales `,` $position_scales `,` $gamma `,` $beta
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_QPoolOp : TQ_Op<"qpool"> {
  let summary = "one row per sequence, from codes";
  let description = [{
    `cls`: the codes of the first row of each sequence, of any kind, same type.
    `mean`, of codes of one scale: f32,
    `y = f32(sum of codes - n * z) * (f32(s) / f32(n))` with n the length and
    the sum an exact i32; s and z of the operand's type. Codes with a real
    offset have z = 0, and f32(offset) is added, rounded on its own. A sequence
    of no tokens gives the code z (0 where there are several), or 0.

    ```mlir
    %0 = tq.qpool %x, %offsets {kind = #tq.pool_kind<mean>}
        : (tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>, tensor<?xi32>)
        -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_CodeMatrix:$x, TQ_IntVector:$offsets,
                   TQ_PoolKindAttr:$kind);
  let results = (outs TQ_FloatOrCodeMatrix:$result);
  let assemblyFormat = [{
    $x `,` $offsets attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // QUERN_DIALECTS_TQ_TQINTEGEROPS
