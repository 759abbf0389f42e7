//===- LogAttentionTest.cpp - tq.qattention with logarithmic codes --------===//
//
// Part of Quern. Rows E22 and E23: codes against the quantizer of the real
// softmax, accumulators and context against the published formula in double.
//
//===----------------------------------------------------------------------===//

#include "test/lib/Interpret/InterpretTest.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace quern;

namespace {

constexpr int Heads = 2, Dim = 4, Width = Heads * Dim;
constexpr int ZeroV = 100;
constexpr double Largest = 8388607, ContextMultiplier = 1.0 / 64;

struct Case {
  int bits;
  int perOctave;
  /// Real value of one score code, times the softmax scale.
  double alpha;
  double scale;
};

std::ostream &operator<<(std::ostream &os, const Case &c) {
  return os << c.bits << " bits, " << c.perOctave << " an octave, step "
            << c.alpha << ", scale " << c.scale;
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9e", value);
  return text;
}

class LogAttentionTest : public InterpretTest,
                         public testing::WithParamInterface<Case> {
protected:
  void SetUp() override {
    const Case &c = GetParam();
    zero = 1 << c.bits;
    std::string in = "tensor<?x24x!quant.uniform<u8:f32, 0.1:128>>";
    parse("(%x: " + in +
              ", %o: tensor<?xi32>, %h: tensor<16xf32>, %l: tensor<16xf32>) "
              "-> tensor<?x8xf32>",
          "%0 = tq.qattention %x, %o, %h, %l {heads = 2 : i64, head_dim = 4 : "
          "i64, zq = 120 : i64, zk = 131 : i64, zv = 100 : i64, "
          "score_multiplier = 0.004 : f32, score_offset = 128.0 : f32, "
          "prob_multiplier = " +
              number(c.scale / Largest) +
              " : f32, context_multiplier = 0.015625 : f32, context_offset = "
              "0.0 : f32, sites = [\"s\", \"p\", \"c\"], prob_type = "
              "!tq.log<u" +
              std::to_string(c.bits) + ", " +
              (c.perOctave == 1 ? "two" : "sqrt2") +
              ", scale = " + number(c.scale) +
              ", zero = " + std::to_string(zero) + ">, prob_step = " +
              number(c.perOctave * c.alpha / std::log(2.0)) + " : f32} : (" +
              in +
              ", tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> "
              "tensor<?x8xf32>\nreturn %0 : tensor<?x8xf32>\n");
    std::vector<float> high, low;
    for (int i = 0; i < 16; ++i) {
      high.push_back(float(std::exp(-16 * i * c.alpha) * Largest));
      low.push_back(float(std::exp(-i * c.alpha)));
    }
    tables = {Tensor::of(high, {16}), Tensor::of(low, {16})};
    hooks.observe = [this](const SiteValue &site) {
      if (site.value.getKind() == Tensor::Kind::I32)
        seen[site.name.str()] = site.value.toVector<int32_t>();
    };
  }

  std::vector<double> run(const Tensor &x, int tokens) {
    return InterpretTest::run({x, ints({0, tokens}), tables[0], tables[1]},
                              hooks)
        .toVector<double>();
  }

  /// What a code stands for, by the formula of the quantizer.
  double value(int code) const {
    const Case &c = GetParam();
    if (code == zero)
      return 0;
    if (c.perOctave == 1)
      return c.scale * std::exp2(-code);
    return c.scale * std::exp2(-std::ceil(code / 2.0)) *
           (code % 2 ? std::sqrt(2.0) : 1);
  }

  std::vector<Tensor> tables;
  SiteHooks hooks;
  std::map<std::string, std::vector<int32_t>> seen;
  int zero = 0;
};

TEST_P(LogAttentionTest, E22E23CodesAndContext) {
  const Case &c = GetParam();
  constexpr int tokens = 37;
  Tensor x = codes(tokens, 24, 0, 255);
  std::vector<double> y = run(x, tokens);
  ASSERT_EQ(y.size(), size_t(tokens * Width)) << message;
  int octaves = std::min(8, zero / c.perOctave), others = 0;
  for (int h = 0; h < Heads; ++h)
    for (int i = 0; i < tokens; ++i) {
      const int32_t *s = &seen["s"][(h * tokens + i) * tokens];
      const int32_t *p = &seen["p"][(h * tokens + i) * tokens];
      int top = *std::max_element(s, s + tokens);
      double total = 0;
      for (int j = 0; j < tokens; ++j)
        total += std::exp((s[j] - top) * c.alpha);
      for (int j = 0; j < tokens; ++j) {
        double real = std::exp((s[j] - top) * c.alpha) / total;
        double position = -c.perOctave * std::log2(real / c.scale);
        double code = std::nearbyint(position);
        code = code >= zero ? zero : std::max(code, 0.0);
        EXPECT_LE(std::fabs(p[j] - code), 1);
        if (p[j] == code)
          continue;
        // The table softmax rounds its exponentials to 2^-23 of the largest.
        ++others;
        EXPECT_NEAR(std::fabs(position - std::floor(position)), 0.5, 1e-4);
      }
      for (int d = 0; d < Dim; ++d) {
        // The scale is in the multiplier, the largest weight stands for it.
        double exact = 0, size = 0;
        for (int j = 0; j < tokens; ++j) {
          int v = x.get<int32_t>()[j * 24 + 2 * Width + h * Dim + d] - ZeroV;
          double product = std::ldexp(value(p[j]) / c.scale, octaves - 1) * v;
          exact += product;
          size += std::fabs(product);
        }
        EXPECT_NEAR(y[i * Width + h * Dim + d], exact * ContextMultiplier,
                    1e-6 * size * ContextMultiplier);
      }
    }
  EXPECT_LE(others, tokens * tokens * Heads / 200);
}

/// What is masked has no weight at all, not the least one.
TEST_P(LogAttentionTest, E22TheCodeOfZeroIsExactlyZero) {
  constexpr int tokens = 3;
  Tensor x = codes(tokens, 24, 0, 255);
  hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
    if (site.name != "p")
      return std::nullopt;
    std::vector<int32_t> masked(Heads * tokens * tokens, zero);
    // The first token attends to the second one.
    masked[1] = masked[tokens * tokens + 1] = 0;
    return Tensor::of(std::move(masked), {Heads, tokens * tokens});
  };
  std::vector<double> y = run(x, tokens);
  ASSERT_EQ(y.size(), size_t(tokens * Width)) << message;
  int octaves = std::min(8, zero / GetParam().perOctave);
  for (int d = 0; d < Width; ++d) {
    int v = x.get<int32_t>()[24 + 2 * Width + d] - ZeroV;
    EXPECT_EQ(y[d], std::ldexp(v, octaves - 1) * ContextMultiplier);
    EXPECT_EQ(y[Width + d], 0);
    EXPECT_EQ(y[2 * Width + d], 0);
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int bits = 3; bits <= 8; ++bits)
    for (int perOctave : {1, 2})
      for (double alpha : {0.004, 0.05, 0.6})
        all.push_back({bits, perOctave, alpha, alpha < 0.1 ? 0.75 : 1.0});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, LogAttentionTest, testing::ValuesIn(cases()));

} // namespace
