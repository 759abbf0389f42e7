//===- TQTypes.td - Quantized types upstream cannot say -------*- tablegen -*-===//
//
// Part of Quern. Element types of tensors of codes: groups of channels (PEG),
// logarithmic codes, 1-bit codes, real offsets, ranges found at run time.
// Per-tensor, per-axis and sub-channel uniform types are upstream's
// `!quant.uniform`.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQTYPES
#define QUERN_DIALECTS_TQ_TQTYPES

include "dialects/TQ/TQBase.td"

class TQ_Type<string name, string typeMnemonic>
    : TypeDef<TQ_Dialect, name> {
  let mnemonic = typeMnemonic;
  let genVerifyDecl = 1;
}

def TQ_GroupType : TQ_Type<"Group", "group"> {
  let summary = "uniform codes, one scale and zero point per group of channels";
  let description = [{
    `x_hat = scale[g] * (q - zero[g])` with `g = map[channel]` along `axis`.
    The map has one entry per channel; runs are written `group x count`. Every
    group must be used. Per-embedding-group quantization (PEG) has K groups of
    equal size; a fused Q, K, V row has three, or one for each head of each.

    `limits`, of each group `lo:hi`, say that its codes keep within fewer bits
    than the storage has: heads that were learned with bits of their own.

    ```mlir
    !tq.group<u8, axis = 1, map = [0 x 2, 1, 0], params = [0.5:3, 0.25:128]>
    !tq.group<u8, axis = 1, map = [0, 1], params = [0.5:128, 0.25:128],
              limits = [0:255, 120:135]>
    ```
  }];
  let parameters = (ins
    "unsigned":$storageBits, "bool":$isSigned, "int64_t":$axis,
    ArrayRefParameter<"int64_t">:$map,
    ArrayRefParameter<"::quern::tq::UniformParams">:$params,
    OptionalArrayRefParameter<"::quern::tq::CodeLimits">:$limits);
  let builders = [TypeBuilder<(ins
      "unsigned":$storageBits, "bool":$isSigned, "int64_t":$axis,
      "::llvm::ArrayRef<int64_t>":$map,
      "::llvm::ArrayRef<::quern::tq::UniformParams>":$params), [{
    return $_get($_ctxt, storageBits, isSigned, axis, map, params,
                 ::llvm::ArrayRef<::quern::tq::CodeLimits>());
  }]>];
  let extraClassDeclaration = [{
    /// The codes that a group may have: its limits, or all of the storage.
    ::quern::tq::CodeLimits limitsOf(int64_t group) const;
  }];
  let hasCustomAssemblyFormat = 1;
}

def TQ_LogType : TQ_Type<"Log", "log"> {
  let summary = "logarithmic codes of base 2 or sqrt(2)";
  let description = [{
    `x_hat = scale * 2^-q` (base `two`) or
    `x_hat = scale * 2^-ceil(q/2) * (q odd ? sqrt(2) : 1)` (base `sqrt2`);
    the code `zero` means exact 0 and is the last: 2^bits - 1, or 2^bits, with
    which the type has 2^bits + 1 values and its storage needs one bit more.
    `q = clamp(round(-log_base(x / scale)))`; what would reach the code of
    zero, and every x <= 0, is zero.

    ```mlir
    !tq.log<u4, sqrt2, scale = 1.0, zero = 16>
    ```
  }];
  let parameters = (ins "unsigned":$bits, "::quern::tq::LogBase":$base,
                    "::quern::tq::UniformParams":$params);
  let hasCustomAssemblyFormat = 1;
}

def TQ_BinaryType : TQ_Type<"Binary", "binary"> {
  let summary = "1-bit codes: signs, or zero and one";
  let description = [{
    `sign`: code 1 is `+scale` (x >= 0), code 0 is `-scale`. `bit`: code 1 is
    `scale` (x > scale / 2), code 0 is 0. One scale for the tensor, or one per index of `axis`.

    ```mlir
    !tq.binary<sign, scales = [0.02]>
    !tq.binary<sign, axis = 0, scales = [0.02, 0.03]>
    ```
  }];
  let parameters = (ins "::quern::tq::BinaryKind":$kind,
    "int64_t":$axis,
    ArrayRefParameter<"::quern::tq::UniformParams">:$params);
  let hasCustomAssemblyFormat = 1;
}

def TQ_OffsetType : TQ_Type<"Offset", "offset"> {
  let summary = "uniform codes with a real-valued offset";
  let description = [{
    `x_hat = scale * q + offset`; the offset is a real number, not a code, and
    folds into the next bias (LSQ-style activations).

    ```mlir
    !tq.offset<u8, scale = 0.05, offset = -0.17>
    ```
  }];
  let parameters = (ins "unsigned":$storageBits, "bool":$isSigned,
    "::quern::tq::RealParams":$params);
  let hasCustomAssemblyFormat = 1;
}

def TQ_DynamicType : TQ_Type<"Dynamic", "dynamic"> {
  let summary = "uniform codes whose range is found at run time";
  let description = [{
    Scale and zero point come from the minimum and maximum of the values of
    one tensor, token or sequence when the function runs. The range is widened
    to hold 0. `symmetric` fixes the zero point: of signed codes at 0, of
    unsigned ones at the middle code where some value is negative, else at 0.

    f32 contract (L2), of unsigned codes of at most 8 bits and of tokens: lo and
    hi are `qm_row_range` of the row, s is `qm_range_scale` and z is
    `qm_range_zero` of quant_math.h. What the codes of a row are depends on
    nothing but the row.

    ```mlir
    !tq.dynamic<u8, token>
    !tq.dynamic<i8, tensor, symmetric>
    ```
  }];
  let parameters = (ins "unsigned":$storageBits, "bool":$isSigned,
    "::quern::tq::RangeOf":$rangeOf, "bool":$symmetric);
  let hasCustomAssemblyFormat = 1;
}

#endif // QUERN_DIALECTS_TQ_TQTYPES
