//===- TileProgram.cpp - The graph as a program of kernels ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/TilePasses.h"
#include "lib/Tile/Tiler.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_TILEPROGRAM
#include "lib/Tile/TilePasses.h.inc"

namespace {
class TileProgram : public impl::TileProgramBase<TileProgram> {
public:
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!forward) {
      module.emitError("has no function @forward to tile");
      return signalPassFailure();
    }
    // The program takes the function's name.
    forward.setSymName("forward.graph");
    ProgramBuilder program(module);
    if (failed(Tiler(forward, program).run()))
      return signalPassFailure();
    program.finish();
    forward.erase();
    for (auto function : module.getOps<func::FuncOp>())
      kernelCount += tk::isKernel(function) && !tk::getVariantOf(function);
    module.walk([&](tk::LaunchOp) { ++launchCount; });
  }
};
} // namespace

void buildTilePipeline(OpPassManager &pm) { pm.addPass(createTileProgram()); }

void registerTilePipelines() {
  PassPipelineRegistration<>("tq-tile-pipeline",
                             "The graph to kernels and their program",
                             [](OpPassManager &pm) { buildTilePipeline(pm); });
}

} // namespace quern
