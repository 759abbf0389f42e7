//===- FoldsTest.cpp - Pre-shifted scales on random functions, row E41 ----===//
//
// Each fold of quantization.md 8.5 that the rewrites make, on functions of
// random sizes, codes, scales and zero points, before and after. Where all
// numbers are dyadic and small f32 rounds nothing: then not a code may differ,
// at ties either.
//
//===----------------------------------------------------------------------===//
#include "compiler/Registry.h"
#include "compiler/Validate/Validator.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>
#include <sstream>

using namespace mlir;
using namespace quern;

namespace {

class Folds : public testing::Test {
protected:
  Folds() : context(registry()) {
    context.disableMultithreading();
    context.loadAllAvailableDialects();
  }

  static DialectRegistry registry() {
    DialectRegistry registry;
    registerAllQuern(registry);
    return registry;
  }

  int pick(int from, int to) {
    return from + int(random() % unsigned(to - from + 1));
  }
  /// 2^-from to 2^-to.
  double power(int from, int to) { return std::ldexp(1.0, -pick(from, to)); }

  static std::string code(double scale, int zero) {
    std::ostringstream out;
    out.precision(17);
    out << "!quant.uniform<u8:f32, " << std::fixed << scale << ":" << zero
        << ">";
    return out.str();
  }

  /// dense<[[...]]> of rows x columns, or dense<[...]> where rows is 0.
  template <typename F> static std::string dense(int rows, int columns, F f) {
    std::ostringstream out;
    out.precision(12);
    out << std::fixed << "dense<" << (rows ? "[" : "");
    for (int r = 0; r < std::max(rows, 1); ++r) {
      out << (r ? ", [" : "[");
      for (int c = 0; c < columns; ++c)
        out << (c ? ", " : "") << f();
      out << "]";
    }
    out << (rows ? "]>" : ">");
    return out.str();
  }

  /// Runs the rewrites; how many codes were one apart.
  uint64_t validate(const std::string &text, std::vector<PassPromise> more) {
    std::string problems;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
        problems += diagnostic.str() + "\n";
      return success();
    });
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(text, ParserConfig(&context));
    EXPECT_TRUE(bool(module)) << problems << text;
    if (!module)
      return 0;
    ValidatorOptions options;
    options.more = std::move(more);
    Validator validator(std::move(options));
    PassManager manager(&context);
    validator.attach(manager);
    buildRewritePipeline(manager);
    EXPECT_TRUE(succeeded(manager.run(*module))) << problems;
    EXPECT_FALSE(validator.hasFailed()) << problems << text;
    ValidationSummary summary = validator.summary();
    EXPECT_GE(summary.interpreted, 2u) << text;
    EXPECT_EQ(summary.notInterpreted, 0u);
    return summary.oneCode;
  }

  std::mt19937 random{41};
  MLIRContext context;
};

/// -z sum_k w into the correction, s_x s_w / s_y into the multiplier. The zero
/// point of the result is added before the rounding then: exact where it is
/// even; where it is odd, a tie goes to the other side (quantization.md 8.3).
TEST_F(Folds, ZeroPointsAndScalesOfLinears) {
  for (int round = 0; round < 60; ++round) {
    int k = pick(1, 16), n = pick(1, 9);
    std::string x = code(power(1, 4), pick(0, 255));
    bool odd = round % 4 == 3;
    std::string y = code(power(0, 2), 2 * pick(0, 127) + odd);
    std::ostringstream text;
    text << "func.func @f(%xq: tensor<?x" << k << "x" << x << ">) -> tensor<?x"
         << n << "x" << y << "> {\n  %c = arith.constant "
         << dense(n, k, [&] { return pick(-127, 127); }) << " : tensor<" << n
         << "x" << k << "xi8>\n  %s = arith.constant "
         << dense(0, n, [&] { return power(2, 5); }) << " : tensor<" << n
         << "xf32>\n  %b = arith.constant "
         << dense(0, n, [&] { return pick(-512, 512) / 16.0; }) << " : tensor<"
         << n << "xf32>\n  %w = tq.dequantize_weight %c, %s : (tensor<" << n
         << "x" << k << "xi8>, tensor<" << n << "xf32>) -> tensor<" << n << "x"
         << k << "xf32>\n  %x = tq.dequantize %xq : tensor<?x" << k << "x" << x
         << "> -> tensor<?x" << k << "xf32>\n  %0 = tq.linear %x, %w, %b : "
         << "(tensor<?x" << k << "xf32>, tensor<" << n << "x" << k
         << "xf32>, tensor<" << n << "xf32>) -> tensor<?x" << n
         << "xf32>\n  %1 = tq.quantize %0 {site = \"L0.g\"} : tensor<?x" << n
         << "xf32> -> tensor<?x" << n << "x" << y
         << ">\n  return %1 : tensor<?x" << n << "x" << y << ">\n}\n";
    PassClass expected = odd ? PassClass::OneCode : PassClass::Exact;
    uint64_t oneCode = validate(text.str(), {{"tq-fold-linear", expected}});
    EXPECT_TRUE(odd || oneCode == 0);
    if (HasFailure())
      return;
  }
}

