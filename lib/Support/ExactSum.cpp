//===- ExactSum.cpp - Sums of products without rounding -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/ExactSum.h"

#include <cassert>
#include <cmath>

namespace quern {

void ExactSum::addShifted(uint64_t mantissa, unsigned position, bool negative) {
  size_t word = position / 64;
  unsigned bit = position % 64;
  uint64_t parts[2] = {mantissa << bit, bit ? mantissa >> (64 - bit) : 0};
  uint64_t carry = 0;
  for (size_t i = word; i < words.size(); ++i) {
    uint64_t part = i - word < 2 ? parts[i - word] : 0;
    if (i - word >= 2 && carry == 0)
      return;
    uint64_t old = words[i];
    if (negative) {
      uint64_t less = old - part;
      words[i] = less - carry;
      carry = (old < part) | (less < carry);
    } else {
      uint64_t more = old + part;
      words[i] = more + carry;
      carry = (more < old) | (words[i] < more);
    }
  }
}

ExactSum &ExactSum::add(double value) {
  if (value == 0)
    return *this;
  int exponent = 0;
  double fraction = std::frexp(std::fabs(value), &exponent);
  auto mantissa = uint64_t(std::ldexp(fraction, 53));
  int position = exponent - 53 - lowest;
  if (position < 0) {
    [[maybe_unused]] uint64_t lost = (uint64_t(1) << -position) - 1;
    assert(position > -53 && (mantissa & lost) == 0 && "no multiple of 2^-416");
    mantissa >>= -position;
    position = 0;
  }
  assert(exponent < 288 && "too large to add");
  addShifted(mantissa, unsigned(position), value < 0);
  return *this;
}

ExactSum &ExactSum::add(const ExactSum &other) {
  uint64_t carry = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    uint64_t more = words[i] + other.words[i];
    uint64_t carried = more < words[i];
    words[i] = more + carry;
    carry = carried | (words[i] < more);
  }
  return *this;
}

void ExactSum::negate() {
  uint64_t carry = 1;
  for (uint64_t &word : words) {
    word = ~word + carry;
    carry = carry && word == 0;
  }
}

int ExactSum::sign() const {
  if (words.back() >> 63)
    return -1;
  for (uint64_t word : words)
    if (word != 0)
      return 1;
  return 0;
}

ExactSum ExactSum::magnitude() const {
  ExactSum result = *this;
  if (sign() < 0)
    result.negate();
  return result;
}

bool ExactSum::operator<(const ExactSum &other) const {
  ExactSum difference = other;
  difference.negate();
  return difference.add(*this).sign() < 0;
}

double ExactSum::toDouble() const {
  ExactSum positive = magnitude();
  double value = 0;
  // The greatest word that holds something and the one below it have 65 bits
  // or more between them.
  for (size_t i = words.size(); i-- > 0;)
    if (positive.words[i] != 0) {
      value = std::ldexp(double(positive.words[i]), int(i) * 64 + lowest);
      if (i > 0)
        value +=
            std::ldexp(double(positive.words[i - 1]), int(i - 1) * 64 + lowest);
      break;
    }
  return sign() < 0 ? -value : value;
}

} // namespace quern
