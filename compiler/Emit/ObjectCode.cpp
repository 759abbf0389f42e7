//===- ObjectCode.cpp - Kernels to machine code ---------------------------===//
//
// Tiers differ in one pass and in the target machine; the rest of the road is
// common.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/ObjectCode.h"

#include "compiler/Emit/LibraryCode.h"
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"
#include "lib/Target/MachineCode.h"
#include "lib/Target/X86/X86Passes.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace quern {

namespace {
struct TierPipelineOptions : PassPipelineOptions<TierPipelineOptions> {
  Option<Tier> tier{
      *this, "tier", llvm::cl::desc("Instruction family to lower for"),
      llvm::cl::init(Tier::Avx512Vnni),
      llvm::cl::values(
          clEnumValN(Tier::Scalar, "scalar", "any x86-64, no vectors"),
          clEnumValN(Tier::Sse2, "sse2", "any x86-64"),
          clEnumValN(Tier::Sse41, "sse41", "SSE4.1"),
          clEnumValN(Tier::Avx2, "avx2", "x86-64-v3"),
          clEnumValN(Tier::AvxVnni, "avxvnni", "the same and AVX-VNNI"),
          clEnumValN(Tier::Avx512Bw, "avx512bw", "x86-64-v4"),
          clEnumValN(Tier::Avx512Vnni, "avx512vnni",
                     "AVX-512 with VNNI and VBMI"),
          clEnumValN(Tier::Amx, "amx", "the same and AMX-INT8"))};
};

/// What LLVM is told of a tier.
struct TierTraits {
  const char *name;
  /// Features are named, not taken from a CPU: names are wrong in virtual
  /// machines, and x86-64-v4 alone has no VNNI.
  const char *cpu, *features;
  /// Plain tiers are there to run anywhere, not to be fast: their vectors fall
  /// apart into so many instructions that more would take most of a
  /// compilation.
  bool optimize;
  /// Without an attribute LLVM halves vectors of 512 bits.
  bool wholeVectors;
};
} // namespace

/// What tk.variant says of kernels for tile registers.
static constexpr llvm::StringLiteral kTileMeans("tiles");

/// What a tier has for variants of kernels, the best first.
static llvm::SmallVector<llvm::StringRef> meansOf(Tier tier) {
  if (tier == Tier::Amx)
    return {kTileMeans};
  llvm::SmallVector<llvm::StringRef> means;
  if (!libraryOf(tier).empty())
    means.push_back("library");
  // Vectors of AVX-512 are twice as many.
  if (tier < Tier::Avx512Bw)
    means.push_back("small");
  return means;
}

static const TierTraits &traitsOf(Tier tier) {
  static const TierTraits scalar = {"scalar", "x86-64", "", false, false};
  static const TierTraits sse2 = {"sse2", "x86-64", "", false, false};
  static const TierTraits sse41 = {"sse41", "x86-64", "+sse4.1", true, false};
  static const TierTraits avx2 = {"avx2", "x86-64-v3", "", true, false};
  static const TierTraits avxVnni = {"avxvnni", "x86-64-v3", "+avxvnni", true,
                                     false};
  static const TierTraits avx512Bw = {"avx512bw", "x86-64-v4", "", true, true};
  static const TierTraits avx512Vnni = {"avx512vnni", "x86-64-v4",
                                        "+avx512vnni,+avx512vbmi", true, true};
  static const TierTraits amx = {"amx", "x86-64-v4",
                                 "+avx512vnni,+avx512vbmi,+amx-tile,+amx-int8",
                                 true, true};
  switch (tier) {
  case Tier::Scalar:
    return scalar;
  case Tier::Sse2:
    return sse2;
  case Tier::Sse41:
    return sse41;
  case Tier::Avx2:
    return avx2;
  case Tier::AvxVnni:
    return avxVnni;
  case Tier::Avx512Bw:
    return avx512Bw;
  case Tier::Avx512Vnni:
    return avx512Vnni;
  case Tier::Amx:
    return amx;
  }
  llvm_unreachable("every tier has traits");
}

llvm::StringRef getTierName(Tier tier) { return traitsOf(tier).name; }

std::string getEntryName(llvm::StringRef kernel, Tier tier) {
  return (kernel + "." + getTierName(tier)).str();
}

template <typename Op> static bool has(llvm::ArrayRef<Operation *> forms) {
  return llvm::any_of(forms, [](Operation *form) {
    return form->walk([](Op) { return WalkResult::interrupt(); })
        .wasInterrupted();
  });
}

