//===- MicroOpsTest.cpp - Each micro-op on each tier ----------------------===//
//
// Runs micro-ops on many values, on each tier as this machine can (see
// TestTiers.h), and compares with quant_math.h bit for bit.
//
//===----------------------------------------------------------------------===//
#include "test/support/KernelRunner.h"

#include "quern/quant_math.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

using namespace quern;

namespace {

/// Each tier as this machine runs it, and those with definitions of their
/// instructions also by these, so that a machine which has the instructions
/// checks them.
std::vector<std::pair<Tier, bool>> waysToRun() {
  std::vector<std::pair<Tier, bool>> ways;
  for (Tier tier : KernelRunner::tiers())
    ways.push_back({tier, false});
  for (Tier tier : test::tiersBetween())
    ways.push_back({tier, false});
  ways.push_back({Tier::Avx512Vnni, true});
  return ways;
}

/// A kernel that applies `body` (from %v or %c to %r) to blocks of 16 floats.
std::string overFloats(const std::string &body, const std::string &result) {
  return R"(
func.func @k(%x: memref<?xf32>, %y: memref<?x)" +
         result + R"(>, %tokens: index, %sequences: index, %flags: index,
    %begin: index, %end: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  %c16 = arith.constant 16 : index
  %c0 = arith.constant 0 : index
  scf.for %i = %c0 to %tokens step %c16 {
    %v = vector.load %x[%i] : memref<?xf32>, vector<16xf32>
    )" + body +
         R"(
    vector.store %r, %y[%i] : memref<?x)" +
         result + ">, vector<16x" + result + R"(>
  }
  return
})";
}

/// Values of all sizes and signs, with the places where segments meet.
std::vector<float> interestingFloats() {
  std::vector<float> values;
  for (float v = -20.0f; v < 20.0f; v += 0.0371f)
    values.push_back(v);
  for (int i = -200; i <= 200; ++i)
    values.push_back(float(i) / (2.0f * QM_GELU_SCALE));
  for (float v = -120.0f; v < 120.0f; v += 0.713f)
    values.push_back(v);
  for (float v = 1e-30f; v < 1e30f; v *= 9.7f) {
    values.push_back(v);
    values.push_back(-v);
  }
  for (int i = -20; i < 600; ++i)
    values.push_back(float(i) * 0.5f);
  values.push_back(0.0f);
  values.push_back(-0.0f);
  values.push_back(std::numeric_limits<float>::infinity());
  values.push_back(-std::numeric_limits<float>::infinity());
  while (values.size() % 16)
    values.push_back(1.0f);
  return values;
}

template <typename T, typename F>
void checkFloats(const std::string &body, const std::string &type,
                 F reference) {
  std::vector<float> values = interestingFloats();
  Aligned<float> x(values.size());
  std::copy(values.begin(), values.end(), x.data());
  KernelRunner runner;
  ASSERT_TRUE(runner.parse(overFloats(body, type)));
  for (auto [tier, emulate] : waysToRun()) {
    ASSERT_EQ(runner.compile(tier, emulate), "");
    Aligned<T> y(values.size());
    ASSERT_TRUE(
        runner.run("k", {x.data(), y.data()}, {int64_t(values.size()), 1}));
    for (size_t i = 0; i < values.size(); ++i) {
      T expected = reference(values[i]);
      ASSERT_EQ(std::memcmp(&expected, &y[i], sizeof(T)), 0)
          << body << " of " << values[i] << " is " << y[i] << ", expected "
          << expected << ", " << getTierName(tier).str();
    }
  }
}

TEST(MicroOps, NonLinearFunctions) {
  checkFloats<float>("%r = tk.gelu %v", "f32", qm_gelu);
  checkFloats<float>("%r = tk.gelu_tanh %v", "f32", qm_gelu_tanh);
  checkFloats<float>("%r = tk.tanh %v", "f32", qm_tanh);
  checkFloats<float>("%r = tk.exp %v", "f32", qm_exp);
}

TEST(MicroOps, Round) {
  checkFloats<int32_t>("%r = tk.round %v {lo = 0.0 : f32, hi = 255.0 : f32}",
                       "i32", [](float v) { return qm_round_code(v, 0, 255); });
  checkFloats<int32_t>(
      "%r = tk.round %v {lo = -100.0 : f32, hi = 4194304.0 : f32}", "i32",
      [](float v) { return qm_round_code(v, -100, 4194304); });
  checkFloats<int32_t>(
      "%r = tk.round %v {lo = 0.0 : f32, hi = 8388607.0 : f32}", "i32",
      [](float v) { return qm_round_code(v, 0, 8388607); });
}

