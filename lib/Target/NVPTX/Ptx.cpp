//===- Ptx.cpp - Kernels to PTX text --------------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// math is no part of the pipeline: it would become calls of a library that a
// machine without the toolkit does not have.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Ptx.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

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
createMachine(PtxVariant variant) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string problem;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, problem);
  if (!target)
    return Error(problem);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, variantName(variant),
      variant == PtxVariant::Sm80 ? "+ptx70" : "+ptx84", options, std::nullopt,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cam;
  llvm::ModuleAnalysisManager mam;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cam, mam);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, mam);
}

Expected<std::string> emitLoweredPtx(ModuleOp lowered, PtxVariant variant) {
  auto machine = createMachine(variant);
  if (!machine)
    return machine.takeError();
  registerBuiltinDialectTranslation(*lowered.getContext());
  registerLLVMDialectTranslation(*lowered.getContext());
  registerNVVMDialectTranslation(*lowered.getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(lowered, context, "quern");
  if (!module)
    return Error("kernels cannot be translated to LLVM");
  module->setTargetTriple((*machine)->getTargetTriple());
  module->setDataLayout((*machine)->createDataLayout());
  optimize(*module, **machine);
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream out(text);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, out, nullptr,
                                      llvm::CodeGenFileType::AssemblyFile))
    return Error("LLVM's NVPTX target cannot write PTX");
  passes.run(*module);
  return std::string(text.begin(), text.end());
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