Tier getCodeTier(llvm::ArrayRef<Operation *> forms, Tier tier) {
  bool product = has<tk::ProductOp>(forms);
  bool dotProducts = product || has<tk::Dot4Op>(forms);
  // Of dot products without the library, the plain code is as fast: vectors are
  // as long, and what is short of multipliers gains nothing from SSE4.1.
  if (tier == Tier::Sse41)
    return dotProducts && !product ? Tier::Sse2 : tier;
  if (tier == Tier::AvxVnni || tier == Tier::Avx512Bw)
    return dotProducts ? tier : Tier::Avx2;
  if (tier != Tier::Amx)
    return tier;
  for (Operation *form : forms)
    if (tk::getVariantMeans(form) == kTileMeans)
      return tier;
  return Tier::Avx512Vnni;
}

Operation *getCodeForm(llvm::ArrayRef<Operation *> forms, Tier tier) {
  for (llvm::StringRef means : meansOf(getCodeTier(forms, tier)))
    for (Operation *form : forms)
      if (tk::getVariantMeans(form) == means)
        return form;
  for (Operation *form : forms)
    if (tk::getVariantMeans(form).empty())
      return form;
  return nullptr;
}

void buildTierPipeline(OpPassManager &pm, Tier tier, TileCode tiles) {
  bool library = !libraryOf(tier).empty();
  bool hasTiles = tier == Tier::Amx;
  buildExpandPipeline(pm, meansOf(tier));
  if (library) {
    LowerProductsOptions products;
    products.tier = getTierName(tier).str();
    pm.addPass(createLowerProducts(products));
  }
  if (hasTiles)
    // Without registers, tiles become rows with dot products for the next pass.
    pm.addPass(tiles == TileCode::Registers ? createLowerAmx()
                                            : createLowerTiles());
  if (tier == Tier::Avx512Vnni || tier == Tier::Amx)
    pm.addPass(createLowerAvx512Vnni());
  if (tier == Tier::Avx512Bw)
    pm.addPass(createLowerAvx512Bw());
  if (tier == Tier::Avx2 || tier == Tier::AvxVnni) {
    LowerAvx2Options avx2;
    avx2.vnni = tier == Tier::AvxVnni;
    pm.addPass(createLowerAvx2(avx2));
  }
  buildToLLVMPipeline(pm, ("." + getTierName(tier)).str());
}

void registerTierPipelines() {
  PassPipelineRegistration<TierPipelineOptions>(
      "tq-x86-pipeline", "Kernels to the LLVM dialect for one tier of x86-64",
      [](OpPassManager &pm, const TierPipelineOptions &options) {
        buildTierPipeline(pm, options.tier);
      });
}

Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(Tier tier) {
  static const bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)initialized;
  const TierTraits &traits = traitsOf(tier);
  MachineSpec spec = {"x86_64-unknown-linux-gnu", traits.cpu, traits.features,
                      llvm::Reloc::PIC_};
  if (!traits.optimize)
    spec.level = llvm::CodeGenOptLevel::Less;
  return createMachine(spec);
}

Expected<OwningOpRef<ModuleOp>> lowerKernels(ModuleOp module, Tier tier,
                                             const PassSetup &setup,
                                             TileCode tiles) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager pm(module.getContext());
  // After each pass this took an eighth of a compilation.
  pm.enableVerifier(false);
  if (setup)
    setup(pm);
  buildTierPipeline(pm, tier, tiles);
  if (failed(pm.run(*copy)) || failed(verify(*copy)))
    return Error::make("kernels cannot be lowered for tier ",
                       getTierName(tier).str());
  return copy;
}

static void useWholeVectors(llvm::Module &module) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("prefer-vector-width", "512");
    function.addFnAttr("min-legal-vector-width", "512");
  }
}

Expected<std::string> emitLowered(ModuleOp lowered, Tier tier, CodeForm form) {
  auto machine = createTargetMachine(tier);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto module = translateFor(**machine, lowered, context);
  if (!module)
    return module.takeError();
  if (traitsOf(tier).wholeVectors)
    useWholeVectors(**module);
  if (tier == Tier::Scalar)
    takeVectorsApart(**machine, **module);
  optimizeFor(**machine, **module,
              traitsOf(tier).optimize ? llvm::OptimizationLevel::O3
                                      : llvm::OptimizationLevel::O1,
              tier != Tier::Scalar);
  if (form == CodeForm::LLVMText) {
    std::string text;
    llvm::raw_string_ostream(text) << **module;
    return text;
  }
  return emitFile(**machine, **module,
                  form == CodeForm::Object
                      ? llvm::CodeGenFileType::ObjectFile
                      : llvm::CodeGenFileType::AssemblyFile);
}

Expected<std::string> emitKernels(ModuleOp module, Tier tier, CodeForm form,
                                  const PassSetup &setup) {
  auto lowered = lowerKernels(module, tier, setup);
  if (!lowered)
    return lowered.takeError();
  return emitLowered(**lowered, tier, form);
}

} // namespace quern
