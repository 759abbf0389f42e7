//===- GemmScalesTest.cpp - GEMM kernels against real arithmetic ----------===//
//
// Rows E03 and E04 of quantization.md: weights with one scale and with one for
// each output channel, activations with outlier channels of 50 times the rest.
// The reference is the product of what the codes mean, in double.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/GemmCase.h"
#include "lib/Quantize/WeightCodes.h"
#include "quern/module_abi.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

using namespace quern;

namespace {

constexpr int64_t k = 768, n = 96, rows = 137;

/// Real weights and inputs, quantized, and what a kernel needs of them.
struct Product {
  explicit Product(bool perChannel)
      : x((rows + QUERN_SLACK_ROWS) * rowStride(k) + 64) {
    std::mt19937 random(4);
    std::normal_distribution<float> normal;
    std::vector<float> real(rows * k), w(n * k);
    for (int64_t i = 0; i < rows * k; ++i)
      real[i] = normal(random) * (i % k == 100 || i % k == 381 ? 50 : 1);
    for (int64_t i = 0; i < n * k; ++i)
      w[i] = 0.04f * normal(random) * (i / k % 7 ? 1 : 5);
    weights = quantizeWeight(w.data(), n, k, {8, perChannel, {ClipRule::Mse}});
    auto [lo, hi] = std::minmax_element(real.begin(), real.end());
    scale = (*hi - *lo) / 255;
    zero = int32_t(std::nearbyint(-*lo / scale));
    for (int64_t i = 0; i < rows * k; ++i)
      x[i / k * rowStride(k) + i % k] = uint8_t(std::clamp(
          std::nearbyint(real[i] / scale) + double(zero), 0.0, 255.0));
    for (int64_t j = 0; j < n; ++j)
      bias.push_back(normal(random));
  }

  double weightScale(int64_t j) const {
    return weights.scales.size() == 1 ? weights.scales[0] : weights.scales[j];
  }
  int64_t accumulate(int64_t i, int64_t j) const {
    int64_t acc = 0;
    for (int64_t l = 0; l < k; ++l)
      acc += int64_t(x[i * rowStride(k) + l] - zero) * weights.codes[j * k + l];
    return acc;
  }
  double value(int64_t i, int64_t j) const {
    return scale * weightScale(j) * double(accumulate(i, j)) + bias[j];
  }

  /// Runs the kernel of `out` on a tier.
  template <typename T>
  std::vector<T> run(Tier tier, Storage out, double outScale, double outZero,
                     bool sumsOnly);

  Aligned<uint8_t> x;
  WeightCodes weights;
  double scale = 0;
  int32_t zero = 0;
  std::vector<float> bias;
};

template <typename T>
std::vector<T> Product::run(Tier tier, Storage out, double outScale,
                            double outZero, bool sumsOnly) {
  GemmShape shape = linearShape(k, n, GemmActivation::None, 8);
  shape.out = out;
  Aligned<int8_t> packed(packedGemmBytes(n, k));
  packGemmWeights(weights.codes.data(), n, k, packed.data());
  Aligned<int32_t> correction(n);
  Aligned<float> multiplier(n), offset(n);
  for (int64_t j = 0; j < n; ++j) {
    int32_t sum = 0;
    for (int64_t l = 0; l < k; ++l)
      sum += weights.codes[j * k + l];
    correction[j] = -zero * sum;
    multiplier[j] = sumsOnly ? 1.0f : float(scale * weightScale(j) / outScale);
    offset[j] = sumsOnly ? 0.0f : float(bias[j] / outScale + outZero);
  }
  KernelRunner runner;
  buildGemm(runner.module(), "k", shape);
  EXPECT_EQ(runner.compile(tier), "");
  Aligned<T> y((rows + QUERN_SLACK_ROWS) * shape.outStride + 64);
  GemmChunks chunks = getGemmChunks(shape);
  RunCounts counts{rows, 1};
  counts.end = (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
  EXPECT_TRUE(runner.run("k",
                         {x.data(), packed.data(), correction.data(),
                          multiplier.data(), offset.data(), y.data()},
                         counts));
  std::vector<T> result;
  for (int64_t i = 0; i < rows; ++i)
    result.insert(result.end(), y.data() + i * shape.outStride,
                  y.data() + i * shape.outStride + n);
  return result;
}

void check(bool perChannel) {
  Product product(perChannel);
  ASSERT_EQ(product.weights.scales.size(), perChannel ? size_t(n) : 1u);
  double lo = 0, hi = 0;
  std::vector<double> values;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) {
      values.push_back(product.value(i, j));
      lo = std::min(lo, values.back());
      hi = std::max(hi, values.back());
    }
  double scale = (hi - lo) / 255, zero = std::nearbyint(-lo / scale);
  for (Tier tier : KernelRunner::tiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    std::vector<float> sums =
        product.run<float>(tier, Storage::F32, 1, 0, true);
    std::vector<uint8_t> codes =
        product.run<uint8_t>(tier, Storage::U8, scale, zero, false);
    int64_t wrongSums = 0, unequal = 0, far = 0;
    for (int64_t i = 0; i < rows * n; ++i) {
      int64_t acc = product.accumulate(i / n, i % n);
      // f32 holds such a sum exactly.
      ASSERT_LT(std::abs(acc), 1 << 24);
      wrongSums += double(sums[i]) != double(acc);
      double code =
          std::clamp(std::nearbyint(values[i] / scale) + zero, 0.0, 255.0);
      unequal += codes[i] != code;
      far += std::fabs(codes[i] - code) > 1;
    }
    EXPECT_EQ(wrongSums, 0);
    EXPECT_EQ(far, 0);
    EXPECT_LE(double(unequal), 1e-3 * double(rows * n));
  }
}

TEST(GemmScales, E03OneScale) { check(false); }

TEST(GemmScales, E04OneScaleForEachOutput) { check(true); }

} // namespace
