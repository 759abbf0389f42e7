//===- LogRange.h - Scales of logarithmic quantizers ---------------*- C++ -*-//
//
// From the distribution of a tensor to the scale of its logarithmic codes
// (quantization.md 6).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_LOGRANGE_H
#define QUERN_LIB_SUPPORT_LOGRANGE_H

#include "lib/Support/LogCodes.h"
#include "lib/Support/RangeSearch.h"

namespace quern {

/// Sum of squared errors of the codes over a histogram, taking each bucket as
/// uniformly filled and within one code.
double logLoss(const std::vector<Bucket> &buckets, const LogCodes &codes);

/// The range [0, s] of least squared error, s among the percentiles 99.9, 99.99
/// and 99.999 of the values (RepQuant). Where all of them are zero, s is the
/// largest value.
Range logPercentileRange(const Histogram &histogram, unsigned bits,
                         int perOctave);

} // namespace quern

#endif // QUERN_LIB_SUPPORT_LOGRANGE_H
