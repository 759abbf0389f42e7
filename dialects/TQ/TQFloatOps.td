//===- TQFloatOps.td - The model as trained, on f32 -----------*- tablegen -*-===//
//
// Part of Quern. The ops of L0; they stay legal at L1 and, as float islands,
// at L2. The reference runs them in real arithmetic (double) at L0 and L1, and
// at L2 in f32 by the contract each description states.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQFLOATOPS
#define QUERN_DIALECTS_TQ_TQFLOATOPS

include "dialects/TQ/TQBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

class TQ_Op<string mnemonic, list<Trait> traits = []>
    : Op<TQ_Dialect, mnemonic, !listconcat([Pure], traits)>;

class TQ_UnaryFloatOp<string mnemonic>
    : TQ_Op<mnemonic, [SameOperandsAndResultType]> {
  let results = (outs TQ_Float:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

def TQ_EmbeddingOp : TQ_Op<"embedding"> {
  let summary = "row gather";
  let description = [{
    `y[t, :] = table[index[t], :]`. An index outside [0, V) is an error of the
    input, never of the function.

    ```mlir
    %0 = tq.embedding %table, %ids
        : (tensor<10x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$table, TQ_IntVector:$index);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $table `,` $index attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_AddOp : TQ_Op<"add", [SameOperandsAndResultType]> {
  let summary = "elementwise sum";
  let description = [{
    `y = a + b`, one f32 addition.

    ```mlir
    %0 = tq.add %a, %b : tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_Float:$a, TQ_Float:$b);
  let results = (outs TQ_Float:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a)";
}

def TQ_ScaleShiftOp : TQ_Op<"scale_shift"> {
  let summary = "scale and shift of each channel";
  let description = [{
    `y[t, j] = x[t, j] * scale[j] + shift[j]`. What reparameterization leaves
    on the residual branch: a LayerNorm writes channels of one range, and the
    sum reads them in their own. f32 contract: product and sum rounded apart.

    ```mlir
    %0 = tq.scale_shift %x, %scale, %shift
        : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$x, TQ_FloatVector:$scale,
                   TQ_FloatVector:$shift);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $x `,` $scale `,` $shift attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_LayerNormOp : TQ_Op<"layer_norm"> {
  let summary = "normalization of each row, with scale and shift";
  let description = [{
    `y = (x - mean) / sqrt(var + eps) * gamma + beta` over each row; `var` is
    the mean of the squared centred values.

    f32 contract: sums over 16 lanes (lane l adds elements l, l + 16, ... in
    order, each product and each sum rounded), the lanes combined by the tree
    (l, l + 8), (l, l + 4), (l, l + 2), (l, l + 1). mean = sum / d; then the
    centred squares the same way; rs = 1 / sqrt(var + eps);
    `y = (((x - mean) * rs) * gamma) + beta`.

    ```mlir
    %0 = tq.layer_norm %x, %gamma, %beta {eps = 1.0e-12 : f64}
        : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$x, TQ_FloatVector:$gamma,
                   TQ_FloatVector:$beta, F64Attr:$eps);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $x `,` $gamma `,` $beta attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_LinearOp : TQ_Op<"linear"> {
  let summary = "matrix product with a weight of [outputs, inputs], plus bias";
  let description = [{
    `y[t, n] = sum_k x[t, k] * w[n, k] + b[n]`.

    f32 contract: the accumulator starts at 0, k ascends, the product and the
    sum are rounded separately (no fused multiply-add), the bias comes last.

    ```mlir
    %0 = tq.linear %x, %w, %b
        : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$x, TQ_FloatMatrix:$w,
                   TQ_FloatVector:$b);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $x `,` $w `,` $b attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_GeluOp : TQ_UnaryFloatOp<"gelu"> {
  let summary = "Gaussian error linear unit";
  let description = [{
    `approximate = none`: `y = x * Phi(x)`; `tanh`:
    `y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))`.

    f32 contract: `qm_gelu` and `qm_gelu_tanh` of quant_math.h.

    ```mlir
    %0 = tq.gelu %x : tensor<?x8xf32>
    %1 = tq.gelu %x {approximate = #tq.approximate<tanh>} : tensor<?x8xf32>
    ```
  }];
  let arguments = (ins TQ_Float:$x,
    DefaultValuedAttr<TQ_ApproximateAttr,
                      "::quern::tq::Approximate::None">:$approximate);
}

def TQ_ReluOp : TQ_UnaryFloatOp<"relu"> {
  let summary = "negative values become 0";
  let description = [{
    `y = x > 0 ? x : 0`.

    ```mlir
    %0 = tq.relu %x : tensor<?x8xf32>
    ```
  }];
  let arguments = (ins TQ_Float:$x);
  let hasFolder = 1;
}

def TQ_TanhOp : TQ_UnaryFloatOp<"tanh"> {
  let summary = "hyperbolic tangent";
  let description = [{
    `y = tanh(x)`. f32 contract: `qm_tanh` of quant_math.h.

    ```mlir
    %0 = tq.tanh %x : tensor<?x8xf32>
    ```
  }];
  let arguments = (ins TQ_Float:$x);
}

def TQ_ScoresOp : TQ_Op<"scores"> {
  let summary = "attention scores of every head, within each sequence";
  let description = [{
    For sequence s of length T_s and head h:
    `y[h, base_s + i * T_s + j] = sum_d q[i, h, d] * k[j, h, d]`, with
    `base_s` the sum of the squared lengths before s; R is the sum of all
    squared lengths. No scaling. f32 contract: as `tq.linear`, d ascending.

    With `first_query` only the first token of each sequence asks: q has a row
    for each sequence, `y[h, offsets[s] + j] = sum_d q[s, h, d] * k[j, h, d]`,
    and R is the number of tokens. A sequence of no tokens is an error then.

    ```mlir
    %0 = tq.scores %q, %k, %offsets {heads = 2 : i64}
        : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$q, TQ_FloatMatrix:$k,
                   TQ_IntVector:$offsets, TQ_I64Attr:$heads,
                   UnitAttr:$first_query);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $offsets attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_SoftmaxOp : TQ_Op<"softmax"> {
  let summary = "softmax over each row of each score block";
  let description = [{
    `p[j] = exp(scale * (s[j] - max)) / sum_j exp(scale * (s[j] - max))` over
    the T_s scores of a row; blocks as in `tq.scores`.

    f32 contract: `e = qm_exp((s - max) * scale)`, the sum in the 16-lane
    order of `tq.layer_norm`, `p = e / sum`. With `first_query` each sequence
    has the one row that `tq.scores` gives it then.

    ```mlir
    %0 = tq.softmax %s, %offsets {scale = 0.125 : f32}
        : (tensor<2x?xf32>, tensor<?xi32>) -> tensor<2x?xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$s, TQ_IntVector:$offsets,
                   F32Attr:$scale, UnitAttr:$first_query);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $s `,` $offsets attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_ContextOp : TQ_Op<"context"> {
  let summary = "weighted sum of the values, heads merged";
  let description = [{
    `y[i, h, d] = sum_j p[h, base_s + i * T_s + j] * v[j, h, d]` within each
    sequence. f32 contract: as `tq.linear`, j ascending, no bias. With
    `first_query`, `y[s, h, d] = sum_j p[h, offsets[s] + j] * v[j, h, d]`: one
    row for each sequence.

    ```mlir
    %0 = tq.context %p, %v, %offsets {heads = 2 : i64}
        : (tensor<2x?xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$p, TQ_FloatMatrix:$v,
                   TQ_IntVector:$offsets, TQ_I64Attr:$heads,
                   UnitAttr:$first_query);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $p `,` $v `,` $offsets attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_PoolOp : TQ_Op<"pool"> {
  let summary = "one row per sequence";
  let description = [{
    `cls`: the first row of each sequence; `mean`: the mean of its rows. A
    sequence of no tokens gives a row of zeros. f32 contract of the mean: rows
    added in ascending order, one division by f32(T_s).

    ```mlir
    %0 = tq.pool %x, %offsets {kind = #tq.pool_kind<mean>}
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_FloatMatrix:$x, TQ_IntVector:$offsets,
                   TQ_PoolKindAttr:$kind);
  let results = (outs TQ_FloatMatrix:$result);
  let assemblyFormat = [{
    $x `,` $offsets attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def TQ_NormalizeOp : TQ_UnaryFloatOp<"normalize"> {
  let summary = "rows scaled to length one";
  let description = [{
    `y = x / max(sqrt(sum x^2), eps)` over each row.

    f32 contract: the sum of squares in the 16-lane order of `tq.layer_norm`,
    then IEEE square root and division.

    ```mlir
    %0 = tq.normalize %x {eps = 1.0e-12 : f64} : tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_Float:$x, DefaultValuedAttr<F64Attr, "1e-12">:$eps);
  let hasVerifier = 1;
}

def TQ_ObserveOp : TQ_UnaryFloatOp<"observe"> {
  let summary = "place where a quantizer may stand";
  let description = [{
    `y = x`. Import places one at every site a recipe can name; calibration
    reads the values that pass; quantization turns the chosen ones into
    `tq.quantize` and `tq.dequantize`. `site` is unique in the function; `key`
    is the recipe's key (`x` for the FFN input, ...); `layer` is -1 outside
    the encoder layers.

    ```mlir
    %0 = tq.observe %x {key = "x", layer = 3 : i64, site = "L3.x"}
        : tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_Float:$x, StrAttr:$site, StrAttr:$key,
                   DefaultValuedAttr<TQ_I64Attr, "-1">:$layer);
  let hasVerifier = 1;
}

#endif // QUERN_DIALECTS_TQ_TQFLOATOPS
