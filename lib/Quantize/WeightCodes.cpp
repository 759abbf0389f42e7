//===- WeightCodes.cpp - Weights to signed codes --------------------------===//
//
// The search for clip values is in lib/Support/WeightClip; here it is applied
// by row or to the whole, and the codes are written.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/WeightCodes.h"
#include "lib/Support/RangeSearch.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

/// The whole number nearest to value / scale, ties to even, within [lo, hi].
/// Adding and subtracting 1.5 * 2^23 rounds so, and vectorizes.
float nearestCode(float value, float scale, float lo, float hi) {
  constexpr float magic = 0x1.8p23f;
  float t = value / scale;
  t = t > hi ? hi : t;
  t = t < lo ? lo : t;
  return (t + magic) - magic;
}

void writeCodes(const float *values, size_t size, float scale, int32_t zero,
                unsigned bits, int8_t *codes) {
  auto z = static_cast<float>(zero);
  float hi = static_cast<float>((1 << (bits - 1)) - 1) - z;
  float lo = static_cast<float>(-(1 << (bits - 1))) - z;
  for (size_t i = 0; i < size; ++i)
    codes[i] = static_cast<int8_t>(nearestCode(values[i], scale, lo, hi) + z);
}

/// Scale and zero point of a row of asymmetric weights.
std::pair<float, int32_t> asymmetricGrid(const float *values, size_t size,
                                         const WeightQuantizer &quantizer) {
  Range range = weightRange(values, size, quantizer.bits, quantizer.clip);
  double steps = std::ldexp(1.0, static_cast<int>(quantizer.bits)) - 1;
  // A row far from zero has wider steps: zero points stay within a few grids,
  // and sums of products with them in i32.
  double width = std::max({range.hi - range.lo, std::fabs(range.lo) / 4,
                           std::fabs(range.hi) / 4, 1e-8});
  auto scale = static_cast<float>(width / steps);
  auto zero = static_cast<int32_t>(std::nearbyint(-range.lo / scale)) -
              (1 << (quantizer.bits - 1));
  return {scale, zero};
}

} // namespace

WeightCodes quern::encodeWeight(const float *values, size_t rows, size_t cols,
                                std::vector<float> scales, unsigned bits,
                                std::vector<int32_t> zeros) {
  WeightCodes result;
  result.codes.resize(rows * cols);
  size_t size = rows * cols / scales.size();
  for (size_t part = 0; part < scales.size(); ++part)
    writeCodes(values + part * size, size, scales[part],
               zeros.empty() ? 0 : zeros[part], bits,
               result.codes.data() + part * size);
  result.scales = std::move(scales);
  result.zeros = std::move(zeros);
  return result;
}

WeightCodes quern::encodeLearned(const float *values, size_t rows, size_t cols,
                                 const LearnedScales &learned, unsigned bits) {
  size_t count = learned.scales.size();
  WeightCodes result;
  result.codes.resize(rows * cols);
  if (!learned.bits.empty())
    result.bits = *std::max_element(learned.bits.begin(), learned.bits.end());
  size_t parts = learned.ofColumns ? count : 1;
  for (size_t row = 0; row < rows; ++row)
    for (size_t part = 0; part < parts; ++part) {
      size_t block = learned.ofColumns ? part : row * count / rows;
      size_t at = row * cols + part * (cols / parts);
      writeCodes(values + at, cols / parts, learned.scales[block], 0,
                 learned.bitsOf(block, bits), result.codes.data() + at);
    }
  if (count == 1 || learned.ofColumns)
    result.scales = learned.scales;
  else
    for (size_t row = 0; row < rows; ++row)
      result.scales.push_back(learned.scales[row * count / rows]);
  if (learned.ofColumns && count > 1)
    for (size_t block = 1; block <= count; ++block)
      result.blocks.push_back(int64_t(block * (cols / count)));
  return result;
}

std::vector<float> quern::roundUnsigned(const float *values, size_t size,
                                        float scale, unsigned bits) {
  std::vector<float> result(size);
  float hi = static_cast<float>((1 << bits) - 1);
  for (size_t i = 0; i < size; ++i)
    result[i] = scale * nearestCode(values[i], scale, 0, hi);
  return result;
}

WeightCodes quern::quantizeWeight(const float *values, size_t rows, size_t cols,
                                  const WeightQuantizer &quantizer) {
  size_t parts = quantizer.perRow ? rows : 1;
  size_t size = quantizer.perRow ? cols : rows * cols;
  std::vector<float> scales;
  if (!quantizer.symmetric) {
    std::vector<int32_t> zeros;
    for (size_t part = 0; part < parts; ++part) {
      auto [scale, zero] =
          asymmetricGrid(values + part * size, size, quantizer);
      scales.push_back(scale);
      zeros.push_back(zero);
    }
    WeightCodes result = encodeWeight(values, rows, cols, std::move(scales),
                                      quantizer.bits, std::move(zeros));
    // Readers know zero points by row.
    if (parts == 1)
      result.zeros.assign(rows, result.zeros.front());
    return result;
  }
  for (size_t part = 0; part < parts; ++part) {
    double clip =
        weightClip(values + part * size, size, quantizer.bits, quantizer.clip);
    scales.push_back(symmetricParams({-clip, clip}, quantizer.bits).scale);
  }
  return encodeWeight(values, rows, cols, std::move(scales), quantizer.bits);
}
