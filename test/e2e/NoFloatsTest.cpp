//===- NoFloatsTest.cpp - integer-only holds no float instruction ---------===//
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

/// The refused instructions of each function, by tier and function.
using FloatsOf =
    std::map<std::string, std::map<std::string, std::vector<std::string>>>;

/// Reads what llvm-objdump prints: `<kernel.tier>:` before its instructions.
FloatsOf readDisassembly(llvm::StringRef text) {
  FloatsOf floats;
  std::vector<std::string> *found = nullptr;
  for (llvm::StringRef line : llvm::split(text, '\n')) {
    if (line.consume_front("<") && line.consume_back(">:")) {
      auto [function, tier] = line.rsplit('.');
      // Products made ahead of time bear no tier.
      found = &floats[tier.empty() ? "library" : tier.str()][function.str()];
      continue;
    }
    line = line.ltrim();
    std::string mnemonic =
        line.take_until([](char c) { return llvm::isSpace(c); }).str();
    if (found && isFloatMnemonic(mnemonic))
      found->push_back(mnemonic);
  }
  return floats;
}

/// The machine code of a tiny model for all tiers.
FloatsOf floatsOf(const std::string &recipe,
                  const std::vector<std::string> &overrides) {
  TempFolder folder;
  TinyModelOptions options;
  options.head = HeadKind::Classification;
  options.layers = 1;
  EXPECT_FALSE(writeTinyModel(folder.file("model"), options));
  CompileRequest request;
  request.modelFolder = folder.file("model");
  request.output = folder.file("m.o");
  request.recipe = recipe;
  request.overrides = overrides;
  request.targets = test::fewTargets;
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
  EXPECT_EQ(std::system((*objdump + " -d --no-show-raw-insn " +
                         "--no-leading-addr " + request.output + " > " + text)
                            .c_str()),
            0);
  Expected<std::string> read = readFile(text, 1 << 28);
  EXPECT_TRUE(read) << read.message();
  return read ? readDisassembly(*read) : FloatsOf();
}

constexpr const char *tiers[] = {"sse2", "avx2", "avx512vnni", "amx"};

/// The functions that a tier runs: amx has those of avx512vnni where it has
/// none of its own.
std::map<std::string, std::vector<std::string>>
functionsOf(FloatsOf &all, llvm::StringRef tier) {
  auto functions = all[tier.str()];
  if (tier == "amx")
    functions.insert(all["avx512vnni"].begin(), all["avx512vnni"].end());
  return functions;
}

bool isLogits(const std::string &function) {
  llvm::StringRef name(function);
  return name.contains("linear_") && name.contains("_f32");
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
    FloatsOf all = floatsOf("integer-only", overrides);
    for (const char *tier : tiers) {
      SCOPED_TRACE(tier);
      const auto floats = functionsOf(all, tier);
      // Embedding, products, attention, LayerNorm, pooling, pooler, logits.
      EXPECT_GE(floats.size(), 8u);
      size_t logits = 0;
      for (const auto &[function, found] : floats) {
        logits += isLogits(function);
        if (!isLogits(function))
          EXPECT_TRUE(found.empty()) << function << " holds " << found.size()
                                     << ": " << llvm::join(found, " ");
      }
      EXPECT_EQ(logits, 1u);
    }
    for (const auto &[function, found] : all["library"])
      EXPECT_TRUE(found.empty()) << function << ": " << llvm::join(found, " ");
  }
}

/// The same eyes see the floats of the recipe that integer-only begins with.
TEST(NoFloats, TwinHasThem) {
  FloatsOf all = floatsOf("default", {});
  for (const char *tier : tiers) {
    SCOPED_TRACE(tier);
    size_t with = 0;
    for (const auto &[function, found] : functionsOf(all, tier))
      with += !found.empty() && !isLogits(function);
    EXPECT_GE(with, 5u);
  }
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
