//===- AdaRound.h - Learned rounding of weights --------------------*- C++ -*-//
//
// Chooses for every weight whether its code is rounded down or up, so that the
// outputs of the layer on sample inputs change least (quantization.md 3.1).
// Plain arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_ADAROUND_H
#define QUERN_LIB_QUANTIZE_ADAROUND_H

#include "lib/Quantize/WeightCodes.h"

#include <functional>

namespace quern {

/// Settings of the search. The published ones are 10,000 steps at a rate of
/// 1e-3; fewer and longer ones reach lower errors in a tenth of the time.
struct AdaRoundOptions {
  unsigned iterations = 800;
  /// Sample rows of one step; a multiple of 16.
  unsigned batch = 32;
  double rate = 3e-2;
  /// Weight of the term that drives every rounding to down or up, and its
  /// exponent, which falls along a cosine.
  double lambda = 0.01, betaFrom = 20, betaTo = 2;
  /// The exponent falls along a line instead of a cosine.
  bool isLinear = false;
  /// Part of the steps without that term.
  double warmUp = 0.2;
  /// Threads; what comes out does not depend on their number.
  /// 0 is one for each CPU.
  unsigned threads = 1;
};

/// A layer y = x * W^T and sample rows of x.
struct AdaRoundLayer {
  /// Row-major [rows][cols].
  const float *weights = nullptr;
  size_t rows = 0, cols = 0;
  /// Row-major [samples][cols].
  const float *inputs = nullptr;
  size_t samples = 0;
  /// What the same samples are in the float model, whose outputs are aimed at;
  /// null where these are the inputs.
  const float *realInputs = nullptr;
  /// The zero point of each row's codes; null for zeros.
  const int32_t *zeros = nullptr;
};

/// Mean over samples of the squared error of all outputs, with the nearest
/// codes and with the chosen ones.
struct AdaRoundErrors {
  double nearest = 0, chosen = 0;
};

/// Codes next to each weight (rounded down or up, within the grid of `bits`)
/// for the scales given, one or one per row. A row for which nearest rounding
/// is better on all samples keeps it. `progress` is told the part done.
std::vector<int8_t>
adaRound(const AdaRoundLayer &layer, const std::vector<float> &scales,
         unsigned bits, const AdaRoundOptions &options,
         AdaRoundErrors *errors = nullptr,
         const std::function<void(double)> &progress = nullptr);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_ADAROUND_H
