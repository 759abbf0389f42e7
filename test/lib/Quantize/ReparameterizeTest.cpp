//===- ReparameterizeTest.cpp - Rows E20 and E21 --------------------------===//
//
// A LayerNorm output with a scale and a zero point for each channel, kept and
// moved into LayerNorm and weights by tq-quantize (quantization.md 8.3): the
// codes of a million values, what the product makes of them, what the second
// reader (a sum) gets, and the integer weights that the moved ones become.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/Constants.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Passes.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "mlir/Pass/PassManager.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;

namespace {

constexpr int64_t width = 64, outputs = 48, tokens = 16384;

/// Scales, zero points, gains and shifts of channels, and weights.
struct Channels {
  /// `exact`: of few bits each, so that f32 holds what they are moved to.
  explicit Channels(bool exact) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    auto few = [&](float value) {
      return exact ? std::nearbyint(value * 64) / 64 : value;
    };
    for (int64_t j = 0; j < width; ++j) {
      float spread = j % 16 == 5 ? 50 : 1;
      scales.push_back(exact ? std::ldexp(1.0f, int(random() % 4) - 5) *
                                   spread * (j % 16 == 5 ? 32.0f / 50 : 1)
                             : (0.02f + 0.02f * std::fabs(normal(random))) *
                                   spread);
      zeros.push_back(64 + int64_t(random() % 128));
      gamma.push_back(few((1 + 0.5f * normal(random)) * spread));
      beta.push_back(few(normal(random)));
    }
    for (int64_t i = 0; i < outputs * width; ++i)
      weights.push_back(0.05f * normal(random));
  }

  std::vector<float> scales, gamma, beta, weights;
  std::vector<int64_t> zeros;
};

std::string list(ArrayRef<float> values) {
  std::string text = "[";
  char number[32];
  for (size_t i = 0; i < values.size(); ++i) {
    std::snprintf(number, sizeof number, "%s%.9e", i ? ", " : "", values[i]);
    text += number;
  }
  return text + "]";
}

class ReparameterizeTest : public InterpretTest {
protected:
  /// L1 of LayerNorm, site L0.x and its two readers, a linear and a sum, whose
  /// results are returned side by side. `site` is the entry of the scheme.
  OwningOpRef<ModuleOp> build(const Channels &c, const std::string &site,
                              const std::string &weights = "") {
    std::string matrix;
    for (int64_t n = 0; n < outputs; ++n)
      matrix +=
          (n ? ", " : "") + list(ArrayRef(c.weights).slice(n * width, width));
    std::string text =
        "module attributes {tq.scheme = {sites = {L0.x = " + site +
        ", L0.h = \"fp32\"}, weights = {" + weights +
        "}}} {\nfunc.func @forward(%u: tensor<?x64xf32>) -> tensor<?x48xf32> "
        "{\n"
        "%gamma = arith.constant dense<" +
        list(c.gamma) +
        "> : tensor<64xf32>\n"
        "%beta = arith.constant dense<" +
        list(c.beta) +
        "> : tensor<64xf32>\n"
        "%w = arith.constant dense<[" +
        matrix +
        "]> : tensor<48x64xf32>\n"
        "%b = arith.constant dense<0.25> : tensor<48xf32>\n"
        "%0 = tq.layer_norm %u, %gamma, %beta {eps = 1.0e-12 : f64} : "
        "(tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> "
        "tensor<?x64xf32>\n"
        "%1 = tq.observe %0 {key = \"x\", layer = 0 : i64, site = \"L0.x\"} : "
        "tensor<?x64xf32>\n"
        "%2 = tq.linear %1, %w, %b : (tensor<?x64xf32>, tensor<48x64xf32>, "
        "tensor<48xf32>) -> tensor<?x48xf32>\n"
        "%3 = tq.observe %2 {key = \"h\", layer = 0 : i64, site = \"L0.h\"} : "
        "tensor<?x48xf32>\n"
        "%4 = tq.add %u, %1 : tensor<?x64xf32>\n"
        "%5 = tq.linear %4, %w, %b : (tensor<?x64xf32>, tensor<48x64xf32>, "
        "tensor<48xf32>) -> tensor<?x48xf32>\n"
        "%6 = tq.add %3, %5 : tensor<?x48xf32>\n"
        "return %6 : tensor<?x48xf32>\n}\n}\n";
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return nullptr;
    PassManager passes(&context);
    passes.addPass(createReparameterize());
    passes.addPass(createQuantize());
    return succeeded(passes.run(*module)) ? std::move(module) : nullptr;
  }

  static std::string groups(const Channels &c, const char *form) {
    std::string map, zeros, scales;
    for (int64_t j = 0; j < width; ++j) {
      char scale[32];
      std::snprintf(scale, sizeof scale, "%.9e", c.scales[j]);
      map += (j ? ", " : "") + std::to_string(j);
      zeros += (j ? ", " : "") + std::to_string(c.zeros[j]);
      scales += (j ? ", " : "") + std::string(scale);
    }
    return "{bits = 8 : i64, group_of = array<i64: " + map +
           ">, scales = array<f32: " + scales +
           ">, zeros = array<i64: " + zeros + ">" + form + "}";
  }

  struct Run {
    std::vector<int32_t> codes;
    std::vector<double> output;
  };

  Run runReal(ModuleOp module) {
    random.seed(21);
    Tensor u = floats(tokens, width);
    Run run;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      if (site.name == "L0.x")
        run.codes = site.value.toVector<int32_t>();
    };
    FailureOr<Tensor> output =
        Interpreter(module).run({u}, hooks, Arithmetic::Real);
    if (succeeded(output))
      run.output = output->toVector<double>();
    return run;
  }
};

