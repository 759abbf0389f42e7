//===- GemmTest.cpp - GEMM kernels against a plain reference --------------===//
//
// All tiers, shapes with and without tails, extreme sums, every activation and
// form of result: bit for bit.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"
#include "quern/module_abi.h"

#include "compiler/Bench/GemmCase.h"
#include "lib/Tile/GemmTiles.h"
#include "test/support/KernelRunner.h"
#include "test/support/TileUse.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

using namespace quern;

namespace {

GemmShape makeShape(int64_t k, int64_t n) {
  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = spreadStride(k);
  shape.outStride = spreadStride(n);
  return shape;
}

/// Compiles `shape` for these tiers and checks it for each number of rows.
void check(const GemmShape &shape, const std::vector<int64_t> &rows, bool real,
           const std::vector<Tier> &tiers) {
  KernelRunner runner;
  GemmCase(shape, 1, real).build(runner.module());
  for (Tier tier : tiers) {
    ASSERT_EQ(runner.compile(tier), "");
    for (int64_t count : rows) {
      GemmCase gemm(shape, count, real);
      std::vector<void *> operands = gemm.operands();
      RunCounts counts;
      bool tokens = shape.rows == RowsOf::Tokens;
      counts.tokens = tokens ? count : 3;
      counts.sequences = tokens ? 1 : count;
      counts.end = gemm.chunks();
      ASSERT_TRUE(
          runner.run(gemm.name(), {operands.begin(), operands.end()}, counts));
      EXPECT_EQ(gemm.countWrong(), 0)
          << gemm.name() << "." << getTierName(tier).str() << ", " << count
          << " rows";
    }
  }
}

/// For all tiers.
void check(const GemmShape &shape, const std::vector<int64_t> &rows,
           bool real = false) {
  bool tiles = !real && hasTileGemm(shape);
  check(shape, rows, real, tiles ? test::tileTiers() : KernelRunner::tiers());
}

TEST(Gemm, AnyNumberOfRows) {
  std::vector<int64_t> rows;
  for (int64_t i = 1; i <= 20; ++i)
    rows.push_back(i);
  rows.push_back(128);
  rows.push_back(133);
  rows.push_back(257);
  check(makeShape(64, 96), rows);
}

/// Libraries of their own; all else is as on the tiers beside them.
TEST(Gemm, TiersBetween) {
  for (int64_t bits : {8, 4, 2}) {
    GemmShape shape = makeShape(384, 96);
    shape.weightBits = bits;
    if (bits == 8)
      shape.activation = GemmActivation::Gelu;
    check(shape, {1, 4, 6, 13, 38, 130}, false, test::tiersBetween());
    shape = makeShape(100, 270);
    shape.weightBits = bits;
    shape.hasZeros = bits == 4;
    check(shape, {9}, false, test::tiersBetween());
  }
  check(makeShape(3072, 48), {1, 9}, false, test::tiersBetween());
}

TEST(Gemm, WidthsThatNeedPadding) {
  check(makeShape(100, 270), {1, 5, 12, 40});
  check(makeShape(270, 100), {7, 9});
  check(makeShape(384, 384), {11});
  check(makeShape(1, 1), {3});
}

TEST(Gemm, ExtremeSums) { check(makeShape(3072, 48), {1, 8, 9}); }

TEST(Gemm, ManyPanelsInAChunk) { check(makeShape(64, 3072), {4, 130}); }

TEST(Gemm, Activations) {
  for (GemmActivation activation :
       {GemmActivation::Gelu, GemmActivation::GeluTanh, GemmActivation::Relu,
        GemmActivation::Tanh}) {
    GemmShape shape = makeShape(100, 80);
    shape.activation = activation;
    check(shape, {1, 13, 32});
    shape.out = Storage::F32;
    check(shape, {6});
  }
}

TEST(Gemm, WeightsWithZeroPoints) {
  for (int64_t bits : {8, 4, 2}) {
    GemmShape shape = makeShape(100, 80);
    shape.hasZeros = true;
    shape.weightBits = bits;
    check(shape, {1, 9, 130});
    shape = makeShape(64, 48);
    shape.hasZeros = true;
    shape.weightBits = bits;
    check(shape, {5});
    shape = makeShape(3072, 48);
    shape.hasZeros = true;
    shape.weightBits = bits;
    shape.activation = GemmActivation::Gelu;
    check(shape, {1, 8, 9});
  }
}

TEST(Gemm, EpilogueInTheNextTile) {
  GemmShape shape = makeShape(384, 96);
  shape.activation = GemmActivation::Gelu;
  ASSERT_NE(getGemmScratchBytes(shape), 0);
  check(shape, {1, 4, 5, 12, 130});
  shape.out = Storage::U16;
  shape.range = {0, 65535};
  check(shape, {13});
}

TEST(Gemm, ChunksInAnyOrder) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu}) {
    GemmShape shape = makeShape(384, 288);
    shape.activation = activation;
    KernelRunner runner;
    GemmCase gemm(shape, 300);
    gemm.build(runner.module());
    std::vector<void *> operands = gemm.operands();
    for (Tier tier : {Tier::Avx512Vnni, Tier::Amx}) {
      ASSERT_EQ(runner.compile(tier), "");
      for (int64_t i = gemm.chunks(); i-- > 0;)
        ASSERT_TRUE(runner.run(gemm.name(), {operands.begin(), operands.end()},
                               {300, 1, 0, i, i + 1}));
      EXPECT_EQ(gemm.countWrong(), 0);
      // No chunk at all writes nothing.
      ASSERT_TRUE(runner.run(gemm.name(), {operands.begin(), operands.end()},
                             {300, 1, 0, 2, 2}));
      EXPECT_EQ(gemm.countWrong(), 0);
    }
  }
}