/// Gain, shift and both zero points into the integer LayerNorm: exact in real
/// numbers, so codes differ at ties at most. A gain of 0 is no exception.
TEST_F(Folds, GainsShiftsAndZeroPointsOfNorms) {
  for (int round = 0; round < 40; ++round) {
    int n = pick(2, 24);
    std::string a = code(pick(1, 90) / 700.0, pick(0, 255));
    std::string b = code(pick(1, 90) / 700.0, pick(0, 255));
    std::string u = code(pick(1, 90) / 500.0, pick(0, 255));
    std::string z = code(pick(1, 90) / 900.0, pick(0, 255));
    auto tensor = [&](const std::string &type) {
      return "tensor<?x" + std::to_string(n) + "x" + type + ">";
    };
    std::string vector = "tensor<" + std::to_string(n) + "xf32>";
    std::ostringstream text;
    text << "func.func @f(%aq: " << tensor(a) << ", %bq: " << tensor(b)
         << ") -> " << tensor(z) << " {\n  %gamma = arith.constant "
         << dense(0, n, [&] { return pick(-30, 30) / 13.0; }) << " : " << vector
         << "\n  %beta = arith.constant "
         << dense(0, n, [&] { return pick(-30, 30) / 11.0; }) << " : " << vector
         << "\n  %a = tq.dequantize %aq : " << tensor(a) << " -> "
         << tensor("f32") << "\n  %b = tq.dequantize %bq : " << tensor(b)
         << " -> " << tensor("f32")
         << "\n  %0 = tq.add %a, %b : " << tensor("f32")
         << "\n  %1 = tq.quantize %0 {site = \"L0.u\"} : " << tensor("f32")
         << " -> " << tensor(u) << "\n  %2 = tq.dequantize %1 : " << tensor(u)
         << " -> " << tensor("f32")
         << "\n  %3 = tq.layer_norm %2, %gamma, %beta {eps = 1.0e-5 : f64} : ("
         << tensor("f32") << ", " << vector << ", " << vector << ") -> "
         << tensor("f32")
         << "\n  %4 = tq.quantize %3 {site = \"L0.x\"} : " << tensor("f32")
         << " -> " << tensor(z) << "\n  return %4 : " << tensor(z) << "\n}\n";
    validate(text.str(), {});
    if (HasFailure())
      return;
  }
}

/// What a function computes: the attributes of its ops, constants among them,
/// without the types that say what codes stand for.
static std::string arithmeticOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.walk([&](Operation *op) {
    if (isa<FunctionOpInterface, ModuleOp>(op))
      return;
    out << op->getName();
    for (NamedAttribute attr : op->getAttrs()) {
      out << ' ' << attr.getName().getValue() << '=';
      // Resources have a name of their own in each module.
      if (auto blob = dyn_cast<DenseResourceElementsAttr>(attr.getValue()))
        for (char byte : blob.getData())
          out << int(byte) << ' ';
      else
        out << attr.getValue();
    }
    out << '\n';
  });
  return text;
}

