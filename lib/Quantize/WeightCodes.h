//===- WeightCodes.h - Weights to signed codes ---------------------*- C++ -*-//
//
// Quantization of a weight, symmetric (quantization.md 3.1) or asymmetric
// (3.4): one scale for the tensor or one per row, the ends of the grid being
// the extremes or those of least squared error. Plain arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_WEIGHTCODES_H
#define QUERN_LIB_QUANTIZE_WEIGHTCODES_H

#include "lib/Support/WeightClip.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace quern {

/// How a weight is quantized.
struct WeightQuantizer {
  unsigned bits = 8;
  bool perRow = false;
  ClipSearch clip = {};
  /// Rounding is learned from the layer's inputs (AdaRound).
  bool adaptive = false;
  /// Otherwise the grid need not be as wide above zero as below, nor hold it.
  bool symmetric = true;
};

/// Codes, row-major as the weight, and one scale or one per row. Asymmetric
/// weights have a zero point for each row: w = scale * (code - zero).
struct WeightCodes {
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> zeros = {};
  /// The ends of blocks of columns, if the scales are theirs.
  std::vector<int64_t> blocks = {};
  /// Bits that every code fits, if others than those asked for.
  std::optional<unsigned> bits = std::nullopt;

  int32_t zeroOf(size_t row) const { return zeros.empty() ? 0 : zeros[row]; }
};

/// The codes for given scales and zero points, one or one per row of each; no
/// zero points are zeros.
WeightCodes encodeWeight(const float *values, size_t rows, size_t cols,
                         std::vector<float> scales, unsigned bits,
                         std::vector<int32_t> zeros = {});

/// Scales as they were learned: of the whole weight, or of as many equal blocks
/// of its rows or columns, each with codes of its own bits.
struct LearnedScales {
  std::vector<float> scales;
  /// One for all, or as many as scales; empty for those asked for.
  std::vector<unsigned> bits = {};
  bool ofColumns = false;

  unsigned bitsOf(size_t block, unsigned usual) const {
    return bits.empty() ? usual : bits[bits.size() == 1 ? 0 : block];
  }
};

/// The codes for learned scales, whose number divides the rows or the columns.
/// Blocks of rows get a scale for each row.
WeightCodes encodeLearned(const float *values, size_t rows, size_t cols,
                          const LearnedScales &learned, unsigned bits);

/// What the codes of an unsigned quantizer mean: scale times
/// clamp(round_half_even(w / scale), 0, 2^bits - 1).
std::vector<float> roundUnsigned(const float *values, size_t size, float scale,
                                 unsigned bits);

/// code = clamp(round_half_even(w / scale) + zero, -2^(bits-1), 2^(bits-1) -
/// 1). Symmetric zero points are 0. Asymmetric ones are round(-lo / scale) -
/// 2^(bits-1) with scale = (hi - lo) / (2^bits - 1): of codes that begin at 0,
/// round(-lo / scale), neither clamped nor of a range that has to hold 0
/// (quantization.md 3.4).
WeightCodes quantizeWeight(const float *values, size_t rows, size_t cols,
                           const WeightQuantizer &quantizer);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_WEIGHTCODES_H
