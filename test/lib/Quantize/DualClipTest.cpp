//===- DualClipTest.cpp - Learned lower and upper ends of channels --------===//
//
// The search against brute force, against the outputs of the layers it is for,
// and on channels of which the answer is known.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/DualClip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace quern;

namespace {

constexpr size_t cols = 12, rows = 500;
const UniformParams fourBits = asymmetricParams({-1, 1}, 4);

struct Data {
  Data() : factors(rows, 1.0f), extremes(cols, {1e9, -1e9}) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    values.resize(rows * cols);
    for (size_t t = 0; t < rows; ++t)
      for (size_t j = 0; j < cols; ++j) {
        float &x = values[t * cols + j];
        x = normal(random) * (j % 3 ? 1 : 4) + float(j);
        // A long tail above in channel 2, below in channel 5.
        if (j == 2 || j == 5)
          x = (j == 2 ? 1.0f : -1.0f) * std::exp(1.5f * normal(random));
        extremes[j].lo = std::min<double>(extremes[j].lo, x);
        extremes[j].hi = std::max<double>(extremes[j].hi, x);
      }
    for (size_t i = 0; i < 8 * cols; ++i)
      weights.push_back(normal(random));
  }

  ClipSamples samples() const { return {values.data(), rows, factors}; }

  /// What the codes of a range stand for, by the formula of
  /// quantization.md 8.3.
  static double coded(double x, Range range) {
    double scale = (range.hi - range.lo) / 2, shift = (range.hi + range.lo) / 2;
    double code = std::nearbyint((x - shift) / scale / fourBits.scale);
    code = std::min(std::max(code + fourBits.zero, 0.0), 15.0);
    return (code - fourBits.zero) * fourBits.scale * scale + shift;
  }

  /// Sum over rows of the squared error of all outputs.
  double outputError(const std::vector<Range> &ranges) const {
    double total = 0;
    for (size_t t = 0; t < rows; ++t)
      for (size_t n = 0; n < weights.size() / cols; ++n) {
        double error = 0;
        for (size_t j = 0; j < cols; ++j) {
          double x = values[t * cols + j];
          error += weights[n * cols + j] * (coded(x, ranges[j]) - x);
        }
        total += factors[t] * factors[t] * error * error;
      }
    return total;
  }

  std::vector<float> values, factors, weights;
  std::vector<Range> extremes;
};

TEST(DualClip, MinimizesTheErrorOfTheOutputs) {
  Data data;
  for (size_t t = 0; t < rows; ++t)
    data.factors[t] = 0.5f + float(t % 3);
  ClipMetric metric(cols);
  metric.addWeights(data.weights.data(), data.weights.size() / cols);
  ClipErrors errors;
  std::vector<Range> ranges =
      dualClip(data.samples(), metric, data.extremes, fourBits, &errors);
  double before = data.outputError(data.extremes);
  double after = data.outputError(ranges);
  // Extremes lie between two codes: which one they get is rounding's choice.
  EXPECT_NEAR(errors.before, before, 1e-2 * before);
  EXPECT_NEAR(errors.after, after, 1e-2 * before);
  EXPECT_LT(after, 0.8 * before);
  // Better than one factor for all ends of all channels.
  for (int i = 0; i < 14; ++i) {
    std::vector<Range> shrunk = data.extremes;
    for (Range &range : shrunk) {
      double middle = (range.lo + range.hi) / 2;
      range.lo += 0.05 * i * (middle - range.lo);
      range.hi += 0.05 * i * (middle - range.hi);
    }
    EXPECT_LT(after, data.outputError(shrunk)) << i;
  }
}

/// A metric without products of channels, which leaves independent problems.
ClipMetric unitMetric() {
  ClipMetric metric(cols);
  std::vector<float> unit(cols);
  for (size_t j = 0; j < cols; ++j) {
    unit.assign(cols, 0);
    unit[j] = 1;
    metric.addWeights(unit.data(), 1);
  }
  return metric;
}

TEST(DualClip, EndsAreApart) {
  Data data;
  std::vector<Range> ranges =
      dualClip(data.samples(), unitMetric(), data.extremes, fourBits);
  auto lowerCut = [&](size_t j) {
    return (ranges[j].lo - data.extremes[j].lo) /
           (data.extremes[j].hi - data.extremes[j].lo);
  };
  auto upperCut = [&](size_t j) {
    return (data.extremes[j].hi - ranges[j].hi) /
           (data.extremes[j].hi - data.extremes[j].lo);
  };
  // Only the end of the long tail moves far.
  EXPECT_GT(upperCut(2), 0.05);
  EXPECT_LT(std::fabs(lowerCut(2)), 0.05);
  EXPECT_GT(lowerCut(5), 0.05);
  EXPECT_LT(std::fabs(upperCut(5)), 0.05);
}

TEST(DualClip, AgreesWithBruteForceOnOneChannel) {
  Data data;
  std::vector<Range> ranges =
      dualClip(data.samples(), unitMetric(), data.extremes, fourBits);
  for (size_t j : {2, 5, 8}) {
    auto errorOf = [&](Range range) {
      double sum = 0;
      for (size_t t = 0; t < rows; ++t) {
        double x = data.values[t * cols + j];
        sum += std::pow(Data::coded(x, range) - x, 2);
      }
      return sum;
    };
    double best = errorOf(data.extremes[j]);
    double width = data.extremes[j].hi - data.extremes[j].lo;
    for (int a = 0; a < 60; ++a)
      for (int b = 0; a + b < 90; ++b)
        best =
            std::min(best, errorOf({data.extremes[j].lo + 0.01 * a * width,
                                    data.extremes[j].hi - 0.01 * b * width}));
    EXPECT_LT(errorOf(ranges[j]), 1.2 * best) << j;
  }
}

TEST(DualClip, ReadersOfTheValuesKeepOutliers) {
  Data data;
  // Products do not read channel 2 at all; a reader of the values does.
  for (size_t n = 0; n < data.weights.size() / cols; ++n)
    data.weights[n * cols + 2] = 0;
  ClipMetric products(cols), both(cols);
  for (ClipMetric *metric : {&products, &both})
    metric->addWeights(data.weights.data(), data.weights.size() / cols);
  both.addIdentity(1);
  EXPECT_EQ(products.row(2)[2], 0);
  EXPECT_GT(both.row(2)[2], 0);
  EXPECT_EQ(both.row(2)[3], products.row(2)[3]);
  std::vector<Range> kept =
      dualClip(data.samples(), products, data.extremes, fourBits);
  EXPECT_EQ(kept[2].hi, data.extremes[2].hi);
  EXPECT_EQ(kept[2].lo, data.extremes[2].lo);
}

} // namespace
