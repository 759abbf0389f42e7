//===- MachineCode.cpp - The LLVM dialect to a target's code --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/MachineCode.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Scalar/Scalarizer.h"

using namespace mlir;

namespace quern {

Expected<std::unique_ptr<llvm::TargetMachine>>
createMachine(const MachineSpec &spec) {
  llvm::Triple triple(spec.triple);
  std::string problem;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, problem);
  if (!target)
    return Error(problem);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, spec.cpu, spec.features, options,
                                  spec.relocation, std::nullopt, spec.level));
}

Expected<std::unique_ptr<llvm::Module>>
translateFor(llvm::TargetMachine &machine, ModuleOp lowered,
             llvm::LLVMContext &context) {
  registerBuiltinDialectTranslation(*lowered.getContext());
  registerLLVMDialectTranslation(*lowered.getContext());
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(lowered, context, "quern");
  if (!module)
    return Error("kernels cannot be translated to LLVM");
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  return module;
}

/// Runs the passes that `build` makes.
static void
run(llvm::TargetMachine &machine, llvm::Module &module, bool vectorize,
    llvm::function_ref<llvm::ModulePassManager(llvm::PassBuilder &)> build) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cam;
  llvm::ModuleAnalysisManager mam;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization &= vectorize;
  tuning.SLPVectorization &= vectorize;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cam, mam);
  build(builder).run(module, mam);
}

void optimizeFor(llvm::TargetMachine &machine, llvm::Module &module,
                 llvm::OptimizationLevel level, bool vectorize) {
  run(machine, module, vectorize, [&](llvm::PassBuilder &builder) {
    return builder.buildPerModuleDefaultPipeline(level);
  });
}

void takeVectorsApart(llvm::TargetMachine &machine, llvm::Module &module) {
  // Nor does the code generator gather neighbours in a vector register.
  for (llvm::Function &function : module)
    function.addFnAttr(llvm::Attribute::NoImplicitFloat);
  llvm::ScalarizerPassOptions options;
  options.ScalarizeLoadStore = true;
  run(machine, module, /*vectorize=*/false, [&](llvm::PassBuilder &) {
    llvm::ModulePassManager passes;
    passes.addPass(
        llvm::createModuleToFunctionPassAdaptor(llvm::ScalarizerPass(options)));
    return passes;
  });
}

Expected<std::string> emitFile(llvm::TargetMachine &machine,
                               llvm::Module &module,
                               llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type))
    return Error("the target cannot emit this kind of file");
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

} // namespace quern
