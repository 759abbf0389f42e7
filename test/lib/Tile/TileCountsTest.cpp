//===- TileCountsTest.cpp - What kernels do with tile registers -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Machine code of tier amx on layers of BERT-base, where its instructions are
// emulated: the results against the reference, and how many of each there were.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"

#include "compiler/Bench/GemmCase.h"
#include "compiler/Bench/GroupGemmCase.h"
#include "lib/Tile/GemmGroupTiles.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

using namespace quern;
using amx::Op;

namespace {

class TileCounts : public testing::Test {
protected:
  void SetUp() override {
    if (test::tileRun() != test::TileRun::Emulated)
      GTEST_SKIP() << "instructions are only counted where they are emulated";
  }

  /// Runs all chunks in this many calls, and counts.
  template <typename Case>
  amx::Counts count(Case gemm, int64_t rows, int64_t calls = 1) {
    KernelRunner runner;
    gemm.build(runner.module());
    EXPECT_EQ(runner.compile(Tier::Amx), "");
    std::vector<void *> operands = gemm.operands();
    amx::resetCounts();
    for (int64_t i = 0; i < calls; ++i)
      EXPECT_TRUE(runner.run(gemm.name(), {operands.begin(), operands.end()},
                             {rows, 1, 0, gemm.chunks() * i / calls,
                              gemm.chunks() * (i + 1) / calls}));
    amx::Counts counts = amx::counts();
    EXPECT_EQ(gemm.countWrong(), 0);
    EXPECT_EQ(counts[Op::LoadConfig], uint64_t(calls));
    EXPECT_EQ(counts.dots(), counts[Op::DotUS]);
    EXPECT_EQ(counts.spills, 0u);
    return counts;
  }

  amx::Counts countLayer(int64_t k, int64_t n, int64_t rows,
                         int64_t calls = 1) {
    GemmShape shape = linearShape(k, n, GemmActivation::None, 8);
    return count(GemmCase(shape, rows), rows, calls);
  }
};

constexpr uint64_t kDots = 128 / 16 * (768 / 16) * (3072 / 64);

// Four loads for four products of a step, half of them of weights, which pass
// by once. Sums are zeroed and stored once a block of four tiles.
TEST_F(TileCounts, LayerOf768To3072) {
  amx::Counts counts = countLayer(768, 3072, 128);
  EXPECT_EQ(counts.dots(), kDots);
  EXPECT_EQ(counts[Op::Load], kDots / 2);
  EXPECT_EQ(counts[Op::LoadStreamed], kDots / 2);
  EXPECT_EQ(counts[Op::Zero], 128u / 16 * (3072 / 16));
  EXPECT_EQ(counts[Op::Store], 128u / 16 * (3072 / 16));
}

// Rows of 3072 bytes are cut into four spans, between which sums wait in
// memory: they are loaded three times and stored four times.
TEST_F(TileCounts, LayerOf3072To768) {
  constexpr uint64_t sums = 128 / 16 * (768 / 16);
  amx::Counts counts = countLayer(3072, 768, 128);
  EXPECT_EQ(counts.dots(), kDots);
  EXPECT_EQ(counts[Op::Load], kDots / 2 + 3 * sums);
  EXPECT_EQ(counts[Op::LoadStreamed], kDots / 2);
  EXPECT_EQ(counts[Op::Zero], sums);
  EXPECT_EQ(counts[Op::Store], 4 * sums);
}

// Calls of some chunks each configure once, and share the products.
TEST_F(TileCounts, CallsOfOtherChunks) {
  amx::Counts whole = countLayer(768, 768, 128);
  amx::Counts parts = countLayer(768, 768, 128, /*calls=*/3);
  EXPECT_EQ(whole.dots(), 128u / 16 * (768 / 16) * (768 / 64));
  EXPECT_EQ(parts.dots(), whole.dots());
  EXPECT_EQ(parts.loads(), whole.loads());
  EXPECT_EQ(parts[Op::Store], whole[Op::Store]);
}

// Few rows are products of vectors, which need no tiles; then blocks of 32.
TEST_F(TileCounts, RowsBeyondABlock) {
  GemmShape shape = linearShape(128, 96, GemmActivation::None, 8);
  amx::Counts none = count(GemmCase(shape, 12), 12);
  EXPECT_EQ(none.dots(), 0u);
  uint64_t block = countLayer(128, 96, 32).dots();
  EXPECT_EQ(block, 2u * (96 / 16) * 2);
  EXPECT_EQ(countLayer(128, 96, 33).dots(), 2 * block);
  EXPECT_EQ(countLayer(128, 96, 129).dots(), 5 * block);
}

// Groups of columns, whose sums are scaled apart: for each, a tile of sums
// begins with what is to be added and leaves once.
TEST_F(TileCounts, GroupsOf128Columns) {
  GroupGemmShape shape;
  shape.gemm = linearShape(768, 768, GemmActivation::None, 8);
  shape.ends = equalGroupEnds(768, 6);
  ASSERT_TRUE(hasGroupTiles(shape));
  constexpr uint64_t sums = 128 / 16 * (768 / 16);
  amx::Counts counts = count(GroupGemmCase(shape, 128), 128);
  EXPECT_EQ(counts.dots(), sums * (768 / 64));
  EXPECT_EQ(counts.loads(), counts.dots() + 6 * sums);
  EXPECT_EQ(counts[Op::Store], 6 * sums);
}

} // namespace
