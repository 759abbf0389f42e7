//===- GemmWideTest.cpp - Linear layers over 16-bit codes, row E11 --------===//
//
// Bit for bit against sums in 64 bits, on all tiers: random and extreme codes,
// every form of result, and the kernel that splits codes into planes.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmWide.h"

#include "compiler/Bench/WideGemmCase.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

#include <list>
#include <vector>

using namespace quern;

namespace {

GemmShape makeShape(int64_t k, int64_t n) {
  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = planeStride(k);
  shape.outStride = rowStride(n);
  shape.out = Storage::F32;
  return shape;
}

/// Kernels of one shape, compiled once for each tier.
class Product {
public:
  explicit Product(const GemmShape &shape,
                   const std::vector<Tier> &tiers = KernelRunner::tiers())
      : shape(shape) {
    for (Tier tier : tiers) {
      KernelRunner &runner = runners.emplace_back();
      WideGemmCase(shape, 1, randomWideData(1, shape)).build(runner.module());
      EXPECT_EQ(runner.compile(tier), "");
    }
  }
  void check(int64_t rows, const WideData &data, float multiplier = 1);

private:
  GemmShape shape;
  std::list<KernelRunner> runners;
};

/// Splits x into planes and multiplies, on every tier, and compares.
void Product::check(int64_t rows, const WideData &data, float multiplier) {
  for (KernelRunner &runner : runners) {
    WideGemmCase gemm(shape, rows, data, multiplier);
    SCOPED_TRACE(gemm.name());
    RunCounts counts;
    counts.tokens = shape.rows == RowsOf::Tokens ? rows : 1;
    counts.sequences = shape.rows == RowsOf::Tokens ? 1 : rows;
    counts.end = gemm.planesChunks();
    std::vector<void *> planes = gemm.planesOperands();
    ASSERT_TRUE(
        runner.run(gemm.planesName(), {planes.begin(), planes.end()}, counts));
    counts.end = gemm.chunks();
    std::vector<void *> operands = gemm.operands();
    ASSERT_TRUE(
        runner.run(gemm.name(), {operands.begin(), operands.end()}, counts));
    EXPECT_EQ(gemm.countWrong(), 0) << rows << " rows";
  }
}

void check(const GemmShape &shape, int64_t rows, const WideData &data,
           float multiplier = 1) {
  Product(shape).check(rows, data, multiplier);
}

TEST(GemmWide, SumsAreExact) {
  for (int64_t k : {100, 768, 3072}) {
    GemmShape shape = makeShape(k, 48);
    Product(shape, test::tileTiers()).check(13, randomWideData(13, shape));
  }
}

TEST(GemmWide, AnyNumberOfRows) {
  GemmShape shape = makeShape(64, 96);
  Product product(shape, test::tileTiers());
  for (int64_t rows : {1, 3, 4, 5, 8, 9, 12, 16, 130})
    product.check(rows, randomWideData(rows, shape));
}

// Walks of other tiles, which planes take in parts of four rows, and prefetches
// that `quern tune` tries.
TEST(GemmWide, Tuned) {
  for (auto [rows, panels] : {std::pair(4, 3), {16, 1}, {12, 2}, {8, 2}})
    for (int64_t bits : {8, 4}) {
      GemmShape shape = makeShape(384, 192);
      GemmTuning tuning;
      tuning.rows = rows;
      tuning.panels = panels;
      tuning.ahead = 2;
      tuning.aheadCache = 2;
      tuning.aheadRows = 8;
      shape.setTuning(tuning);
      shape.weightBits = bits;
      if (bits == 4) {
        shape.activation = GemmActivation::Gelu;
        shape.out = Storage::U8;
      }
      Product product(shape);
      for (int64_t count : {1, 13, 139})
        product.check(count, randomWideData(count, shape), 1e-7f);
    }
}

TEST(GemmWide, WorstCaseCodes) {
  for (int64_t k : {100, 768, 3072}) {
    Product product(makeShape(k, 16));
    for (int64_t zero : {0, 1, 32768, 65535})
      for (int code : {0, 255, 256, 65280, 65535})
        for (int weight : {-128, -127, 127}) {
          WideData data;
          data.zero = zero;
          data.x.assign(2 * k, uint16_t(code));
          data.w.assign(16 * k, int8_t(weight));
          data.w[k + 3] = 1;
          product.check(2, data);
        }
  }
}

TEST(GemmWide, ActivationsAndForms) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu, GemmActivation::GeluTanh,
        GemmActivation::Relu, GemmActivation::Tanh})
    for (Storage out : {Storage::U8, Storage::U16, Storage::F32}) {
      GemmShape shape = makeShape(100, 80);
      shape.activation = activation;
      shape.out = out;
      shape.range = {0, out == Storage::U16 ? 65535.0f : 250.0f};
      check(shape, 9, randomWideData(9, shape), 3e-8f);
    }
}

TEST(GemmWide, EpilogueInTheNextTile) {
  for (Storage out : {Storage::U8, Storage::U16}) {
    GemmShape shape = makeShape(384, 96);
    shape.activation = GemmActivation::Gelu;
    shape.out = out;
    shape.range = {0, out == Storage::U16 ? 65535.0f : 255.0f};
    ASSERT_NE(getWideGemmScratchBytes(shape), 0);
    Product product(shape, test::tileTiers());
    for (int64_t rows : {1, 4, 5, 12, 130})
      product.check(rows, randomWideData(rows, shape), 3e-8f);
  }
}

TEST(GemmWide, ResultOfTheCaller) {
  GemmShape shape = makeShape(100, 3);
  shape.outStride = 3;
  shape.exact = true;
  shape.rows = RowsOf::Sequences;
  check(shape, 6, randomWideData(6, shape));
}

TEST(GemmWide, FewRegistersAreSpilledInLateLoopsAndNoneInOthers) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu}) {
    KernelRunner runner;
    GemmShape shape = makeShape(768, 3072);
    shape.activation = activation;
    shape.out = Storage::U8;
    buildWideGemm(runner.module(), "k", shape);
    auto text =
        emitKernels(runner.module(), Tier::Avx512Vnni, CodeForm::Assembly);
    ASSERT_TRUE(bool(text));
    int64_t spills = 0;
    for (llvm::StringRef line : llvm::split(llvm::StringRef(*text), '\n'))
      spills += line.contains("zmm") && line.contains("(%rsp)");
    EXPECT_LE(spills, activation == GemmActivation::None ? 0 : 6);
  }
}

TEST(GemmWide, CorrectionsSplitExactly) {
  for (int64_t correction :
       {int64_t(0), int64_t(-1), int64_t(65535) * 127 * 3072,
        int64_t(-65535) * 128 * 3072, int64_t(255), int64_t(-256)}) {
    WideCorrection parts = splitCorrection(correction);
    EXPECT_EQ(int64_t(parts.high) * 256 + parts.low, correction);
  }
}

} // namespace