TEST_F(ReparameterizeTest, E20CodesAreIdentical) {
  Channels channels(/*exact=*/true);
  OwningOpRef<ModuleOp> kept = build(channels, groups(channels, ""));
  OwningOpRef<ModuleOp> moved =
      build(channels, groups(channels, ", form = \"folded\""));
  ASSERT_TRUE(kept && moved) << message;
  Run a = runReal(*kept), b = runReal(*moved);
  ASSERT_EQ(a.codes.size(), size_t(tokens * width));
  ASSERT_GE(a.codes.size(), 1000000u);
  EXPECT_EQ(a.codes, b.codes);
  // The codes are used, both ends and what is between.
  auto [lo, hi] = std::minmax_element(a.codes.begin(), a.codes.end());
  EXPECT_EQ(*lo, 0);
  EXPECT_EQ(*hi, 255);
}

TEST_F(ReparameterizeTest, E20ProductsAndSumsAgree) {
  for (bool exact : {true, false}) {
    Channels channels(exact);
    OwningOpRef<ModuleOp> kept = build(channels, groups(channels, ""));
    OwningOpRef<ModuleOp> moved =
        build(channels, groups(channels, ", form = \"folded\""));
    ASSERT_TRUE(kept && moved) << message;
    Run a = runReal(*kept), b = runReal(*moved);
    ASSERT_EQ(a.codes.size(), b.codes.size());
    // What f32 rounds of moved gains can only tip values at a boundary.
    int64_t unequal = 0;
    std::vector<bool> same(tokens, true);
    for (size_t i = 0; i < a.codes.size(); ++i) {
      unequal += a.codes[i] != b.codes[i];
      ASSERT_LE(std::abs(a.codes[i] - b.codes[i]), 1);
      if (a.codes[i] != b.codes[i])
        same[i / width] = false;
    }
    EXPECT_LE(unequal, exact ? 0 : 20);
    double largest = 0, difference = 0;
    ASSERT_EQ(a.output.size(), size_t(tokens * outputs));
    ASSERT_EQ(a.output.size(), b.output.size());
    for (size_t i = 0; i < a.output.size(); ++i) {
      if (!same[i / outputs])
        continue;
      largest = std::max(largest, std::fabs(a.output[i]));
      difference = std::max(difference, std::fabs(a.output[i] - b.output[i]));
    }
    EXPECT_GT(largest, 1);
    EXPECT_LT(difference, 1e-6 * largest);
  }
}

TEST_F(ReparameterizeTest, E20SumsReadTheCodesByChannel) {
  Channels channels(/*exact=*/true);
  OwningOpRef<ModuleOp> moved =
      build(channels, groups(channels, ", form = \"folded\""));
  ASSERT_TRUE(moved) << message;
  // One tensor of codes, two readers of it.
  int quantizers = 0, vectors = 0;
  moved->walk([&](tq::QuantizeOp) { ++quantizers; });
  moved->walk([&](tq::ScaleShiftOp op) {
    ++vectors;
    EXPECT_TRUE(isa<tq::AddOp>(*op->user_begin()));
  });
  EXPECT_EQ(quantizers, 1);
  EXPECT_EQ(vectors, 1);
}

/// The percentile between two values as NumPy has it.
double percentile(std::vector<float> values, double percent) {
  std::sort(values.begin(), values.end());
  double at = percent / 100 * double(values.size() - 1);
  size_t below = size_t(at);
  double rest = at - double(below);
  return below + 1 < values.size()
             ? values[below] +
                   rest * (double(values[below + 1]) - values[below])
             : values[below];
}

TEST_F(ReparameterizeTest, E21MovedWeightsAreQuantizedAnew) {
  Channels channels(/*exact=*/false);
  std::vector<int64_t> groupOf(width);
  for (int64_t j = 0; j < width; ++j)
    groupOf[j] = j;
  FoldedGroups folded = foldGroups(groupOf, channels.scales, channels.zeros);
  for (double percent : {100.0, 97.0}) {
    std::string weights =
        "linear = {bits = 4 : i64, granularity = \"channel\", symmetric = "
        "false, estimator = \"percentile\", percentile = " +
        std::to_string(percent) + " : f64}";
    OwningOpRef<ModuleOp> module =
        build(channels, groups(channels, ", form = \"folded\""), weights);
    ASSERT_TRUE(module) << message;
    tq::DequantizeWeightOp weight;
    module->walk([&](tq::LinearOp linear) {
      // The one behind the site.
      if (linear.getX().getDefiningOp<tq::DequantizeOp>())
        weight = linear.getW().getDefiningOp<tq::DequantizeWeightOp>();
    });
    ASSERT_TRUE(weight && weight.getZeros());
    auto codes = tq::getConstantData<int8_t>(weight.getCodes());
    auto scales = tq::getConstantData<float>(weight.getScales());
    auto zeros = tq::getConstantData<int32_t>(weight.getZeros());
    ASSERT_TRUE(codes && scales && zeros);
    for (int64_t n = 0; n < outputs; ++n) {
      std::vector<float> row;
      for (int64_t j = 0; j < width; ++j)
        row.push_back(float(double(channels.weights[n * width + j]) *
                            folded.channelScale[j]));
      double lo = percentile(row, 100 - percent), hi = percentile(row, percent);
      float scale = float((hi - lo) / 15);
      double zero = std::nearbyint(-lo / scale);
      ASSERT_EQ((*scales)[n], scale);
      ASSERT_EQ((*zeros)[n], int32_t(zero) - 8);
      for (int64_t j = 0; j < width; ++j)
        ASSERT_EQ(
            (*codes)[n * width + j],
            int(std::clamp(std::nearbyint(row[j] / scale) + zero, 0.0, 15.0)) -
                8);
    }
  }
}

} // namespace
