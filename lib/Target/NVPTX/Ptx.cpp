//===- Ptx.cpp - Kernels to PTX text --------------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// math is no part of the pipeline: it would become calls of a library that a
// machine without the toolkit does not have.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Ptx.h"

#include "lib/Target/MachineCode.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace quern::nvptx {

llvm::StringRef variantName(PtxVariant variant) {
  return variant == PtxVariant::Sm80 ? "sm_80" : "sm_90a";
}

Expected<PtxVariant> parseVariant(StringRef name) {
  for (PtxVariant variant : {PtxVariant::Sm80, PtxVariant::Sm90a})
    if (variantName(variant) == name)
      return variant;
  return Error::make("PTX variant: found '", printable(name.str()),
                     "', expected sm_80 or sm_90a");
}

void buildPtxPipeline(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  // Ops that LLVM has no intrinsic for become text of PTX.
  pm.addPass(createConvertNVVMToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
}

void registerPtxPipeline() {
  PassPipelineRegistration<>("tq-nvptx-pipeline",
                             "GPU kernels to the LLVM and NVVM dialects",
                             buildPtxPipeline);
}

/// u8 times s8 needs PTX 7.0, wgmma with mixed signs 8.4. The older the text,
/// the older the driver may be.
static Expected<std::unique_ptr<llvm::TargetMachine>>
createPtxMachine(PtxVariant variant) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  return createMachine({"nvptx64-nvidia-cuda", variantName(variant).data(),
                        variant == PtxVariant::Sm80 ? "+ptx70" : "+ptx84",
                        std::nullopt});
}

Expected<std::string> emitLoweredPtx(ModuleOp lowered, PtxVariant variant) {
  auto machine = createPtxMachine(variant);
  if (!machine)
    return machine.takeError();
  registerNVVMDialectTranslation(*lowered.getContext());
  llvm::LLVMContext context;
  auto module = translateFor(**machine, lowered, context);
  if (!module)
    return module.takeError();
  optimizeFor(**machine, **module, llvm::OptimizationLevel::O3);
  return emitFile(**machine, **module, llvm::CodeGenFileType::AssemblyFile);
}

Expected<std::string> emitPtx(ModuleOp module, PtxVariant variant) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager pm(module.getContext());
  buildPtxPipeline(pm);
  if (failed(pm.run(*copy)))
    return Error("GPU kernels cannot be lowered to the LLVM dialect");
  return emitLoweredPtx(*copy, variant);
}

} // namespace quern::nvptx
