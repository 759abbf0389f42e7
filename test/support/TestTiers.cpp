//===- TestTiers.cpp - Kernels of every tier on every machine -------------===//
//
// The definitions are text in the LLVM dialect, one function for each
// intrinsic, written from the instruction's description.
//
//===----------------------------------------------------------------------===//
#include "test/support/TestTiers.h"

#include "compiler/Emit/KernelObjects.h"
#include "lib/Target/X86/Intrinsics.h"
#include "test/support/amx/Emulator.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Signals.h"

#include <cstdio>

using namespace mlir;

namespace quern::test {

namespace {
struct Definition {
  llvm::StringLiteral intrinsic;
  const char *text;
};
} // namespace

/// Four products of each lane are summed; nothing saturates.
static constexpr const char *kDot4Text = R"mlir(
llvm.func internal @define(%acc: vector<16xi32>, %a: vector<64xi8>,
                           %b: vector<64xi8>) -> vector<16xi32> {
  %x = llvm.zext %a : vector<64xi8> to vector<64xi32>
  %y = llvm.sext %b : vector<64xi8> to vector<64xi32>
  %p = llvm.mul %x, %y : vector<64xi32>
  %0 = llvm.shufflevector %p, %p [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60] : vector<64xi32>
  %1 = llvm.shufflevector %p, %p [1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61] : vector<64xi32>
  %2 = llvm.shufflevector %p, %p [2, 6, 10, 14, 18, 22, 26, 30, 34, 38, 42, 46, 50, 54, 58, 62] : vector<64xi32>
  %3 = llvm.shufflevector %p, %p [3, 7, 11, 15, 19, 23, 27, 31, 35, 39, 43, 47, 51, 55, 59, 63] : vector<64xi32>
  %4 = llvm.add %0, %1 : vector<16xi32>
  %5 = llvm.add %2, %3 : vector<16xi32>
  %6 = llvm.add %4, %5 : vector<16xi32>
  %7 = llvm.add %acc, %6 : vector<16xi32>
  llvm.return %7 : vector<16xi32>
})mlir";

static constexpr const char *kPermuteFloatsText = R"mlir(
llvm.func internal @define(%table: vector<16xf32>, %index: vector<16xi32>)
    -> vector<16xf32> {
  %zero = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i32) : i32
  %lanes = llvm.mlir.constant(16 : i32) : i32
  %mask = llvm.mlir.constant(15 : i32) : i32
  llvm.br ^lane(%zero, %table : i32, vector<16xf32>)
^lane(%i: i32, %v: vector<16xf32>):
  %0 = llvm.extractelement %index[%i : i32] : vector<16xi32>
  %1 = llvm.and %0, %mask : i32
  %2 = llvm.extractelement %table[%1 : i32] : vector<16xf32>
  %3 = llvm.insertelement %2, %v[%i : i32] : vector<16xf32>
  %4 = llvm.add %i, %one : i32
  %5 = llvm.icmp "ne" %4, %lanes : i32
  llvm.cond_br %5, ^lane(%4, %3 : i32, vector<16xf32>), ^done
^done:
  llvm.return %3 : vector<16xf32>
})mlir";

static constexpr const char *kPermuteBytesText = R"mlir(
llvm.func internal @define(%table: vector<64xi8>, %index: vector<64xi8>)
    -> vector<64xi8> {
  %zero = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i32) : i32
  %lanes = llvm.mlir.constant(64 : i32) : i32
  %mask = llvm.mlir.constant(63 : i8) : i8
  llvm.br ^lane(%zero, %table : i32, vector<64xi8>)
^lane(%i: i32, %v: vector<64xi8>):
  %0 = llvm.extractelement %index[%i : i32] : vector<64xi8>
  %1 = llvm.and %0, %mask : i8
  %2 = llvm.extractelement %table[%1 : i8] : vector<64xi8>
  %3 = llvm.insertelement %2, %v[%i : i32] : vector<64xi8>
  %4 = llvm.add %i, %one : i32
  %5 = llvm.icmp "ne" %4, %lanes : i32
  llvm.cond_br %5, ^lane(%4, %3 : i32, vector<64xi8>), ^done
^done:
  llvm.return %3 : vector<64xi8>
})mlir";

static constexpr const char *kPermuteBytes2Text = R"mlir(
llvm.func internal @define(%low: vector<64xi8>, %index: vector<64xi8>,
                           %high: vector<64xi8>) -> vector<64xi8> {
  %zero = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i32) : i32
  %lanes = llvm.mlir.constant(64 : i32) : i32
  %none = llvm.mlir.constant(0 : i8) : i8
  %mask = llvm.mlir.constant(63 : i8) : i8
  %which = llvm.mlir.constant(64 : i8) : i8
  llvm.br ^lane(%zero, %low : i32, vector<64xi8>)