TEST(MicroOps, MaxAndMinOfUnorderedIsTheSecond) {
  checkFloats<float>("%one = arith.constant dense<1.0> : vector<16xf32>\n"
                     "%r = tk.max %v, %one",
                     "f32", [](float v) { return qm_max(v, 1.0f); });
  checkFloats<float>("%nan = arith.constant dense<0x7FC00000> : "
                     "vector<16xf32>\n%r = tk.min %nan, %v",
                     "f32", [](float v) { return v; });
}

/// Kernel over bytes %a, %b and %t with results as the body stores them to %y.
std::string overBytes(const std::string &body, const std::string &result) {
  return "func.func @k(%a: memref<?xi8>, %b: memref<?xi8>, %t: memref<?xf32>, "
         "%y: memref<?x" +
         result + R"(>, %tokens: index, %sequences: index, %flags: index,
    %begin: index, %end: index, %scratch: memref<?xi8>) attributes {tk.kernel} {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  )" + body +
         "\n  return\n}";
}

/// Runs `body` on random bytes and a table of 16 floats.
template <typename T, typename F>
void checkBytes(const std::string &body, const std::string &type, size_t count,
                F reference) {
  Aligned<uint8_t> a(4096), b(4096);
  Aligned<float> t(16);
  std::mt19937 random(5);
  for (size_t i = 0; i < 4096; ++i) {
    a[i] = uint8_t(i < 64 ? 255 : random());
    b[i] = uint8_t(i < 64 ? 128 : random());
  }
  for (size_t i = 0; i < 16; ++i)
    t[i] = float(i) * 1.37f;
  KernelRunner runner;
  ASSERT_TRUE(runner.parse(overBytes(body, type)));
  for (auto [tier, emulate] : waysToRun()) {
    ASSERT_EQ(runner.compile(tier, emulate), "");
    Aligned<T> y(count);
    ASSERT_TRUE(
        runner.run("k", {a.data(), b.data(), t.data(), y.data()}, {1, 1}));
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(y[i], reference(a.data(), b.data(), t.data(), i))
          << body << " at " << i << ", " << getTierName(tier).str();
  }
}

TEST(MicroOps, Dot4) {
  checkBytes<int32_t>(
      R"(
  %c64 = arith.constant 64 : index
  %c16 = arith.constant 16 : index
  %c4 = arith.constant 4 : index
  %acc = arith.constant dense<7> : vector<16xi32>
  scf.for %i = %c0 to %c64 step %c4 {
    %at = arith.muli %i, %c16 : index
    %v = vector.load %a[%at] : memref<?xi8>, vector<64xi8>
    %w = vector.load %b[%at] : memref<?xi8>, vector<64xi8>
    %r = tk.dot4 %acc, %v, %w
    %o = arith.muli %i, %c4 : index
    vector.store %r, %y[%o] : memref<?xi32>, vector<16xi32>
  })",
      "i32", 256,
      [](const uint8_t *a, const uint8_t *b, const float *, size_t i) {
        int32_t sum = 7;
        for (size_t t = 0; t < 4; ++t)
          sum += int32_t(a[4 * i + t]) * int8_t(b[4 * i + t]);
        return sum;
      });
}

