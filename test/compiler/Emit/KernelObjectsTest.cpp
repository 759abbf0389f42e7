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

/// What a layer of a model has, in small widths.
void buildKernels(mlir::ModuleOp module) {
  buildGemm(module, "plain", makeGemm(192, GemmActivation::None));
  buildGemm(module, "gelu", makeGemm(192, GemmActivation::Gelu));
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
  auto plain = emitObjects(runner.module(), Tier::Scalar);
  auto best = emitObjects(runner.module(), Tier::Avx512Vnni);
  ASSERT_TRUE(plain) << plain.message();
  ASSERT_TRUE(best) << best.message();
  ASSERT_EQ(plain->size(), best->size());
  // A vector is four there, and a dot product ten instructions.
  const size_t times[] = {2, 2, 4};
  ASSERT_EQ(best->size(), std::size(times));
  for (size_t i = 0; i < best->size(); ++i)
    EXPECT_LT((*plain)[i].bytes.size(), times[i] * (*best)[i].bytes.size())
        << (*plain)[i].kernel;
}
