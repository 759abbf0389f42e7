//===- TQBase.td - The tq dialect, its enums and constraints --*- tablegen -*-===//
//
// Part of Quern. What every other .td file of the dialect includes: the
// dialect itself, the enumerations and the type constraints of the operands.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQBASE
#define QUERN_DIALECTS_TQ_TQBASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TQ_Dialect : Dialect {
  let name = "tq";
  let summary = "transformer encoders, from float to integer";
  let description = [{
    One dialect for three levels of the same function:

    - **L0** is the model as trained, in ops on f32 tensors, with a
      `tq.observe` at every place a quantizer may stand.
    - **L1** is the simulation: `tq.quantize` and `tq.dequantize` at the chosen
      sites, `tq.dequantize_weight` at the weights, real arithmetic between.
    - **L2** is what the machine computes: ops whose names start with `q`, on
      codes, with every constant written out in f32 or i32.

    Activations are token-packed: T tokens of S sequences lie end to end, and
    `offsets` (S + 1 entries) says where each sequence starts. All ops are
    pure. Types carry the quantization: `!quant.uniform` of upstream where it
    can say it, a type of this dialect where it cannot.

    Rounding is half to even wherever no other mode is named; `rne` is that
    rounding, and `clampq(v) = rne(min(max(v, lo), hi))` in f32.

    The module attribute `tq.model` describes the model (a dictionary with
    family, head, labels, hidden, heads, layers, ...).
  }];
  let cppNamespace = "::quern::tq";
  let dependentDialects = ["::mlir::quant::QuantDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Defined beside the types, in TQTypes.cpp.
    void registerTypes();
  }];
}

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

class TQ_I32Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::quern::tq";
  let genSpecializedAttr = 0;
}

def TQ_Activation : TQ_I32Enum<"Activation", "function applied before requantization", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Gelu", 1, "gelu">,
  I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">,
  I32EnumAttrCase<"Relu", 3, "relu">,
  I32EnumAttrCase<"Tanh", 4, "tanh">,
  I32EnumAttrCase<"IGelu", 5, "i_gelu">]>;

def TQ_SoftmaxForm : TQ_I32Enum<"SoftmaxForm", "how probabilities are made of scores", [
  I32EnumAttrCase<"Table", 0, "table">,
  I32EnumAttrCase<"IExp", 1, "i_exp">,
  I32EnumAttrCase<"Shiftmax", 2, "shiftmax">]>;

def TQ_Approximate : TQ_I32Enum<"Approximate", "form of GELU", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Tanh", 1, "tanh">]>;

def TQ_PoolKind : TQ_I32Enum<"PoolKind", "how a sequence becomes one row", [
  I32EnumAttrCase<"Cls", 0, "cls">,
  I32EnumAttrCase<"Mean", 1, "mean">]>;

def TQ_Rounding : TQ_I32Enum<"Rounding", "rounding of a real number to a code", [
  I32EnumAttrCase<"HalfEven", 0, "half_even">,
  I32EnumAttrCase<"HalfUp", 1, "half_up">,
  I32EnumAttrCase<"HalfAway", 2, "half_away">,
  I32EnumAttrCase<"Floor", 3, "floor">,
  I32EnumAttrCase<"Trunc", 4, "trunc">]>;

def TQ_LogBase : TQ_I32Enum<"LogBase", "base of a logarithmic code", [
  I32EnumAttrCase<"Two", 0, "two">,
  I32EnumAttrCase<"SqrtTwo", 1, "sqrt2">]>;

def TQ_BinaryKind : TQ_I32Enum<"BinaryKind", "values of a 1-bit code", [
  I32EnumAttrCase<"Sign", 0, "sign">,
  I32EnumAttrCase<"Bit", 1, "bit">]>;

def TQ_RangeOf : TQ_I32Enum<"RangeOf", "what shares one run-time range", [
  I32EnumAttrCase<"Tensor", 0, "tensor">,
  I32EnumAttrCase<"Token", 1, "token">,
  I32EnumAttrCase<"Sequence", 2, "sequence">]>;

def TQ_ActivationAttr : EnumAttr<TQ_Dialect, TQ_Activation, "activation"> {
  let assemblyFormat = "`<` $value `>`";
}
def TQ_SoftmaxFormAttr : EnumAttr<TQ_Dialect, TQ_SoftmaxForm, "softmax_form"> {
  let assemblyFormat = "`<` $value `>`";
}
def TQ_ApproximateAttr : EnumAttr<TQ_Dialect, TQ_Approximate, "approximate"> {
  let assemblyFormat = "`<` $value `>`";
}
def TQ_PoolKindAttr : EnumAttr<TQ_Dialect, TQ_PoolKind, "pool_kind"> {
  let assemblyFormat = "`<` $value `>`";
}
def TQ_RoundingAttr : EnumAttr<TQ_Dialect, TQ_Rounding, "rounding"> {
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Type constraints
//===----------------------------------------------------------------------===//

def TQ_Quantized : Type<
    CPred<"::quern::tq::isQuantizedType($_self)">, "quantized type">;

/// A 64-bit integer whose accessor is signed.
def TQ_I64Attr
    : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer attribute">;

/// f32 tensors: any rank, [rows, columns], [length].
def TQ_Float : RankedTensorOf<[F32]>;
def TQ_FloatMatrix : 2DTensorOf<[F32]>;
def TQ_FloatVector : 1DTensorOf<[F32]>;

/// Token ids, positions and offsets; i32 constants of integer ops.
def TQ_IntVector : 1DTensorOf<[I32]>;

/// Codes with their interpretation.
def TQ_Codes : RankedTensorOf<[TQ_Quantized]>;
def TQ_CodeMatrix : 2DTensorOf<[TQ_Quantized]>;
def TQ_FloatOrCodeMatrix : 2DTensorOf<[F32, TQ_Quantized]>;

/// Weight codes; a bare i8 holds codes whose scale is folded elsewhere.
def TQ_WeightCodes : RankedTensorOf<[I8]>;
def TQ_WeightMatrix : 2DTensorOf<[I8, TQ_Quantized]>;

#endif // QUERN_DIALECTS_TQ_TQBASE
