//===- AdaRoundTest.cpp - Learned rounding --------------------------------===//
//
// On random layers with correlated inputs: errors fall, codes stay next to
// their weights, threads do not matter.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/AdaRound.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace quern;

namespace {

/// Inputs that lie near a space of few dimensions, as activations do.
struct RandomLayer {
  RandomLayer(size_t rows, size_t cols, size_t samples)
      : weights(rows * cols), inputs(2 * samples * cols) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    size_t factors = cols / 8 + 1;
    std::vector<float> mix(factors * cols), hidden(factors);
    for (float &w : weights)
      w = 0.04f * normal(random);
    for (float &m : mix)
      m = normal(random) / std::sqrt(float(factors));
    for (size_t i = 0; i < 2 * samples; ++i) {
      for (float &h : hidden)
        h = normal(random);
      for (size_t k = 0; k < cols; ++k) {
        float x = 0.3f * normal(random);
        for (size_t j = 0; j < factors; ++j)
          x += hidden[j] * mix[j * cols + k];
        inputs[i * cols + k] = x;
      }
    }
    layer = {weights.data(), rows, cols, inputs.data(), samples};
  }

  /// Squared error of codes on samples that the search has not seen.
  double heldOut(const std::vector<int8_t> &codes, float scale) const {
    double total = 0;
    for (size_t i = layer.samples; i < 2 * layer.samples; ++i)
      for (size_t r = 0; r < layer.rows; ++r) {
        double error = 0;
        for (size_t k = 0; k < layer.cols; ++k)
          error +=
              inputs[i * layer.cols + k] *
              (codes[r * layer.cols + k] * scale - weights[r * layer.cols + k]);
        total += error * error;
      }
    return total;
  }

  std::vector<float> weights, inputs;
  AdaRoundLayer layer;
};

std::vector<int8_t> nearest(const std::vector<float> &weights, float scale,
                            unsigned bits) {
  std::vector<int8_t> codes;
  float high = float((1 << (bits - 1)) - 1);
  for (float w : weights)
    codes.push_back(
        int8_t(std::min(high, std::max(-high - 1, std::nearbyint(w / scale)))));
  return codes;
}

/// Inputs that layers before have changed: the outputs aimed at are those of
/// the real inputs.
TEST(AdaRound, MakesUpForChangedInputs) {
  RandomLayer random(21, 200, 512);
  std::vector<float> changed = random.inputs;
  for (size_t i = 0; i < changed.size(); ++i)
    changed[i] += 0.1f * (changed[i / 200 * 200] + changed[i]);
  float scale = 0.12f / 7;
  AdaRoundErrors blind, seeing;
  AdaRoundLayer layer = random.layer;
  layer.inputs = changed.data();
  std::vector<int8_t> first =
      adaRound(layer, {scale}, 4, AdaRoundOptions(), &blind);
  layer.realInputs = random.inputs.data();
  std::vector<int8_t> second =
      adaRound(layer, {scale}, 4, AdaRoundOptions(), &seeing);
  EXPECT_LT(seeing.chosen, 0.8 * seeing.nearest);
  auto error = [&](const std::vector<int8_t> &codes) {
    double total = 0;
    for (size_t i = 0; i < layer.samples; ++i)
      for (size_t r = 0; r < layer.rows; ++r) {
        double y = 0;
        for (size_t k = 0; k < layer.cols; ++k)
          y += double(changed[i * layer.cols + k]) * codes[r * layer.cols + k] *
                   scale -
               double(random.inputs[i * layer.cols + k]) *
                   random.weights[r * layer.cols + k];
        total += y * y;
      }
    return total / layer.samples;
  };
  EXPECT_NEAR(error(second), seeing.chosen, 1e-3 * seeing.chosen);
  EXPECT_LT(error(second), error(first));

  // The same inputs are no change.
  AdaRoundLayer same = random.layer;
  same.realInputs = same.inputs;
  EXPECT_EQ(adaRound(same, {scale}, 4, AdaRoundOptions()),
            adaRound(random.layer, {scale}, 4, AdaRoundOptions()));
}

TEST(AdaRound, ReducesTheErrorOfTheOutputs) {
  RandomLayer random(21, 200, 512);
  for (unsigned bits : {4u, 2u}) {
    float scale = 0.12f / float((1 << (bits - 1)) - 1);
    AdaRoundErrors errors;
    std::vector<int8_t> codes =
        adaRound(random.layer, {scale}, bits, AdaRoundOptions(), &errors);
    EXPECT_LT(errors.chosen, 0.6 * errors.nearest);
    EXPECT_LT(random.heldOut(codes, scale),
              0.7 *
                  random.heldOut(nearest(random.weights, scale, bits), scale));
  }
}

TEST(AdaRound, CodesAreNextToTheirWeights) {
  RandomLayer random(17, 50, 64);
  std::vector<float> scales;
  for (size_t r = 0; r < 17; ++r)
    scales.push_back(0.01f + 0.001f * float(r));
  std::vector<int8_t> codes =
      adaRound(random.layer, scales, 4, AdaRoundOptions());
  ASSERT_EQ(codes.size(), 17u * 50u);
  for (size_t i = 0; i < codes.size(); ++i) {
    float t = std::floor(random.weights[i] / scales[i / 50]);
    if (t >= 7)
      EXPECT_EQ(codes[i], 7);
    else if (t < -8)
      EXPECT_EQ(codes[i], -8);
    else
      EXPECT_TRUE(codes[i] == t || codes[i] == t + 1) << i;
  }
}

TEST(AdaRound, ThreadsDoNotMatter) {
  RandomLayer random(40, 33, 40);
  AdaRoundOptions one, three;
  one.iterations = three.iterations = 60;
  three.threads = 3;
  EXPECT_EQ(adaRound(random.layer, {0.02f}, 4, one),
            adaRound(random.layer, {0.02f}, 4, three));
}

TEST(AdaRound, RowsThatAreExactStayExact) {
  RandomLayer random(3, 16, 20);
  for (float &w : random.weights)
    w = 0.25f * std::nearbyint(w * 50);
  AdaRoundErrors errors;
  std::vector<int8_t> codes =
      adaRound(random.layer, {0.25f}, 8, AdaRoundOptions(), &errors);
  EXPECT_EQ(errors.chosen, 0);
  for (size_t i = 0; i < codes.size(); ++i)
    EXPECT_EQ(codes[i] * 0.25f, random.weights[i]);
}

TEST(AdaRound, NothingGivesNothing) {
  EXPECT_TRUE(adaRound({}, {1.0f}, 4, AdaRoundOptions()).empty());
}

} // namespace
