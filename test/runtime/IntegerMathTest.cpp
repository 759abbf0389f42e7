//===- IntegerMathTest.cpp - Rows E31 to E35, E37 to E40 ------------------===//
//
// integer_*.h against the published formulas in 128-bit integers, written down
// as they are printed: floors of quotients, no shifts. Then the errors against
// the real functions.
//
//===----------------------------------------------------------------------===//
#include "quern/integer_gelu.h"
#include "quern/integer_log_probs.h"
#include "quern/integer_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace {

using Big = __int128;

Big floorDiv(Big a, Big b) {
  Big q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

Big power(int n) { return n == 0 ? 1 : 2 * power(n - 1); }

/// To the nearest, ties to even.
Big roundDiv(Big a, Big b) {
  Big low = floorDiv(a, b), rest = a - low * b;
  return low + (2 * rest > b || (2 * rest == b && low % 2 != 0));
}

/// Scores of b bits: random, flat, with one far above, at both ends.
std::vector<std::vector<int32_t>> rowsOf(int bits, int64_t n) {
  std::mt19937 random(unsigned(bits * 1000 + n));
  int32_t hi = (1 << (bits - 1)) - 1, lo = -hi - 1;
  std::uniform_int_distribution<int32_t> any(lo, hi), narrow(-9, 9);
  std::vector<std::vector<int32_t>> rows(5, std::vector<int32_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    rows[0][i] = any(random);
    rows[1][i] = 7;
    rows[2][i] = i == n / 2 ? hi : lo;
    rows[3][i] = narrow(random);
    rows[4][i] = i % 2 ? hi : lo;
  }
  return rows;
}

std::vector<double> softmaxOf(const std::vector<int32_t> &q, double scale) {
  double top = *std::max_element(q.begin(), q.end()), sum = 0;
  std::vector<double> p;
  for (int32_t v : q)
    p.push_back(std::exp((v - top) * scale));
  for (double v : p)
    sum += v;
  for (double &v : p)
    v /= sum;
  return p;
}

//===----------------------------------------------------------------------===//
// E37, E40
//===----------------------------------------------------------------------===//

TEST(IntegerMath, E37SquareRoots) {
  auto check = [](uint32_t n) {
    uint64_t root = qi_sqrt(n);
    ASSERT_TRUE(root * root <= n && (root + 1) * (root + 1) > n) << n;
  };
  for (uint32_t n = 0; n < 1u << 20; ++n)
    check(n);
  std::mt19937 random(1);
  for (int i = 0; i < 1000000; ++i)
    check(uint32_t(random()));
  for (uint64_t m = 1; m < 1u << 16; ++m) {
    check(uint32_t(m * m));
    check(uint32_t(m * m - 1));
  }
  check(UINT32_MAX);
}

TEST(IntegerMath, E40FixedPointScales) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> exponent(-30.9, 29.9);
  for (int i = 0; i < 200000; ++i) {
    double v = std::exp2(exponent(random));
    qi_scale scale;
    ASSERT_EQ(qi_make_scale(v, &scale), 0);
    ASSERT_GE(scale.mantissa, 1 << 30);
    EXPECT_NEAR(std::ldexp(scale.mantissa, -scale.shift) / v, 1, 0x1p-31);
    int32_t q = int32_t(random()) >> (random() % 31);
    ASSERT_EQ(Big(qi_rescale(q, scale)),
              roundDiv(Big(q) * scale.mantissa, power(scale.shift)))
        << q << " times " << v;
    // The published code: a double product, rounded half to even.
    if (std::abs(q) < 1 << 22)
      ASSERT_EQ(
          double(qi_rescale(q, scale)),
          std::nearbyint(double(q) * scale.mantissa / std::exp2(scale.shift)));
  }
  qi_scale half, unused;
  ASSERT_EQ(qi_make_scale(0.5, &half), 0);
  EXPECT_EQ(qi_rescale(5, half), 2);
  EXPECT_EQ(qi_rescale(7, half), 4);
  EXPECT_EQ(qi_rescale(-5, half), -2);
  // Each term is rounded on its own: 0.5 + 0.5 is 0.
  EXPECT_EQ(qi_add(1, half, 1, half), 0);
  EXPECT_EQ(qi_rescale(INT32_MIN, half), INT32_MIN / 2);
  for (double bad : {0.0, -1.0, 0x1p30, 0x1p-32, double(NAN), double(INFINITY)})
    EXPECT_EQ(qi_make_scale(bad, &unused), -1) << bad;
}

