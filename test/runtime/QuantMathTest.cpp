//===- QuantMathTest.cpp - The error bounds that quant_math.h states ------===//
//
// Dense sweeps against the double functions of libm.
//
//===----------------------------------------------------------------------===//
#include "quern/quant_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

TEST(QuantMath, RoundsHalfToEven) {
  EXPECT_EQ(qm_rne(0.5f), 0);
  EXPECT_EQ(qm_rne(1.5f), 2);
  EXPECT_EQ(qm_rne(2.5f), 2);
  EXPECT_EQ(qm_rne(-0.5f), 0);
  EXPECT_EQ(qm_rne(-1.5f), -2);
  EXPECT_EQ(qm_rne(8388607.5f), 8388608);
  EXPECT_EQ(qm_rne(-16777216.0f), -16777216);
  for (float v = -300.0f; v < 300.0f; v += 0.0625f)
    EXPECT_EQ(qm_rne(v), int(std::nearbyint(v))) << v;
}

TEST(QuantMath, ClampsBeforeRounding) {
  EXPECT_EQ(qm_round_code(255.6f, 0, 255), 255);
  EXPECT_EQ(qm_round_code(-1e30f, 0, 255), 0);
  EXPECT_EQ(qm_round_code(1e30f, 0, 65535), 65535);
  EXPECT_EQ(qm_requant(100, 0.125f, 3.0f, 0, 255), 16);
}

TEST(QuantMath, GeluWithinItsBound) {
  double worst = 0, worstTanh = 0;
  for (double x = -12; x <= 8; x += 1.0 / 8192) {
    float v = float(x);
    double gelu = 0.5 * v * std::erfc(-v / std::sqrt(2.0));
    worst = std::max(worst, std::fabs(qm_gelu(v) - gelu));
    double inner = std::sqrt(2.0 / 3.14159265358979323846) *
                   (v + 0.044715 * double(v) * v * v);
    double tanhForm = 0.5 * v * (1 + std::tanh(inner));
    worstTanh = std::max(worstTanh, std::fabs(qm_gelu_tanh(v) - tanhForm));
  }
  EXPECT_LE(worst, std::ldexp(1.0, -20));
  EXPECT_LE(worstTanh, std::ldexp(1.0, -20));
  EXPECT_EQ(qm_gelu(0.0f), 0.0f);
  EXPECT_EQ(qm_gelu(1000.0f), 1000.0f);
  EXPECT_LE(std::fabs(qm_gelu(-1000.0f)), std::ldexp(1.0f, -20));
}

TEST(QuantMath, TanhWithinItsBound) {
  double worst = 0;
  for (double x = -20; x <= 20; x += 1.0 / 8192)
    worst = std::max(
        worst, std::fabs(qm_tanh(float(x)) - std::tanh(double(float(x)))));
  EXPECT_LE(worst, std::ldexp(1.0, -21));
  EXPECT_EQ(qm_tanh(0.0f), 0.0f);
  EXPECT_EQ(qm_tanh(-2.0f), -qm_tanh(2.0f));
}

TEST(QuantMath, ExpWithinItsBound) {
  double worst = 0;
  for (double x = -86.9; x <= 87.9; x += 1.0 / 1024) {
    double exact = std::exp(double(float(x)));
    worst = std::max(worst, std::fabs(qm_exp(float(x)) / exact - 1));
  }
  EXPECT_LE(worst, std::ldexp(1.0, -22));
  EXPECT_EQ(qm_exp(0.0f), 1.0f);
  EXPECT_GT(qm_exp(-1000.0f), 0.0f);
  EXPECT_TRUE(std::isfinite(qm_exp(1000.0f)));
}

TEST(QuantMath, SumsInTheFixedOrder) {
  std::vector<float> x;
  for (int i = 0; i < 100; ++i)
    x.push_back(std::ldexp(1.0f + float(i) / 64, i % 30));
  float lanes[16] = {0};
  for (int i = 0; i < 100; ++i)
    lanes[i % 16] += x[size_t(i)];
  for (int half : {8, 4, 2, 1})
    for (int l = 0; l < half; ++l)
      lanes[l] += lanes[l + half];
  EXPECT_EQ(qm_sum16(x.data(), 100), lanes[0]);
  EXPECT_EQ(qm_sum_squares16(x.data(), 0.0f, 0), 0.0f);
}

} // namespace