/// The 1/8 of heads of 64 channels, a power of two, alone: behind the scores,
/// as the scale of the softmax, or before them in the weights of q, it becomes
/// the same integers, of scales of q and of the scores 8 times apart.
TEST_F(Folds, EighthsOfScores) {
  for (int round = 0; round < 20; ++round) {
    int heads = pick(1, 3), width = heads * pick(1, 6), k = pick(1, 12);
    std::string codes[3];
    std::vector<double> biases[3];
    for (int i = 0; i < 3; ++i) {
      codes[i] = dense(width, k, [&] { return pick(-127, 127); });
      for (int j = 0; j < width; ++j)
        biases[i].push_back(pick(-512, 512) / 16.0);
    }
    double weight[3] = {power(2, 5), power(2, 5), power(2, 5)};
    double site[3] = {power(0, 2), power(0, 2), power(0, 2)};
    int zero[3] = {pick(0, 255), pick(0, 255), pick(0, 255)};
    double score = power(0, 3);
    int scoreZero = pick(0, 255);
    std::string x = code(power(1, 4), pick(0, 255));
    std::string p = code(1.0 / 255, 0), c = code(power(0, 2), pick(0, 255));
    auto rows = [](const std::string &n, const std::string &type) {
      return "tensor<" + n + "x" + type + ">";
    };
    auto text = [&](double before, double behind) {
      std::string h = std::to_string(heads), n = std::to_string(width);
      std::string real = rows("?x" + n, "f32"), all = rows(h + "x?", "f32");
      std::string in = rows("?x" + std::to_string(k), x);
      std::string inReal = rows("?x" + std::to_string(k), "f32");
      std::string matrix = n + "x" + std::to_string(k);
      std::string end = rows("?x" + n, c);
      std::ostringstream out;
      out.precision(17);
      out << std::fixed << "func.func @f(%xq: " << in
          << ", %o: tensor<?xi32>) -> " << end << " {\n  %x = tq.dequantize %xq"
          << " : " << in << " -> " << inReal << "\n";
      for (int i = 0; i < 3; ++i) {
        double part = i ? 1 : before;
        std::string q = rows("?x" + n, code(site[i] * part, zero[i]));
        auto bias = biases[i].begin();
        out << "  %c" << i << " = arith.constant " << codes[i] << " : tensor<"
            << matrix << "xi8>\n  %s" << i << " = arith.constant dense<"
            << weight[i] * part << "> : tensor<1xf32>\n  %b" << i
            << " = arith.constant "
            << dense(0, width, [&] { return *bias++ * part; }) << " : tensor<"
            << n << "xf32>\n  %w" << i << " = tq.dequantize_weight %c" << i
            << ", %s" << i << " : (tensor<" << matrix
            << "xi8>, tensor<1xf32>) -> tensor<" << matrix << "xf32>\n  %y" << i
            << " = tq.linear %x, %w" << i << ", %b" << i << " : (" << inReal
            << ", tensor<" << matrix << "xf32>, tensor<" << n << "xf32>) -> "
            << real << "\n  %q" << i << " = tq.quantize %y" << i
            << " {site = \"L0." << "qkv"[i] << "\"} : " << real << " -> " << q
            << "\n  %r" << i << " = tq.dequantize %q" << i << " : " << q
            << " -> " << real << "\n";
      }
      std::string s = rows(h + "x?", code(score * before, scoreZero));
      std::string probs = rows(h + "x?", p);
      out << "  %0 = tq.scores %r0, %r1, %o {heads = " << h << " : i64} : ("
          << real << ", " << real << ", tensor<?xi32>) -> " << all
          << "\n  %1 = tq.quantize %0 {site = \"L0.s\"} : " << all << " -> "
          << s << "\n  %2 = tq.dequantize %1 : " << s << " -> " << all
          << "\n  %3 = tq.softmax %2, %o {scale = " << behind << " : f32} : ("
          << all << ", tensor<?xi32>) -> " << all
          << "\n  %4 = tq.quantize %3 {site = \"L0.p\"} : " << all << " -> "
          << probs << "\n  %5 = tq.dequantize %4 : " << probs << " -> " << all
          << "\n  %6 = tq.context %5, %r2, %o {heads = " << h << " : i64} : ("
          << all << ", " << real << ", tensor<?xi32>) -> " << real
          << "\n  %7 = tq.quantize %6 {site = \"L0.c\"} : " << real << " -> "
          << end << "\n  return %7 : " << end << "\n}\n";
      return out.str();
    };
    std::string written[2];
    for (bool isBefore : {false, true}) {
      std::string source = isBefore ? text(0.125, 1) : text(1, 0.125);
      validate(source, {});
      OwningOpRef<ModuleOp> module =
          parseSourceString<ModuleOp>(source, ParserConfig(&context));
      ASSERT_TRUE(bool(module)) << source;
      PassManager manager(&context);
      buildRewritePipeline(manager);
      ASSERT_TRUE(succeeded(manager.run(*module)));
      written[isBefore] = arithmeticOf(*module);
    }
    EXPECT_NE(written[0].find("tq.qattention"), std::string::npos)
        << written[0];
    EXPECT_EQ(written[0], written[1]);
    if (HasFailure())
      return;
  }
}

} // namespace
