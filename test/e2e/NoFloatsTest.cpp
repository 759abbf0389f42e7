//===- NoFloatsTest.cpp - What instructions kernels are made of -----------===//
//
// integer-only holds no float instruction, and no form of softmax, GELU or
// LayerNorm a scalar division for each element.
//
// The machine code of every tier, from the embedding to the last codes, for the
// recipe integer-only and its forms: no instruction that computes with,
// compares or converts f32 or f64, in SSE, AVX, AVX-512 or x87. Moves,
// shuffles, blends and bit operations on the same registers change no number
// and may be there. The one kernel that is exempt is the last product, which
// writes the logits as f32.
//
//===----------------------------------------------------------------------===//
#include "compiler/Compiler.h"
#include "compiler/Emit/Toolchain.h"
#include "test/e2e/TinyModule.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "lib/Support/File.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"

#include "gtest/gtest.h"

#include <cstdlib>
#include <map>
#include <regex>

using namespace quern;
using namespace quern::test;

namespace {

/// Whether an instruction is refused, by its mnemonic.
bool isFloatMnemonic(const std::string &mnemonic) {
  static const std::regex refused(
      "v?(add|addsub|sub|mul|div|sqrt|min|max|cmp[a-z0-9_]*|round|rcp(14)?|"
      "rsqrt(14)?|hadd|hsub|dp|rndscale|scalef|getexp|getmant|reduce|range|"
      "fixupimm|fpclass)(ps|pd|ss|sd|ph|sh)[xyz]?"
      "|v?(cvt|ucomis|comis).*"
      "|v?fn?m(add|sub).*"
      "|f.*");
  return std::regex_match(mnemonic, refused);
}

/// A scalar division or square root: what a row or a tile may have, and an
/// element may not.
bool isScalarDivision(const std::string &mnemonic) {
  static const std::regex refused("v?(div|sqrt)(ss|sd)|i?div[bwlq]?");
  return std::regex_match(mnemonic, refused);
}

/// What of a function is looked for.
struct Found {
  /// Instructions that compute with floats.
  std::vector<std::string> floats;
  /// Addresses of scalar divisions, and loops: from the target of a jump
  /// backwards to the jump.
  std::vector<uint64_t> divisions;
  std::vector<std::pair<uint64_t, uint64_t>> loops;

  /// Divisions in loops that have no loop within.
  size_t innermostDivisions() const {
    return llvm::count_if(divisions, [&](uint64_t at) {
      return llvm::any_of(loops, [&](auto loop) {
        return isIn(at, loop) && llvm::none_of(loops, [&](auto other) {
                 return other != loop && isIn(other.first, loop) &&
                        isIn(other.second, loop);
               });
      });
    });
  }

private:
  static bool isIn(uint64_t at, std::pair<uint64_t, uint64_t> loop) {
    return loop.first <= at && at <= loop.second;
  }
};

/// By tier and function.
using FoundIn = std::map<std::string, std::map<std::string, Found>>;

/// Reads what llvm-objdump prints: `ADDRESS <kernel.tier>:` before lines of
/// address, mnemonic and operands.
FoundIn readDisassembly(llvm::StringRef text) {
  FoundIn all;
  Found *found = nullptr;
  for (llvm::StringRef line : llvm::split(text, '\n')) {
    line = line.trim();
    if (line.ends_with(">:")) {
      auto [function, tier] = line.split('<').second.drop_back(2).rsplit('.');
      // Products made ahead of time bear no tier.
      found = &all[tier.empty() ? "library" : tier.str()][function.str()];
      continue;
    }
    uint64_t at, to;
    if (!found || line.consumeInteger(16, at) || !line.consume_front(":"))
      continue;
    line = line.ltrim();
    std::string mnemonic =
        line.take_until([](char c) { return llvm::isSpace(c); }).str();
    if (isFloatMnemonic(mnemonic))
      found->floats.push_back(mnemonic);
    if (isScalarDivision(mnemonic))
      found->divisions.push_back(at);
    line = line.drop_front(mnemonic.size()).ltrim();
    line.consume_front("0x");
    if (mnemonic[0] == 'j' && !line.consumeInteger(16, to) && to <= at)
      found->loops.push_back({to, at});
  }
  return all;
}

/// The machine code of a tiny model for all tiers.
FoundIn instructionsOf(const std::string &recipe,
                       const std::vector<std::string> &overrides) {
  TempFolder folder;
  TinyModelOptions options;
  options.head = HeadKind::Classification;
  options.layers = 1;
  // Rows of several vectors, which are loops.
  options.hidden = 200;
  options.heads = 4;
  options.intermediate = 300;
  EXPECT_FALSE(writeTinyModel(folder.file("model"), options));
  CompileRequest request;
  request.modelFolder = folder.file("model");
  request.output = folder.file("m.o");
  request.recipe = recipe;
  request.overrides = overrides;
  request.targets = test::fewTargets;
  request.targets.push_back("x86-sse41");
  request.emit = EmitKind::Object;
  request.threads = 1;
  Expected<CompileResult> result = compile(request);
  EXPECT_TRUE(result) << result.message();
  Expected<std::string> objdump =
      findProgram({"llvm-objdump-22", "llvm-objdump"});
  EXPECT_TRUE(objdump) << objdump.message();
  if (!result || !objdump)
    return {};
  std::string text = folder.file("m.txt");
  EXPECT_EQ(std::system((*objdump + " -d --no-show-raw-insn " + request.output +
                         " > " + text)
                            .c_str()),
            0);
  Expected<std::string> read = readFile(text, 1 << 28);
  EXPECT_TRUE(read) << read.message();
  return read ? readDisassembly(*read) : FoundIn();
}

constexpr const char *tiers[] = {"sse2", "avx2", "avx512vnni", "amx"};

/// The functions that a tier runs: amx has those of avx512vnni where it has
/// none of its own.
std::map<std::string, Found> functionsOf(FoundIn &all, llvm::StringRef tier) {
  auto functions = all[tier.str()];
  if (tier == "amx")
    functions.insert(all["avx512vnni"].begin(), all["avx512vnni"].end());
  return functions;
}

bool isLogits(const std::string &function) {
  llvm::StringRef name(function);
  return name.contains("linear_") && name.contains("_f32");
}

/// One division for each row, or each tile of a product, is allowed: a few in a
/// function. Loops over elements are innermost ones; those of the f32 LayerNorm
/// are over rows where its elements are unrolled.
void expectNoDivisionOfElements(const FoundIn &all) {
  size_t softmax = 0, divisions = 0;
  for (const auto &[tier, functions] : all)
    for (const auto &[function, found] : functions) {
      SCOPED_TRACE(function + "." + tier);
      llvm::StringRef name(function);
      bool isElementwise =
          name.starts_with("attention") || name.starts_with("shift_gelu") ||
          (name.contains("_fixed") && !name.contains("linear"));
      softmax += name.starts_with("attention");
      divisions += found.divisions.size();
      EXPECT_LE(found.divisions.size(), 4u);
      if (isElementwise) {
        EXPECT_EQ(found.innermostDivisions(), 0u);
        EXPECT_FALSE(found.loops.empty());
      }
    }
  // A kernel for each tier, and eyes that see divisions.
  EXPECT_GE(softmax, 3u);
  EXPECT_GT(divisions, 0u);
}

} // namespace