//===----------------------------------------------------------------------===//
// E31 to E33
//===----------------------------------------------------------------------===//

Big bigExp(Big q, const qi_exp &e) {
  Big x0 = -e.ln2, x = std::max<Big>(q, e.lowest) * power(e.pre);
  Big z = floorDiv(x, x0), r = x - x0 * z;
  return floorDiv((r + e.b) * r + e.c, power(int(z)));
}

TEST(IntegerMath, E31ExpSoftmax) {
  double worst = 0;
  for (double scale : {0x1p-13, 0.001, 0.01, 0.0625, 0.25, 1.0, 16.0})
    for (int64_t n : {1, 2, 31, 128, 512})
      for (const std::vector<int32_t> &q : rowsOf(8, n)) {
        qi_exp e;
        ASSERT_EQ(qi_make_exp(scale, &e), 0);
        std::vector<uint8_t> codes(n);
        qi_softmax(q.data(), n, &e, codes.data());
        Big top = *std::max_element(q.begin(), q.end()), sum = 0;
        std::vector<Big> exps;
        for (int32_t v : q)
          exps.push_back(floorDiv(bigExp(v - top, e), power(e.post)));
        for (Big v : exps)
          sum += v;
        std::vector<double> real = softmaxOf(q, scale);
        for (int64_t i = 0; i < n; ++i) {
          Big code = floorDiv(exps[i] * floorDiv(power(32), sum), power(24));
          ASSERT_EQ(int(codes[i]), int(std::min<Big>(code, 255)))
              << scale << " row of " << n << " at " << i;
          worst = std::max(worst,
                           std::fabs(double(exps[i]) / double(sum) - real[i]));
        }
      }
  EXPECT_LE(worst, 2.5e-3);
}

// What integer_softmax.h says of the widths, at both ends of the scales and on
// every score that is told apart.
TEST(IntegerMath, E31NothingLeaves32Bits) {
  for (double scale = 0x1p-13; scale <= 16; scale *= 1.0009765625) {
    qi_exp e;
    ASSERT_EQ(qi_make_exp(scale, &e), 0);
    ASSERT_TRUE(e.pre >= 0 && e.pre <= 16 && e.ln2 <= 5679 && e.c < 1 << 28);
    ASSERT_LT(Big(-e.lowest) * power(e.pre), power(31));
    ASSERT_LT((Big(e.ln2) + e.b) * e.ln2 + e.c, power(31));
    ASSERT_GT(e.c >> e.post, (1 << 15) - 1);
    ASSERT_LT(e.c >> e.post, 1 << 16);
    ASSERT_LT(Big(e.c >> e.post) * QI_MOST_SCORES, power(31));
    // Falls all the way, and is never negative.
    for (int32_t q = 0; q > e.lowest; q -= 1 + -e.lowest / 64) {
      ASSERT_GE(qi_exp_of(q, &e), 0);
      ASSERT_LE(qi_exp_of(q - 1, &e), qi_exp_of(q, &e) + e.c / 256);
    }
    EXPECT_EQ(qi_exp_of(INT32_MIN, &e), qi_exp_of(e.lowest, &e));
  }
  qi_exp unused;
  for (double bad : {0x1p-14, 17.0, 0.0, -1.0, double(NAN)})
    EXPECT_EQ(qi_make_exp(bad, &unused), -1) << bad;
}

