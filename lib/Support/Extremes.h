//===- Extremes.h - The least and the largest of many values -------*- C++ -*-//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Each comparison waits for the one before it, so there are several at a time,
// which compilers write as vectors.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_EXTREMES_H
#define QUERN_LIB_SUPPORT_EXTREMES_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace quern {

/// Values that are looked at together.
constexpr size_t extremeLanes = 16;

/// True if one of extremeLanes values is NaN or infinite.
inline bool holdsNonFinite(const float *values) {
  uint32_t found = 0;
  for (size_t i = 0; i < extremeLanes; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    found |= (bits & 0x7f800000u) == 0x7f800000u;
  }
  return found != 0;
}

/// The extremes of what it was given. NaN is passed over, infinity is not.
class Extremes {
public:
  Extremes() {
    lows.fill(std::numeric_limits<float>::infinity());
    highs.fill(-std::numeric_limits<float>::infinity());
  }

  /// Takes one value, in a lane of its own.
  void add(float value, size_t lane = 0) {
    lows[lane] = value < lows[lane] ? value : lows[lane];
    highs[lane] = value > highs[lane] ? value : highs[lane];
  }

  /// Takes extremeLanes values.
  void addLanes(const float *values) {
    for (size_t i = 0; i < extremeLanes; ++i)
      add(values[i], i);
  }

  /// Takes any number of values.
  void add(const float *values, size_t size) {
    size_t i = 0;
    for (; i + extremeLanes <= size; i += extremeLanes)
      addLanes(values + i);
    for (; i < size; ++i)
      add(values[i]);
  }

  /// +inf before any value.
  float low() const {
    float result = lows[0];
    for (float value : lows)
      result = value < result ? value : result;
    return result;
  }

  /// -inf before any value.
  float high() const {
    float result = highs[0];
    for (float value : highs)
      result = value > result ? value : result;
    return result;
  }

private:
  std::array<float, extremeLanes> lows, highs;
};

} // namespace quern

#endif // QUERN_LIB_SUPPORT_EXTREMES_H
