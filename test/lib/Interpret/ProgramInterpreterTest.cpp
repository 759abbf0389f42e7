//===- ProgramInterpreterTest.cpp - L3 against L2, site by site -----------===//
//
// Part of Quern. A small encoder of random constants, as a graph and tiled:
// the interpreters of both give the same result and the same value at every
// site, bit for bit, in codes and in f32.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/ProgramInterpreter.h"
#include "lib/Tile/TilePasses.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "dialects/TK/TKDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <map>

using namespace quern;

namespace {

/// A one-layer encoder of L2 ops with random constants.
class ProgramTest : public InterpretTest {
protected:
  ProgramTest() {
    context.loadDialect<mlir::math::MathDialect, mlir::memref::MemRefDialect,
                        mlir::scf::SCFDialect, mlir::vector::VectorDialect,
                        tk::TKDialect>();
  }
  static constexpr int Hidden = 20, Inner = 40;

  template <typename Draw> std::string dense(int rows, int width, Draw draw) {
    std::string text;
    for (int r = 0; r < (rows ? rows : 1); ++r) {
      text += r ? ", " : "";
      text += rows ? "[" : "";
      for (int c = 0; c < width; ++c)
        text += (c ? ", " : "") + std::to_string(draw());
      text += rows ? "]" : "";
    }
    return "dense<[" + text + "]>";
  }
  std::string shape(int rows, int width, const std::string &element) {
    return "tensor<" + (rows ? std::to_string(rows) + "x" : "") +
           std::to_string(width) + "x" + element + ">";
  }
  /// Declares a random constant and returns its name.
  std::string bytes(int rows, int width) {
    std::uniform_int_distribution<int> d(-128, 127);
    return declare(dense(rows, width, [&] { return d(random); }),
                   shape(rows, width, "i8"));
  }
  std::string floats(int width, double low, double high) {
    std::uniform_real_distribution<double> d(low, high);
    return declare(dense(0, width, [&] { return d(random); }),
                   shape(0, width, "f32"));
  }
  std::string integers(int width) {
    std::uniform_int_distribution<int> d(-3000, 3000);
    return declare(dense(0, width, [&] { return d(random); }),
                   shape(0, width, "i32"));
  }
  std::string declare(const std::string &value, const std::string &type) {
    std::string name = "%k" + std::to_string(constants++);
    body += name + " = arith.constant " + value + " : " + type + "\n";
    return name;
  }
  std::string code(int width) {
    return "tensor<?x" + std::to_string(width) + "x" + U8 + ">";
  }
  /// Appends a product and returns its result.
  std::string linear(const std::string &x, int from, int to,
                     const std::string &attributes, double offset,
                     const std::string &result) {
    std::string w = bytes(to, from), c = integers(to);
    double spread = 60.0 / (128 * 74 * std::sqrt(double(from)));
    bool isReal = attributes.find("activation") != std::string::npos;
    double m = isReal ? spread / 20 : spread;
    std::string mul = floats(to, 0.5 * m, m);
    std::string off = floats(to, offset - 1, offset + 1);
    return op("qlinear", {x, w, c, mul, off}, attributes,
              {code(from), shape(to, from, "i8"), shape(0, to, "i32"),
               shape(0, to, "f32"), shape(0, to, "f32")},
              result);
  }
  std::string norm(const std::string &a, const std::string &b,
                   const std::string &sites) {
    std::string v = shape(0, Hidden, "f32");
    return op("qadd_norm",
              {a, b, floats(Hidden, 0.4, 0.6), floats(Hidden, 0.4, 0.6),
               floats(Hidden, -5, 5), floats(Hidden, 20, 50),
               floats(Hidden, 100, 150)},
              "sum_scale = 0.05 : f32, sum_zero = 128 : i64, eps = 1.0e-12 : "
              "f64, sites = [" +
                  sites + "]",
              {code(Hidden), code(Hidden), v, v, v, v, v}, code(Hidden));
  }
  std::string op(const std::string &name, std::vector<std::string> operands,
                 const std::string &attributes, std::vector<std::string> types,
                 const std::string &result) {
    auto list = [](const std::vector<std::string> &parts) {
      std::string text;
      for (const std::string &part : parts)
        text += (text.empty() ? "" : ", ") + part;
      return text;
    };
    std::string value = "%v" + std::to_string(values++);
    body += value + " = tq." + name + " " + list(operands) + " {" + attributes +
            "} : (" + list(types) + ") -> " + result + "\n";
    return value;
  }
  void build();
  void checkProgram(int width, Arithmetic arithmetic, size_t siteCount);

