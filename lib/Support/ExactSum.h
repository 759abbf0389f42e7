//===- ExactSum.h - Sums of products without rounding -----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Every finite double is a whole number of some 2^-k, and so is every sum of
// them: a number with 768 bits before and behind the point holds any sum of
// products of two f32 numbers, also when these are scaled down to the bounds of
// rounding errors.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_EXACTSUM_H
#define QUERN_LIB_SUPPORT_EXACTSUM_H

#include <array>
#include <cstdint>

namespace quern {

class ExactSum {
public:
  ExactSum() = default;
  explicit ExactSum(double value) { add(value); }

  /// Adds a multiple of 2^-416 below 2^288 in magnitude. The product of two
  /// f32 numbers is exact in double and fits, also times 2^-64.
  ExactSum &add(double value);
  ExactSum &add(const ExactSum &other);
  ExactSum &subtract(double value) { return add(-value); }

  /// -1, 0 or 1.
  int sign() const;
  ExactSum magnitude() const;
  bool operator<(const ExactSum &other) const;
  bool operator==(const ExactSum &other) const { return words == other.words; }

  /// A double next to it, for people to read.
  double toDouble() const;

private:
  static constexpr int lowest = -416;
  /// In two's complement, the least first.
  std::array<uint64_t, 12> words = {};
  void addShifted(uint64_t mantissa, unsigned position, bool negative);
  void negate();
};

} // namespace quern

#endif // QUERN_LIB_SUPPORT_EXACTSUM_H