Big bigShiftExp(Big q, Big x0, int n) {
  Big t = q + floorDiv(q, 2) - floorDiv(q, 16);
  t = std::max(t, n * x0);
  Big k = floorDiv(t, x0), r = t - x0 * k;
  // floor((r / 2 - x0) 2^(n - k))
  Big twice = r - 2 * x0;
  return k < n ? twice * power(int(n - 1 - k)) : floorDiv(twice, 2);
}

Big shiftFactor(Big sum) {
  return floorDiv(power(31) - 1, std::min(sum, power(31) - 1));
}

TEST(IntegerMath, E32Shiftmax) {
  for (double scale : {0x1p-15, 0.001, 0.03, 0.2, 1.0})
    for (int64_t n : {1, 2, 100, 512})
      for (const std::vector<int32_t> &q : rowsOf(8, n)) {
        int32_t unit = qi_shift_unit(scale);
        ASSERT_EQ(unit, int32_t(std::floor(-1 / scale)));
        std::vector<uint8_t> codes(n);
        qi_shiftmax(q.data(), n, unit, codes.data());
        Big top = *std::max_element(q.begin(), q.end()), sum = 0;
        for (int32_t v : q)
          sum += bigShiftExp(v - top, unit, 15);
        for (int64_t i = 0; i < n; ++i) {
          Big e = bigShiftExp(q[i] - top, unit, 15);
          ASSERT_EQ(Big(codes[i]), floorDiv(e * shiftFactor(sum), power(24)))
              << scale << " row of " << n << " at " << i;
        }
      }
  EXPECT_EQ(qi_shift_unit(1.01), 0);
  EXPECT_EQ(qi_shift_unit(0), 0);
  EXPECT_EQ(qi_shift_unit(NAN), 0);
}

TEST(IntegerMath, E33LogSoftmax) {
  for (int bits : {3, 4, 8})
    for (double scale : {0.001, 0.0625, 0.3})
      for (int64_t n : {1, 2, 100, 512})
        for (const std::vector<int32_t> &q : rowsOf(8, n)) {
          qi_exp e;
          ASSERT_EQ(qi_make_exp(scale, &e), 0);
          std::vector<uint16_t> codes(n);
          qi_log_softmax(q.data(), n, &e, bits, codes.data());
          Big top = *std::max_element(q.begin(), q.end()), sum = 0;
          for (int32_t v : q)
            sum += bigExp(v - top, e);
          for (int64_t i = 0; i < n; ++i) {
            Big v = bigExp(q[i] - top, e), code = power(bits);
            if (v > 0) {
              Big ratio = roundDiv(sum, v);
              Big floorLog = 0;
              while (power(int(floorLog) + 1) <= ratio)
                ++floorLog;
              // (ratio - 2^floor) >= 2^(floor - 1)
              bool up =
                  2 * (ratio - power(int(floorLog))) >= power(int(floorLog));
              code = std::min(code, floorLog + up);
            }
            ASSERT_EQ(Big(codes[i]), code) << scale << " at " << i;
          }
        }
  // What is far below the largest has the code of zero.
  qi_exp e;
  ASSERT_EQ(qi_make_exp(0.3, &e), 0);
  std::vector<int32_t> q(16, -127);
  q[0] = 127;
  uint16_t codes[16];
  qi_log_softmax(q.data(), 16, &e, 4, codes);
  EXPECT_EQ(codes[0], 0);
  EXPECT_EQ(codes[1], 16);
}

