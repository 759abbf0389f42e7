//===- HeadStepsTest.cpp - Activations with steps of heads, row E19 -------===//
//
// Queries, keys, values, probabilities and context learned by heads
// (quantization.md 3.2): each head has a step and bits of its own. The
// simulation against the published formula, the integer attention against
// loops over its codes, and both against each other.
//
//===----------------------------------------------------------------------===//
#include "quern/quant_math.h"
#include "test/lib/Rewrite/StepsTest.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace mlir;
using namespace quern;

namespace {

constexpr int64_t heads = 3, dim = 4, width = heads * dim;
/// Two sequences.
constexpr int64_t lengths[] = {9, 4}, tokens = 13, pairs = 9 * 9 + 4 * 4;
/// Of each head; the last query and context have outliers that saturate.
constexpr float steps[5][heads] = {{0.02f, 0.9f, 0.11f},
                                   {0.05f, 0.013f, 0.3f},
                                   {0.041f, 0.6f, 0.017f},
                                   {1.f / 255, 1.f / 7, 1.f / 63},
                                   {0.004f, 0.05f, 0.02f}};
constexpr int bits[5][heads] = {
    {8, 2, 5}, {4, 8, 3}, {7, 3, 8}, {8, 3, 6}, {8, 4, 6}};
const char *const sites[5] = {"L0.q", "L0.k", "L0.v", "L0.p", "L0.c"};

/// The step as the scheme has it.
float stepOf(int site, int64_t head) {
  return std::stof(std::to_string(steps[site][head]));
}

/// The least and the greatest code: signed ones lie around 128.
int least(int site, int head) {
  return site == 3 ? 0 : 128 - (1 << (bits[site][head] - 1));
}
int greatest(int site, int head) {
  return least(site, head) + (1 << bits[site][head]) - 1;
}

class HeadSteps : public StepsTest {
protected:
  void SetUp() override {
    std::string text = "module attributes {tq.scheme = {sites = {"
                       "L0.z = {bits = 8 : i64, scale = 0.03 : f32, zero = 120 "
                       ": i64}, "
                       "L0.g = {bits = 8 : i64, scale = 0.02 : f32, zero = 120 "
                       ": i64}, "
                       "L0.s = {bits = 8 : i64, scale = 0.25 : f32, zero = 131 "
                       ": i64}";
    for (int site = 0; site < 5; ++site) {
      std::string map, scales, zeros, limits;
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t i = 0; i < (site == 3 ? 1 : dim); ++i)
          map += ", " + std::to_string(h);
        scales += ", " + std::to_string(steps[site][h]);
        zeros += site == 3 ? ", 0" : ", 128";
        limits += ", " + std::to_string(least(site, int(h))) + ", " +
                  std::to_string(greatest(site, int(h)));
      }
      text += ", " + std::string(sites[site]) +
              " = {bits = 8 : i64, group_of = array<i64: " + map.substr(2) +
              ">, scales = array<f32: " + scales.substr(2) +
              ">, zeros = array<i64: " + zeros.substr(2) +
              ">, limits = array<i64: " + limits.substr(2) + ">}";
    }
    text += "}, weights = {linear = {bits = 8 : i64, granularity = "
            "\"channel\", estimator = \"minmax\"}}}} {\n"
            "func.func @forward(%a: tensor<?x12xf32>, %o: tensor<?xi32>) -> "
            "tensor<?x12xf32> {\n"
            "%0 = tq.observe %a {key = \"z\", layer = 0 : i64, site = "
            "\"L0.z\"} : tensor<?x12xf32>\n"
            "%b = arith.constant dense<0.25> : tensor<12xf32>\n";
    for (int part = 0; part < 3; ++part) {
      std::string n = std::to_string(part), key = std::string(1, "qkv"[part]);
      text += "%w" + n + " = arith.constant dense<" + weights(width) +
              "> : tensor<12x12xf32>\n%l" + n + " = tq.linear %0, %w" + n +
              ", %b : (tensor<?x12xf32>, tensor<12x12xf32>, tensor<12xf32>) -> "
              "tensor<?x12xf32>\n%" +
              key + " = tq.observe %l" + n + " {key = \"" + key +
              "\", layer = 0 : i64, site = \"L0." + key +
              "\"} : tensor<?x12xf32>\n";
    }
    text += "%s = tq.scores %q, %k, %o {heads = 3 : i64} : (tensor<?x12xf32>, "
            "tensor<?x12xf32>, tensor<?xi32>) -> tensor<3x?xf32>\n"
            "%s1 = tq.observe %s {key = \"s\", layer = 0 : i64, site = "
            "\"L0.s\"} : tensor<3x?xf32>\n"
            "%p = tq.softmax %s1, %o {scale = 0.5 : f32} : (tensor<3x?xf32>, "
            "tensor<?xi32>) -> tensor<3x?xf32>\n"
            "%p1 = tq.observe %p {key = \"p\", layer = 0 : i64, site = "
            "\"L0.p\"} : tensor<3x?xf32>\n"
            "%c = tq.context %p1, %v, %o {heads = 3 : i64} : (tensor<3x?xf32>, "
            "tensor<?x12xf32>, tensor<?xi32>) -> tensor<?x12xf32>\n"
            "%c1 = tq.observe %c {key = \"c\", layer = 0 : i64, site = "
            "\"L0.c\"} : tensor<?x12xf32>\n"
            "%w3 = arith.constant dense<" +
            weights(width) +
            "> : tensor<12x12xf32>\n%g = tq.linear %c1, %w3, %b : "
            "(tensor<?x12xf32>, tensor<12x12xf32>, tensor<12xf32>) -> "
            "tensor<?x12xf32>\n%g1 = tq.observe %g {key = \"g\", layer = 0 : "
            "i64, site = \"L0.g\"} : tensor<?x12xf32>\n"
            "return %g1 : tensor<?x12xf32>\n}\n}\n";
    ASSERT_NO_FATAL_FAILURE(build(text));
    inputs = {floats(tokens, width, 1.5),
              ints({0, int32_t(lengths[0]), int32_t(tokens)})};
  }
};

