//===- LogMathTest.cpp - Rows E22 and E23: logarithmic codes --------------===//
//
// log_math.h against the published formula in double (quantization.md 3.4 and
// 8.4), for all bits, both bases and every code.
//
//===----------------------------------------------------------------------===//
#include "quern/log_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

std::vector<qm_log_codes> allCodes() {
  std::vector<qm_log_codes> all;
  for (int32_t bits = 3; bits <= 8; ++bits)
    for (int32_t perOctave : {1, 2})
      all.push_back({bits, perOctave});
  return all;
}

TEST(LogMath, LogarithmIsWithinItsBound) {
  double worst = 0;
  for (uint32_t bits = 0x00800000; bits < 0x7f800000; bits += 1237) {
    float x;
    memcpy(&x, &bits, 4);
    double exact = std::log2(double(x));
    double half = std::ldexp(1, std::ilogb(exact) - 24);
    double error = std::fabs(qm_log2(x) - exact);
    worst = std::max(worst, error - (std::fabs(exact) >= 0.5 ? half : 0));
  }
  EXPECT_LE(worst, 0x1p-23);
  EXPECT_GT(worst, 0);
  for (int n = -126; n < 128; ++n)
    EXPECT_EQ(qm_log2(std::ldexp(1.0f, n)), float(n));
}

/// Each weight stands for the value of its code, exactly, and no plane holds
/// the code of zero.
TEST(E22, PlanesAreTheValuesOfTheCodes) {
  for (qm_log_codes c : allCodes()) {
    int32_t zero = qm_log_zero(c), n = qm_log_octaves(c);
    EXPECT_EQ(qm_log_planes(c) * n * c.per_octave, zero);
    for (int32_t code = 0; code <= zero; ++code) {
      double value = 0;
      int used = 0;
      for (int32_t k = 0; k < qm_log_planes(c); ++k) {
        int32_t weight = qm_log_weight(code, k, c);
        EXPECT_LE(weight, 128);
        used += weight != 0;
        value += std::ldexp(weight, 1 - n - n * k);
      }
      EXPECT_EQ(used, code != zero) << code;
      double expected =
          code == zero ? 0 : std::ldexp(1, -(code / c.per_octave));
      EXPECT_EQ(value, expected) << c.bits << " bits, code " << code;
    }
  }
}

/// The codes are those of the quotient, ties and their neighbourhood aside.
TEST(E23, CodesAreThoseOfTheFormula) {
  int64_t count = 0, others = 0;
  for (qm_log_codes c : allCodes())
    for (double a : {1e-3, 0.0237, 0.11, 0.7, 6.5})
      for (double scale : {1.0, 0.83, 0.01})
        for (double sum : {1.0, 1.7, 23.0, 511.5}) {
          double unit = 8388607;
          float base =
              qm_log_base(uint32_t(sum * unit), float(scale / unit), c);
          float step = float(c.per_octave * a / std::log(2.0));
          for (int32_t d = 0; d < 256; ++d) {
            double p = std::exp(-a * d) / sum;
            double position = -c.per_octave * std::log2(p / scale);
            double code = std::nearbyint(position);
            int32_t zero = qm_log_zero(c);
            code = code >= zero ? zero : std::max(code, 0.0);
            int32_t got = qm_log_code(d, step, base, c);
            ++count;
            if (got == code)
              continue;
            ++others;
            double rest = position - std::floor(position);
            EXPECT_LE(std::fabs(rest - 0.5), 1e-6 * (1 + position));
            EXPECT_LE(std::fabs(got - code), 1);
          }
        }
  EXPECT_LE(others, count / 1000);
}

/// Even and odd planes against the float formula, to 1e-6 of the sum of the
/// magnitudes.
TEST(E23, JoinedPlanesEqualTheFormula) {
  for (qm_log_codes c : allCodes()) {
    std::vector<int32_t> codes, values;
    for (int32_t j = 0; j < 512; ++j) {
      codes.push_back(j * 37 % (qm_log_zero(c) + 1) / (1 + j % 5));
      values.push_back(j * 101 % 511 - 255);
    }
    float parts[2] = {0, 0};
    double exact = 0, size = 0;
    int32_t n = qm_log_octaves(c);
    for (int32_t k = qm_log_planes(c) - 1; k >= 0; --k) {
      int32_t sums[2] = {0, 0};
      for (size_t j = 0; j < codes.size(); ++j)
        sums[codes[j] % c.per_octave] +=
            qm_log_weight(codes[j], k, c) * values[j];
      for (int parity = 0; parity < 2; ++parity)
        parts[parity] = qm_log_add_plane(parts[parity], sums[parity], c);
    }
    for (size_t j = 0; j < codes.size(); ++j) {
      if (codes[j] == qm_log_zero(c))
        continue;
      double p = std::pow(2, -double(codes[j]) / c.per_octave);
      exact += p * values[j];
      size += p * std::abs(values[j]);
    }
    float joined =
        c.per_octave == 2 ? qm_log_join(parts[0], parts[1]) : parts[0];
    EXPECT_NEAR(std::ldexp(double(joined), 1 - n), exact, 1e-6 * size)
        << c.bits << " bits, " << c.per_octave << " an octave";
  }
}

} // namespace
