//===- IntegerRequantTest.cpp - Rows E31, E32, E34, E36 and E40 in ops ----===//
//
// What fixed ops make of the published forms: requantization with an offset
// against 128-bit integers, rows of probabilities against the forms they
// tabulate and the real softmax, activations against the real functions.
//
//===----------------------------------------------------------------------===//
#include "quern/integer_activation.h"
#include "quern/integer_probs.h"
#include "quern/integer_requant.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace {

using Big = __int128;

/// To the nearest, ties to even, by the remainder.
Big roundDiv(Big a, Big b) {
  Big low = a / b - (a % b < 0), rest = a - low * b;
  return low + (2 * rest > b || (2 * rest == b && low % 2 != 0));
}

TEST(IntegerRequant, E40AffineNumbers) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> exponent(-40, 29.9), unit(-1, 1);
  for (int i = 0; i < 200000; ++i) {
    double m = std::exp2(exponent(random)) * (i % 7 ? 1 : -1);
    double o = unit(random) * std::exp2(double(random() % 58));
    if (i % 3 == 0)
      o = double(int(random() % 512)) / 2;
    qi_affine a;
    ASSERT_EQ(qi_make_affine(m, o, &a), 0) << m << " " << o;
    ASSERT_TRUE(a.shift >= 1 && a.shift <= 61);
    // Half a unit of 2^-shift each.
    EXPECT_LE(std::fabs(std::ldexp(m, a.shift) - a.mantissa), 0.5);
    long double offset = std::ldexp(static_cast<long double>(o), a.shift);
    EXPECT_LE(std::fabs(offset - a.offset), 0.5);
    int32_t q = int32_t(random()) >> (random() % 31);
    Big exact = Big(q) * a.mantissa + a.offset;
    ASSERT_EQ(Big(qi_at(q, &a)), roundDiv(exact, Big(1) << a.shift));
    // Without an offset in the way it is the published mantissa.
    qi_scale scale;
    qi_affine plain;
    ASSERT_EQ(qi_make_affine(std::fabs(m), 0, &plain), 0);
    if (qi_make_scale(std::fabs(m), &scale) == 0) {
      ASSERT_EQ(plain.mantissa, scale.mantissa);
      ASSERT_EQ(plain.shift, scale.shift);
      ASSERT_EQ(qi_at(q, &plain), qi_rescale(q, scale));
    }
  }
  qi_affine half;
  ASSERT_EQ(qi_make_affine(0.5, 0, &half), 0);
  EXPECT_EQ(qi_at(5, &half), 2);
  EXPECT_EQ(qi_at(-7, &half), -4);
  EXPECT_EQ(qi_code(1000, &half, 0, 255), 255);
  EXPECT_EQ(qi_code(-3, &half, 0, 255), 0);
  for (auto [m, o] : {std::pair<double, double>{0x1p30, 0},
                      {1, 0x1p60},
                      {NAN, 0},
                      {1, INFINITY}})
    EXPECT_EQ(qi_make_affine(m, o, &half), -1) << m << " " << o;
}

/// Rows of score codes: random, flat, one far above, at both ends.
std::vector<std::vector<int32_t>> rowsOf(int64_t n) {
  std::mt19937 random(static_cast<unsigned>(n));
  std::vector<std::vector<int32_t>> rows(4, std::vector<int32_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    rows[0][i] = int32_t(random() % 256);
    rows[1][i] = 7;
    rows[2][i] = i == n / 2 ? 255 : 0;
    rows[3][i] = 100 + int32_t(random() % 20);
  }
  return rows;
}

