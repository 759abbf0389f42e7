//===- BlockStepsTest.cpp - Activations with steps of blocks, row E19 -----===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Blocks of channels learned with steps and bits of their own
// (quantization.md 3.2), behind each kind of op that makes such codes: a
// product, GELU, a residual sum and a LayerNorm. The simulation against the
// published formula, the integer graph against the f32 steps of its ops.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/Constants.h"
#include "quern/quant_math.h"
#include "test/lib/Rewrite/StepsTest.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace mlir;
using namespace quern;

namespace {

constexpr int64_t blocks = 3, size = 4, width = blocks * size, tokens = 40;

/// A site whose blocks have a step and bits each.
struct Blocks {
  const char *name, *key;
  float steps[blocks];
  int bits[blocks];
  /// Signed codes lie around the middle of the widest block's.
  bool isSigned;

  int top() const { return 1 << *std::max_element(bits, bits + blocks); }
  int zero() const { return isSigned ? top() / 2 : 0; }
  int least(int64_t b) const {
    return isSigned ? zero() - (1 << (bits[b] - 1)) : 0;
  }
  int greatest(int64_t b) const { return least(b) + (1 << bits[b]) - 1; }
  /// The step as the scheme has it.
  float step(int64_t b) const { return std::stof(std::to_string(steps[b])); }
};

/// Narrow blocks saturate at both ends. The last site has codes of 7 bits at
/// most, the second blocks of equal bits, and steps that make no ties.
const Blocks all[] = {
    {"L0.g", "g", {0.05f, 0.9f, 0.31f}, {8, 2, 5}, true},
    {"L0.u", "u", {0.0213f, 0.0507f, 0.0311f}, {8, 8, 8}, true},
    {"L0.x", "x", {0.9f, 0.024f, 0.21f}, {2, 8, 4}, true},
    {"L0.f", "f", {0.017f, 0.4f, 0.11f}, {8, 3, 4}, false},
    {"L0.h", "h", {0.3f, 0.041f, 0.8f}, {5, 8, 3}, true},
    {"L0.y", "y", {0.35f, 0.023f, 0.9f}, {4, 7, 3}, true},
};

class BlockSteps : public StepsTest {
protected:
  void SetUp() override {
    std::string scheme;
    for (const Blocks &site : all) {
      std::string map, scales, zeros, limits;
      for (int64_t j = 0; j < width; ++j)
        map += (j ? ", " : "") + std::to_string(j / size);
      for (int64_t b = 0; b < blocks; ++b) {
        const char *comma = b ? ", " : "";
        scales += comma + std::to_string(site.steps[b]);
        zeros += comma + std::to_string(site.zero());
        limits += comma + std::to_string(site.least(b)) + ", " +
                  std::to_string(site.greatest(b));
      }
      bool isMixed = site.bits[0] != site.bits[1];
      scheme += ", " + std::string(site.name) + " = {bits = " +
                std::to_string(*std::max_element(site.bits, site.bits + 3)) +
                " : i64, group_of = array<i64: " + map +
                ">, scales = array<f32: " + scales +
                ">, zeros = array<i64: " + zeros + ">" +
                (isMixed ? ", limits = array<i64: " + limits + ">}" : "}");
    }
    std::string
        t = "tensor<?x12xf32>",
        text =
            "module attributes {tq.scheme = {sites = {L0.z = {bits = 8 : i64, "
            "scale = 0.03 : f32, zero = 120 : i64}" +
            scheme +
            "}, weights = {linear = {bits = 8 : i64, granularity = "
            "\"channel\", "
            "estimator = \"minmax\"}, norms = \"fp32\"}}} {\n"
            "func.func @forward(%a: " +
            t + ") -> " + t +
            " {\n"
            "%b = arith.constant dense<0.25> : tensor<12xf32>\n"
            "%one = arith.constant dense<1.5> : tensor<12xf32>\n" +
            observe("z", "a", "z");
    for (const char *name : {"g", "f", "h"})
      text += "%w" + std::string(name) + " = arith.constant dense<" +
              weights(width) + "> : tensor<12x12xf32>\n";
    auto linear = [&](const std::string &to, const std::string &from,
                      const std::string &w) {
      return "%" + to + " = tq.linear %" + from + ", %w" + w + ", %b : (" + t +
             ", tensor<12x12xf32>, tensor<12xf32>) -> " + t + "\n";
    };
    auto norm = [&](const std::string &to, const std::string &from) {
      return "%" + to + " = tq.layer_norm %" + from +
             ", %one, %b {eps = 1.0e-12 : f64} : (" + t +
             ", tensor<12xf32>, tensor<12xf32>) -> " + t + "\n";
    };
    auto add = [&](const std::string &to, const std::string &a,
                   const std::string &b) {
      return "%" + to + " = tq.add %" + a + ", %" + b + " : " + t + "\n";
    };
    text += linear("g0", "z", "g") + observe("g", "g0", "g") +
            add("u0", "g", "z") + observe("u", "u0", "u") + norm("x0", "u") +
            observe("x", "x0", "x") + linear("f0", "x", "f") +
            "%f1 = tq.gelu %f0 : " + t + "\n" + observe("f", "f1", "f") +
            linear("h0", "f", "h") + observe("h", "h0", "h") +
            add("y0", "h", "x") + observe("y", "y0", "y") + norm("r", "y") +
            "return %r : " + t + "\n}\n}\n";
    ASSERT_NO_FATAL_FAILURE(build(text));
    // Some rows fifty times as large as others.
    std::vector<float> values = floats(tokens, width, 1.2).toVector<float>();
    for (int64_t i = 0; i < tokens * width; i += 7)
      values[i] *= i % 5 ? 1 : 50;
    inputs = {Tensor::of(std::move(values), {tokens, width})};
  }

