//===- WeightCodesTest.cpp - Weights to signed codes ----------------------===//
//
// Codes against the formula of quantization.md 3.1 value by value, and the gain
// of least squares over the largest magnitude.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/WeightCodes.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <random>

using namespace quern;

namespace {

std::vector<float> weights(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i)
    values[i] = normal(random) * (i % 101 == 0 ? 10 : 1);
  return values;
}

double squaredError(const std::vector<float> &values, const WeightCodes &codes,
                    size_t cols) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    float scale = codes.scales[codes.scales.size() == 1 ? 0 : i / cols];
    double rest = values[i] - double(scale) * codes.codes[i];
    sum += rest * rest;
  }
  return sum;
}

class WeightBits : public testing::TestWithParam<unsigned> {};

TEST_P(WeightBits, CodesFollowTheFormula) {
  unsigned bits = GetParam();
  int hi = (1 << (bits - 1)) - 1, lo = -hi - 1;
  std::vector<float> values = weights(7 * 33, 1);
  for (bool perRow : {false, true})
    for (ClipRule rule : {ClipRule::MinMax, ClipRule::Percentile, ClipRule::Mse,
                          ClipRule::MseGrid, ClipRule::MseGolden}) {
      WeightCodes codes =
          quantizeWeight(values.data(), 7, 33, {bits, perRow, {rule}});
      ASSERT_EQ(codes.scales.size(), perRow ? 7u : 1u);
      ASSERT_EQ(codes.codes.size(), values.size());
      for (size_t i = 0; i < values.size(); ++i) {
        float scale = codes.scales[perRow ? i / 33 : 0];
        float expected = std::nearbyint(values[i] / scale);
        expected = std::min<float>(std::max<float>(expected, lo), hi);
        EXPECT_EQ(codes.codes[i], expected) << i;
      }
    }
}

TEST_P(WeightBits, LeastSquaresAndChannelsLowerTheError) {
  unsigned bits = GetParam();
  std::vector<float> values = weights(16 * 512, 2);
  auto error = [&](bool perRow, bool mse) {
    ClipSearch clip{mse ? ClipRule::Mse : ClipRule::MinMax};
    return squaredError(
        values, quantizeWeight(values.data(), 16, 512, {bits, perRow, clip}),
        512);
  };
  EXPECT_LE(error(false, true), error(false, false));
  EXPECT_LE(error(true, true), error(true, false));
  EXPECT_LE(error(true, true), error(false, true) * 1.001);
}

INSTANTIATE_TEST_SUITE_P(All, WeightBits, testing::Values(2, 3, 4, 6, 8));

TEST(WeightCodes, LargestMagnitudeIsTheTopCode) {
  float values[] = {-2.0f, 1.0f, 0.0f, -0.5f};
  WeightCodes codes =
      quantizeWeight(values, 1, 4, {8, false, {ClipRule::MinMax}});
  EXPECT_EQ(codes.scales[0], 2.0f / 127);
  EXPECT_EQ(codes.codes[0], -127);
  EXPECT_EQ(codes.codes[2], 0);
}

/// The published rules, by their definitions.
TEST(WeightClip, FollowsTheRule) {
  std::vector<float> row = weights(1001, 4);
  auto clip = [&](ClipSearch search) {
    return weightClip(row.data(), row.size(), 4, search);
  };
  auto loss = [&](double at) {
    float scale = float(at / 7);
    return squaredError(
        row, encodeWeight(row.data(), 1, row.size(), {scale}, 4), row.size());
  };
  double largest = clip({ClipRule::MinMax});
  std::vector<float> sorted = row;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(largest, std::max(-sorted.front(), sorted.back()));
  // 1001 values: the percentiles 1 and 99 are values themselves.
  EXPECT_FLOAT_EQ(clip({ClipRule::Percentile, 99}),
                  std::max(-sorted[10], sorted[990]));
  EXPECT_FLOAT_EQ(clip({ClipRule::Percentile, 100}), largest);
  for (unsigned parts : {5u, 100u}) {
    double best = largest;
    for (unsigned i = 1; i < parts; ++i)
      if (loss(largest * i / parts) < loss(best))
        best = largest * i / parts;
    EXPECT_DOUBLE_EQ(clip({ClipRule::MseGrid, 0, parts}), best) << parts;
    EXPECT_LT(best, largest);
  }
  EXPECT_LT(loss(clip({ClipRule::MseGolden})), loss(largest));
  EXPECT_LE(loss(clip({ClipRule::Mse})),
            1.01 * loss(clip({ClipRule::MseGrid, 0, 100})));
}

TEST(WeightCodes, ZeroRowsAndLargeTensors) {
  std::vector<float> zeros(8, 0.0f);
  WeightCodes none = quantizeWeight(zeros.data(), 2, 4, {8, true, {}});
  EXPECT_GT(none.scales[0], 0);
  EXPECT_EQ(none.codes, std::vector<int8_t>(8, 0));
  for (ClipRule rule : {ClipRule::Percentile, ClipRule::MseGrid,
                        ClipRule::MseGolden, ClipRule::MinMax})
    EXPECT_EQ(weightClip(zeros.data(), 8, 4, {rule}), 0);
  // Above a million values the search runs on a histogram: as good.
  std::vector<float> values = weights(1100 * 1000, 3);
  WeightCodes exact = quantizeWeight(values.data(), 1, 1000000, {4, false, {}});
  WeightCodes large = quantizeWeight(values.data(), 1100, 1000, {4, false, {}});
  EXPECT_NEAR(large.scales[0] / exact.scales[0], 1, 0.05);
}

} // namespace
