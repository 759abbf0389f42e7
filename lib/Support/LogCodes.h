//===- LogCodes.h - Logarithmic quantizers in real arithmetic ------*- C++ -*-//
//
// Codes of base 2 or sqrt(2) (quantization.md 3.4): q = round(-B log2(x / s))
// with B = 1 or 2, value s * 2^(-q / B), and a code behind the last that means
// exactly 0. Shared by the interpreter, calibration and reports.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_LOGCODES_H
#define QUERN_LIB_SUPPORT_LOGCODES_H

#include <cstdint>

namespace quern {

/// The codes 0 to zero - 1 of one scale, and `zero`, which means 0.
struct LogCodes {
  double scale = 1;
  /// Codes by which a value is halved: 1 of base 2, 2 of base sqrt(2).
  int perOctave = 1;
  int64_t zero = 16;

  /// The code of x before it is rounded. Of 0 it is infinite, of less it is no
  /// number.
  double position(double x) const;

  /// The code of a rounded position. What would reach the code of zero, and
  /// what is no number, is zero.
  int32_t limit(double rounded) const;

  /// What a code stands for.
  double value(int32_t code) const;
};

} // namespace quern

#endif // QUERN_LIB_SUPPORT_LOGCODES_H
