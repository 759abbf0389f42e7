//===- NvptxPasses.td - Kernels for NVIDIA GPUs ---------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_NVPTXPASSES
#define QUERN_LIB_TARGET_NVPTX_NVPTXPASSES

include "mlir/Pass/PassBase.td"

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
           "Steps of 64 k that are on their way at once">,
    Option<"activation", "activation", "std::string", /*default=*/"\"none\"",
           "Function before the result: none, gelu, gelu_tanh, relu or tanh">,
    Option<"result", "result", "std::string", /*default=*/"\"u8\"",
           "What is stored: u8, u16 or f32">,
    Option<"zeros", "zeros", "bool", /*default=*/"false",
           "The weights have a zero point for each column">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect"];
}

#endif // QUERN_LIB_TARGET_NVPTX_NVPTXPASSES