TEST(MicroOps, TileDot) {
  std::string body = R"(
  %acc = arith.constant dense<-3> : vector<16x16xi32>
  %za = arith.constant dense<0> : vector<16x64xi8>
)";
  std::string a = "%za", b = "%za";
  for (int i = 0; i < 16; ++i) {
    std::string n = std::to_string(i);
    body += "%i" + n + " = arith.constant " + std::to_string(64 * i) +
            " : index\n%a" + n + " = vector.load %a[%i" + n +
            "] : memref<?xi8>, vector<64xi8>\n%b" + n + " = vector.load %b[%i" +
            n + "] : memref<?xi8>, vector<64xi8>\n" + "%ta" + n +
            " = vector.insert %a" + n + ", " + a + " [" + n +
            "] : vector<64xi8> into vector<16x64xi8>\n" + "%tb" + n +
            " = vector.insert %b" + n + ", " + b + " [" + n +
            "] : vector<64xi8> into vector<16x64xi8>\n";
    a = "%ta" + n;
    b = "%tb" + n;
  }
  body += "%r = tk.tile_dot %acc, " + a + ", " + b + "\n";
  for (int i = 0; i < 16; ++i) {
    std::string n = std::to_string(i);
    body += "%r" + n + " = vector.extract %r[" + n +
            "] : vector<16xi32> from vector<16x16xi32>\n%o" + n +
            " = arith.constant " + std::to_string(16 * i) +
            " : index\nvector.store %r" + n + ", %y[%o" + n +
            "] : memref<?xi32>, vector<16xi32>\n";
  }
  checkBytes<int32_t>(
      body, "i32", 256,
      [](const uint8_t *a, const uint8_t *b, const float *, size_t i) {
        size_t m = i / 16, n = i % 16;
        int32_t sum = -3;
        for (size_t k = 0; k < 64; ++k)
          sum += int32_t(a[64 * m + k]) * int8_t(b[k / 4 * 64 + 4 * n + k % 4]);
        return sum;
      });
}

/// Once for tiers without tiles, once for the one with them; see waysToRun.
TEST(MicroOps, TilesInMemory) {
  std::string arguments =
      "(%a: memref<?xi8>, %b: memref<?xi8>, %y: memref<?xi8>, %tokens: index, "
      "%sequences: index, %flags: index, %begin: index, %end: index, "
      "%scratch: memref<?xi8>) attributes {tk.kernel";
  // Rows overlap at a stride of 48, and one row serves for all at 0.
  std::string body = R"(} {
  %c0 = arith.constant 0 : index
  %c5 = arith.constant 5 : index
  %c1024 = arith.constant 1024 : index
  %zero = arith.constant dense<0> : vector<16x16xi32>
  %x = tk.tile_load %a[%c5] {stride = 48 : i64} : memref<?xi8>, vector<16x64xi8>
  %w = tk.tile_load %b[%c0] {stride = 64 : i64, streamed}
      : memref<?xi8>, vector<16x64xi8>
  %s = tk.tile_load %a[%c5] {stride = 0 : i64}
      : memref<?xi8>, vector<16x16xi32>
  %0 = tk.tile_dot %zero, %x, %w
  %1 = tk.tile_dot %s, %x, %w
  tk.tile_store %0, %y[%c0] {stride = 64 : i64} : memref<?xi8>
  tk.tile_store %1, %y[%c1024] {stride = 128 : i64} : memref<?xi8>
  return
})";
  KernelRunner runner;
  ASSERT_TRUE(runner.parse(
      "func.func @k" + arguments + body + "\nfunc.func @k.tiles" + arguments +
      ", tk.variant_of = @k, tk.variant = \"tiles\"" + body));
  Aligned<uint8_t> a(5 + 15 * 48 + 64), b(1024);
  std::mt19937 random(7);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = uint8_t(random());
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = uint8_t(random());
  std::vector<std::pair<Tier, bool>> ways = waysToRun();
  ways.push_back({Tier::Amx, true});
  if (test::tileRun() == test::TileRun::Emulated)
    ways.push_back({Tier::Amx, false});
  for (auto [tier, emulate] : ways) {
    SCOPED_TRACE(getTierName(tier).str() + (emulate ? ", as vectors" : ""));
    ASSERT_EQ(runner.compile(tier, emulate), "");
    Aligned<uint8_t> y(3 * 1024, 0xa5);
    ASSERT_TRUE(runner.run("k", {a.data(), b.data(), y.data()}, {1, 1}));
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 16; ++n) {
        int32_t sum = 0, start, plain, started;
        for (int k = 0; k < 64; ++k)
          sum += a[5 + 48 * m + k] * int8_t(b[k / 4 * 64 + 4 * n + k % 4]);
        std::memcpy(&start, &a[5 + 4 * n], 4);
        std::memcpy(&plain, &y[m * 64 + 4 * n], 4);
        std::memcpy(&started, &y[1024 + m * 128 + 4 * n], 4);
        ASSERT_EQ(plain, sum) << m << ", " << n;
        ASSERT_EQ(uint32_t(started), uint32_t(sum) + uint32_t(start));
      }
    // Between the rows nothing is written.
    EXPECT_EQ(y[1024 + 64], 0xa5);
  }
}

