//===- LogCodes.cpp - Logarithmic quantizers in real arithmetic -----------===//
//
// See LogCodes.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/LogCodes.h"

#include <cmath>

using namespace quern;

double LogCodes::position(double x) const {
  return -perOctave * std::log2(x / scale);
}

int32_t LogCodes::limit(double rounded) const {
  // Infinite and no number fail the test.
  if (!(rounded < double(zero)))
    return int32_t(zero);
  return rounded < 0 ? 0 : int32_t(rounded);
}

double LogCodes::value(int32_t code) const {
  if (code == zero)
    return 0;
  if (perOctave == 1)
    return std::ldexp(scale, -code);
  double value = std::ldexp(scale, -((code + 1) / 2));
  return code % 2 ? value * std::sqrt(2.) : value;
}