// Two chains of a late GELU take a register or two more than there are: at most
// two of 24 sums go through memory, in the body of two turns, once for every 24
// products. How many depends on how addresses of rows are computed; without any
// (chains one after the other) BERT-base takes the same time on Zen 4.
TEST(Gemm, FewRegistersAreSpilledInLateLoopsAndNoneInOthers) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu}) {
    KernelRunner runner;
    GemmShape shape = makeShape(768, 3072);
    shape.activation = activation;
    buildGemm(runner.module(), "k", shape);
    auto text =
        emitKernels(runner.module(), Tier::Avx512Vnni, CodeForm::Assembly);
    ASSERT_TRUE(bool(text));
    int64_t dots = 0, spills = 0;
    for (llvm::StringRef line : llvm::split(llvm::StringRef(*text), '\n')) {
      dots += line.contains("vpdpbusd");
      spills += line.contains("zmm") && line.contains("(%rsp)");
    }
    // 8x3 and 4x3 tiles, four steps a turn; three times with a late epilogue:
    // two turns in a body of the loop that finishes a tile, one in the other.
    bool late = activation != GemmActivation::None;
    EXPECT_EQ(dots, late ? 432 : 144);
    EXPECT_LE(spills, late ? 28 : 0);
  }
}

TEST(Gemm, TilesAreConfiguredOnceAndNeverSpilled) {
  for (int64_t k : {768, 3072}) {
    KernelRunner runner;
    buildGemm(runner.module(), "k", makeShape(k, 768));
    auto text = emitKernels(runner.module(), Tier::Amx, CodeForm::Assembly);
    ASSERT_TRUE(bool(text));
    TileUse use = countTileUse(*text);
    // Four of each step; spans with an epilogue of others or none.
    EXPECT_EQ(use.dots, k == 768 ? 4 * 12 : 2 * 4 * 48) << k;
    EXPECT_EQ(use.configurations, 1) << k;
    EXPECT_EQ(use.spills, 0) << k;
  }
}

