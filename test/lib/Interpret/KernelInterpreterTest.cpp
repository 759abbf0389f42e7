//===- KernelInterpreterTest.cpp - Ops of kernels, and bounds ------------===//
//
// Part of Quern. Micro-ops against quant_math.h, control flow, and accesses
// outside a buffer.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/KernelInterpreter.h"
#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "dialects/TK/TKDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

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

TEST_F(KernelTest, TilesComeFromMemoryAndGoBack) {
  a.resize(15 * 48 + 64);
  b.resize(1024);
  scratch.resize(1024);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = char(i * 37 + 11);
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = char(i * 101 + 7);
  const char *body =
      "%x = tk.tile_load %a[%c0] {stride = 48 : i64}"
      " : memref<?xi8>, vector<16x64xi8>\n"
      "%w = tk.tile_load %b[%c0] {stride = 64 : i64, streamed}"
      " : memref<?xi8>, vector<16x64xi8>\n"
      "%s = tk.tile_load %a[%c1] {stride = 0 : i64}"
      " : memref<?xi8>, vector<16x16xi32>\n"
      "%r = tk.tile_dot %s, %x, %w\n"
      "tk.tile_store %r, %scratch[%c0] {stride = 64 : i64} : memref<?xi8>\n";
  kernel(body);
  ASSERT_TRUE(call()) << message;
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n) {
      int32_t expected, found;
      std::memcpy(&expected, &a[1 + 4 * n], 4);
      for (int k = 0; k < 64; ++k)
        expected =
            int32_t(uint32_t(expected) +
                    uint32_t(int(uint8_t(a[48 * m + k])) *
                             int(int8_t(b[k / 4 * 64 + 4 * n + k % 4]))));
      std::memcpy(&found, &scratch[m * 64 + 4 * n], 4);
      EXPECT_EQ(found, expected) << m << ", " << n;
    }
  // The last row would reach beyond the buffer.
  a.pop_back();
  EXPECT_FALSE(call());
  EXPECT_NE(message.find("reads"), std::string::npos) << message;
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

TEST_F(KernelTest, ProductsOfPackedWeights) {
  for (int bits : {8, 4, 2}) {
    const int turns = 16, rows = 4, inByte = 8 / bits;
    a.assign(rows * 64, 0);
    b.assign(turns * 8 * bits, 0);
    scratch.assign(rows * 64, 0x5a);
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = char(i < 64 ? 255 : i * 7);
    // Codes from the lowest to the highest of these bits.
    auto code = [&](int k, int l) {
      int count = 1 << bits;
      return (k * 5 + l * 3) % count - count / 2;
    };
    for (int k = 0; k < turns * 4; ++k)
      for (int l = 0; l < 16; ++l) {
        char &byte = b[k / 4 / inByte * 64 + l * 4 + k % 4];
        byte = char(uint8_t(byte) | (code(k, l) & ((1 << bits) - 1))
                                        << (k / 4 % inByte * bits));
      }
    kernel("tk.product %a[%c0], %b[%c0], %scratch[%c0] rows(%c1) {x_stride = "
           "64 : i64, turns = 16 : i64, panels = 1 : i64, panel_bytes = " +
           std::to_string(b.size()) + " : i64, bits = " + std::to_string(bits) +
           " : i64} : memref<?xi8>, memref<?xi8>, memref<?xi8>\n");
    ASSERT_TRUE(call()) << message;
    for (int m = 0; m < rows; ++m)
      for (int l = 0; l < 16; ++l) {
        int32_t expected = 0, got;
        for (int k = 0; k < turns * 4; ++k)
          expected += int(uint8_t(a[m * 64 + k])) * code(k, l);
        std::memcpy(&got, &scratch[(m * 16 + l) * 4], 4);
        EXPECT_EQ(got, expected) << bits << " bits, row " << m;
      }
    b.pop_back();
    EXPECT_FALSE(call());
    EXPECT_NE(message.find("reads elements"), std::string::npos) << message;
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

} // namespace