  static std::string observe(const std::string &to, const std::string &from,
                             const std::string &key) {
    return "%" + to + " = tq.observe %" + from + " {key = \"" + key +
           "\", layer = 0 : i64, site = \"L0." + key +
           "\"} : tensor<?x12xf32>\n";
  }
};

/// alpha round(clamp(x / alpha)) of each block, in codes.
TEST_F(BlockSteps, E19SimulationOfBlocksIsThePublishedFormula) {
  std::map<std::string, std::vector<double>> reals;
  Codes codes = run(*module, nullptr, &reals);
  for (const Blocks &site : all) {
    SCOPED_TRACE(site.name);
    const std::vector<double> &x = reals.at(site.name);
    ASSERT_EQ(x.size(), size_t(tokens * width));
    int ends = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      int64_t b = int64_t(i) % width / size;
      double lo = site.least(b) - site.zero(),
             hi = site.greatest(b) - site.zero();
      double code =
          std::nearbyint(std::clamp(x[i] / double(site.step(b)), lo, hi));
      ASSERT_EQ(codes.at(site.name)[i], int(code) + site.zero()) << i;
      ends += code == lo || code == hi;
    }
    EXPECT_GT(ends, 0);
  }
}

TEST_F(BlockSteps, E19IntegersOfBlocksAreWithinOneCode) {
  std::map<std::string, int> ops;
  integer->walk(
      [&](Operation *op) { ++ops[op->getName().stripDialect().str()]; });
  // No sum and no LayerNorm stays in f32, and only sites of mixed bits have a
  // limit behind them.
  EXPECT_EQ(ops["quantize"], 1);
  EXPECT_EQ(ops["layer_norm"] + ops["add"] + ops["linear"] + ops["gelu"], 0);
  EXPECT_EQ(ops["qlimit"], 5);
  EXPECT_EQ(ops["qadd_norm"], 2);
  EXPECT_EQ(ops["qgroup_linear"], 2);
  // Behind GELU, and a sum that has limits.
  EXPECT_EQ(ops["qadd"], 2);
  Codes real = run(*module), ours = run(*integer, &real);
  int64_t unequal = 0;
  for (const Blocks &site : all)
    for (size_t i = 0; i < real.at(site.name).size(); ++i) {
      int32_t code = ours.at(site.name)[i];
      ASSERT_LE(std::abs(code - real.at(site.name)[i]), 1) << site.name;
      unequal += code != real.at(site.name)[i];
      int64_t b = int64_t(i) % width / size;
      ASSERT_GE(code, site.least(b));
      ASSERT_LE(code, site.greatest(b));
    }
  EXPECT_LE(unequal, int64_t(std::size(all)) * tokens * width / 200);
}

/// Behind GELU: exact sums of the groups, f32 steps one by one, and the factor
/// of each channel.
TEST_F(BlockSteps, E19BlocksBehindGelu) {
  tq::QGroupLinearOp product;
  integer->walk([&](tq::QGroupLinearOp op) {
    if (op.getActivation() == tq::Activation::Gelu)
      product = op;
  });
  ASSERT_TRUE(product);
  EXPECT_TRUE(product.getResult().getType().getElementType().isF32());
  auto weights = tq::getConstantData<int8_t>(product.getW());
  auto multiplier = tq::getConstantData<float>(product.getMultiplier());
  auto offset = tq::getConstantData<float>(product.getOffset());
  ASSERT_TRUE(weights && multiplier && offset);
  Codes real = run(*module), ours = run(*integer, &real);
  const Blocks &in = all[2], &out = all[3];
  const std::vector<int32_t> &x = real.at("L0.x");
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t n = 0; n < width; ++n) {
      float v = 0;
      for (int64_t g = 0; g < blocks; ++g) {
        int64_t acc = 0;
        for (int64_t k = g * size; k < (g + 1) * size; ++k)
          acc += (x[t * width + k] - in.zero()) * (*weights)[n * width + k];
        float part = float(acc) * (*multiplier)[g * width + n];
        v = g ? v + part : part;
      }
      v = qm_gelu(v + (*offset)[n]);
      int64_t b = n / size;
      float q = v * (1 / out.step(b)) + float(out.zero());
      int32_t code = int32_t(std::nearbyintf(
          std::clamp(q, float(out.least(b)), float(out.greatest(b)))));
      ASSERT_EQ(ours.at("L0.f")[t * width + n], code) << t << ", " << n;
    }
}

} // namespace
