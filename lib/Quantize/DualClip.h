//===- DualClip.h - Both ends of each channel's range, learned -----*- C++ -*-//
//
// RepQuant's dual clipping (quantization.md 3.4, 8.3): each channel of a
// LayerNorm output has a lower and an upper clip value of its own, chosen for
// the error of what reads it. With errors e_t of the channels of token t and
// consumers y = W x, that error is
//
//   sum_t |W e_t|^2 = sum_t e_t^T H e_t,   H = sum over consumers of W^T W,
//
// which is searched channel by channel: the errors of all other channels are
// known while one changes. No formulas were published; these are ours.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_DUALCLIP_H
#define QUERN_LIB_QUANTIZE_DUALCLIP_H

#include "lib/Support/RangeSearch.h"

#include <cstddef>
#include <vector>

namespace quern {

/// H of the consumers of a site, row-major [cols][cols].
class ClipMetric {
public:
  explicit ClipMetric(size_t cols) : cols(cols), values(cols * cols) {}

  /// Adds W^T W of row-major weights [rows][cols].
  void addWeights(const float *weights, size_t rows);

  /// Adds `share` times the mean of the diagonal to the diagonal: for a reader
  /// of the values themselves.
  void addIdentity(double share);

  size_t columns() const { return cols; }
  const float *row(size_t i) const { return values.data() + i * cols; }

private:
  size_t cols;
  std::vector<float> values;
};

/// What the ranges are chosen on.
struct ClipSamples {
  /// Row-major [rows][cols].
  const float *values = nullptr;
  size_t rows = 0;
  /// The weight of each row's error.
  std::vector<float> rowFactors;
};

/// Weighted squared error of the consumers' outputs before and after.
struct ClipErrors {
  double before = 0, after = 0;
};

/// Ranges of least error: of each channel, both ends lie between a tenth beyond
/// `extremes` and nine tenths of the way to the mean. `params` are the codes of
/// the range [-1, 1] that every channel is moved to. What comes out is the same
/// on every machine.
std::vector<Range> dualClip(const ClipSamples &samples,
                            const ClipMetric &metric,
                            const std::vector<Range> &extremes,
                            const UniformParams &params,
                            ClipErrors *errors = nullptr);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_DUALCLIP_H