^lane(%i: i32, %v: vector<64xi8>):
  %0 = llvm.extractelement %index[%i : i32] : vector<64xi8>
  %1 = llvm.and %0, %mask : i8
  %2 = llvm.and %0, %which : i8
  %3 = llvm.icmp "ne" %2, %none : i8
  %4 = llvm.extractelement %low[%1 : i8] : vector<64xi8>
  %5 = llvm.extractelement %high[%1 : i8] : vector<64xi8>
  %6 = llvm.select %3, %5, %4 : i1, i8
  %7 = llvm.insertelement %6, %v[%i : i32] : vector<64xi8>
  %8 = llvm.add %i, %one : i32
  %9 = llvm.icmp "ne" %8, %lanes : i32
  llvm.cond_br %9, ^lane(%8, %7 : i32, vector<64xi8>), ^done
^done:
  llvm.return %7 : vector<64xi8>
})mlir";

static constexpr const char *kMaxText = R"mlir(
llvm.func internal @define(%a: vector<16xf32>, %b: vector<16xf32>,
                           %rounding: i32) -> vector<16xf32> {
  %0 = llvm.fcmp "ogt" %a, %b : vector<16xf32>
  %1 = llvm.select %0, %a, %b : vector<16xi1>, vector<16xf32>
  llvm.return %1 : vector<16xf32>
})mlir";

static constexpr const char *kMinText = R"mlir(
llvm.func internal @define(%a: vector<16xf32>, %b: vector<16xf32>,
                           %rounding: i32) -> vector<16xf32> {
  %0 = llvm.fcmp "olt" %a, %b : vector<16xf32>
  %1 = llvm.select %0, %a, %b : vector<16xi1>, vector<16xf32>
  llvm.return %1 : vector<16xf32>
})mlir";

/// What does not fit, and what is no number, gives 0x80000000.
static constexpr const char *kRoundText = R"mlir(
llvm.func internal @define(%v: vector<16xf32>, %pass: vector<16xi32>,
                           %mask: i16, %rounding: i32) -> vector<16xi32> {
  %lo = llvm.mlir.constant(dense<-2.147483648e9> : vector<16xf32>) : vector<16xf32>
  %hi = llvm.mlir.constant(dense<2.147483648e9> : vector<16xf32>) : vector<16xf32>
  %zero = llvm.mlir.constant(dense<0.0> : vector<16xf32>) : vector<16xf32>
  %bad = llvm.mlir.constant(dense<-2147483648> : vector<16xi32>) : vector<16xi32>
  %0 = llvm.intr.roundeven(%v) : (vector<16xf32>) -> vector<16xf32>
  %1 = llvm.fcmp "oge" %0, %lo : vector<16xf32>
  %2 = llvm.fcmp "olt" %0, %hi : vector<16xf32>
  %3 = llvm.and %1, %2 : vector<16xi1>
  %4 = llvm.select %3, %0, %zero : vector<16xi1>, vector<16xf32>
  %5 = llvm.fptosi %4 : vector<16xf32> to vector<16xi32>
  %6 = llvm.select %3, %5, %bad : vector<16xi1>, vector<16xi32>
  %7 = llvm.bitcast %mask : i16 to vector<16xi1>
  %8 = llvm.select %7, %6, %pass : vector<16xi1>, vector<16xi32>
  llvm.return %8 : vector<16xi32>
})mlir";

static constexpr Definition definitions[] = {
    {x86::kDot4, kDot4Text},
    {x86::kPermuteFloats, kPermuteFloatsText},
    {x86::kPermuteBytes, kPermuteBytesText},
    {x86::kPermuteBytes2, kPermuteBytes2Text},
    {x86::kMax, kMaxText},
    {x86::kMin, kMinText},
    {x86::kRound, kRoundText},
};

/// The function that defines `intrinsic` in `module`; made the first time.
static Expected<LLVM::LLVMFuncOp> definitionOf(ModuleOp module,
                                               llvm::StringRef intrinsic) {
  std::string name = "define." + intrinsic.str();
  if (auto made = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return made;
  for (const Definition &definition : definitions) {
    if (definition.intrinsic != intrinsic)
      continue;
    auto parsed =
        parseSourceString<ModuleOp>(definition.text, module.getContext());
    if (!parsed)
      return Error::make("the definition of ", intrinsic.str(),
                         " does not parse");
    auto function = *parsed->getOps<LLVM::LLVMFuncOp>().begin();
    function.setSymName(name);
    // Inlined, they would take most of a test to compile.
    function.setNoInline(true);
    function->remove();
    module.push_back(function);
    return function;
  }
  return Error::make(intrinsic.str(), " has no definition in ", __FILE__);
}

/// Empty assembly, which only holds instructions in place, names registers that
/// the host may lack.
static void dropEmptyAssembly(ModuleOp lowered) {
  std::vector<LLVM::InlineAsmOp> pieces;
  lowered.walk([&](LLVM::InlineAsmOp op) {
    if (op.getAsmString().empty())
      pieces.push_back(op);
  });
  for (LLVM::InlineAsmOp op : pieces) {
    if (op.getOperands().size() == 1)
      op->replaceAllUsesWith(op.getOperands());
    for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
      auto part = cast<LLVM::ExtractValueOp>(user);
      part->replaceAllUsesWith(
          ValueRange{op.getOperands()[part.getPosition()[0]]});
      part->erase();
    }
    op->erase();
  }
}

