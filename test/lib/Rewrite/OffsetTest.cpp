//===- OffsetTest.cpp - Codes with a real offset, row E18 -----------------===//
//
// An FFN whose LayerNorm output and GELU output have codes of an LSQ quantizer,
// x = s q + beta with a real beta (quantization.md 3.2): what it becomes in
// integers, with beta in offsets and biases, against the float formula.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"
#include "lib/Rewrite/Passes.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "mlir/Pass/PassManager.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;

namespace {

constexpr int64_t width = 16, inner = 24, tokens = 200;
constexpr double sx = 0.171, betaX = -1.43, sf = 0.0437, betaF = -0.17;

class OffsetTest : public InterpretTest {
protected:
  std::vector<float> numbers(int64_t count, float sigma) {
    std::normal_distribution<float> normal(0, sigma);
    std::vector<float> values(count);
    for (float &value : values)
      value = normal(random);
    return values;
  }

  static std::string list(ArrayRef<float> values) {
    std::string text = "[";
    char number[32];
    for (size_t i = 0; i < values.size(); ++i) {
      std::snprintf(number, sizeof number, "%s%.9e", i ? ", " : "", values[i]);
      text += number;
    }
    return text + "]";
  }
  static std::string matrix(ArrayRef<float> values, int64_t cols) {
    std::string text;
    for (size_t at = 0; at < values.size(); at += cols)
      text += (at ? ", " : "[") + list(values.slice(at, cols));
    return text + "]";
  }

  void build(const std::string &keyOfF = "f") {
    gamma = numbers(width, 1);
    beta = numbers(width, 1);
    w1 = numbers(inner * width, 0.3f);
    b1 = numbers(inner, 0.3f);
    w2 = numbers(width * inner, 0.3f);
    b2 = numbers(width, 0.3f);
    std::string text =
        "module attributes {tq.scheme = {sites = {"
        "L0.g = {bits = 16 : i64, scale = 1.0e-3 : f32, zero = 30000 : i64}, "
        "L0.u = {bits = 16 : i64, scale = 1.0e-3 : f32, zero = 30000 : i64}, "
        "L0.x = {bits = 5 : i64, scale = 0.171 : f32, zero = 0 : i64, offset = "
        "-1.43 : f64}, "
        "L0.f = {bits = 6 : i64, scale = 0.0437 : f32, zero = 0 : i64, offset "
        "= -0.17 : f64}, L0.h = \"fp32\"}, "
        "weights = {linear = {bits = 8 : i64, granularity = \"channel\", "
        "estimator = \"minmax\"}}}} {\n"
        "func.func @forward(%a: tensor<?x16xf32>) -> tensor<?x16xf32> {\n"
        "%g = arith.constant dense<" +
        list(gamma) +
        "> : tensor<16xf32>\n"
        "%s = arith.constant dense<" +
        list(beta) +
        "> : tensor<16xf32>\n"
        "%w1 = arith.constant dense<" +
        matrix(w1, width) +
        "> : tensor<24x16xf32>\n"
        "%b1 = arith.constant dense<" +
        list(b1) +
        "> : tensor<24xf32>\n"
        "%w2 = arith.constant dense<" +
        matrix(w2, inner) +
        "> : tensor<16x24xf32>\n"
        "%b2 = arith.constant dense<" +
        list(b2) +
        "> : tensor<16xf32>\n"
        "%r = tq.observe %a {key = \"g\", layer = 0 : i64, site = \"L0.g\"} : "
        "tensor<?x16xf32>\n"
        "%v = tq.add %r, %r : tensor<?x16xf32>\n"
        "%u = tq.observe %v {key = \"u\", layer = 0 : i64, site = \"L0.u\"} : "
        "tensor<?x16xf32>\n"
        "%0 = tq.layer_norm %u, %g, %s {eps = 1.0e-12 : f64} : "
        "(tensor<?x16xf32>, tensor<16xf32>, tensor<16xf32>) -> "
        "tensor<?x16xf32>\n"
        "%1 = tq.observe %0 {key = \"x\", layer = 0 : i64, site = \"L0.x\"} : "
        "tensor<?x16xf32>\n"
        "%2 = tq.linear %1, %w1, %b1 : (tensor<?x16xf32>, tensor<24x16xf32>, "
        "tensor<24xf32>) -> tensor<?x24xf32>\n"
        "%3 = tq.gelu %2 : tensor<?x24xf32>\n"
        "%4 = tq.observe %3 {key = \"" +
        keyOfF +
        "\", layer = 0 : i64, site = \"L0.f\"} : tensor<?x24xf32>\n"
        "%5 = tq.linear %4, %w2, %b2 : (tensor<?x24xf32>, tensor<16x24xf32>, "
        "tensor<16xf32>) -> tensor<?x16xf32>\n"
        "%6 = tq.observe %5 {key = \"h\", layer = 0 : i64, site = \"L0.h\"} : "
        "tensor<?x16xf32>\n"
        "return %6 : tensor<?x16xf32>\n}\n}\n";
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module) << message;
  }