TEST(MicroOps, Broadcast4) {
  checkBytes<uint8_t>("%r = tk.broadcast4 %b[%c3] : memref<?xi8>\n"
                      "vector.store %r, %y[%c0] : memref<?xi8>, vector<64xi8>",
                      "i8", 64,
                      [](const uint8_t *, const uint8_t *b, const float *,
                         size_t i) { return b[3 + i % 4]; });
}

TEST(MicroOps, Lut256) {
  checkBytes<uint8_t>(
      R"(
  %c1024 = arith.constant 1024 : index
  %c64 = arith.constant 64 : index
  %c131 = arith.constant 131 : index
  scf.for %i = %c0 to %c1024 step %c64 {
    %v = vector.load %a[%i] : memref<?xi8>, vector<64xi8>
    %r = tk.lut256 %v, %b[%c131] : memref<?xi8>
    vector.store %r, %y[%i] : memref<?xi8>, vector<64xi8>
  })",
      "i8", 1024,
      [](const uint8_t *a, const uint8_t *b, const float *, size_t i) {
        return b[131 + a[i]];
      });
}

TEST(MicroOps, Unpack) {
  for (int bits : {2, 4})
    for (int part = 0; part < 8 / bits; ++part)
      checkBytes<int8_t>(
          R"(
  %c1024 = arith.constant 1024 : index
  %c64 = arith.constant 64 : index
  scf.for %i = %c0 to %c1024 step %c64 {
    %v = vector.load %a[%i] : memref<?xi8>, vector<64xi8>
    %r = tk.unpack %v {bits = )" +
              std::to_string(bits) + " : i64, part = " + std::to_string(part) +
              R"( : i64}
    vector.store %r, %y[%i] : memref<?xi8>, vector<64xi8>
  })",
          "i8", 1024,
          [&](const uint8_t *a, const uint8_t *, const float *, size_t i) {
            int code = a[i] >> (bits * part) & ((1 << bits) - 1);
            return int8_t(code < 1 << (bits - 1) ? code : code - (1 << bits));
          });
}

TEST(MicroOps, Lut16AndCodes) {
  checkBytes<float>(
      R"(
  %c1024 = arith.constant 1024 : index
  %c16 = arith.constant 16 : index
  %table = vector.load %t[%c0] : memref<?xf32>, vector<16xf32>
  scf.for %i = %c0 to %c1024 step %c16 {
    %v = tk.load_codes %a[%i] : memref<?xi8>
    %r = tk.lut16 %v, %table
    vector.store %r, %y[%i] : memref<?xf32>, vector<16xf32>
  })",
      "f32", 1024,
      [](const uint8_t *a, const uint8_t *, const float *t, size_t i) {
        return t[a[i] & 15];
      });
  checkBytes<int16_t>(
      R"(
  %v = tk.load_codes signed %b[%c0] : memref<?xi8>
  tk.store_codes %v, %y[%c0] : memref<?xi16>)",
      "i16", 16,
      [](const uint8_t *, const uint8_t *b, const float *, size_t i) {
        return int16_t(int8_t(b[i]));
      });
}

TEST(MicroOps, RequantAndStore) {
  checkBytes<uint8_t>(
      R"(
  %v = tk.load_codes signed %b[%c0] : memref<?xi8>
  %m = vector.load %t[%c0] : memref<?xf32>, vector<16xf32>
  %r = tk.requant %v, %m, %m {lo = 0.0 : f32, hi = 255.0 : f32}
  tk.store_codes %r, %y[%c0] : memref<?xi8>
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %w = tk.load_codes signed %b[%c64] : memref<?xi8>
  %large = arith.constant dense<1.0e9> : vector<16xf32>
  %q = tk.requant %w, %large, %large {lo = 0.0 : f32, hi = 255.0 : f32}
  tk.store_codes %q, %y[%c16] : memref<?xi8>)",
      "i8", 32,
      [](const uint8_t *, const uint8_t *b, const float *t, size_t i) {
        return uint8_t(i < 16
                           ? qm_requant(int8_t(b[i]), t[i], t[i], 0, 255)
                           : qm_requant(int8_t(b[48 + i]), 1e9f, 1e9f, 0, 255));
      });
}

} // namespace
