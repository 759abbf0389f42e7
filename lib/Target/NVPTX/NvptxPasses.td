//===- NvptxPasses.td - Kernels for NVIDIA GPUs ---------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_NVPTXPASSES
#define QUERN_LIB_TARGET_NVPTX_NVPTXPASSES

include "mlir/Pass/PassBase.td"

/// What kernels are written in.
defvar NvptxDialects = ["::mlir::LLVM::LLVMDialect",
                        "::mlir::NVVM::NVVMDialect",
                        "::mlir::arith::ArithDialect",
                        "::mlir::scf::SCFDialect"];

/// What a product computes, however it is cut.
defvar NvptxProductOptions = [
  Option<"activation", "activation", "std::string", /*default=*/"\"none\"",
         "Function before the result: none, gelu, gelu_tanh, relu, tanh or "
         "i_gelu">,
  Option<"result", "result", "std::string", /*default=*/"\"u8\"",
         "What is stored: u8, u16 or f32">,
  Option<"zeros", "zeros", "bool", /*default=*/"false",
         "The weights have a zero point for each column">,
  Option<"groups", "groups", "bool", /*default=*/"false",
         "The columns of x come in groups with scales of their own">,
  Option<"wide", "wide", "bool", /*default=*/"false",
         "The codes of x have 16 bits, as planes of bytes">,
  Option<"fixed", "fixed", "bool", /*default=*/"false",
         "Integers from the sums to the codes">,
  Option<"tokens", "tokens", "bool", /*default=*/"false",
         "Rows of x end in a range of their own">
];

