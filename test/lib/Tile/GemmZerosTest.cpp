//===- GemmZerosTest.cpp - Weights with zero points, row E05 --------------===//
//
// Asymmetric weights of 4 bits, quantized as quantization.md 3.4 says, times
// codes: the accumulator of every tier against the sum of (x - z_x)(w - z_w),
// with zero points -3 and 17 among those of the rows.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/WeightCodes.h"
#include "lib/Tile/Gemm.h"
#include "quern/module_abi.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

#include <random>

using namespace quern;

namespace {

constexpr int64_t k = 768, n = 32, rows = 21;
constexpr int32_t xZero = 117;

/// Rows of real weights whose codes of 4 bits have the given zero points: the
/// ends of the range are -z and 15 - z steps of 1/32.
std::vector<float> weightsOf(const std::vector<int32_t> &zeros,
                             std::mt19937 &random) {
  std::vector<float> weights;
  for (int32_t zero : zeros)
    for (int64_t i = 0; i < k; ++i) {
      int code = i < 2 ? int(15 * i) : int(random() % 16);
      weights.push_back(float(code - zero) / 32);
    }
  return weights;
}

TEST(GemmZeros, E05AccumulatorIsExact) {
  std::mt19937 random(5);
  std::vector<int32_t> zeros = {-3, 17, 0, 15, 8};
  while (zeros.size() < n)
    zeros.push_back(int32_t(random() % 40) - 12);
  std::vector<float> real = weightsOf(zeros, random);
  WeightQuantizer quantizer;
  quantizer.bits = 4;
  quantizer.perRow = true;
  quantizer.symmetric = false;
  quantizer.clip.rule = ClipRule::MinMax;
  WeightCodes weights = quantizeWeight(real.data(), n, k, quantizer);
  ASSERT_EQ(weights.zeros.size(), size_t(n));
  // Codes are kept from -8 on, zero points likewise.
  for (int64_t j = 0; j < n; ++j) {
    EXPECT_EQ(weights.zeros[j] + 8, zeros[j]);
    EXPECT_EQ(weights.scales[j], 1.0f / 32);
  }

  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = rowStride(k);
  shape.outStride = rowStride(n);
  shape.out = Storage::F32;
  shape.weightBits = 4;
  shape.hasZeros = true;
  Aligned<uint8_t> x((rows + QUERN_SLACK_ROWS) * rowStride(k) + 64);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < k; ++j)
      x[i * rowStride(k) + j] = i == 0 ? 255 : i == 1 ? 0 : uint8_t(random());
  Aligned<int8_t> packed(packedGemmBytes(n, k, 4));
  packGemmWeights(weights.codes.data(), n, k, packed.data(), 4);
  Aligned<int32_t> correction(n), weightZeros(n);
  Aligned<float> multiplier(n), offset(n);
  for (int64_t j = 0; j < n; ++j) {
    int32_t sum = 0;
    for (int64_t l = 0; l < k; ++l)
      sum += weights.codes[j * k + l] - weights.zeros[j];
    correction[j] = -xZero * sum;
    weightZeros[j] = weights.zeros[j];
    multiplier[j] = 1;
    offset[j] = 0;
  }
  KernelRunner runner;
  buildGemm(runner.module(), "k", shape);
  for (Tier tier : KernelRunner::tiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    ASSERT_EQ(runner.compile(tier), "");
    Aligned<float> y((rows + QUERN_SLACK_ROWS) * shape.outStride + 64);
    GemmChunks chunks = getGemmChunks(shape);
    RunCounts counts{rows, 1};
    counts.end = (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
    ASSERT_TRUE(runner.run("k",
                           {x.data(), packed.data(), correction.data(),
                            weightZeros.data(), multiplier.data(),
                            offset.data(), y.data()},
                           counts));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < n; ++j) {
        int64_t expected = 0;
        for (int64_t l = 0; l < k; ++l)
          expected += int64_t(x[i * rowStride(k) + l] - xZero) *
                      int64_t(std::lround(real[j * k + l] * 32));
        // f32 holds such a sum exactly.
        ASSERT_LT(std::abs(expected), 1 << 24);
        ASSERT_EQ(y[i * shape.outStride + j], float(expected))
            << "row " << i << ", output " << j;
      }
  }
}

} // namespace
