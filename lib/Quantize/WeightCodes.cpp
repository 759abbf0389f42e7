//===- WeightCodes.cpp - Weights to signed codes --------------------------===//
//
// The search for clip values is in lib/Support/RangeSearch; here it is applied
// by row or to the whole, and the codes are written.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/WeightCodes.h"
#include "lib/Support/RangeSearch.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

/// Above this many values one search over a histogram is cheaper than one over
/// the values, and as good: a bucket holds thousands of them.
constexpr size_t histogramFrom = 1 << 20;

Range clipRange(const float *values, size_t size,
                const WeightQuantizer &quantizer) {
  if (quantizer.mse && size >= histogramFrom) {
    Histogram histogram;
    histogram.add(values, size);
    return mseGoldenRange(histogram, quantizer.bits, GridKind::Symmetric);
  }
  double clip = 0;
  if (quantizer.mse)
    clip = mseClip(values, size, quantizer.bits);
  else
    for (size_t i = 0; i < size; ++i)
      clip = std::max<double>(clip, std::fabs(values[i]));
  return {-clip, clip};
}

void writeCodes(const float *values, size_t size, const UniformParams &params,
                int8_t *codes) {
  // Adding and subtracting 1.5 * 2^23 rounds half to even and vectorizes.
  constexpr float magic = 0x1.8p23f;
  float lo = params.qmin, hi = params.qmax;
  for (size_t i = 0; i < size; ++i) {
    float t = values[i] / params.scale;
    t = t > hi ? hi : t;
    t = t < lo ? lo : t;
    codes[i] = static_cast<int8_t>(static_cast<int32_t>((t + magic) - magic));
  }
}

} // namespace

WeightCodes quern::quantizeWeight(const float *values, size_t rows, size_t cols,
                                  const WeightQuantizer &quantizer) {
  WeightCodes result;
  result.codes.resize(rows * cols);
  size_t parts = quantizer.perRow ? rows : 1;
  size_t size = quantizer.perRow ? cols : rows * cols;
  for (size_t part = 0; part < parts; ++part) {
    const float *data = values + part * size;
    UniformParams params =
        symmetricParams(clipRange(data, size, quantizer), quantizer.bits);
    writeCodes(data, size, params, result.codes.data() + part * size);
    result.scales.push_back(params.scale);
  }
  return result;
}