def NvptxGemm : Pass<"tq-nvptx-gemm", "::mlir::ModuleOp"> {
  let summary = "append a u8 x s8 matrix product for tensor cores";
  let description = [{
    Appends the kernel that `buildGemm` of lib/Target/NVPTX/Gemm.h makes of a
    schedule and a form. Kernels are functions of their options alone: the
    number of rows, widths, strides and constants are parameters, so that one
    kernel serves all layers. Expects nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @gemm_u8_64x64_32x32_s4_u8(%x: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"blockM", "block-m", "int64_t", /*default=*/"64",
           "Rows of the result that a block makes">,
    Option<"blockN", "block-n", "int64_t", /*default=*/"64",
           "Columns of the result that a block makes">,
    Option<"warpM", "warp-m", "int64_t", /*default=*/"32",
           "Rows of the result that a warp makes">,
    Option<"warpN", "warp-n", "int64_t", /*default=*/"32",
           "Columns of the result that a warp makes">,
    Option<"stages", "stages", "int64_t", /*default=*/"4",
           "Steps of 64 k that are on their way at once">
  ] # NvptxProductOptions;
  let dependentDialects = NvptxDialects;
}

def NvptxWgmma : Pass<"tq-nvptx-wgmma", "::mlir::ModuleOp"> {
  let summary = "append a u8 x s8 matrix product for warpgroups of sm_90a";
  let description = [{
    Appends the kernel that `buildWgmmaGemm` of lib/Target/NVPTX/WgmmaGemm.h
    makes: the products of `tq-nvptx-gemm` with wgmma over tiles that TMA
    copies. PTX of it is that of the variant sm_90a alone. Expects nothing of
    the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @wgmma_u8_128x192_s4_u8(
        %x: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, ...}, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 288, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"blockM", "block-m", "int64_t", /*default=*/"128",
           "Rows of the result that a block makes: 64 or 128">,
    Option<"blockN", "block-n", "int64_t", /*default=*/"192",
           "Columns of the result that a block makes">,
    Option<"stages", "stages", "int64_t", /*default=*/"4",
           "Steps of 128 k that are on their way at once">
  ] # NvptxProductOptions;
  let dependentDialects = NvptxDialects;
}

def NvptxAddNorm : Pass<"tq-nvptx-add-norm", "::mlir::ModuleOp"> {
  let summary = "append a residual sum with LayerNorm for GPUs";
  let description = [{
    Appends the kernel that `buildAddNorm` of lib/Target/NVPTX/AddNorm.h makes:
    `tq.qadd_norm` with one warp to a row; with groups or an order that of
    `buildGroupNorm`, and without floats that of `buildFixedAddNorm`. Expects
    nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @add_norm_768_u8_u8_u8_u8(%a: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"d", "d", "int64_t", /*default=*/"768", "Columns of a row">,
    Option<"a", "a", "std::string", /*default=*/"\"u8\"",
           "Codes of the first operand: u8 or u16">,
    Option<"b", "b", "std::string", /*default=*/"\"u8\"",
           "Codes of the second operand: u8 or u16">,
    Option<"sum", "sum", "std::string", /*default=*/"\"u8\"",
           "Codes of the sum: u8 or u16">,
    Option<"result", "result", "std::string", /*default=*/"\"u8\"",
           "What is stored: u8, u16 or f32">,
    Option<"groups", "groups", "bool", /*default=*/"false",
           "The sum has groups of channels with scales of their own">,
    Option<"ordered", "ordered", "bool", /*default=*/"false",
           "The result has its channels in another order">,
    Option<"fixed", "fixed", "bool", /*default=*/"false",
           "Integers from the operands to the codes">,
    Option<"factors", "factors", "bool", /*default=*/"false",
           "Of fixed: channels have factors, powers of two">,
    Option<"second", "second", "std::string", /*default=*/"\"none\"",
           "What is stored beside the result: none, planes of 16-bit codes, or "
           "codes of another scale, u8 or u16">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxAdd : Pass<"tq-nvptx-add", "::mlir::ModuleOp"> {
  let summary = "append a residual sum that several ops read, for GPUs";
  let description = [{
    Appends the kernel that `buildAddCodes` of lib/Target/NVPTX/AddCodes.h
    makes: `tq.qadd` with one warp to a row. Expects nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @add_u8_u8_u8(%a: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"a", "a", "std::string", /*default=*/"\"u8\"",
           "The first operand: u8, u16 or f32">,
    Option<"b", "b", "std::string", /*default=*/"\"u8\"",
           "The second operand: u8, u16 or f32">,
    Option<"result", "result", "std::string", /*default=*/"\"u8\"",
           "Codes of the sum: u8 or u16">,
    Option<"fixed", "fixed", "bool", /*default=*/"false",
           "Integers from the operands to the codes">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxLookup : Pass<"tq-nvptx-lookup", "::mlir::ModuleOp"> {
  let summary = "append the look-up of one embedding table for GPUs";
  let description = [{
    Appends the kernel that `buildLookup` of lib/Target/NVPTX/Lookup.h makes:
    `tq.embedding` alone. Expects nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @lookup_f32(%index: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"bits", "bits", "int64_t", /*default=*/"32",
           "Of the table: 32 for f32, or 8, 4 or 2 of its codes">,
    Option<"rowScales", "row-scales", "bool", /*default=*/"false",
           "The table has a scale for each row">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxEmbed : Pass<"tq-nvptx-embed", "::mlir::ModuleOp"> {
  let summary = "append embedding tables with LayerNorm for GPUs";
  let description = [{
    Appends the kernel that `buildEmbed` of lib/Target/NVPTX/Embed.h makes:
    `tq.qembed` on tables of s8 codes. Expects nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @embed_768_u8_u8_u8(%ids: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"d", "d", "int64_t", /*default=*/"768", "Columns of a row">,
    Option<"wordScales", "word-scales", "bool", /*default=*/"false",
           "The word table has a scale for each row">,
    Option<"typeScales", "type-scales", "bool", /*default=*/"false",
           "The type table has a scale for each row">,
    Option<"positionScales", "position-scales", "bool", /*default=*/"false",
           "The position table has a scale for each row">,
    Option<"e1", "e1", "std::string", /*default=*/"\"u8\"",
           "Codes of word + type: u8 or u16">,
    Option<"e2", "e2", "std::string", /*default=*/"\"u8\"",
           "Codes of the whole sum: u8 or u16">,
    Option<"result", "result", "std::string", /*default=*/"\"u8\"",
           "What is stored: u8, u16 or f32">,
    Option<"wordBits", "word-bits", "int64_t", /*default=*/"8",
           "Bits of the codes of words: 8, 4 or 2">,
    Option<"fixed", "fixed", "bool", /*default=*/"false",
           "Integers from the tables to the codes">,
    Option<"factors", "factors", "bool", /*default=*/"false",
           "Of fixed: channels of the whole sum have factors, powers of two">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxAttention : Pass<"tq-nvptx-attention", "::mlir::ModuleOp"> {
  let summary = "append integer attention for tensor cores";
  let description = [{
    Appends the kernel that `buildAttention` of lib/Target/NVPTX/Attention.h
    makes: `tq.qattention`, one block to 64 queries of a head. Expects nothing
    of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @attention_64_u8(%qkv: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"headDim", "head-dim", "int64_t", /*default=*/"64",
           "Channels of a head: at most 128">,
    Option<"result", "result", "std::string", /*default=*/"\"u8\"",
           "What is stored: u8, u16 or f32">,
    Option<"firstQuery", "first-query", "bool", /*default=*/"false",
           "Only the first token of each sequence asks">,
    Option<"logBits", "log-bits", "int64_t", /*default=*/"0",
           "Bits of logarithmic probabilities; 0 for uniform ones">,
    Option<"rootOfTwo", "root-of-two", "bool", /*default=*/"false",
           "Logarithmic probabilities have base sqrt(2)">,
    Option<"fixed", "fixed", "bool", /*default=*/"false",
           "Integers from the scores to the codes of the context">,
    Option<"down", "down", "bool", /*default=*/"false",
           "Of fixed: probabilities are rounded down">,
    Option<"perHead", "per-head", "bool", /*default=*/"false",
           "Heads have constants of their own">,
    Option<"keysAtOnce", "keys-at-once", "int64_t", /*default=*/"0",
           "Keys in shared memory at once, for long sequences; 0 for all">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxTokens : Pass<"tq-nvptx-tokens", "::mlir::ModuleOp"> {
  let summary = "append a kernel of rows with ranges of their own, for GPUs";
  let description = [{
    Appends a kernel of lib/Target/NVPTX/TokenRows.h: `tq.quantize` and
    `tq.dequantize` of codes with ranges of tokens, or `tq.qshift_gelu`.
    Expects nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @quantize_tokens_u8(%x: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"quantize\"",
           "quantize, dequantize or shift_gelu">,
    Option<"bits", "bits", "int64_t", /*default=*/"8",
           "Of the codes: 2 to 8">,
    Option<"centred", "centred", "bool", /*default=*/"false",
           "Ranges are as wide above 0 as below">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxElements : Pass<"tq-nvptx-elements", "::mlir::ModuleOp"> {
  let summary = "append a way between values and codes, or a pooling, for GPUs";
  let description = [{
    Appends the kernel that `buildElements` of lib/Target/NVPTX/Elements.h
    makes: `tq.quantize`, `tq.dequantize`, `tq.requantize`, `tq.qpool`,
    `tq.qlimit` or `tq.normalize` with one warp to a row. Expects nothing of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @dequantize_u8_f32(%x: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"dequantize\"",
           "quantize, dequantize, requantize, pool_first, pool_mean, "
           "normalize, planes or limit">,
    Option<"in", "in", "std::string", /*default=*/"\"u8\"",
           "What is read: u8, u16 or f32">,
    Option<"out", "out", "std::string", /*default=*/"\"f32\"",
           "What is stored: u8, u16 or f32">,
    Option<"offset", "offset", "bool", /*default=*/"false",
           "Of pool_mean: codes have a real offset">
  ];
  let dependentDialects = NvptxDialects;
}

def NvptxReal : Pass<"tq-nvptx-real", "::mlir::ModuleOp"> {
  let summary = "append a kernel of real numbers for GPUs";
  let description = [{
    Appends a kernel of lib/Target/NVPTX that keeps f32 from end to end:
    `tq.linear` (RealGemm.h), `tq.scores` with `tq.softmax` and `tq.context`
    (RealAttention.h), `tq.layer_norm` of a row, of a sum or of three embedding
    tables (RealNorm.h), or a function of elements (RealRows.h). Expects nothing
    of the module.

    ```mlir
    module {}
    ```
    becomes
    ```mlir
    llvm.func @gemm_f32_32x64_w32(%x: !llvm.ptr<1>, ...)
        attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {...}
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"linear\"",
           "linear, attention, norm, add_norm, embed, gelu_f32, gelu_tanh_f32, "
           "relu_f32, tanh_f32 or add_f32">,
    Option<"bits", "bits", "int64_t", /*default=*/"32",
           "Of weights, or of the word table: 32 for f32, or 8, 4 or 2">,
    Option<"activation", "activation", "std::string", /*default=*/"\"none\"",
           "Behind a product: none, gelu, gelu_tanh, relu or tanh">,
    Option<"headDim", "head-dim", "int64_t", /*default=*/"64",
           "Channels of a head: at most 256">,
    Option<"firstQuery", "first-query", "bool", /*default=*/"false",
           "Only the first token of each sequence asks">,
    Option<"quantizers", "quantizers", "bool", /*default=*/"false",
           "Scores and probabilities pass through codes">
  ];
  let dependentDialects = NvptxDialects;
}

#endif // QUERN_LIB_TARGET_NVPTX_NVPTXPASSES