/// What machines without AVX-512 VNNI run for AMX, here everywhere: k in one
/// span and in three.
TEST(Gemm, TilesAsVectors) {
  for (auto [k, n] : {std::pair<int64_t, int64_t>(64, 96), {192, 80}}) {
    GemmShape shape = makeShape(k, n);
    shape.tuning.spanSteps = 1;
    shape.activation = GemmActivation::Gelu;
    KernelRunner runner;
    GemmCase(shape, 1).build(runner.module());
    ASSERT_EQ(runner.compile(Tier::Amx, /*emulate=*/true), "");
    for (int64_t rows : {1, 31, 33, 128, 200}) {
      GemmCase gemm(shape, rows);
      std::vector<void *> operands = gemm.operands();
      ASSERT_TRUE(runner.run(gemm.name(), {operands.begin(), operands.end()},
                             {rows, 1, 0, 0, gemm.chunks()}));
      EXPECT_EQ(gemm.countWrong(), 0) << gemm.name() << ", " << rows;
    }
  }
}

/// Spans of k, groups of chunks, a last panel alone.
TEST(Gemm, ManySpansAndGroups) {
  check(makeShape(3072, 336), {1, 31, 32, 33, 127, 129, 300});
  GemmShape shape = makeShape(1000, 400);
  shape.activation = GemmActivation::Gelu;
  check(shape, {64, 130});
  shape.out = Storage::F32;
  check(shape, {40});
}

TEST(Gemm, E14FourBitWeights) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu}) {
    GemmShape shape = makeShape(384, 96);
    shape.activation = activation;
    shape.weightBits = 4;
    check(shape, {1, 4, 5, 12, 130});
  }
  GemmShape shape = makeShape(100, 270);
  shape.weightBits = 4;
  check(shape, {1, 9, 20});
  // What is stored is 4 bits a weight where nothing is padded.
  EXPECT_EQ(packedGemmBytes(768, 3072, 4), 768 * 3072 / 2);
}

TEST(Gemm, E15TwoBitWeights) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu}) {
    GemmShape shape = makeShape(384, 96);
    shape.activation = activation;
    shape.weightBits = 2;
    check(shape, {1, 4, 5, 12, 130});
  }
  GemmShape shape = makeShape(100, 270);
  shape.weightBits = 2;
  check(shape, {1, 9, 20});
  EXPECT_EQ(packedGemmBytes(768, 3072, 2), 768 * 3072 / 4);
}

/// One kernel per width on the same operands.
TEST(Gemm, E14EqualsTheKernelOfEightBits) {
  constexpr int64_t k = 200, n = 48, rows = 21;
  std::mt19937 random(14);
  for (int64_t bits : {4, 2}) {
    std::vector<int8_t> weights(n * k);
    for (int8_t &w : weights)
      w = int8_t(int8_t(random()) >> (8 - bits));
    Aligned<uint8_t> x((rows + QUERN_SLACK_ROWS) * rowStride(k) + 64);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = uint8_t(random());
    Aligned<int32_t> correction(n, 77);
    Aligned<float> multiplier(n, 0.001f), offset(n, 121.0f);
    std::vector<Aligned<uint8_t>> results;
    for (int64_t stored : {int64_t(8), bits}) {
      GemmShape shape = makeShape(k, n);
      shape.weightBits = stored;
      Aligned<int8_t> packed(packedGemmBytes(n, k, stored));
      packGemmWeights(weights.data(), n, k, packed.data(), stored);
      KernelRunner runner;
      buildGemm(runner.module(), "k", shape);
      for (Tier tier : test::tileTiers()) {
        ASSERT_EQ(runner.compile(tier), "");
        Aligned<uint8_t> y((rows + QUERN_SLACK_ROWS) * shape.outStride + 64);
        RunCounts counts{rows, 1};
        counts.end = getGemmChunks(shape).multiply;
        ASSERT_TRUE(runner.run("k",
                               {x.data(), packed.data(), correction.data(),
                                multiplier.data(), offset.data(), y.data()},
                               counts));
        results.push_back(std::move(y));
      }
    }
    for (const Aligned<uint8_t> &y : results)
      for (int64_t i = 0; i < rows; ++i)
        EXPECT_EQ(std::memcmp(y.data() + i * rowStride(n),
                              results[0].data() + i * rowStride(n), n),
                  0);
  }
}

