//===- KernelInterpreterTest.cpp - Ops of kernels, bounds, tiled programs -===//
//
// Part of Quern. Micro-ops against quant_math.h, accesses outside a buffer,
// and a whole small encoder: L2 by the graph's interpreter and L3 by this one
// give the same codes at every site.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/KernelInterpreter.h"
#include "lib/Interpret/ProgramInterpreter.h"
#include "lib/Tile/TilePasses.h"
#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "dialects/TK/TKDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <cstring>
#include <map>

using namespace quern;

namespace {

class KernelTest : public InterpretTest {
protected:
  KernelTest() {
    context.loadDialect<mlir::math::MathDialect, mlir::memref::MemRefDialect,
                        mlir::scf::SCFDialect, mlir::vector::VectorDialect,
                        tk::TKDialect>();
  }
  /// Parses a kernel of two byte buffers and one of floats.
  void kernel(const std::string &body) {
    std::string text =
        "func.func @k(%a: memref<?xi8>, %b: memref<?xi8>, %f: memref<?xf32>, "
        "%tokens: index, %sequences: index, %flags: index, %begin: index, "
        "%end: index, %scratch: memref<?xi8>) attributes {tk.kernel} {\n"
        "%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n" +
        body + "return\n}\n";
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module) << message << "\n" << text;
  }
  bool call(KernelRange range = {}) {
    message.clear();
    auto made = KernelInterpreter::create(
        module->lookupSymbol<mlir::func::FuncOp>("k"));
    if (mlir::failed(made))
      return false;
    llvm::MutableArrayRef<char> floats(reinterpret_cast<char *>(f.data()),
                                       f.size() * sizeof(float));
    return mlir::succeeded(made->run({a, b, floats}, range, scratch));
  }
  std::vector<char> a = std::vector<char>(64), b = a, scratch = a;
  std::vector<float> f = std::vector<float>(16);
};

TEST_F(KernelTest, Dot4MultipliesUnsignedBySigned) {
  for (int i = 0; i < 64; ++i) {
    a[i] = char(200 + i % 50);
    b[i] = char(-128 + i * 3);
  }
  kernel("%x = vector.load %a[%c0] : memref<?xi8>, vector<64xi8>\n"
         "%y = vector.load %b[%c0] : memref<?xi8>, vector<64xi8>\n"
         "%z = arith.constant dense<-5> : vector<16xi32>\n"
         "%d = tk.dot4 %z, %x, %y\n"
         "%r = arith.sitofp %d : vector<16xi32> to vector<16xf32>\n"
         "vector.store %r, %f[%c0] : memref<?xf32>, vector<16xf32>\n");
  ASSERT_TRUE(call()) << message;
  for (int l = 0; l < 16; ++l) {
    int expected = -5;
    for (int t = 4 * l; t < 4 * l + 4; ++t)
      expected += int(uint8_t(a[t])) * int(int8_t(b[t]));
    EXPECT_EQ(f[l], float(expected));
  }
}

TEST_F(KernelTest, MicroOpsFollowQuantMath) {
  kernel("%x = vector.load %f[%c0] : memref<?xf32>, vector<16xf32>\n"
         "%g = tk.gelu %x\n%t = tk.tanh %g\n%e = tk.exp %t\n"
         "%m = arith.constant dense<30.0> : vector<16xf32>\n"
         "%v = arith.mulf %e, %m : vector<16xf32>\n"
         "%c = tk.round %v {lo = 0.0 : f32, hi = 60.0 : f32}\n"
         "tk.store_codes %c, %a[%c1] : memref<?xi8>\n"
         "vector.store %e, %f[%c0] : memref<?xf32>, vector<16xf32>\n");
  auto x = floatVector(16, 2).toVector<float>();
  f = x;
  ASSERT_TRUE(call()) << message;
  for (int l = 0; l < 16; ++l) {
    float e = qm_exp(qm_tanh(qm_gelu(x[l])));
    EXPECT_EQ(f[l], e);
    EXPECT_EQ(a[1 + l], qm_round_code(e * 30.0f, 0, 60));
  }
}

TEST_F(KernelTest, LoopsCarryAndSwapValues) {
  kernel("%one = arith.constant 1.0 : f32\n%two = arith.constant 2.0 : f32\n"
         "%r:2 = scf.for %i = %begin to %end step %c1 "
         "iter_args(%p = %one, %q = %two) -> (f32, f32) {\n"
         "  %s = arith.addf %p, %q : f32\n  scf.yield %q, %s : f32, f32\n}\n"
         "memref.store %r#0, %f[%c0] : memref<?xf32>\n"
         "memref.store %r#1, %f[%c1] : memref<?xf32>\n");
  KernelRange range;
  range.begin = 2;
  range.end = 6;
  ASSERT_TRUE(call(range)) << message;
  EXPECT_EQ(f[0], 8);
  EXPECT_EQ(f[1], 13);
}

TEST_F(KernelTest, AccessOutsideABufferIsAnError) {
  kernel("%x = vector.load %a[%begin] : memref<?xi8>, vector<64xi8>\n");
  KernelRange range;
  range.begin = 1;
  EXPECT_FALSE(call(range));
  EXPECT_EQ(message, "'vector.load' op reads elements [1, 65) of buffer 0, "
                     "which has 64");
  range.begin = -1;
  EXPECT_FALSE(call(range));
  kernel("%v = arith.constant dense<1.0> : vector<16xf32>\n"
         "%m = vector.create_mask %tokens : vector<16xi1>\n"
         "vector.maskedstore %f[%begin], %m, %v : memref<?xf32>, "
         "vector<16xi1>, vector<16xf32>\n");
  range.begin = 10;
  range.tokens = 6;
  EXPECT_TRUE(call(range)) << message;
  range.tokens = 7;
  EXPECT_FALSE(call(range));
  EXPECT_EQ(message, "'vector.maskedstore' op writes elements [16, 17) of "
                     "buffer 2, which has 16");
}

TEST_F(KernelTest, UnknownOpsAreErrors) {
  kernel("%x = memref.load %f[%c0] : memref<?xf32>\n"
         "%y = math.exp %x : f32\n");
  EXPECT_FALSE(call());
  EXPECT_EQ(message, "'math.exp' op cannot be interpreted in a kernel");
}

/// A one-layer encoder of L2 ops with random constants.
class ProgramTest : public KernelTest {
protected:
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

TEST_F(ProgramTest, EverySiteEqualsTheGraph) {
  build();
  std::string text =
      "module attributes {tq.model = {family = \"bert\", head = "
      "\"classification\", max_length = 16 : i64}} {\nfunc.func "
      "@forward(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, %o: "
      "tensor<?xi32>) -> tensor<?x3xf32> {\n" +
      body + "}\n}\n";
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
  auto expected = run(inputs, hooks).toVector<double>();
  ASSERT_EQ(expected.size(), 12u) << message;

  mlir::PassManager pm(&context);
  buildTilePipeline(pm);
  ASSERT_TRUE(mlir::succeeded(pm.run(*module))) << message;
  sites = &program;
  auto result = ProgramInterpreter(*module).run(inputs, hooks);
  ASSERT_TRUE(mlir::succeeded(result)) << message;
  EXPECT_EQ(result->toVector<double>(), expected);
  EXPECT_EQ(graph.size(), 18u);
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

} // namespace
