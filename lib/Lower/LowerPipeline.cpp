//===- LowerPipeline.cpp - The order of the lowering ----------------------===//
//
// Kernels of scf, vector and memref to the LLVM dialect.
//
//===----------------------------------------------------------------------===//
#include "lib/Lower/LowerPasses.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void quern::buildExpandPipeline(OpPassManager &pm,
                                llvm::ArrayRef<llvm::StringRef> means) {
  pm.addPass(createIsolateKernels());
  ChooseVariantsOptions variants;
  for (llvm::StringRef each : means)
    variants.means.push_back(each.str());
  pm.addPass(createChooseVariants(variants));
  pm.addPass(createExpandMath());
}

void quern::buildToLLVMPipeline(OpPassManager &pm, llvm::StringRef suffix) {
  pm.addPass(createLowerMicroOps());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  LowerEntryOptions entry;
  entry.suffix = suffix.str();
  pm.addPass(createLowerEntry(entry));
}

void quern::buildLowerPipeline(OpPassManager &pm, const LowerOptions &options) {
  buildExpandPipeline(pm);
  buildToLLVMPipeline(pm, options.suffix);
}

void quern::registerLowerPipelines() {
  PassPipelineRegistration<LowerOptions>(
      "tq-lower-pipeline",
      "Kernels to the LLVM dialect, plain code for any machine",
      buildLowerPipeline);
}
