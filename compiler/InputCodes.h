//===- InputCodes.h - What the codes of a site stand for --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The values that a linear layer reads, of (x - shift) / scale where the site's
// channels have scales of their own, and those that their codes stand for.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_INPUTCODES_H
#define QUERN_COMPILER_INPUTCODES_H

#include "lib/Quantize/SchemeAttr.h"

#include <optional>
#include <vector>

namespace quern {

/// The quantizer of a site, channel by channel.
class InputCodes {
public:
  InputCodes() = default;
  /// Of a site in f32 without a quantizer: its values stand for themselves.
  InputCodes(std::optional<SiteQuantizer> quantizer, size_t columns);

  size_t columns() const { return shift.size(); }

  /// To be called before the columns of a row are read: takes the range that a
  /// token has at run time.
  void enter(const float *row);

  /// What the layer reads of a value of the site.
  double real(float value, size_t column) const {
    return (value - shift[column]) * inverseChannel[column];
  }

  /// What the code of such a value stands for.
  double coded(double x, size_t j) const {
    if (!quantizer)
      return x;
    // Nearest, ties to even, without a call; codes are far below 2^51.
    constexpr double magic = 0x1.8p52;
    double code = (((x - offset) * inverseStep[j] + magic) - magic) + zero[j];
    code = code < 0 ? 0 : code;
    code = code > top ? top : code;
    return (code - zero[j]) * step[j] + offset;
  }

private:
  std::optional<SiteQuantizer> quantizer;
  double top = 0, offset = 0;
  std::vector<double> shift, inverseChannel, step, inverseStep, zero;
};

} // namespace quern

#endif // QUERN_COMPILER_INPUTCODES_H
