//===- Passes.h - Passes from L0 to L1 -----------------------------*- C++ -*-//
//
// The stage that turns a float model into the simulation of a recipe.
// `registerQuantizePasses()` makes its passes and the pipeline
// `tq-quantize-pipeline` known to a tool.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_PASSES_H
#define QUERN_LIB_QUANTIZE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace quern {

#define GEN_PASS_DECL
#include "lib/Quantize/Passes.h.inc"

/// L0 with a `tq.scheme` to a checked L1.
void buildQuantizePipeline(mlir::OpPassManager &manager);

/// Registers every pass of this folder and its pipeline.
void registerQuantizePasses();

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_PASSES_H