TEST(IntegerRequant, E31E32TablesAreThePublishedForms) {
  for (double scale : {0.004, 0.0313, 0.125, 0.7})
    for (int64_t n : {1, 7, 128, 512}) {
      qi_probs iexp, shift;
      qi_exp constants;
      ASSERT_EQ(qi_make_exp_probs(scale, 255, &iexp), 0);
      ASSERT_EQ(qi_make_shift_probs(scale, 255, &shift), 0);
      ASSERT_EQ(qi_make_exp(scale, &constants), 0);
      for (const auto &row : rowsOf(n)) {
        std::vector<int32_t> got(n);
        std::vector<uint8_t> expected(n);
        qi_probs_of(row.data(), n, &iexp, got.data());
        qi_softmax(row.data(), n, &constants, expected.data());
        ASSERT_TRUE(std::equal(got.begin(), got.end(), expected.begin()));
        qi_probs_of(row.data(), n, &shift, got.data());
        qi_shiftmax(row.data(), n, qi_shift_unit(scale), expected.data());
        ASSERT_TRUE(std::equal(got.begin(), got.end(), expected.begin()));
      }
    }
  qi_probs unused;
  EXPECT_EQ(qi_make_exp_probs(17, 255, &unused), -1);
  EXPECT_EQ(qi_make_shift_probs(2, 255, &unused), -1);
}

TEST(IntegerRequant, E30TableSoftmaxWithoutFloats) {
  for (double step : {0.004, 0.031, 0.2})
    for (int64_t n : {1, 7, 128, 512}) {
      float hi[16], lo[16];
      for (int i = 0; i < 16; ++i) {
        hi[i] = float(std::exp(-16 * i * step) * 8388607);
        lo[i] = float(std::exp(-i * step));
      }
      qi_probs probs;
      ASSERT_EQ(qi_make_table_probs(hi, lo, 255, 255, &probs), 0);
      for (const auto &row : rowsOf(n)) {
        std::vector<int32_t> codes(n);
        qi_probs_of(row.data(), n, &probs, codes.data());
        double top = *std::max_element(row.begin(), row.end()), sum = 0;
        for (int32_t q : row)
          sum += std::exp((q - top) * step);
        // 2^-15 before the code, which rounds.
        for (int64_t i = 0; i < n; ++i)
          ASSERT_LE(
              std::fabs(codes[i] - std::exp((row[i] - top) * step) / sum * 255),
              0.5 + 255 * 0x1p-15);
      }
    }
}

TEST(IntegerRequant, E34E36Activations) {
  double gelu = 0, geluTanh = 0, tanh = 0, iGelu = 0;
  const qi_gelu constants = qi_i_gelu_constants();
  EXPECT_EQ(constants.pre, 0);
  auto at = [](double x, double units) {
    return int32_t(std::nearbyint(x * units));
  };
  for (double x = -30; x <= 30; x += 0.00037) {
    double real = x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    double formed =
        0.5 * x *
        (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    int32_t t = at(x, QI_GELU_IN);
    gelu = std::max(
        gelu,
        std::fabs(qi_gelu_segments(t, qm_gelu_table) / QI_GELU_OUT - real));
    geluTanh =
        std::max(geluTanh, std::fabs(qi_gelu_segments(t, qm_gelu_tanh_table) /
                                         QI_GELU_OUT -
                                     formed));
    tanh = std::max(tanh, std::fabs(qi_tanh(at(x, QI_TANH_IN)) / QI_TANH_OUT -
                                    std::tanh(x)));
    iGelu =
        std::max(iGelu, std::fabs(qi_i_gelu(at(x, QI_I_GELU_IN), &constants) /
                                      qi_i_gelu_out() -
                                  real));
    EXPECT_EQ(qi_tanh(-at(x, QI_TANH_IN)), -qi_tanh(at(x, QI_TANH_IN)));
  }
  EXPECT_LE(gelu, 0x1p-13);
  EXPECT_LE(geluTanh, 0x1p-13);
  EXPECT_LE(tanh, 0x1p-11);
  EXPECT_LE(iGelu, 0.019);
  EXPECT_EQ(qi_gelu_segments(0, qm_gelu_table), 0);
  EXPECT_EQ(qi_i_gelu(0, &constants), 0);
  // Nothing leaves 32 bits at the ends.
  const int32_t end = QI_ACTIVATION_LIMIT;
  EXPECT_EQ(qi_gelu_segments(end, qm_gelu_table), end * 16);
  EXPECT_NEAR(qi_i_gelu(end, &constants) / qi_i_gelu_out(), end / QI_I_GELU_IN,
              0.01 * end / QI_I_GELU_IN);
  EXPECT_NEAR(qi_i_gelu(-end, &constants) / qi_i_gelu_out(), 0, 1);
}

} // namespace
