//===- IntegerAttentionTest.cpp - tq.qattention ---------------------------===//
//
// Part of Quern. Exact against loops over the description's formula, and
// within the bound of the table softmax (row E30) of the real one.
//
//===----------------------------------------------------------------------===//

#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace quern;

namespace {

constexpr int Heads = 2, Dim = 4, Width = Heads * Dim;
constexpr int ZeroQ = 120, ZeroK = 131, ZeroV = 100;
/// Real value of one score code, times the softmax scale.
constexpr double Alpha = 0.05;

class QAttentionTest : public InterpretTest {
protected:
  void SetUp() override {
    std::string in = "tensor<?x24x!quant.uniform<u8:f32, 0.1:128>>";
    std::string out = "tensor<?x8x!quant.uniform<u8:f32, 0.1:128>>";
    parse("(%x: " + in +
              ", %o: tensor<?xi32>, %h: tensor<16xf32>, "
              "%l: tensor<16xf32>) -> " +
              out,
          "%0 = tq.qattention %x, %o, %h, %l {heads = 2 : i64, head_dim = 4 : "
          "i64, zq = 120 : i64, zk = 131 : i64, zv = 100 : i64, "
          "score_multiplier = 0.004 : f32, score_offset = 128.0 : f32, "
          "prob_multiplier = 255.0 : f32, context_multiplier = 0.004 : f32, "
          "context_offset = 90.0 : f32, sites = [\"s\", \"p\", \"c\"]} : (" +
              in + ", tensor<?xi32>, tensor<16xf32>, tensor<16xf32>) -> " +
              out + "\nreturn %0 : " + out + "\n");
    std::vector<float> high, low;
    for (int i = 0; i < 16; ++i) {
      high.push_back(float(std::exp(-16 * i * Alpha) * 8388607));
      low.push_back(float(std::exp(-i * Alpha)));
    }
    expHigh = Tensor::of(high, {16});
    expLow = Tensor::of(low, {16});
    hooks.observe = [this](const SiteValue &site) {
      seen[site.name.str()] = site.value.toVector<int32_t>();
    };
  }
  std::vector<int32_t> run(const Tensor &x, std::vector<int32_t> offsets) {
    return InterpretTest::run({x, ints(offsets), expHigh, expLow}, hooks)
        .toVector<int32_t>();
  }
  Tensor expHigh, expLow;
  SiteHooks hooks;
  std::map<std::string, std::vector<int32_t>> seen;
};

TEST_F(QAttentionTest, EqualsTheDescription) {
  const int tokens = 7;
  Tensor x = codes(tokens, 24, 0, 255);
  auto y = run(x, {0, tokens});
  ASSERT_EQ(y.size(), size_t(tokens * Width)) << message;
  auto at = [&](int t, int part, int h, int d) {
    return x.get<int32_t>()[t * 24 + part * Width + h * Dim + d];
  };
  for (int h = 0; h < Heads; ++h)
    for (int i = 0; i < tokens; ++i) {
      const int32_t *s = &seen["s"][(h * tokens + i) * tokens];
      const int32_t *p = &seen["p"][(h * tokens + i) * tokens];
      uint32_t sum = 0;
      std::vector<int32_t> e;
      for (int j = 0; j < tokens; ++j) {
        int acc = 0;
        for (int d = 0; d < Dim; ++d)
          acc += (at(i, 0, h, d) - ZeroQ) * (at(j, 1, h, d) - ZeroK);
        EXPECT_EQ(s[j], qm_requant(acc, 0.004f, 128, 0, 255));
      }
      int top = *std::max_element(s, s + tokens);
      double total = 0;
      for (int j = 0; j < tokens; ++j) {
        int d = top - s[j];
        e.push_back(
            qm_rne(expHigh.get<float>()[d / 16] * expLow.get<float>()[d % 16]));
        sum += e.back();
        total += std::exp(-d * Alpha);
      }
      float r = 255.0f / float(sum);
      for (int j = 0; j < tokens; ++j) {
        EXPECT_EQ(p[j], qm_round_code(float(e[j]) * r, 0, 255));
        double exact = std::exp(-(top - s[j]) * Alpha) / total;
        EXPECT_LE(std::fabs(double(e[j]) / sum - exact), std::ldexp(1, -15));
      }
      for (int d = 0; d < Dim; ++d) {
        int acc = 0;
        for (int j = 0; j < tokens; ++j)
          acc += p[j] * (at(j, 2, h, d) - ZeroV);
        EXPECT_EQ(y[i * Width + h * Dim + d],
                  qm_requant(acc, 0.004f, 90, 0, 255));
      }
    }
}

TEST_F(QAttentionTest, PackedEqualsAlone) {
  Tensor x = codes(5, 24, 0, 255);
  auto packed = run(x, {0, 2, 2, 5});
  ASSERT_EQ(packed.size(), 40u) << message;
  EXPECT_EQ(seen["s"].size(), size_t(Heads * (4 + 9)));
  auto all = x.toVector<int32_t>();
  Tensor last = Tensor::of(
      std::vector<int32_t>(all.begin() + 2 * 24, all.end()), {3, 24});
  auto alone = run(last, {0, 3});
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), packed.begin() + 16));
  EXPECT_TRUE(run(Tensor::of(std::vector<int32_t>(), {0, 24}), {0}).empty());
  EXPECT_EQ(message, "");
}

TEST_F(QAttentionTest, OneTokenAttendsToItself) {
  Tensor x = codes(1, 24, 0, 255);
  run(x, {0, 1});
  EXPECT_EQ(seen["p"], (std::vector<int32_t>{255, 255})) << message;
}

TEST_F(QAttentionTest, ForcedSitesAreUsed) {
  Tensor x = codes(2, 24, 0, 255);
  hooks.force = [](const SiteValue &site) -> std::optional<Tensor> {
    if (site.name == "s")
      return Tensor::of(std::vector<int32_t>(8, 50), {2, 4});
    return std::nullopt;
  };
  run(x, {0, 2});
  // 127.5 is a tie.
  EXPECT_EQ(seen["p"], std::vector<int32_t>(8, 128)) << message;
}

TEST_F(QAttentionTest, TooLargeSumsAreErrors) {
  Tensor x = codes(513, 24, 128, 128);
  run(x, {0, 513});
  EXPECT_EQ(message, "'tq.qattention' op expects sums of exponentials in [1, "
                     "4294967295], got 4303355391 over 513 tokens");
}

} // namespace