  bool quantize() {
    PassManager passes(&context);
    passes.addPass(createQuantize());
    return succeeded(passes.run(*module));
  }

  struct Run {
    std::map<std::string, std::vector<int32_t>> codes;
    std::vector<double> output;
  };
  Run runIt(ModuleOp what, const Tensor &a, const Run *forced = nullptr) {
    Run run;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      run.codes[site.name.str()] = site.value.toVector<int32_t>();
    };
    if (forced)
      hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
        auto found = forced->codes.find(site.name.str());
        if (found == forced->codes.end())
          return std::nullopt;
        return Tensor::of(std::vector<int32_t>(found->second),
                          site.value.getShape());
      };
    FailureOr<Tensor> output = Interpreter(what).run({a}, hooks);
    if (succeeded(output))
      run.output = output->toVector<double>();
    return run;
  }

  std::vector<float> gamma, beta, w1, b1, w2, b2;
};

/// clamp(round((x - beta) / s)), the quantizer of the published code.
int codeOf(double x, double s, double offset, int top) {
  return int(
      std::clamp(std::nearbyint((x - offset) / float(s)), 0.0, double(top)));
}

TEST_F(OffsetTest, E18OffsetsGoIntoBiases) {
  build();
  ASSERT_TRUE(quantize()) << message;
  OwningOpRef<ModuleOp> integer = module->clone();
  PassManager passes(&context);
  buildRewritePipeline(passes);
  ASSERT_TRUE(succeeded(passes.run(*integer))) << message;
  int products = 0, floats = 0;
  integer->walk([&](tq::QLinearOp) { ++products; });
  integer->walk([&](tq::LinearOp) { ++floats; });
  EXPECT_EQ(products, 2);
  EXPECT_EQ(floats, 0);

  Tensor a = this->floats(tokens, width, 3);
  Run real = runIt(*module, a), ours = runIt(*integer, a, &real);
  ASSERT_EQ(real.codes.at("L0.x").size(), size_t(tokens * width));
  ASSERT_EQ(real.output.size(), size_t(tokens * width));
  ASSERT_EQ(ours.output.size(), real.output.size()) << message;
  // Site by site from the same codes before.
  EXPECT_EQ(ours.codes.at("L0.u"), real.codes.at("L0.u"));
  for (const char *site : {"L0.x", "L0.f"}) {
    const auto &expected = real.codes.at(site), &got = ours.codes.at(site);
    ASSERT_EQ(got.size(), expected.size());
    int unequal = 0;
    for (size_t i = 0; i < got.size(); ++i)
      unequal += got[i] != expected[i];
    EXPECT_EQ(unequal, 0) << site;
    auto [lo, hi] = std::minmax_element(got.begin(), got.end());
    EXPECT_GT(*hi - *lo, 20) << site;
  }
  double largest = 0, difference = 0;
  for (size_t i = 0; i < real.output.size(); ++i) {
    largest = std::max(largest, std::fabs(real.output[i]));
    difference =
        std::max(difference, std::fabs(real.output[i] - ours.output[i]));
  }
  EXPECT_GT(largest, 1);
  EXPECT_LT(difference, 1e-6 * largest);
}

TEST_F(OffsetTest, E18SimulationIsThePublishedFormula) {
  build();
  ASSERT_TRUE(quantize()) << message;
  Tensor a = floats(tokens, width, 3);
  Run real = runIt(*module, a);
  const auto &x = real.codes.at("L0.x"), &f = real.codes.at("L0.f");
  const auto &u = real.codes.at("L0.u");
  for (int64_t t = 0; t < tokens; ++t) {
    double mean = 0, square = 0;
    std::vector<double> sum(width);
    for (int64_t j = 0; j < width; ++j) {
      sum[j] = double(1e-3f) * (u[t * width + j] - 30000);
      mean += sum[j] / width;
    }
    for (double value : sum)
      square += (value - mean) * (value - mean) / width;
    for (int64_t j = 0; j < width; ++j) {
      double value =
          (sum[j] - mean) / std::sqrt(square + 1e-12) * gamma[j] + beta[j];
      ASSERT_EQ(x[t * width + j], codeOf(value, sx, betaX, 31));
    }
  }
  // 6 bits of f, from its smallest value on.
  EXPECT_EQ(*std::min_element(f.begin(), f.end()), 0);
  EXPECT_LE(*std::max_element(f.begin(), f.end()), 63);
  EXPECT_EQ(codeOf(-0.17, sf, betaF, 63), 0);
}

TEST_F(OffsetTest, SitesOfIntegerZeroPointsAreRefused) {
  build("q");
  EXPECT_FALSE(quantize());
  EXPECT_NE(message.find("site 'L0.f' has a real offset"), std::string::npos)
      << message;
}

} // namespace