TEST(NoFloats, NothingBetweenEmbeddingAndLogits) {
  for (const std::vector<std::string> &overrides :
       {std::vector<std::string>{},
        {"gelu=i_gelu", "softmax=i_exp"},
        {"gelu=shift_gelu", "softmax=shiftmax"},
        {"u.bits=8", "u.granularity=power_of_two", "p.quantizer=log2",
         "p.bits=4"},
        {"softmax=i_exp", "p.quantizer=log2", "p.bits=3"}}) {
    FoundIn all = instructionsOf("integer-only", overrides);
    expectNoDivisionOfElements(all);
    for (const char *tier : tiers) {
      SCOPED_TRACE(tier);
      const auto floats = functionsOf(all, tier);
      // Embedding, products, attention, LayerNorm, pooling, pooler, logits.
      EXPECT_GE(floats.size(), 8u);
      size_t logits = 0;
      for (const auto &[function, found] : floats) {
        logits += isLogits(function);
        if (!isLogits(function))
          EXPECT_TRUE(found.floats.empty())
              << function << " holds " << found.floats.size() << ": "
              << llvm::join(found.floats, " ");
      }
      EXPECT_EQ(logits, 1u);
    }
    for (const auto &[function, found] : all["library"])
      EXPECT_TRUE(found.floats.empty())
          << function << ": " << llvm::join(found.floats, " ");
  }
}

/// The same eyes see the floats of the recipe that integer-only begins with.
TEST(NoFloats, TwinHasThem) {
  FoundIn all = instructionsOf("default", {});
  expectNoDivisionOfElements(all);
  for (const char *tier : tiers) {
    SCOPED_TRACE(tier);
    size_t with = 0;
    for (const auto &[function, found] : functionsOf(all, tier))
      with += !found.floats.empty() && !isLogits(function);
    EXPECT_GE(with, 5u);
  }
}

/// Logarithmic codes come without a division for each of them.
TEST(NoDivision, LogarithmicCodes) {
  expectNoDivisionOfElements(
      instructionsOf("repq-w8a8", {"p.quantizer=log_sqrt2", "p.bits=4"}));
  expectNoDivisionOfElements(
      instructionsOf("w8a8", {"p.quantizer=log2", "p.bits=8"}));
}

TEST(NoDivision, InnermostLoops) {
  FoundIn all = readDisassembly("0000000000000000 <f.avx2>:\n"
                                "       0: \tdivl\t%ecx\n"
                                "       4: \tdivss\t%xmm0, %xmm1\n"
                                "       8: \tvdivps\t%ymm0, %ymm1, %ymm2\n"
                                "       c: \tvsqrtsd\t%xmm0, %xmm1, %xmm2\n"
                                "      10: \tjne\t0x8 <f.avx2+0x8>\n"
                                "      14: \tjb\t0x4 <f.avx2+0x4>\n"
                                "      18: \tjmp\t0x20 <f.avx2+0x20>\n");
  const Found &found = all["avx2"]["f"];
  EXPECT_EQ(found.divisions, (std::vector<uint64_t>{0, 4, 12}));
  EXPECT_EQ(found.loops.size(), 2u);
  EXPECT_EQ(found.innermostDivisions(), 1u);
}

TEST(NoFloats, Mnemonics) {
  for (const char *name :
       {"addps", "vmulss", "vdivsd", "cvtdq2ps", "vcvttps2dq", "vfmadd231ps",
        "ucomiss", "cmpltps", "vcmpltps", "sqrtsd", "maxps", "vrndscaleps",
        "fildll", "fstps", "vaddpd", "roundps"})
    EXPECT_TRUE(isFloatMnemonic(name)) << name;
  for (const char *name :
       {"movaps", "vpermps", "vblendvps", "shufps", "xorps", "vinsertf128",
        "pmaxsd", "vpmuldq", "vpminsd", "movss", "andnps", "subq", "addl",
        "vpaddd", "vpdpbusd", "divq", "minsb", "pmulld", "cmpq"})
    EXPECT_FALSE(isFloatMnemonic(name)) << name;
}
