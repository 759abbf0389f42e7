//===- TQQuantOps.td - Between values and codes ---------------*- tablegen -*-===//
//
// Part of Quern. Quantize, dequantize and requantize, constants of codes and
// the simulated weights. None of them folds to its operand unless the codes
// are provably the same: a quantizer rounds, and rounding is the point.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQQUANTOPS
#define QUERN_DIALECTS_TQ_TQQUANTOPS

include "dialects/TQ/TQBase.td"
include "dialects/TQ/TQFloatOps.td"

def TQ_ConstantOp : TQ_Op<"constant"> {
  let summary = "codes with their interpretation";
  let description = [{
    The value holds the codes in an integer type of the storage's width, or of
    whole bytes.

    ```mlir
    %0 = tq.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi8>
        -> tensor<2x2x!quant.uniform<i8:f32, 0.5>>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs TQ_Codes:$result);
  let assemblyFormat = "$value attr-dict `->` type($result)";
  let hasVerifier = 1;
}

def TQ_QuantizeOp : TQ_Op<"quantize"> {
  let summary = "values to codes";
  let description = [{
    `q = clamp(round(x / s) + z, qmin, qmax)`: the quotient is rounded
    *before* the zero point is added; `rounding` is half to even unless said.
    The result type holds s, z and the storage range. Types of this dialect
    use their own formula (see the type).

    f32 contract (L2): `q = clamp(rne(x * f32(1/s)) + z)`, computed as
    `clampq` of `x * f32(1/s)` over `[qmin - z, qmax - z]`, plus z. Per-tensor
    uniform types, and `!tq.dynamic` of tokens in up to 8 unsigned bits, whose s
    and z are those of the row; 1/s is then a division in f32.

    ```mlir
    %0 = tq.quantize %x {site = "L0.x"}
        : tensor<?x4xf32> -> tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
    ```
  }];
  let arguments = (ins TQ_Float:$x, OptionalAttr<StrAttr>:$site,
    DefaultValuedAttr<TQ_RoundingAttr,
                      "::quern::tq::Rounding::HalfEven">:$rounding);
  let results = (outs TQ_Codes:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def TQ_DequantizeOp : TQ_Op<"dequantize"> {
  let summary = "codes to the values they stand for";
  let description = [{
    `x_hat = s * (q - z)`, or the formula of the operand's type. Never folds
    with the quantize that made the codes. f32 contract: `f32(q - z) * f32(s)`,
    of a row's own s and z where the type is `!tq.dynamic`, and of a column's
    group where it is a `!tq.group` of columns.

    ```mlir
    %0 = tq.dequantize %q
        : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>> -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins TQ_Codes:$x);
  let results = (outs TQ_Float:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def TQ_RequantizeOp : TQ_Op<"requantize"> {
  let summary = "codes of one scale to codes of another";
  let description = [{
    `y = clampq(f32(q) * multiplier + offset)` with the product and the sum
    rounded separately; lo and hi are the storage range of the result type.
    multiplier = s_in / s_out, offset = z_out - z_in * s_in / s_out. Folds to
    its operand only if the type is the same, multiplier 1 and offset 0.

    ```mlir
    %0 = tq.requantize %q {multiplier = 0.5 : f32, offset = 64.0 : f32}
        : tensor<?x4x!quant.uniform<u8:f32, 0.1:128>>
        -> tensor<?x4x!quant.uniform<u8:f32, 0.2:128>>
    ```
  }];
  let arguments = (ins TQ_Codes:$x, F32Attr:$multiplier, F32Attr:$offset,
                   OptionalAttr<StrAttr>:$site);
  let results = (outs TQ_Codes:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def TQ_DequantizeWeightOp : TQ_Op<"dequantize_weight"> {
  let summary = "the values of a quantized weight (L1)";
  let description = [{
    `w[n, k] = scales[n] * codes[n, k]`, or with `scales[0]` if there is one
    scale. Codes of `bits` bits lie in i8, in [-2^(bits-1), 2^(bits-1) - 1].
    Also for embedding tables and, with 1-D codes, LayerNorm gamma.

    With `zeros`, one for each row of a matrix, the weights are asymmetric:
    `w[n, k] = scales[n] * (codes[n, k] - zeros[n])`. A zero point may be any
    integer, also beyond the codes.

    With `blocks`, the ends of blocks of columns, the scales are those of the
    blocks: `w[n, k] = scales[b] * codes[n, k]` for k of block b, as learned
    step size quantization by heads leaves them. There are no zeros then.

    ```mlir
    %0 = tq.dequantize_weight %codes, %scales {bits = 8 : i64}
        : (tensor<8x4xi8>, tensor<8xf32>) -> tensor<8x4xf32>
    %1 = tq.dequantize_weight %codes, %two {blocks = array<i64: 2, 4>}
        : (tensor<8x4xi8>, tensor<2xf32>) -> tensor<8x4xf32>
    ```
  }];
  let arguments = (ins TQ_WeightCodes:$codes, TQ_FloatVector:$scales,
                   Optional<TQ_IntVector>:$zeros,
                   DefaultValuedAttr<TQ_I64Attr, "8">:$bits,
                   OptionalAttr<DenseI64ArrayAttr>:$blocks);
  let results = (outs TQ_Float:$result);
  let assemblyFormat = [{
    $codes `,` $scales (`,` $zeros^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // QUERN_DIALECTS_TQ_TQQUANTOPS
