//===- RangeSearch.h - Ranges and parameters of uniform quantizers -*- C++ -*-//
//
// From the distribution of a tensor to the range its quantizer clips to
// (quantization.md 6: percentile, least squares by grid and by golden section)
// and from the range to scale and zero point (quantization.md 3.1). Plain
// arithmetic in double; weights and activations share it.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_RANGESEARCH_H
#define QUERN_LIB_SUPPORT_RANGESEARCH_H

#include "lib/Support/Histogram.h"

namespace quern {

/// A closed interval of real values.
struct Range {
  double lo = 0;
  double hi = 0;
};

/// code = clamp(round_half_even(x / scale) + zero, qmin, qmax). The scale is
/// held in f32 because that is what a module stores.
struct UniformParams {
  float scale = 1;
  int32_t zero = 0;
  int32_t qmin = 0;
  int32_t qmax = 255;
};

/// Unsigned grid of `bits` bits over the range, which is first widened to
/// hold zero.
UniformParams asymmetricParams(Range range, unsigned bits);

/// Two's-complement grid: scale = largest magnitude / (2^(bits-1) - 1). The
/// lowest code is one beyond the range on purpose, as in the paper.
UniformParams symmetricParams(Range range, unsigned bits);

/// Unsigned grid of a range that is as wide below zero as above: zero is the
/// middle code, s = largest magnitude / (2^(bits-1) - 1). A range without
/// negative values has all codes from zero up, as asymmetricParams.
UniformParams centredParams(Range range, unsigned bits);

/// Sum of squared quantization errors over a histogram, taking each bucket as
/// uniformly filled: exact per bucket, also across many steps and clipping.
double quantizationLoss(const std::vector<Bucket> &buckets,
                        const UniformParams &params);

/// The range between the (100 - percent) and the percent percentile, which lie
/// between two values as they do in NumPy as long as the histogram keeps them.
Range percentileRange(const Histogram &histogram, double percent);

/// Which scale family a search minimizes over.
enum class GridKind { Asymmetric, Symmetric };

/// Range of least squared error among the candidates i/100 of each end (both
/// ends on a coarse grid, then on a fine one around the best). Another number
/// than 100 makes the steps finer or coarser.
Range mseGridRange(const Histogram &histogram, unsigned bits, GridKind kind,
                   unsigned candidates = 100);

/// Range of least squared error by golden-section search of each end between
/// 0.01 and 1 of its extreme, the lower end nested in the upper one.
Range mseGoldenRange(const Histogram &histogram, unsigned bits, GridKind kind);

/// Range of least cross entropy, - sum softmax(x) log softmax(Q(x)) over the
/// rows of logits x, among all pairs of hundredths (or other parts) of both
/// extremes; symmetric ones are as wide below as above. Of equals the widest.
Range crossEntropyRange(const float *rows, size_t count, size_t size,
                        unsigned bits, GridKind kind = GridKind::Asymmetric,
                        unsigned candidates = 100);

/// The clip value of least squared error for a symmetric quantizer of a short
/// vector (a weight's row), searched on the values themselves.
double mseClip(const float *values, size_t size, unsigned bits);

/// The same with the candidates of mseGridRange and mseGoldenRange.
double mseGridClip(const float *values, size_t size, unsigned bits,
                   unsigned candidates);
double mseGoldenClip(const float *values, size_t size, unsigned bits);

} // namespace quern

#endif // QUERN_LIB_SUPPORT_RANGESEARCH_H
