//===- BlocksTest.cpp - Weights with scales of heads, row E19 -------------===//
//
// Weights learned by heads (quantization.md 3.2): each block of columns, or of
// rows, has a step and bits of its own. The simulation against the published
// formula, the integer graph against the simulation, and the sums of each block
// against loops.
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

constexpr int64_t inputs = 96, outputs = 24, tokens = 64, heads = 4;
constexpr int64_t blockSize = inputs / heads;
constexpr float steps[heads] = {0.31f, 0.011f, 0.07f, 0.0043f};
constexpr int bits[heads] = {2, 7, 3, 8};
constexpr float sx = 0.0171f, sy = 0.11f;
constexpr int64_t zx = 117, zy = 131;

/// Values with some channels fifty times as wide.
std::vector<float> withOutliers(std::mt19937 &random, int64_t rows,
                                int64_t cols, float sigma) {
  std::normal_distribution<float> normal(0, sigma);
  std::vector<float> values(rows * cols);
  for (int64_t i = 0; i < rows * cols; ++i)
    values[i] = normal(random) * (i % cols % 31 == 5 ? 50 : 1);
  return values;
}

/// alpha round(clamp(w / alpha)) in codes.
int codeOf(float w, int head) {
  float lo = float(-(1 << (bits[head] - 1)));
  return int(std::nearbyint(std::clamp(w / steps[head], lo, -lo - 1)));
}