/// A table and limits give the codes that ratios of exponentials do, also where
/// a ratio is a tie: 2.5 is rounded to 2, below 3; 5.5 to 6.
TEST(IntegerMath, E33LimitsAreRatios) {
  for (int bits : {3, 4})
    for (double scale : {0x1p-13, 0.001, 0.0625, 0.3, 4.0})
      for (int64_t n : {1, 2, 5, 100, 512})
        for (std::vector<int32_t> q : rowsOf(8, n)) {
          qi_exp e;
          qi_log_probs probs;
          ASSERT_EQ(qi_make_exp(scale, &e), 0);
          ASSERT_EQ(qi_make_exp_log_probs(scale, bits, &probs), 0);
          std::vector<uint16_t> expected(n);
          qi_log_softmax(q.data(), n, &e, bits, expected.data());
          for (int32_t &score : q)
            score += 128;
          std::vector<int32_t> codes(n);
          qi_log_probs_of(q.data(), n, &probs, codes.data());
          for (int64_t i = 0; i < n; ++i)
            ASSERT_EQ(codes[i], int32_t(expected[i])) << scale << " at " << i;
        }
  qi_log_probs p;
  ASSERT_EQ(qi_make_exp_log_probs(0.1, 4, &p), 0);
  for (int64_t v = 1; v < 3000; ++v)
    for (int64_t sum : {3 * v / 2, 5 * v / 2, 5 * v, 11 * v / 2, 11 * v, 23 * v,
                        47 * v + 1, 95 * v - 1, 3000 * v})
      for (int c = 0; c < 16; ++c) {
        if (sum == 0)
          continue;
        Big ratio = roundDiv(sum, v);
        // A code above c: 1.5 * 2^c or more.
        ASSERT_EQ(v > qi_log_limit(sum, c, &p), 2 * ratio < 3 * power(c))
            << sum << " over " << v << ", limit " << c;
      }
}

//===----------------------------------------------------------------------===//
// E34, E35
//===----------------------------------------------------------------------===//

TEST(IntegerMath, E34Gelu) {
  double worst = 0;
  for (double scale : {0x1p-13, 0.0005, 0.004, 0.05, 0.3}) {
    qi_gelu g;
    ASSERT_EQ(qi_make_gelu(scale, &g), 0);
    int32_t end = int32_t(std::min(8 / scale, 32767.0));
    for (int32_t q = -end; q <= end; ++q) {
      Big x = Big(q) * power(g.pre), size = x < 0 ? -x : x;
      Big b = -Big(g.flat), c = -Big(g.c);
      Big near = std::min(size, -b) + b;
      Big sign = x > 0 ? 1 : x < 0 ? -1 : 0;
      Big erf = floorDiv(sign * (near * near + c), power(QI_GELU_CUT));
      ASSERT_EQ(Big(qi_gelu_of(q, &g)), x * (erf + g.one)) << scale << " " << q;
      double real = q * scale;
      double gelu = 0.5 * real * std::erfc(-real / std::sqrt(2.0));
      worst =
          std::max(worst, std::fabs(double(qi_gelu_of(q, &g)) * g.unit - gelu));
    }
  }
  EXPECT_LE(worst, 0.019);
  EXPECT_GE(worst, 0.017); // 0.0182 is the polynomial's own error.
  qi_gelu unused;
  for (double bad : {0x1p-14, 17.0, double(NAN)})
    EXPECT_EQ(qi_make_gelu(bad, &unused), -1) << bad;
}

TEST(IntegerMath, E35ShiftGelu) {
  for (double scale : {0.002, 0.02, 0.06, 0.5})
    for (int64_t n : {1, 3, 3072})
      for (const std::vector<int32_t> &q : rowsOf(8, n)) {
        int32_t unit = qi_shift_gelu_unit(scale);
        ASSERT_LT(unit, 0);
        std::vector<int32_t> out(n);
        qi_shift_gelu(q.data(), n, unit, out.data());
        Big top = *std::max_element(q.begin(), q.end());
        for (int64_t i = 0; i < n; ++i) {
          Big e = bigShiftExp(q[i] - top, unit, 23);
          Big base = bigShiftExp(-top, unit, 23);
          Big sigmoid = floorDiv(e * shiftFactor(e + base), power(24));
          ASSERT_EQ(Big(out[i]), q[i] * sigmoid) << scale << " at " << i;
        }
      }
  EXPECT_EQ(qi_shift_gelu_unit(0.6), 0);
}

