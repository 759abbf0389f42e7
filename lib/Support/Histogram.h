//===- Histogram.h - Counts of f32 values by their leading bits ----*- C++ -*-//
//
// A histogram that needs no range in advance: the bucket of a value is its
// sign, exponent and first seven mantissa bits. The range therefore grows with
// the data, buckets are narrow where values are small (2^-7 of the value), and
// the result depends neither on the order of the data nor on how it is split.
// As long as there are few values, it keeps them as they are: a batch of a few
// sentences, or one channel, is searched exactly. Estimators of quantization
// ranges read it instead of the data itself.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_HISTOGRAM_H
#define QUERN_LIB_SUPPORT_HISTOGRAM_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace quern {

/// A piece of a histogram: `count` values in [lo, hi].
struct Bucket {
  double lo;
  double hi;
  uint64_t count;
};

/// Counts of f32 values; extremes are kept exactly.
class Histogram {
public:
  /// Up to this many values are kept one by one.
  static constexpr size_t mostKept = 1 << 15;

  /// Counts `size` values.
  void add(const float *values, size_t size);

  /// Adds the counts of another histogram.
  void merge(const Histogram &other);

  /// Number of finite values.
  uint64_t count() const { return total; }
  /// Number of NaN and infinite values, which are in no bucket.
  uint64_t nonFinite() const { return notFinite; }
  /// Smallest and largest finite value; +inf and -inf when there is none.
  float min() const { return smallest; }
  float max() const { return largest; }

  /// The values themselves, ascending; empty when there were too many.
  std::vector<float> values() const;

  /// The buckets that hold values, ascending. The outermost edges are the
  /// exact extremes. Zero has a bucket of width zero, and so has every value
  /// when all are kept.
  std::vector<Bucket> buckets() const;

private:
  /// The 128 buckets of one sign and exponent.
  using Page = std::array<uint64_t, 128>;

  Page &page(unsigned index);
  /// Puts values into buckets.
  void count(const float *values, size_t size);
  /// Gives up the values, if there are more than can be kept with `more`.
  void makeRoom(uint64_t more);

  /// All finite values, while `total` is no more than mostKept.
  std::vector<float> kept;

  std::array<std::unique_ptr<Page>, 512> pages;
  uint64_t zeros = 0;
  uint64_t total = 0;
  uint64_t notFinite = 0;
  float smallest = std::numeric_limits<float>::infinity();
  float largest = -std::numeric_limits<float>::infinity();
};

} // namespace quern

#endif // QUERN_LIB_SUPPORT_HISTOGRAM_H
