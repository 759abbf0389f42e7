//===- Pipeline.cpp - The pipeline from L1 to L2 --------------------------===//
//
// Registration of the stage's passes and `tq-rewrite-pipeline`.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Passes.h"

#include "dialects/TQ/TQDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_REGISTRATION
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

void quern::buildRewritePipeline(OpPassManager &manager) {
  OpPassManager &function = manager.nest<func::FuncOp>();
  // Pooling first: the pooler's linear reads the pooled codes.
  function.addPass(createFoldPool());
  function.addPass(createFoldGroups());
  function.addPass(createFoldLinear());
  // Needs the integer products of q, k and v.
  function.addPass(createFuseAttention());
  function.addPass(createFuseEmbedding());
  // What the fusions replaced must be gone before residual sums are matched
  // and before the islands are counted.
  function.addPass(createCleanUp());
  function.addPass(createFuseAddNorm());
  function.addPass(createCleanUp());
  function.addPass(createMaterializeWeights());
  function.addPass(createCleanUp());
  function.addPass(createUseFixedPoint());
}

void quern::registerRewritePasses() {
  registerFoldGroups();
  registerFoldLinear();
  registerFuseAttention();
  registerFuseAddNorm();
  registerFuseEmbedding();
  registerFoldPool();
  registerMaterializeWeights();
  registerUseFixedPoint();
  registerCleanUp();
  PassPipelineRegistration<>(
      "tq-rewrite-pipeline",
      "From L1 to L2: integer ops where the rules cover it, f32 islands "
      "elsewhere",
      [](OpPassManager &manager) { buildRewritePipeline(manager); });
}