  const std::string U8 = "!quant.uniform<u8:f32, 0.1:128>";
  std::string body;
  int constants = 0, values = 0;
};

void ProgramTest::build() {
  std::string i = "tensor<?xi32>", h = shape(0, Hidden, "f32"),
              one = shape(0, 1, "f32"), e = shape(0, 16, "f32");
  std::string x = op(
      "qembed",
      {"%i", "%t", "%p", bytes(30, Hidden), bytes(2, Hidden), bytes(16, Hidden),
       floats(30, 0.01, 0.02), floats(1, 0.01, 0.02), floats(1, 0.01, 0.02),
       floats(Hidden, 20, 50), floats(Hidden, 100, 150)},
      "e1_multiplier = 30.0 : f32, e1_zero = 120 : i64, e1_scale = 0.0333 : "
      "f32, e2_multiplier = 25.0 : f32, e2_zero = 130 : i64, e2_scale = 0.04 "
      ": f32, eps = 1.0e-12 : f64, sites = [\"E.t\", \"E.e\", \"E.z\"]",
      {i, i, i, shape(30, Hidden, "i8"), shape(2, Hidden, "i8"),
       shape(16, Hidden, "i8"), shape(0, 30, "f32"), one, one, h, h},
      code(Hidden));
  std::string qkv = linear(
      x, Hidden, 3 * Hidden, "sites = [\"L0.q\", \"L0.k\", \"L0.v\"]", 128,
      "tensor<?x60x!tq.group<u8, axis = 1, map = [0 x 20, 1 x 20, 2 x 20], "
      "params = [0.1:120, 0.1:131, 0.1:100]>>");
  std::string high, low;
  for (int n = 0; n < 16; ++n) {
    high +=
        (n ? ", " : "") + std::to_string(std::exp(-16 * n * 0.05) * 8388607);
    low += (n ? ", " : "") + std::to_string(std::exp(-n * 0.05));
  }
  std::string c = op(
      "qattention",
      {qkv, "%o", declare("dense<[" + high + "]>", e),
       declare("dense<[" + low + "]>", e)},
      "heads = 2 : i64, head_dim = 10 : i64, zq = 120 : i64, zk = 131 : i64, "
      "zv = 100 : i64, score_multiplier = 0.004 : f32, score_offset = 128.0 : "
      "f32, prob_multiplier = 255.0 : f32, context_multiplier = 0.005 : f32, "
      "context_offset = 110.0 : f32, sites = [\"L0.s\", \"L0.p\", \"L0.c\"]",
      {"tensor<?x60x!tq.group<u8, axis = 1, map = [0 x 20, 1 x 20, 2 x 20], "
       "params = [0.1:120, 0.1:131, 0.1:100]>>",
       i, e, e},
      code(Hidden));
  std::string g =
      linear(c, Hidden, Hidden, "sites = [\"L0.g\"]", 128, code(Hidden));
  x = norm(g, x, "\"L0.u\", \"L0.x\"");
  std::string f =
      linear(x, Hidden, Inner,
             "activation = #tq.activation<gelu>, post_multiplier = 40.0 : f32, "
             "post_offset = 9.0 : f32, sites = [\"L0.f\"]",
             0, code(Inner));
  std::string y =
      linear(f, Inner, Hidden, "sites = [\"L0.h\"]", 128, code(Hidden));
  x = norm(y, x, "\"L0.y\", \"L0.z\"");
  std::string pooled = op("qpool", {x, "%o"}, "kind = #tq.pool_kind<cls>",
                          {code(Hidden), i}, code(Hidden));
  std::string p = linear(
      pooled, Hidden, Hidden,
      "activation = #tq.activation<tanh>, post_multiplier = 127.0 : f32, "
      "post_offset = 128.0 : f32, sites = [\"P\"]",
      0, code(Hidden));
  std::string out =
      linear(p, Hidden, 3, "sites = [\"C\"]", 0, "tensor<?x3xf32>");
  body += "return " + out + " : tensor<?x3xf32>\n";
}

/// Runs `body` as a graph and tiled, and compares result and sites.
void ProgramTest::checkProgram(int width, Arithmetic arithmetic,
                               size_t siteCount) {
  std::string type = "tensor<?x" + std::to_string(width) + "xf32>";
  std::string text =
      "module attributes {tq.model = {family = \"bert\", head = "
      "\"classification\", max_length = 16 : i64}} {\nfunc.func "
      "@forward(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %o: "
      "tensor<?xi32>) -> " +
      type + " {\n" + body + "}\n}\n";
  module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module) << message << "\n" << text;

