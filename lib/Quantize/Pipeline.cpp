//===- Pipeline.cpp - The pipeline from L0 to L1 --------------------------===//
//
// Registration of the stage's passes and `tq-quantize-pipeline`.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

#include "dialects/TQ/TQDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_REGISTRATION
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

void quern::buildQuantizePipeline(OpPassManager &manager) {
  // L0 in: float ops and observes.
  CheckStageOptions import;
  import.stage = "import";
  manager.addPass(createCheckStage(import));
  manager.addPass(createCorrectBias());
  manager.addPass(createOrderChannels());
  manager.addPass(createSplitResidual());
  manager.addPass(createReparameterize());
  manager.addPass(createQuantize());
  // Last, so that what was learned and counted above is of all rows.
  manager.addPass(createSliceRows());
  // L1 out: quantizers by site, weights as codes.
  CheckStageOptions simulate;
  simulate.stage = "simulate";
  manager.addPass(createCheckStage(simulate));
}

void quern::registerQuantizePasses() {
  registerCorrectBias();
  registerOrderChannels();
  registerSplitResidual();
  registerReparameterize();
  registerQuantize();
  registerSliceRows();
  registerCheckStage();
  PassPipelineRegistration<>(
      "tq-quantize-pipeline",
      "From L0 with a tq.scheme to L1: check, write quantizers, check",
      [](OpPassManager &manager) { buildQuantizePipeline(manager); });
}
