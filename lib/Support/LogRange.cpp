//===- LogRange.cpp - Scales of logarithmic quantizers --------------------===//
//
// See LogRange.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/LogRange.h"

#include <cmath>

using namespace quern;

double quern::logLoss(const std::vector<Bucket> &buckets,
                      const LogCodes &codes) {
  double sum = 0;
  for (const Bucket &bucket : buckets) {
    double middle = (bucket.lo + bucket.hi) / 2, width = bucket.hi - bucket.lo;
    int32_t code = codes.limit(std::nearbyint(codes.position(middle)));
    double error = middle - codes.value(code);
    sum += double(bucket.count) * (error * error + width * width / 12);
  }
  return sum;
}

Range quern::logPercentileRange(const Histogram &histogram, unsigned bits,
                                int perOctave) {
  std::vector<Bucket> buckets = histogram.buckets();
  Range best{0, histogram.max()};
  double least = INFINITY;
  for (double percent : {99.9, 99.99, 99.999}) {
    double scale = percentileRange(histogram, percent).hi;
    if (!(scale > 0))
      continue;
    double loss = logLoss(buckets, {scale, perOctave, int64_t(1) << bits});
    if (loss < least) {
      least = loss;
      best.hi = scale;
    }
  }
  return best;
}
