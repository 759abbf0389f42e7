//===- GemmGroupTest.cpp - Products of grouped codes ----------------------===//
//
// All tiers against loops, bit for bit: numbers of groups of row E06, groups of
// any size, every form of result.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmGroup.h"

#include "compiler/Bench/GroupGemmCase.h"
#include "lib/Tile/GemmGroupTiles.h"
#include "test/support/KernelRunner.h"
#include "test/support/TileUse.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

using namespace quern;

namespace {

GroupGemmShape makeShape(int64_t k, int64_t n, std::vector<int64_t> ends) {
  GroupGemmShape shape;
  shape.gemm.k = k;
  shape.gemm.n = n;
  shape.gemm.xStride = rowStride(k);
  shape.gemm.outStride = rowStride(n);
  shape.ends = std::move(ends);
  return shape;
}

/// Compiles `shape` for these tiers and checks it for each number of rows.
void check(const GroupGemmShape &shape, const std::vector<int64_t> &rowCounts,
           const std::vector<Tier> &tiers = KernelRunner::tiers()) {
  KernelRunner runner;
  GroupGemmCase(shape, 1).build(runner.module());
  for (Tier tier : tiers) {
    ASSERT_EQ(runner.compile(tier), "");
    for (int64_t rows : rowCounts) {
      GroupGemmCase gemm(shape, rows);
      std::vector<void *> operands = gemm.operands();
      RunCounts counts;
      counts.tokens = rows;
      counts.end = gemm.chunks();
      ASSERT_TRUE(
          runner.run(gemm.name(), {operands.begin(), operands.end()}, counts));
      EXPECT_EQ(gemm.countWrong(), 0)
          << gemm.name() << "." << getTierName(tier).str() << ", " << rows
          << " rows";
    }
  }
}

TEST(GemmGroup, E06NumbersOfGroups) {
  for (int64_t groups : {1, 2, 3, 4, 6, 8, 12, 768})
    check(makeShape(768, 48, equalGroupEnds(768, groups)), {1, 13});
}

TEST(GemmGroup, E07GroupsOfAnySize) {
  check(makeShape(100, 96, {1, 3, 50, 51, 100}), {4, 9}, test::tileTiers());
  check(makeShape(70, 33, {7, 13, 70}), {5, 8, 130}, test::tileTiers());
  check(makeShape(3, 1, {1, 3}), {2}, test::tileTiers());
}

// Tiles and prefetches that `quern tune` tries, with sums that wait for the
// next tile and without; 4-bit weights of more than 8 rows are unpacked before.
TEST(GemmGroup, Tuned) {
  for (auto [rows, panels] : {std::pair(4, 6), {16, 1}, {12, 2}, {8, 1}}) {
    GroupGemmShape shape = makeShape(384, 192, {3, 130, 131, 384});
    GemmTuning tuning;
    tuning.rows = rows;
    tuning.panels = panels;
    tuning.ahead = 2;
    tuning.aheadCache = 2;
    tuning.aheadRows = tuning.packedRows = 8;
    shape.gemm.setTuning(tuning);
    check(shape, {1, 13, 139});
    shape.gemm.activation = GemmActivation::Gelu;
    shape.gemm.weightBits = 4;
    check(shape, {6, 43});
  }
}

TEST(GemmGroup, Activations) {
  for (GemmActivation activation :
       {GemmActivation::Gelu, GemmActivation::Relu}) {
    GroupGemmShape shape = makeShape(96, 96, equalGroupEnds(96, 6));
    shape.gemm.activation = activation;
    check(shape, {1, 20, 137});
    shape.gemm.out = Storage::F32;
    check(shape, {6});
  }
}

TEST(GemmGroup, PackedWeights) {
  for (auto [bits, groups] :
       {std::pair<int64_t, int64_t>(4, 1), {4, 7}, {2, 6}}) {
    GroupGemmShape shape = makeShape(768, 96, equalGroupEnds(768, groups));
    shape.gemm.weightBits = bits;
    check(shape, {1, 9});
    shape.gemm.activation = GemmActivation::Gelu;
    // From 33 rows on weights are unpacked in advance.
    check(shape, {12, 20, 33, 130});
  }
}

TEST(GemmGroup, StepsCoverTheGroupsInsideTheRow) {
  for (std::vector<int64_t> ends : {std::vector<int64_t>{768},
                                    {1, 2, 3, 767, 768},
                                    {5, 700, 768},
                                    {760, 766, 768}}) {
    GroupGemmShape shape = makeShape(768, 16, ends);
    int64_t begin = 0;
    std::vector<GroupSteps> all = getGroupSteps(shape);
    ASSERT_EQ(all.size(), ends.size());
    for (size_t g = 0; g < ends.size(); ++g) {
      int64_t end = all[g].column + 4 * int64_t(all[g].count);
      EXPECT_LE(all[g].column, begin);
      EXPECT_GE(end, ends[g]);
      EXPECT_LE(end, 768);
      EXPECT_EQ(all[g].column % 4, 0);
      EXPECT_EQ(all[g].count % 4, 0);
      begin = ends[g];
    }
  }
}

// Sums of a tile that wait are finished by the groups of the next one.
TEST(GemmGroup, EpilogueInTheNextTile) {
  for (std::vector<int64_t> ends : {std::vector<int64_t>{768},
                                    {3, 768},
                                    {100, 130, 131, 500, 501, 768},
                                    equalGroupEnds(768, 48)}) {
    GroupGemmShape shape = makeShape(768, 96, ends);
    shape.gemm.activation = GemmActivation::Gelu;
    check(shape, {3, 8, 12, 140}, test::tileTiers());
  }
}

// Groups of less than a tile and of many, steps at the end of a panel, a last
// panel alone, weights of few bits; the small ones as vectors, too, as machines
// without AVX-512 VNNI run them.
TEST(GemmGroup, Tiles) {
  struct Case {
    int64_t k, n, bits;
    std::vector<int64_t> ends, rows;
  };
  for (const Case &each :
       {Case{768, 96, 8, {208, 416, 560, 688, 752, 768}, {13, 40, 129}},
        Case{64, 80, 8, {64}, {64}},
        Case{330, 48, 4, {1, 3, 300, 301, 330}, {33}},
        Case{1000, 48, 8, {937, 1000}, {32}}}) {
    GroupGemmShape shape = makeShape(each.k, each.n, each.ends);
    shape.gemm.weightBits = each.bits;
    shape.gemm.activation = GemmActivation::Gelu;
    ASSERT_TRUE(hasGroupTiles(shape));
    for (bool emulate : {false, true}) {
      if (emulate && each.k > 500)
        continue;
      KernelRunner runner;
      GroupGemmCase(shape, 1).build(runner.module());
      ASSERT_EQ(runner.compile(Tier::Amx, emulate), "");
      for (int64_t rows : each.rows) {
        GroupGemmCase gemm(shape, rows);
        std::vector<void *> operands = gemm.operands();
        ASSERT_TRUE(runner.run(gemm.name(), {operands.begin(), operands.end()},
                               {rows, 1, 0, 0, gemm.chunks()}));
        EXPECT_EQ(gemm.countWrong(), 0) << gemm.name() << ", " << rows;
      }
    }
  }
  EXPECT_FALSE(hasGroupTiles(makeShape(768, 48, equalGroupEnds(768, 48))));
}

TEST(GemmGroup, TilesAreConfiguredOnceAndNeverSpilled) {
  KernelRunner runner;
  GroupGemmShape shape = makeShape(768, 768, equalGroupEnds(768, 6));
  buildGroupGemm(runner.module(), "k", shape);
  auto text = emitKernels(runner.module(), Tier::Amx, CodeForm::Assembly);
  ASSERT_TRUE(bool(text));
  TileUse use = countTileUse(*text);
  EXPECT_GT(use.dots, 0);
  EXPECT_EQ(use.configurations, 1);
  EXPECT_EQ(use.spills, 0);
}

} // namespace