/// Calls definitions instead of intrinsics of x86 that `tier` has.
static Error defineIntrinsics(ModuleOp lowered) {
  std::vector<LLVM::CallIntrinsicOp> calls;
  lowered.walk([&](LLVM::CallIntrinsicOp op) {
    if (op.getIntrin().starts_with("llvm.x86.avx512"))
      calls.push_back(op);
  });
  for (LLVM::CallIntrinsicOp op : calls) {
    auto function = definitionOf(lowered, op.getIntrin());
    if (!function)
      return function.takeError();
    OpBuilder b(op);
    auto call = LLVM::CallOp::create(b, op.getLoc(), *function, op.getArgs());
    op->replaceAllUsesWith(call);
    op->erase();
  }
  dropEmptyAssembly(lowered);
  return Error::success();
}

static bool isBetween(Tier tier) {
  return tier == Tier::Sse41 || tier == Tier::AvxVnni || tier == Tier::Avx512Bw;
}

std::vector<Tier> tiersBetween() {
  static const std::vector<Tier> tiers = [] {
    std::vector<Tier> all;
    for (Tier tier : allTiers) {
      if (!isBetween(tier))
        continue;
      if (canRun(tier))
        all.push_back(tier);
      else
        std::fprintf(stderr,
                     "tier %s: NOT RUN, this machine lacks its instructions\n",
                     getTierName(tier).str().c_str());
    }
    return all;
  }();
  return tiers;
}

TileRun tileRun() {
  static const TileRun run = [] {
    TileRun found = canRun(Tier::Amx)          ? TileRun::Native
                    : canRun(Tier::Avx512Vnni) ? TileRun::Emulated
                                               : TileRun::Vectors;
    if (found == TileRun::Emulated) {
      // LLVM installs its handlers when it first needs them, and once. Later
      // ones would stand before the emulator's.
      llvm::sys::AddSignalHandler([](void *) {}, nullptr);
      amx::install();
    }
    std::fprintf(
        stderr, "tier amx: %s\n",
        found == TileRun::Native ? "native"
        : found == TileRun::Emulated
            ? "EMULATED, its machine code runs and this CPU traps at each "
              "instruction of AMX"
            : "NOT RUN, this CPU lacks AVX-512 VNNI or VBMI, too; tests of "
              "tiles run them as vectors");
    return found;
  }();
  return run;
}

std::vector<Tier> testTiers() {
  static const std::vector<Tier> tiers = [] {
    std::vector<Tier> all;
    for (Tier tier : allTiers) {
      // Scalar code takes long to compile: KernelObjectsTest has a kernel of
      // it.
      if (isBetween(tier) || tier == Tier::Scalar)
        continue;
      bool native = canRun(tier), left = !native && tier == Tier::Amx;
      std::fprintf(stderr, "tier %s: %s\n", getTierName(tier).str().c_str(),
                   native ? "native"
                   : left ? "NOT RUN but in tests of tiles, this machine lacks "
                            "its instructions"
                          : "EMULATED, this machine lacks its instructions");
      if (!left)
        all.push_back(tier);
    }
    return all;
  }();
  return tiers;
}

std::vector<Tier> withTiles(std::vector<Tier> tiers, bool mayHaveTiles) {
  if (mayHaveTiles && tileRun() == TileRun::Emulated)
    tiers.push_back(Tier::Amx);
  return tiers;
}

Expected<KernelJit> makeKernels(ModuleOp module, Tier tier, bool emulate) {
  bool runs = tier == Tier::Amx ? tileRun() != TileRun::Vectors : canRun(tier);
  if (runs && !emulate)
    return KernelJit::create(module, tier);
  // Symbols keep the name of the tier; only the code is of one that runs here.
  Tier host = canRun(Tier::Avx2) ? Tier::Avx2 : Tier::Sse2;
  // With AVX-512 only the tiles are vectors.
  bool wide = tier == Tier::Amx && canRun(Tier::Avx512Vnni);
  if (wide)
    host = Tier::Avx512Vnni;
  auto emulated = [&](ModuleOp kernel, Tier code) -> Expected<std::string> {
    auto lowered = lowerKernels(kernel, code, {}, TileCode::Vectors);
    if (!lowered)
      return lowered.takeError();
    if (!wide)
      if (Error error = defineIntrinsics(**lowered))
        return error;
    return emitLowered(**lowered, host, CodeForm::Object);
  };
  auto tag = [&](Tier code) {
    return getTierName(code).str() + " on " + getTierName(host).str();
  };
  auto objects = makeObjects(module, {tier}, {tag, emulated});
  if (!objects)
    return objects.takeError();
  return KernelJit::load(objects->front(), tier);
}

} // namespace quern::test