//===----------------------------------------------------------------------===//
// E38, E39
//===----------------------------------------------------------------------===//

TEST(IntegerMath, E38E39LayerNorm) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  double largest = 0;
  for (int64_t d : {1, 2, 100, 768})
    for (int kind = 0; kind < 6; ++kind) {
      std::vector<int32_t> x(d);
      std::vector<uint8_t> factors(d);
      std::vector<float> gamma(d), beta(d);
      for (int64_t j = 0; j < d; ++j) {
        // Small and wide rows, an outlier, equal values, factors of two.
        x[j] = int32_t(normal(random) * (kind == 1 ? 100000 : 40));
        if (kind == 2 && j == d / 2)
          x[j] = 200000;
        if (kind == 3)
          x[j] = -77;
        factors[j] = kind == 4 ? uint8_t(random() % 4) : 0;
        gamma[j] = kind == 5 ? 0 : float(normal(random));
        beta[j] = float(normal(random));
      }
      const double s = 0.03;
      std::vector<qi_channel> channels(d);
      int shift = qi_make_channels(gamma.data(), beta.data(), d, s, 128,
                                   channels.data());
      ASSERT_GE(shift, 1);
      std::vector<int32_t> codes(d);
      const uint8_t *given = kind == 4 ? factors.data() : nullptr;
      qi_layer_norm(x.data(), given, d, channels.data(), shift, 0, 255,
                    codes.data());

      std::vector<Big> y(d);
      Big sum = 0, squares = 0, deviation = 0;
      for (int64_t j = 0; j < d; ++j)
        sum += y[j] = x[j] * power(factors[j]);
      Big mean = roundDiv(sum, d);
      int cut = -1;
      do {
        squares = 0;
        ++cut;
        for (int64_t j = 0; j < d; ++j) {
          Big v = floorDiv(y[j] - mean, power(cut));
          squares += v * v;
        }
      } while (squares >= power(32));
      while ((deviation + 1) * (deviation + 1) <= squares)
        ++deviation;
      deviation *= power(cut);
      double realMean = double(sum) / double(d), variance = 0;
      for (int64_t j = 0; j < d; ++j)
        variance += std::pow(double(y[j]) - realMean, 2) / double(d);
      for (int64_t j = 0; j < d; ++j) {
        Big f = deviation ? floorDiv(power(31), deviation) : 0;
        Big v = floorDiv((y[j] - mean) * f, 2);
        v = roundDiv(v * channels[j].gain + channels[j].bias, power(shift));
        ASSERT_EQ(Big(codes[j]), std::max<Big>(0, std::min<Big>(255, v)))
            << d << " columns, kind " << kind << " at " << j;
        if (d < 100 || kind == 3)
          continue;
        double real = (double(y[j]) - realMean) / std::sqrt(variance);
        double code = std::nearbyint((real * gamma[j] + beta[j]) / s) + 128;
        code = std::max(0.0, std::min(255.0, code));
        largest = std::max(largest, std::fabs(code - codes[j]));
      }
    }
  EXPECT_LE(largest, 1);
}

TEST(IntegerMath, LayerNormRefusesScalesWithoutAShift) {
  float gamma = 1, beta = 0;
  qi_channel channel;
  EXPECT_EQ(qi_make_channels(&gamma, &beta, 1, 0, 0, &channel), -1);
  EXPECT_EQ(qi_make_channels(&gamma, &beta, 1, NAN, 0, &channel), -1);
  beta = 1e30f;
  EXPECT_EQ(qi_make_channels(&gamma, &beta, 1, 0.1, 0, &channel), -1);
}

} // namespace
