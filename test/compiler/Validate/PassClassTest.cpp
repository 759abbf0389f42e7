//===- PassClassTest.cpp - Every pass of the pipelines promises something -===//

#include "compiler/Validate/PassClass.h"
#include "compiler/Emit/ObjectCode.h"
#include "lib/Quantize/Passes.h"
#include "lib/Rewrite/Passes.h"
#include "lib/Tile/TilePasses.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;
using namespace quern;

namespace {

/// Arguments of all passes of a manager, from its textual form.
std::set<std::string> argumentsOf(const PassManager &manager) {
  std::string text;
  llvm::raw_string_ostream out(text);
  manager.printAsTextualPipeline(out);
  // Options hold no pass; names before a parenthesis are of operations.
  std::set<std::string> found;
  std::string word;
  int braces = 0;
  for (char c : text + ",") {
    braces += (c == '{') - (c == '}');
    if (braces > 0 || c == '}')
      continue;
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.') {
      word += c;
      continue;
    }
    if (c != '(' && !word.empty())
      found.insert(word);
    word.clear();
  }
  return found;
}

TEST(PassClass, EveryPassOfThePipelinesHasOne) {
  MLIRContext context;
  std::set<std::string> all;
  auto add = [&](auto build) {
    PassManager manager(&context);
    build(manager);
    std::set<std::string> some = argumentsOf(manager);
    EXPECT_FALSE(some.empty());
    all.insert(some.begin(), some.end());
  };
  add([](PassManager &pm) { buildQuantizePipeline(pm); });
  add([](PassManager &pm) { buildRewritePipeline(pm); });
  add([](PassManager &pm) { buildTilePipeline(pm); });
  for (Tier tier : allTiers)
    add([&](PassManager &pm) { buildTierPipeline(pm, tier); });
  EXPECT_GE(all.size(), 25u);
  EXPECT_TRUE(all.count("tq-fold-linear"));
  EXPECT_TRUE(all.count("tq-x86-avx2"));
  for (const std::string &argument : all)
    EXPECT_TRUE(classOf(argument)) << argument << " promises nothing";
  // And nothing is promised for passes that no pipeline has. Builds without
  // Halide have no products of a library.
  all.insert("tq-x86-products");
  // Machines without AMX only.
  all.insert("tq-lower-tiles");
  for (const PassPromise &promise : passPromises())
    EXPECT_TRUE(all.count(promise.argument.str())) << promise.argument.str();
}

TEST(PassClass, PromisesOfOthersComeFirst) {
  EXPECT_FALSE(classOf("tq-no-pass"));
  EXPECT_EQ(*classOf("tq-clean-up"), PassClass::Exact);
  EXPECT_EQ(*classOf("tq-clean-up", {{"tq-clean-up", PassClass::OneCode}}),
            PassClass::OneCode);
}

} // namespace