TEST(GemmWeights, KnowsWhichCodesFit) {
  EXPECT_TRUE(fitsBits({-8, 7, 0}, 4));
  EXPECT_FALSE(fitsBits({-9}, 4));
  EXPECT_FALSE(fitsBits({8}, 4));
  EXPECT_TRUE(fitsBits({-2, 1}, 2));
  EXPECT_FALSE(fitsBits({2}, 2));
  EXPECT_EQ(storedWeightBits(4), 4);
  EXPECT_EQ(storedWeightBits(3), 8);
}

TEST(Gemm, FormsOfTheResult) {
  GemmShape shape = makeShape(128, 112);
  shape.out = Storage::U16;
  shape.range = {0, 65535};
  check(shape, {1, 20});
  shape.out = Storage::U8;
  shape.range = {3, 250};
  check(shape, {20});
  shape.out = Storage::F32;
  check(shape, {1, 20});
}

TEST(Gemm, ResultOfTheCaller) {
  GemmShape shape = makeShape(100, 2);
  shape.out = Storage::F32;
  shape.outStride = 2;
  shape.exact = true;
  check(shape, {1, 4, 11});
  shape.rows = RowsOf::Sequences;
  check(shape, {1, 9});
  shape = makeShape(64, 50);
  shape.outStride = 50;
  shape.exact = true;
  check(shape, {5, 17});
}

TEST(FloatGemm, EqualsTheReferenceBitForBit) {
  check(makeShape(100, 270), {1, 7, 20}, true);
  check(makeShape(64, 96), {8, 130}, true);
  check(makeShape(33, 17), {5}, true);
  check(makeShape(50, 40), {4}, true);
}

/// Codes with scales against the same numbers in f32, bit for bit.
TEST(FloatGemm, E14EqualsTheKernelOfNumbers) {
  std::mt19937 random(41);
  struct Size {
    int64_t k, n, rows;
  };
  for (Size size : {Size{200, 48, 21}, Size{50, 40, 5}, Size{33, 17, 9}})
    for (int64_t bits : {8, 4, 2}) {
      SCOPED_TRACE(std::to_string(size.k) + " in " + std::to_string(bits));
      auto [k, n, rows] = size;
      int64_t padded = (n + 15) / 16 * 16;
      std::vector<int8_t> codes(n * k);
      std::vector<float> weights(n * k);
      Aligned<float> scales(padded, 0.0f), bias(padded, 0.125f);
      for (int64_t i = 0; i < n; ++i)
        scales[i] = float(random() % 1000) * 1e-4f;
      for (int64_t i = 0; i < n * k; ++i) {
        codes[i] = int8_t(int8_t(random()) >> (8 - bits));
        weights[i] = scales[i / k] * float(codes[i]);
      }
      Aligned<float> x((rows + QUERN_SLACK_ROWS) * k + 64);
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = float(int32_t(random() % 20001) - 10000) * 3e-4f;
      Aligned<float> reals(packedFloatGemmSize(n, k));
      packFloatGemmWeights(weights.data(), n, k, reals.data());
      Aligned<int8_t> packed(packedCodedGemmBytes(n, k, bits) + 64);
      packCodedGemmWeights(codes.data(), n, k, bits, packed.data());
      GemmShape shape = makeShape(k, n);
      shape.xStride = k;
      shape.outStride = padded;
      shape.weightBits = bits;
      std::vector<Aligned<float>> results;
      for (bool isCoded : {false, true}) {
        KernelRunner runner;
        (isCoded ? buildCodedFloatGemm : buildFloatGemm)(runner.module(), "k",
                                                         shape);
        for (Tier tier : KernelRunner::tiers()) {
          ASSERT_EQ(runner.compile(tier), "");
          Aligned<float> y((rows + QUERN_SLACK_ROWS) * padded + 64);
          RunCounts counts{rows, 1};
          counts.end = getGemmChunks(shape).multiply;
          std::vector<const void *> buffers = {x.data()};
          if (isCoded)
            buffers.insert(buffers.end(), {packed.data(), scales.data()});
          else
            buffers.push_back(reals.data());
          buffers.insert(buffers.end(), {bias.data(), y.data()});
          ASSERT_TRUE(runner.run("k", buffers, counts));
          results.push_back(std::move(y));
        }
      }
      for (const Aligned<float> &y : results)
        for (int64_t i = 0; i < rows; ++i)
          EXPECT_EQ(std::memcmp(y.data() + i * padded,
                                results[0].data() + i * padded, n * 4),
                    0);
    }
  // 4 bits a weight where nothing is padded.
  EXPECT_EQ(packedCodedGemmBytes(768, 3072, 4), 768 * 3072 / 2);
}

