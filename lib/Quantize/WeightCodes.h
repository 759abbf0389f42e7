//===- WeightCodes.h - Weights to signed codes ---------------------*- C++ -*-//
//
// Symmetric quantization of a weight (quantization.md 3.1): one scale for the
// tensor or one per row, the clip value being the largest magnitude or that of
// least squared error. Plain arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_WEIGHTCODES_H
#define QUERN_LIB_QUANTIZE_WEIGHTCODES_H

#include "lib/Support/WeightClip.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace quern {

/// How a weight is quantized.
struct WeightQuantizer {
  unsigned bits = 8;
  bool perRow = false;
  ClipSearch clip = {};
  /// Rounding is learned from the layer's inputs (AdaRound).
  bool adaptive = false;
};

/// Codes, row-major as the weight, and one scale or one per row.
struct WeightCodes {
  std::vector<int8_t> codes;
  std::vector<float> scales;
};

/// The codes for given scales, one or one per row.
WeightCodes encodeWeight(const float *values, size_t rows, size_t cols,
                         std::vector<float> scales, unsigned bits);

/// What the codes of an unsigned quantizer mean: scale times
/// clamp(round_half_even(w / scale), 0, 2^bits - 1).
std::vector<float> roundUnsigned(const float *values, size_t size, float scale,
                                 unsigned bits);

/// code = clamp(round_half_even(w / scale), -2^(bits-1), 2^(bits-1) - 1).
WeightCodes quantizeWeight(const float *values, size_t rows, size_t cols,
                           const WeightQuantizer &quantizer);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_WEIGHTCODES_H
