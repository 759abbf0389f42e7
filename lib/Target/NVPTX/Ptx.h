//===- Ptx.h - Kernels to PTX text ------------------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// No toolkit is asked: LLVM's NVPTX target writes the text, the driver of the
// machine that runs it compiles it.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_PTX_H
#define QUERN_LIB_TARGET_NVPTX_PTX_H

#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace quern::nvptx {

/// The variants of PTX that a module can hold.
enum class PtxVariant {
  /// For every GPU from compute capability 8.0 on.
  Sm80,
  /// For compute capability 9.0 alone.
  Sm90a
};
/// "sm_80" or "sm_90a".
llvm::StringRef variantName(PtxVariant variant);
Expected<PtxVariant> parseVariant(llvm::StringRef name);

/// Adds the passes from scf, arith and nvvm in `llvm.func` to LLVM and NVVM.
void buildPtxPipeline(mlir::OpPassManager &pm);
/// Registers it as tq-nvptx-pipeline.
void registerPtxPipeline();

/// The PTX of a module that buildPtxPipeline has lowered.
Expected<std::string> emitLoweredPtx(mlir::ModuleOp module, PtxVariant variant);

/// The PTX of a module of kernels as DeviceBuilder makes them; lowers a copy.
Expected<std::string> emitPtx(mlir::ModuleOp module, PtxVariant variant);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_PTX_H