TEST(FloatGemm, Activations) {
  for (GemmActivation activation :
       {GemmActivation::Gelu, GemmActivation::GeluTanh, GemmActivation::Relu,
        GemmActivation::Tanh}) {
    GemmShape shape = makeShape(20, 32);
    shape.activation = activation;
    check(shape, {9}, true);
  }
}

TEST(FloatGemm, ResultOfTheCaller) {
  GemmShape shape = makeShape(100, 3);
  shape.outStride = 3;
  shape.exact = true;
  shape.rows = RowsOf::Sequences;
  check(shape, {1, 6}, true);
}

TEST(GemmShape, NamesDiffer) {
  GemmShape a = makeShape(768, 3072), b = a;
  b.activation = GemmActivation::Gelu;
  EXPECT_EQ(getGemmName(a), "linear_u8_768x3072_u8");
  EXPECT_EQ(getGemmName(b), "linear_u8_768x3072_gelu_u8");
  b.activation = GemmActivation::None;
  b.weightBits = 4;
  EXPECT_EQ(getGemmName(b), "linear_u8_768x3072_u8_w4");
  a.xStride = spreadStride(768, Storage::F32);
  a.outStride = spreadStride(3072, Storage::F32);
  EXPECT_EQ(getFloatGemmName(a), "linear_f32_768x3072_f32");
}

/// Any 16 rows that follow each other begin in eight or more of the 64 sets of
/// the nearest cache.
TEST(GemmShape, RowsOfBuffersSpreadOverTheCache) {
  EXPECT_EQ(spreadStride(3072), 3200);
  EXPECT_EQ(spreadStride(768), 768);
  EXPECT_EQ(spreadStride(1024, Storage::U16), 1088);
  for (Storage storage : {Storage::U8, Storage::U16, Storage::F32})
    for (int64_t d = 1; d <= 8192; ++d) {
      int64_t stride = spreadStride(d, storage);
      ASSERT_GE(stride, rowStride(d));
      ASSERT_EQ(stride % (64 / storageBytes(storage)), 0);
      std::set<int64_t> sets;
      for (int64_t row = 0; row < 16; ++row)
        sets.insert(row * stride * storageBytes(storage) / 64 % 64);
      ASSERT_GE(sets.size(), 8u) << d;
    }
}

TEST(GemmShape, ColumnsAreCutEvenly) {
  EXPECT_EQ(getGemmPanels(makeShape(768, 768)).width, 3);
  EXPECT_EQ(getGemmPanels(makeShape(768, 1024)).width, 2);
  EXPECT_EQ(getGemmPanels(makeShape(768, 16)).width, 1);
  GemmChunks chunks = getGemmChunks(makeShape(768, 3072));
  EXPECT_EQ(chunks.divide, 128);
  // 64 tiles of 48 columns, an even number of panels in each chunk.
  EXPECT_EQ(chunks.multiply, 32);
}

} // namespace
