//===- LowerPasses.h - From kernels to the LLVM dialect -------------------===//
//
// The common road: micro-ops to vectors, vectors to the LLVM dialect, and the
// C entry of each kernel. Target passes come between tq-expand-math and
// tq-lower-micro-ops.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_LOWER_LOWERPASSES_H
#define QUERN_LIB_LOWER_LOWERPASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir {
class ModuleOp;
class OpPassManager;
class RewritePatternSet;
} // namespace mlir

namespace quern {

#define GEN_PASS_DECL
#include "lib/Lower/LowerPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Lower/LowerPasses.h.inc"

/// Options of tq-lower-pipeline.
struct LowerOptions : mlir::PassPipelineOptions<LowerOptions> {
  Option<std::string> suffix{
      *this, "suffix",
      llvm::cl::desc("Added to the name of each entry, for one per tier")};
};

/// Tiles to vectors and tk.dot4.
void populateTilePatterns(mlir::RewritePatternSet &patterns);

/// From a module of kernels to micro-ops that a target may take. `means`: what
/// the target has for variants of kernels, the best first, see
/// tq-choose-variants.
void buildExpandPipeline(mlir::OpPassManager &pm,
                         llvm::ArrayRef<llvm::StringRef> means = {});

/// From what the target left to the LLVM dialect with entries.
void buildToLLVMPipeline(mlir::OpPassManager &pm, llvm::StringRef suffix);

/// Both, with no target between: plain code for any machine.
void buildLowerPipeline(mlir::OpPassManager &pm, const LowerOptions &options);

/// Registers tq-lower-pipeline.
void registerLowerPipelines();

} // namespace quern

#endif // QUERN_LIB_LOWER_LOWERPASSES_H