class BlocksTest : public InterpretTest {
protected:
  /// A product with weights of heads; its inputs are made by one without, and
  /// may have codes with a real offset, or as many groups.
  void build(const std::string &along, const std::string &offset = "",
             int64_t groups = 0) {
    first = withOutliers(random, inputs, inputs, 0.02f);
    w = withOutliers(random, outputs, inputs, 0.1f);
    b = withOutliers(random, 1, outputs, 0.5f);
    std::string site =
        groups ? groupsOf(groups)
        : offset.empty()
            ? "scale = 0.0171 : f32, zero = 117 : i64"
            : "scale = 0.0171 : f32, zero = 0 : i64, offset = " + offset +
                  " : f64";
    std::string text =
        "module attributes {tq.scheme = {sites = {"
        "L0.z = {bits = 8 : i64, scale = 0.05 : f32, zero = 120 : i64}, "
        "L0.c = {bits = 8 : i64, " +
        site +
        "}, L0.g = {bits = 8 : i64, scale = 0.11 : f32, zero = 131 : i64}}, "
        "weights = {linear = {bits = 8 : i64, granularity = \"tensor\", "
        "estimator = \"minmax\"}}, scales = {"
        "first = array<f32: 0.001>, second = {scales = "
        "array<f32: 0.31, 0.011, 0.07, 0.0043>, bits = array<i64: 2, 7, 3, 8>, "
        "along = \"" +
        along +
        "\"}}}} {\n"
        "func.func @forward(%a: tensor<?x96xf32>) -> tensor<?x24xf32> {\n"
        "%v = arith.constant {tq.name = \"first\"} dense<" +
        list(first, inputs) +
        "> : tensor<96x96xf32>\n"
        "%o = arith.constant dense<0.0> : tensor<96xf32>\n"
        "%w = arith.constant {tq.name = \"second\"} dense<" +
        list(w, inputs) +
        "> : tensor<24x96xf32>\n"
        "%b = arith.constant dense<" +
        list(b, 0) +
        "> : tensor<24xf32>\n"
        "%0 = tq.observe %a {key = \"z\", layer = 0 : i64, site = \"L0.z\"} : "
        "tensor<?x96xf32>\n"
        "%1 = tq.linear %0, %v, %o : (tensor<?x96xf32>, tensor<96x96xf32>, "
        "tensor<96xf32>) -> tensor<?x96xf32>\n"
        "%2 = tq.observe %1 {key = \"c\", layer = 0 : i64, site = \"L0.c\"} : "
        "tensor<?x96xf32>\n"
        "%3 = tq.linear %2, %w, %b : (tensor<?x96xf32>, tensor<24x96xf32>, "
        "tensor<24xf32>) -> tensor<?x24xf32>\n"
        "%4 = tq.observe %3 {key = \"g\", layer = 0 : i64, site = \"L0.g\"} : "
        "tensor<?x24xf32>\n"
        "return %4 : tensor<?x24xf32>\n}\n}\n";
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module) << message;
    PassManager passes(&context);
    passes.addPass(createQuantize());
    ASSERT_TRUE(succeeded(passes.run(*module))) << message;
  }

  static double scaleOf(int64_t group) { return 0.01 + 0.002 * double(group); }
  static int64_t zeroOf(int64_t group) { return 117 + group; }

  /// Blocks of columns with scales and zero points of their own.
  static std::string groupsOf(int64_t groups) {
    std::string map, scales, zeros;
    for (int64_t k = 0; k < inputs; ++k)
      map += (k ? ", " : "") + std::to_string(k * groups / inputs);
    for (int64_t g = 0; g < groups; ++g) {
      scales += (g ? ", " : "") + std::to_string(scaleOf(g));
      zeros += (g ? ", " : "") + std::to_string(zeroOf(g));
    }
    return "group_of = array<i64: " + map + ">, scales = array<f32: " + scales +
           ">, zeros = array<i64: " + zeros + ">";
  }

  static std::string list(const std::vector<float> &values, size_t cols) {
    std::string text = cols ? "[[" : "[";
    char number[32];
    for (size_t i = 0; i < values.size(); ++i) {
      const char *between = !i ? "" : cols && i % cols == 0 ? "], [" : ", ";
      std::snprintf(number, sizeof number, "%s%.9e", between, values[i]);
      text += number;
    }
    return text + (cols ? "]]" : "]");
  }

  OwningOpRef<ModuleOp> integers() {
    OwningOpRef<ModuleOp> integer = module->clone();
    PassManager passes(&context);
    buildRewritePipeline(passes);
    EXPECT_TRUE(succeeded(passes.run(*integer))) << message;
    return integer;
  }

  using Codes = std::map<std::string, std::vector<int32_t>>;

  /// The codes of all sites; with `given`, the inputs of the product are those.
  Codes run(ModuleOp what, const Tensor &a, const Codes *given = nullptr) {
    Codes codes;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      codes[site.name.str()] = site.value.toVector<int32_t>();
    };
    if (given)
      hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
        if (site.name != "L0.c")
          return std::nullopt;
        return Tensor::of(std::vector<int32_t>(given->at("L0.c")),
                          site.value.getShape());
      };
    EXPECT_TRUE(succeeded(Interpreter(what).run({a}, hooks))) << message;
    return codes;
  }

  /// Scale and zero point of a group of inputs, the block of the weight's
  /// columns that it lies in, and where it ends.
  struct Group {
    double scale;
    int64_t zero;
    int block;
    int64_t end;
  };

  /// Holds the integer graph's results against loops over `groups`, and within
  /// one code of the simulation's; how many are not equal.
  int64_t expectSums(const Codes &real, const Codes &ours,
                     const std::vector<Group> &groups) {
    const auto &x = real.at("L0.c");
    const auto &expected = real.at("L0.g"), &got = ours.at("L0.g");
    int64_t unequal = 0;
    for (int64_t i = 0; i < tokens * outputs; ++i) {
      const int64_t t = i / outputs, n = i % outputs;
      // The f32 sums of the op's description over exact sums of the groups.
      float v = 0;
      int64_t k = 0;
      for (const Group &group : groups) {
        bool isFirst = k == 0;
        int64_t acc = 0;
        for (; k < group.end; ++k)
          acc += (x[t * inputs + k] - group.zero) *
                 codeOf(w[n * inputs + k], group.block);
        double scale = group.scale * double(steps[group.block]);
        float part = float(acc) * float(scale / double(sy));
        v = isFirst ? part : v + part;
      }
      v += float(double(b[n]) / double(sy) + double(zy));
      int32_t code = int32_t(std::nearbyintf(std::clamp(v, 0.0f, 255.0f)));
      EXPECT_EQ(got[i], code) << t << ", " << n;
      EXPECT_LE(std::abs(code - expected[i]), 1);
      unequal += code != expected[i];
    }
    return unequal;
  }

  /// The block of a weight, of columns or of rows.
  static int64_t headOf(int64_t row, int64_t col, bool ofColumns) {
    return ofColumns ? col / blockSize : row / (outputs / heads);
  }

  std::vector<float> first, w, b;
};

using E19 = BlocksTest;

