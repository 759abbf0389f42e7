//===- Passes.h - Passes from L1 to L2 -----------------------------*- C++ -*-//
//
// The stage that turns the simulation into integer arithmetic.
// `registerRewritePasses()` makes its passes and the pipeline
// `tq-rewrite-pipeline` known to a tool.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_REWRITE_PASSES_H
#define QUERN_LIB_REWRITE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace quern {

#define GEN_PASS_DECL
#include "lib/Rewrite/Passes.h.inc"

/// L1 to L2. The stage contract is not checked here: a tool that wants it runs
/// tq-check-stage{stage=integer} afterwards.
void buildRewritePipeline(mlir::OpPassManager &manager);

/// Registers every pass of this folder and its pipeline.
void registerRewritePasses();

} // namespace quern

#endif // QUERN_LIB_REWRITE_PASSES_H
