//===- GroupFormsTest.cpp - Groups kept or folded, by cost and error ------===//
//
// The predicted error of both forms against the error of a product that is
// really computed, and what the time of groups is worth.
//
//===----------------------------------------------------------------------===//
#include "compiler/GroupForms.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Reparameterize.h"

#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace quern;

namespace {

constexpr size_t rows = 24, cols = 60, tokens = 4000;

/// A product whose input has three groups of channels.
struct Example {
  /// `spread`: standard deviation of a channel in steps of its group.
  explicit Example(const std::vector<double> &spread, unsigned weightBits) {
    quantizer.bits = weightBits;
    quantizer.perRow = true;
    groups.bits = 8;
    groups.groupScales = {0.01f, 0.03f, 0.6f};
    groups.groupZeros = {128, 120, 60};
    groups.groupOf = equalGroups(cols, 3);
    std::normal_distribution<double> normal;
    for (size_t i = 0; i < rows * cols; ++i)
      weights.push_back(float(normal(random)));
    x.resize(tokens * cols);
    moments.mean.resize(cols);
    moments.variance.resize(cols);
    for (size_t k = 0; k < cols; ++k) {
      size_t g = groups.groupOf[k];
      double deviation = spread[g] * groups.groupScales[g];
      double middle = normal(random) * deviation;
      double first = 0, second = 0;
      for (size_t t = 0; t < tokens; ++t) {
        double value = middle + deviation * normal(random);
        x[t * cols + k] = value;
        first += value;
        second += value * value;
      }
      moments.mean[k] = first / tokens;
      moments.variance[k] = second / tokens - moments.mean[k] * moments.mean[k];
    }
  }

  /// Mean squared error of all rows of the product, or its variance. `scale`
  /// and `shift` are the channels': the product reads (x - shift) / scale.
  double measure(const std::vector<float> &scale,
                 const std::vector<float> &shift, bool keepsMeans) const {
    std::vector<float> taken = weights;
    scaleColumns(taken, scale);
    WeightCodes codes = quantizeWeight(taken.data(), rows, cols, quantizer);
    std::vector<double> first(rows), second(rows);
    for (size_t t = 0; t < tokens; ++t) {
      std::vector<double> real(cols), coded(cols);
      for (size_t k = 0; k < cols; ++k) {
        double step = groups.groupScales[groups.groupOf[k]];
        double value = x[t * cols + k];
        real[k] = (value - shift[k]) / scale[k];
        coded[k] = (step * std::nearbyint(value / step) - shift[k]) / scale[k];
      }
      for (size_t n = 0; n < rows; ++n) {
        double error = 0;
        for (size_t k = 0; k < cols; ++k)
          error +=
              taken[n * cols + k] * real[k] -
              double(codes.codes[n * cols + k]) * codes.scales[n] * coded[k];
        first[n] += error / tokens;
        second[n] += error * error / tokens;
      }
    }
    double sum = 0;
    for (size_t n = 0; n < rows; ++n)
      sum += second[n] - (keepsMeans ? first[n] * first[n] : 0);
    return sum;
  }

  FormNoise measured(bool keepsMeans) const {
    FoldedGroups folded =
        foldGroups(groups.groupOf, groups.groupScales, groups.groupZeros);
    return {measure(std::vector<float>(cols, 1), std::vector<float>(cols, 0),
                    keepsMeans),
            measure(folded.channelScale, folded.channelShift, keepsMeans)};
  }

  FormNoise predicted(bool keepsMeans) const {
    return formNoise(weights, rows, groups, quantizer, moments, keepsMeans);
  }

  std::mt19937 random{5};
  std::vector<float> weights;
  std::vector<double> x;
  SiteQuantizer groups;
  WeightQuantizer quantizer;
  ChannelMoments moments;
};

TEST(GroupForms, PredictsTheErrorOfAProduct) {
  const std::vector<double> spreads[] = {{30, 30, 30}, {30, 30, 1}, {2, 30, 9}};
  for (const std::vector<double> &spread : spreads)
    for (unsigned bits : {8, 4}) {
      Example example(spread, bits);
      FormNoise real = example.measured(true);
      FormNoise guess = example.predicted(true);
      EXPECT_NEAR(guess.direct / real.direct, 1, 0.1);
      EXPECT_NEAR(guess.folded / real.folded, 1, 0.1);
      // Means of few rows: only the size of it.
      real = example.measured(false);
      guess = example.predicted(false);
      EXPECT_NEAR(guess.direct / real.direct, 1, 0.6);
      EXPECT_NEAR(guess.folded / real.folded, 1, 0.6);
    }
}

TEST(GroupForms, FoldingCostsWhereWideGroupsHardlyMove) {
  // The widest group moves by as many steps as the others: its columns decide
  // the error in both forms.
  EXPECT_LT(Example({30, 30, 30}, 8).predicted(true).addedDecibels(), 1);
  // It hardly moves, and yet its columns are the largest: the others lose.
  EXPECT_GT(Example({30, 30, 0.1}, 4).predicted(true).addedDecibels(), 6);
  // One scale for all is no fold at all.
  Example same({30, 30, 30}, 8);
  same.groups.groupScales = {0.5f, 0.5f, 0.5f};
  same.groups.groupZeros = {7, 7, 7};
  FormNoise noise = same.predicted(true);
  EXPECT_NEAR(noise.folded, noise.direct, 1e-9 * noise.direct);
}

TEST(GroupForms, WorthOfTheTime) {
  EXPECT_GT(worthOfGroups(1), 0);
  EXPECT_DOUBLE_EQ(worthOfGroups(12), 12 * worthOfGroups(1));
}

} // namespace