  // Lengths around the block sizes, one sequence of one token.
  std::vector<int32_t> ids, types, positions, offsets = {0};
  for (int length : {1, 16, 7, 3}) {
    for (int t = 0; t < length; ++t) {
      ids.push_back(random() % 30);
      types.push_back(t > length / 2);
      positions.push_back(t);
    }
    offsets.push_back(ids.size());
  }
  std::vector<Tensor> inputs = {ints(ids), ints(types), ints(positions),
                                ints(offsets)};
  std::map<std::string, std::vector<double>> graph, program, *sites = &graph;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    (*sites)[site.name.str()] = site.value.toVector<double>();
  };
  auto expected = run(inputs, hooks, arithmetic).toVector<double>();
  ASSERT_EQ(expected.size(), size_t(4 * width)) << message;

  mlir::PassManager pm(&context);
  buildTilePipeline(pm);
  ASSERT_TRUE(mlir::succeeded(pm.run(*module))) << message;
  sites = &program;
  auto result = ProgramInterpreter(*module).run(inputs, hooks);
  ASSERT_TRUE(mlir::succeeded(result)) << message;
  EXPECT_EQ(result->toVector<double>(), expected);
  EXPECT_EQ(graph.size(), siteCount);
  for (auto &[name, value] : graph) {
    EXPECT_EQ(program[name], value) << name;
    // The constants keep codes away from the ends, or equality says little.
    if (name != "L0.p") {
      std::map<double, int> counts;
      for (double v : value)
        ++counts[v];
      EXPECT_GT(counts.size(), value.size() / 8 > 20 ? 20 : 2) << name;
    }
  }
}

TEST_F(ProgramTest, EverySiteEqualsTheGraph) {
  build();
  checkProgram(3, Arithmetic::Auto, 18);
}

/// The same for L0 ops in f32: fused kernels must keep the contract.
TEST_F(ProgramTest, FloatProgramsEqualTheGraph) {
  auto matrix = [&](int rows, int width) {
    std::normal_distribution<double> d(0, 1 / std::sqrt(double(width)));
    return declare(dense(rows, width, [&] { return d(random); }),
                   shape(rows, width, "f32"));
  };
  std::string X = "tensor<?x20xf32>", S = "tensor<2x?xf32>";
  std::string i = "tensor<?xi32>", v = shape(0, Hidden, "f32");
  auto observe = [&](const std::string &x, const std::string &site,
                     const std::string &type) {
    std::string value = "%v" + std::to_string(values++);
    body += value + " = tq.observe " + x + " {key = \"k\", site = \"" + site +
            "\"} : " + type + "\n";
    return value;
  };
  auto same = [&](const std::string &name, const std::string &operands,
                  const std::string &type) {
    std::string value = "%v" + std::to_string(values++);
    body += value + " = tq." + name + " " + operands + " : " + type + "\n";
    return value;
  };
  auto product = [&](const std::string &x, int from, int to) {
    std::string w = matrix(to, from), b = floats(to, -1, 1);
    return op("linear", {x, w, b}, "",
              {"tensor<?x" + std::to_string(from) + "xf32>",
               shape(to, from, "f32"), shape(0, to, "f32")},
              "tensor<?x" + std::to_string(to) + "xf32>");
  };
  auto layerNorm = [&](const std::string &x) {
    return op("layer_norm", {x, floats(Hidden, 0.5, 2), floats(Hidden, -1, 1)},
              "eps = 1.0e-12 : f64", {X, v, v}, X);
  };
  auto gather = [&](const std::string &index, int rows) {
    return op("embedding", {matrix(rows, Hidden), index}, "",
              {shape(rows, Hidden, "f32"), i}, X);
  };
  std::string words = gather("%i", 30), kinds = gather("%t", 2);
  std::string x = observe(same("add", words + ", " + kinds, X), "E.t", X);
  x = observe(same("add", x + ", " + gather("%p", 16), X), "E.e", X);
  x = observe(layerNorm(x), "E.z", X);
  std::string q = observe(product(x, Hidden, Hidden), "L0.q", X);
  std::string k = observe(product(x, Hidden, Hidden), "L0.k", X);
  std::string w = observe(product(x, Hidden, Hidden), "L0.v", X);
  std::string s = op("scores", {q, k, "%o"}, "heads = 2 : i64", {X, X, i}, S);
  s = observe(s, "L0.s", S);
  std::string p =
      op("softmax", {s, "%o"}, "scale = 0.31622776 : f32", {S, i}, S);
  p = observe(p, "L0.p", S);
  std::string c = op("context", {p, w, "%o"}, "heads = 2 : i64", {S, X, i}, X);
  c = observe(c, "L0.c", X);
  std::string g = observe(product(c, Hidden, Hidden), "L0.g", X);
  x = observe(same("add", g + ", " + x, X), "L0.u", X);
  x = observe(layerNorm(x), "L0.x", X);
  std::string wide = "tensor<?x40xf32>";
  std::string f = same("gelu", product(x, Hidden, Inner), wide);
  f = observe(f, "L0.f", wide);
  std::string h = observe(product(f, Inner, Hidden), "L0.h", X);
  x = observe(same("add", h + ", " + x, X), "L0.y", X);
  x = observe(layerNorm(x), "L0.z", X);
  x = op("pool", {x, "%o"}, "kind = #tq.pool_kind<mean>", {X, i}, X);
  x = same("normalize", x, X);
  body += "return " + x + " : " + X + "\n";
  checkProgram(Hidden, Arithmetic::Machine, 16);
}

} // namespace