/// Codes of the simulation are those of the published formula.
TEST_F(E19, SimulationIsThePublishedFormula) {
  for (bool ofColumns : {true, false}) {
    build(ofColumns ? "columns" : "rows");
    Tensor a = floats(tokens, inputs, 3);
    auto codes = run(*module, a);
    const auto &x = codes.at("L0.c"), &y = codes.at("L0.g");
    ASSERT_EQ(y.size(), size_t(tokens * outputs));
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t n = 0; n < outputs; ++n) {
        double sum = b[n];
        for (int64_t k = 0; k < inputs; ++k) {
          int64_t head = headOf(n, k, ofColumns);
          sum += double(sx) * double(x[t * inputs + k] - zx) *
                 double(steps[head]) * codeOf(w[n * inputs + k], int(head));
        }
        double code = std::clamp(std::nearbyint(sum / double(sy)) + double(zy),
                                 0.0, 255.0);
        ASSERT_EQ(y[t * outputs + n], int(code)) << t << ", " << n;
      }
  }
}

/// Integer sums of the blocks of columns, exact, and results within one code.
TEST_F(E19, BlocksOfColumnsAreGroups) {
  build("columns");
  OwningOpRef<ModuleOp> integer = integers();
  tq::QGroupLinearOp product;
  integer->walk([&](tq::QGroupLinearOp op) { product = op; });
  ASSERT_TRUE(product);
  EXPECT_EQ(product.getBlocks()->vec(), (std::vector<int64_t>{24, 48, 72, 96}));
  Tensor a = floats(tokens, inputs, 3);
  Codes real = run(*module, a), ours = run(*integer, a, &real);
  std::vector<Group> groups;
  for (int g = 0; g < heads; ++g)
    groups.push_back({double(sx), zx, g, (g + 1) * blockSize});
  int64_t unequal = expectSums(real, ours, groups);
  EXPECT_LE(unequal, tokens * outputs / 1000);
}

/// Groups of the inputs: each in one block of the weight, which has its own
/// step, or in several, and then each of its parts has a sum.
TEST_F(E19, GroupsOfInputsInBlocks) {
  for (int64_t groups : {2 * heads, int64_t(3), int64_t(1), int64_t(6)}) {
    SCOPED_TRACE(groups);
    build("columns", "", groups);
    OwningOpRef<ModuleOp> integer = integers();
    tq::QGroupLinearOp product;
    integer->walk([&](tq::QGroupLinearOp op) { product = op; });
    ASSERT_TRUE(product);
    // Parts end with groups and with blocks.
    std::vector<Group> parts;
    std::vector<int64_t> ends;
    for (int64_t end = 1; end <= inputs; ++end) {
      int64_t g = (end - 1) * groups / inputs;
      if (end * groups / inputs == g && end % blockSize != 0)
        continue;
      parts.push_back({double(float(scaleOf(g))), zeroOf(g),
                       int((end - 1) / blockSize), end});
      ends.push_back(end);
    }
    bool isWithin = groups % heads == 0;
    EXPECT_EQ(bool(product.getBlocks()), !isWithin);
    if (!isWithin)
      EXPECT_EQ(product.getBlocks()->vec(), ends);
    EXPECT_EQ(product.getGroupCount(), int64_t(ends.size()));
    Tensor a = floats(tokens, inputs, 3);
    Codes real = run(*module, a), ours = run(*integer, a, &real);
    expectSums(real, ours, parts);
  }
}

/// Blocks of rows cost nothing: a scale for each output.
TEST_F(E19, BlocksOfRowsAreAPlainProduct) {
  build("rows");
  OwningOpRef<ModuleOp> integer = integers();
  int products = 0;
  integer->walk([&](tq::QLinearOp) { ++products; });
  EXPECT_EQ(products, 2);
  Tensor a = floats(tokens, inputs, 3);
  Codes real = run(*module, a);
  EXPECT_EQ(real.at("L0.g"), run(*integer, a, &real).at("L0.g"));
}

/// A real offset of the inputs goes into the bias, block by block.
TEST_F(E19, OffsetOfTheInputs) {
  build("columns", "-1.43");
  OwningOpRef<ModuleOp> integer = integers();
  int products = 0;
  integer->walk([&](tq::QGroupLinearOp) { ++products; });
  EXPECT_EQ(products, 1);
  Tensor a = floats(tokens, inputs, 3);
  Codes real = run(*module, a), ours = run(*integer, a, &real);
  const auto &expected = real.at("L0.g"), &got = ours.at("L0.g");
  auto [lo, hi] = std::minmax_element(expected.begin(), expected.end());
  EXPECT_GT(*hi - *lo, 50);
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::abs(got[i] - expected[i]), 1);
}

} // namespace
