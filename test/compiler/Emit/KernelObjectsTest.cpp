//===- KernelObjectsTest.cpp - An object for each kernel ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelObjects.h"

#include "lib/Tile/Attention.h"
#include "lib/Tile/Gemm.h"
#include "test/support/KernelRunner.h"

#include "gtest/gtest.h"

#include <cstdlib>

using namespace quern;

namespace {

GemmShape makeGemm(int64_t n, GemmActivation activation) {
  GemmShape shape;
  shape.k = 128;
  shape.n = n;
  shape.xStride = rowStride(shape.k);
  shape.outStride = rowStride(n);
  shape.activation = activation;
  return shape;
}

void buildProducts(mlir::ModuleOp module) {
  buildGemm(module, "plain", makeGemm(192, GemmActivation::None));
  buildGemm(module, "gelu", makeGemm(192, GemmActivation::Gelu));
}

/// What a layer of a model has, in small widths.
void buildKernels(mlir::ModuleOp module) {
  buildProducts(module);
  AttentionShape attention;
  attention.headDim = 32;
  attention.maxLength = 64;
  attention.qkvStride = 96;
  attention.kColumn = 32;
  attention.vColumn = 64;
  attention.contextStride = 64;
  buildQAttention(module, "attention", attention);
}

} // namespace

TEST(KernelObjects, PlainCodeIsNotUnrolled) {
  KernelRunner runner;
  buildKernels(runner.module());
  auto tiers = emitObjects(runner.module(), {Tier::Sse2, Tier::Avx512Vnni});
  ASSERT_TRUE(tiers) << tiers.message();
  const std::vector<KernelObject> &plain = tiers->front(),
                                  &best = tiers->back();
  // A vector is four there, and a dot product ten instructions.
  const size_t times[] = {2, 2, 4};
  ASSERT_EQ(best.size(), std::size(times));
  ASSERT_EQ(plain.size(), best.size());
  for (size_t i = 0; i < best.size(); ++i)
    EXPECT_LT(plain[i].bytes.size(), times[i] * best[i].bytes.size())
        << plain[i].kernel;
}

TEST(KernelObjects, ScalarCodeMultipliesOneByOne) {
  KernelRunner runner;
  buildGemm(runner.module(), "plain", makeGemm(192, GemmActivation::None));
  auto count = [&](Tier tier, llvm::StringRef mnemonic) {
    auto text = emitKernels(runner.module(), tier, CodeForm::Assembly);
    EXPECT_TRUE(text) << text.message();
    return text ? llvm::StringRef(*text).count(mnemonic) : 0;
  };
  EXPECT_GT(count(Tier::Sse2, "pmaddwd"), 0u);
  EXPECT_LT(count(Tier::Sse2, "imull"), 64u);
  EXPECT_EQ(count(Tier::Scalar, "pmaddwd"), 0u);
  EXPECT_EQ(count(Tier::Scalar, "pmulld"), 0u);
  // A tile of 4 x 16 sums of 4 products.
  EXPECT_GE(count(Tier::Scalar, "imull"), 256u);
}

TEST(KernelObjects, DoNotDependOnThreads) {
  // None from the cache.
  const char *folder = std::getenv("QUERN_CACHE_DIR");
  std::string before = folder ? folder : "";
  ::setenv("QUERN_CACHE_DIR", "", 1);
  KernelRunner runner;
  buildProducts(runner.module());
  const Tier tiers[] = {Tier::Sse2, Tier::Avx2, Tier::Amx};
  auto alone = emitObjects(runner.module(), tiers, 1);
  auto together = emitObjects(runner.module(), tiers, 3);
  ::setenv("QUERN_CACHE_DIR", before.c_str(), 1);
  ASSERT_TRUE(alone) << alone.message();
  ASSERT_TRUE(together) << together.message();
  ASSERT_EQ(alone->size(), std::size(tiers));
  ASSERT_EQ(together->size(), alone->size());
  for (size_t tier = 0; tier < alone->size(); ++tier) {
    const auto &one = (*alone)[tier], &three = (*together)[tier];
    ASSERT_EQ(one.size(), 2u);
    ASSERT_EQ(three.size(), one.size());
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(one[i].kernel, three[i].kernel);
      EXPECT_EQ(one[i].entry, three[i].entry);
      EXPECT_TRUE(one[i].bytes == three[i].bytes) << one[i].entry;
    }
  }
}

TEST(KernelObjects, FailuresNameWhatFailed) {
  KernelRunner runner;
  buildProducts(runner.module());
  ObjectMaker maker = {
      [](Tier) { return "none"; },
      [](mlir::ModuleOp kernel, Tier) -> Expected<std::string> {
        kernel.emitError("no such instruction");
        return Error("it cannot be made");
      }};
  auto objects = makeObjects(runner.module(), {Tier::Sse2}, maker, 2);
  ASSERT_FALSE(objects);
  EXPECT_EQ(objects.message(), "it cannot be made: no such instruction");
}
