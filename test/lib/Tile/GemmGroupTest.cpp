//===- GemmGroupTest.cpp - Products of grouped codes ----------------------===//
//
// All tiers against loops, bit for bit: numbers of groups of row E06, groups of
// any size, every form of result.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmGroup.h"

#include "quern/quant_math.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

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

std::vector<int64_t> equalEnds(int64_t k, int64_t groups) {
  std::vector<int64_t> ends;
  for (int64_t g = 1; g <= groups; ++g)
    ends.push_back(g * k / groups);
  return ends;
}

float activate(GemmActivation activation, float v) {
  return activation == GemmActivation::Gelu   ? qm_gelu(v)
         : activation == GemmActivation::Relu ? qm_relu(v)
                                              : v;
}

void check(const GroupGemmShape &shape, const std::vector<int64_t> &rowCounts) {
  const GemmShape &gemm = shape.gemm;
  int64_t n = gemm.n, k = gemm.k, padded = (n + 15) / 16 * 16;
  int64_t groups = shape.groups();
  std::mt19937 random(unsigned(k * 31 + n * 7 + groups));
  std::uniform_real_distribution<float> unit(-1, 1);
  std::vector<int8_t> w(n * k);
  for (int8_t &v : w)
    v = int8_t(int8_t(random()) >> (8 - gemm.weightBits));
  Aligned<int8_t> packed(packedGroupGemmBytes(shape));
  packGroupGemmWeights(w.data(), shape, packed.data());
  Aligned<int32_t> steps(2 * groups), correction(groups * padded);
  for (int64_t g = 0; g < groups; ++g) {
    steps[2 * g] = getGroupSteps(shape)[g].column;
    steps[2 * g + 1] = getGroupSteps(shape)[g].count;
  }
  Aligned<float> multiplier(groups * padded), offset(padded), post(2);
  bool code = gemm.out != Storage::F32;
  for (int64_t i = 0; i < n; ++i) {
    offset[i] = 128 + unit(random);
    for (int64_t g = 0; g < groups; ++g) {
      correction[g * padded + i] = int32_t(random() % 20000) - 10000;
      // One group in three is as wide as an outlier.
      multiplier[g * padded + i] =
          (g % 3 ? 1.0f : 20.0f) * (1 + unit(random)) * 1e-4f;
    }
  }
  post[0] = 0.7f;
  post[1] = 3;

  KernelRunner runner;
  std::string name = getGroupGemmName(shape);
  buildGroupGemm(runner.module(), name, shape);
  for (Tier tier : KernelRunner::tiers()) {
    ASSERT_EQ(runner.compile(tier), "");
    for (int64_t rows : rowCounts) {
      Aligned<uint8_t> x((rows + 16) * gemm.xStride, 0xa5);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < k; ++j)
          x[r * gemm.xStride + j] = r == 0 ? 255 : uint8_t(random());
      Aligned<uint8_t> y((rows + 16) * gemm.outStride * storageBytes(gemm.out));
      std::vector<const void *> buffers = {x.data(),          packed.data(),
                                           steps.data(),      correction.data(),
                                           multiplier.data(), offset.data()};
      if (gemm.activation != GemmActivation::None && code)
        buffers.push_back(post.data());
      buffers.push_back(y.data());
      GemmChunks chunks = getGemmChunks(gemm);
      RunCounts counts;
      counts.tokens = rows;
      counts.end = (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
      ASSERT_TRUE(runner.run(name, buffers, counts));
      int64_t wrong = 0;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < n; ++i) {
          float v = 0;
          for (int64_t g = 0, j = 0; g < groups; ++g) {
            int32_t acc = correction[g * padded + i];
            for (; j < shape.ends[g]; ++j)
              acc += int32_t(x[r * gemm.xStride + j]) * w[i * k + j];
            float part = float(acc) * multiplier[g * padded + i];
            v = g ? v + part : part;
          }
          v = activate(gemm.activation, v + offset[i]);
          int64_t at = r * gemm.outStride + i;
          if (!code) {
            float found;
            std::memcpy(&found, y.data() + 4 * at, 4);
            wrong += std::memcmp(&found, &v, 4) != 0;
            continue;
          }
          if (gemm.activation != GemmActivation::None) {
            v = v * post[0];
            v = v + post[1];
          }
          wrong += y[at] != qm_round_code(v, gemm.range.lo, gemm.range.hi);
        }
      EXPECT_EQ(wrong, 0) << name << "." << getTierName(tier).str() << ", "
                          << rows << " rows";
    }
  }
}

TEST(GemmGroup, E06NumbersOfGroups) {
  for (int64_t groups : {1, 2, 3, 4, 6, 8, 12, 768})
    check(makeShape(768, 48, equalEnds(768, groups)), {1, 13});
}

TEST(GemmGroup, E07GroupsOfAnySize) {
  check(makeShape(100, 96, {1, 3, 50, 51, 100}), {4, 9});
  check(makeShape(70, 33, {7, 13, 70}), {5, 8, 130});
  check(makeShape(3, 1, {1, 3}), {2});
}

TEST(GemmGroup, Activations) {
  for (GemmActivation activation :
       {GemmActivation::Gelu, GemmActivation::Relu}) {
    GroupGemmShape shape = makeShape(96, 96, equalEnds(96, 6));
    shape.gemm.activation = activation;
    check(shape, {1, 20, 137});
    shape.gemm.out = Storage::F32;
    check(shape, {6});
  }
}

TEST(GemmGroup, PackedWeights) {
  for (int64_t bits : {4, 2})
    for (int64_t groups : {1, 6, 7}) {
      GroupGemmShape shape = makeShape(768, 96, equalEnds(768, groups));
      shape.gemm.weightBits = bits;
      check(shape, {1, 9});
      shape.gemm.activation = GemmActivation::Gelu;
      check(shape, {12, 20});
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
                                    equalEnds(768, 48)}) {
    GroupGemmShape shape = makeShape(768, 96, ends);
    shape.gemm.activation = GemmActivation::Gelu;
    check(shape, {3, 8, 12, 140});
  }
}

} // namespace