/// alpha round(clamp(x / alpha)) of each head, in codes.
TEST_F(HeadSteps, E19SimulationOfHeadsIsThePublishedFormula) {
  std::map<std::string, std::vector<double>> reals;
  Codes codes = run(*module, nullptr, &reals);
  for (int site = 0; site < 5; ++site) {
    SCOPED_TRACE(sites[site]);
    const std::vector<double> &x = reals.at(sites[site]);
    ASSERT_EQ(x.size(), size_t(site == 3 ? heads * pairs : tokens * width));
    std::vector<bool> atEnd(heads);
    for (size_t i = 0; i < x.size(); ++i) {
      int head = int(site == 3 ? int64_t(i) / pairs : int64_t(i) % width / dim);
      int zero = site == 3 ? 0 : 128;
      double lo = least(site, head) - zero, hi = greatest(site, head) - zero;
      float step = stepOf(site, head);
      double code = std::nearbyint(std::clamp(x[i] / double(step), lo, hi));
      ASSERT_EQ(codes.at(sites[site])[i], int(code) + zero) << i;
      atEnd[head] = atEnd[head] || code == lo || code == hi;
    }
    // Narrow heads reach their ends.
    EXPECT_TRUE(std::find(atEnd.begin(), atEnd.end(), true) != atEnd.end());
  }
}

TEST_F(HeadSteps, E19IntegerAttentionOfHeads) {
  tq::QAttentionOp op;
  integer->walk([&](tq::QAttentionOp found) { op = found; });
  ASSERT_TRUE(op);
  ASSERT_TRUE(op.getPerHead());
  int limits = 0;
  integer->walk([&](tq::QLimitOp) { ++limits; });
  EXPECT_EQ(limits, 1);
  tq::QGroupLinearOp behind;
  integer->walk([&](tq::QGroupLinearOp found) { behind = found; });
  EXPECT_TRUE(behind);
  Codes real = run(*module), ours = run(*integer, &real);
  int64_t unequal = 0, all = 0;
  for (const char *site :
       {"L0.q", "L0.k", "L0.v", "L0.s", "L0.p", "L0.c", "L0.g"})
    for (size_t i = 0; i < real.at(site).size(); ++i, ++all) {
      ASSERT_LE(std::abs(ours.at(site)[i] - real.at(site)[i]), 1) << site;
      unequal += ours.at(site)[i] != real.at(site)[i];
    }
  EXPECT_LE(unequal, all / 50);
  // Exact sums, and the f32 steps of the op's description behind them.
  const std::vector<int32_t> &q = real.at("L0.q"), &k = real.at("L0.k"),
                             &v = real.at("L0.v"), &p = real.at("L0.p");
  for (int64_t h = 0, at = 0; h < heads; ++h)
    for (int64_t n = 0, first = 0; n < 2; first += lengths[n++])
      for (int64_t i = 0; i < lengths[n]; ++i) {
        auto code = [&](const std::vector<int32_t> &of, int64_t t, int64_t d) {
          return of[(first + t) * width + h * dim + d] - 128;
        };
        int64_t context[dim] = {};
        for (int64_t j = 0; j < lengths[n]; ++j, ++at) {
          int64_t acc = 0;
          for (int64_t d = 0; d < dim; ++d) {
            acc += code(q, i, d) * code(k, j, d);
            context[d] += p[at] * code(v, j, d);
          }
          float factor = op.constantsOf(h).score;
          EXPECT_FLOAT_EQ(factor, stepOf(0, h) * stepOf(1, h) / 0.25f);
          ASSERT_EQ(ours.at("L0.s")[at],
                    qm_requant(int32_t(acc), factor, 131, 0, 255));
        }
        float factor = op.constantsOf(h).context;
        EXPECT_FLOAT_EQ(factor, stepOf(3, h) * stepOf(2, h) / stepOf(4, h));
        for (int64_t d = 0; d < dim; ++d)
          ASSERT_EQ(ours.at("L0.c")[(first + i) * width + h * dim + d],
                    qm_requant(int32_t(context[d]), factor, 128,
                               float(least(4, int(h))),
                               float(greatest(4, int(h)))));
      }
}

} // namespace
