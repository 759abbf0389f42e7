//===- IntegerProductTest.cpp - Products of codes against plain loops -----===//
//
// Part of Quern. tq.qlinear and its activations: exact against loops that
// follow the descriptions, and near the real-valued formula.
//
//===----------------------------------------------------------------------===//

#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

class QLinearTest : public InterpretTest {
protected:
  /// A product of 70 inputs and 6 outputs.
  void build(const std::string &input, const std::string &attributes,
             const std::string &output, const std::string &parts = "6") {
    parse("(%x: tensor<?x70x" + input + ">, %w: tensor<6x70xi8>, %c: tensor<" +
              parts +
              "xi32>, %m: tensor<6xf32>, "
              "%o: tensor<6xf32>) -> tensor<?x6x" +
              output + ">",
          "%0 = tq.qlinear %x, %w, %c, %m, %o {" + attributes +
              "} : (tensor<?x70x" + input + ">, tensor<6x70xi8>, tensor<" +
              parts +
              "xi32>, tensor<6xf32>, "
              "tensor<6xf32>) -> tensor<?x6x" +
              output + ">\nreturn %0 : tensor<?x6x" + output + ">\n");
  }
  /// acc + correction in 64 bits.
  std::vector<int64_t> accumulate(int64_t tokens) {
    std::vector<int64_t> acc;
    for (int64_t t = 0; t < tokens; ++t)
      for (int n = 0; n < 6; ++n) {
        acc.push_back(c.get<int32_t>()[n]);
        for (int k = 0; k < 70; ++k)
          acc.back() += int64_t(x.get<int32_t>()[t * 70 + k]) *
                        w.get<int32_t>()[n * 70 + k];
      }
    return acc;
  }
  Tensor run(const SiteHooks &hooks = {}) {
    return InterpretTest::run({x, w, c, m, o}, hooks);
  }
  Tensor x = codes(5, 70, 0, 255), w = codes(6, 70, -128, 127);
  Tensor c = ints({-5000, 3, 0, 77, 1, 123456}), m = floatVector(6, 0.001),
         o = floatVector(6, 50);
};

TEST_F(QLinearTest, E03IsExactAtTheEndsOfTheRange) {
  build("!quant.uniform<u8:f32, 0.1:128>", "",
        "!quant.uniform<u8:f32, 0.1:128>");
  for (bool extreme : {false, true}) {
    if (extreme) {
      x = codes(5, 70, 255, 255);
      w = codes(6, 70, -128, -128);
    }
    auto acc = accumulate(5);
    auto y = run().toVector<int32_t>();
    ASSERT_EQ(y.size(), acc.size()) << message;
    for (size_t i = 0; i < y.size(); ++i) {
      float v = float(int32_t(acc[i])) * m.get<float>()[i % 6];
      v = v + o.get<float>()[i % 6];
      EXPECT_EQ(y[i],
                int32_t(std::nearbyint(std::min(std::max(v, 0.0f), 255.0f))));
    }
  }
}

TEST_F(QLinearTest, ActivationComesBeforeTheRequantization) {
  build("!quant.uniform<u8:f32, 0.1:128>",
        "activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32, "
        "post_offset = 3.0 : f32, hi = 200 : i64",
        "!quant.uniform<u8:f32, 0.125:3>");
  auto acc = accumulate(5);
  auto y = run().toVector<int32_t>();
  ASSERT_EQ(y.size(), acc.size()) << message;
  for (size_t i = 0; i < y.size(); ++i) {
    float v = float(int32_t(acc[i])) * m.get<float>()[i % 6];
    v = qm_gelu(v + o.get<float>()[i % 6]) * 8.0f;
    EXPECT_EQ(y[i], qm_round_code(v + 3.0f, 0, 200));
  }
}

/// Row E36: activations in f32 and the quantizer behind them, within one code
/// of real arithmetic, and off only at ties.
TEST_F(QLinearTest, E36ActivationsInFloat) {
  m = floatVector(6, 3e-5);
  o = floatVector(6, 1);
  using Real = double (*)(double);
  const std::pair<const char *, Real> forms[] = {
      {"gelu",
       [](double v) { return 0.5 * v * std::erfc(-v / std::sqrt(2.0)); }},
      {"gelu_tanh",
       [](double v) {
         double inner = std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v);
         return 0.5 * v * (1 + std::tanh(inner));
       }},
      {"tanh", [](double v) { return std::tanh(v); }},
      {"relu", [](double v) { return std::max(v, 0.0); }}};
  for (auto [name, real] : forms)
    for (int bits : {8, 16}) {
      SCOPED_TRACE(name);
      // Codes of -0.25 to 7.75, of tanh those of -1 to 1 and more.
      double steps = bits == 8 ? 32 : 8192;
      std::string type = "!quant.uniform<u" + std::to_string(bits) + ":f32, " +
                         std::to_string(1 / steps) + ":" +
                         std::to_string(int(steps / 4)) + ">";
      build("!quant.uniform<u8:f32, 0.1:128>",
            std::string("activation = #tq.activation<") + name +
                ">, post_multiplier = " + std::to_string(steps) +
                " : f32, post_offset = " + std::to_string(steps / 4) +
                " : f32, hi = " + std::to_string((1 << bits) - 1) + " : i64",
            type);
      int64_t off = 0;
      auto acc = accumulate(5);
      auto y = run().toVector<int32_t>();
      ASSERT_EQ(y.size(), acc.size()) << message;
      for (size_t i = 0; i < y.size(); ++i) {
        double v = double(acc[i]) * double(m.get<float>()[i % 6]) +
                   double(o.get<float>()[i % 6]);
        double code = std::clamp(std::nearbyint(real(v) * steps + steps / 4),
                                 0.0, double((1 << bits) - 1));
        ASSERT_LE(std::fabs(y[i] - code), 1) << v;
        off += y[i] != code;
      }
      EXPECT_LE(off, int64_t(y.size() / 10));
    }
}

/// Row E40: f32 constants have 24 bits, so the fixed-point multiplier is the
/// same number, and the exact value is rounded once.
TEST_F(QLinearTest, E40FixedRoundsTheExactValueOnce) {
  build("!quant.uniform<u8:f32, 0.1:128>", "fixed, lo = 3 : i64",
        "!quant.uniform<u8:f32, 0.1:128>");
  // Ties: an output of whole halves.
  m = Tensor::of(std::vector<float>{0.001f, 0.5f, 0.00171f, 3e-9f, 0, 1.25f},
                 {6});
  o = Tensor::of(std::vector<float>{50, 100.5f, 0.25f, 7, 200.75f, -30}, {6});
  auto acc = accumulate(5);
  auto y = run().toVector<int32_t>();
  ASSERT_EQ(y.size(), acc.size()) << message;
  for (size_t i = 0; i < y.size(); ++i) {
    // 64 bits of a long double hold the product and the sum.
    long double v = static_cast<long double>(acc[i]) * m.get<float>()[i % 6] +
                    o.get<float>()[i % 6];
    EXPECT_EQ(y[i], int32_t(std::clamp(std::nearbyint(v), 3.0L, 255.0L))) << i;
  }
}

TEST_F(QLinearTest, E34FixedActivationsAreNearTheRealOnes) {
  for (bool isPublished : {false, true}) {
    build("!quant.uniform<u8:f32, 0.1:128>",
          std::string("fixed, activation = #tq.activation<") +
              (isPublished ? "i_gelu" : "gelu") +
              ">, post_multiplier = 50.0 : f32, post_offset = 9.0 : f32",
          "!quant.uniform<u8:f32, 0.02:9>");
    m = floatVector(6, 1e-4);
    o = floatVector(6, 1);
    auto acc = accumulate(5);
    auto y = run().toVector<int32_t>();
    ASSERT_EQ(y.size(), acc.size()) << message;
    for (size_t i = 0; i < y.size(); ++i) {
      double v = double(acc[i]) * m.get<float>()[i % 6] + o.get<float>()[i % 6];
      double exact = v * 0.5 * std::erfc(-v / std::sqrt(2.0)) * 50 + 9;
      EXPECT_NEAR(y[i], std::clamp(exact, 0.0, 255.0),
                  0.51 + 50 * (isPublished ? 0.019 : 0x1p-13));
    }
  }
}

/// Row E35: by the formula, of a row that holds both ends.
TEST_F(QLinearTest, FixedRefusesConstantsOutOfReach) {
  build("!quant.uniform<u8:f32, 0.1:128>", "fixed",
        "!quant.uniform<u8:f32, 0.1:128>");
  m = Tensor::of(std::vector<float>(6, 2e9f), {6});
  run();
  EXPECT_EQ(message.rfind("'tq.qlinear' op expects multiplier and offset that "
                          "a fixed-point number holds, multipliers below 2^30 "
                          "and offsets below 2^60, got 2.000000e+09 and ",
                          0),
            0u)
      << message;
}

TEST_F(QLinearTest, FloatResultIsNotClamped) {
  build("!quant.uniform<u8:f32, 0.1:128>", "sites = [\"C\"]", "f32");
  SiteHooks hooks;
  int seen = 0;
  hooks.observe = [&](const SiteValue &site) { seen += site.name == "C"; };
  auto acc = accumulate(5);
  auto y = run(hooks).toVector<float>();
  EXPECT_EQ(seen, 1);
  ASSERT_EQ(y.size(), acc.size()) << message;
  for (size_t i = 0; i < y.size(); ++i) {
    float v = float(int32_t(acc[i])) * m.get<float>()[i % 6];
    EXPECT_EQ(y[i], v + o.get<float>()[i % 6]);
  }
}

TEST_F(QLinearTest, E11SixteenBitInputsDoNotOverflow) {
  build("!quant.uniform<u16:f32, 0.1:128>", "", "f32", "12");
  c = ints({-5000, 3, 0, 77, 1, 99000000, 0, 255, 7, 0, 1, 200});
  x = codes(5, 70, 65535, 65535);
  w = codes(6, 70, -128, -128);
  m = Tensor::of(std::vector<float>(6, 1), {6});
  o = Tensor::of(std::vector<float>(6, 0), {6});
  auto y = run().toVector<float>();
  ASSERT_EQ(y.size(), 30u) << message;
  for (int n = 0; n < 6; ++n)
    EXPECT_EQ(y[n], float(int64_t(70) * 65535 * -128 +
                          int64_t(c.get<int32_t>()[n]) * 256 +
                          c.get<int32_t>()[6 + n]));
}

TEST_F(QLinearTest, FusedColumnsHaveTheirOwnSites) {
  build("!quant.uniform<u8:f32, 0.1:128>",
        "sites = [\"L0.q\", \"L0.k\", \"L0.v\"]",
        "!tq.group<u8, axis = 1, map = [0 x 2, 1 x 2, 2 x 2], "
        "params = [0.1:1, 0.2:2, 0.3:3]>");
  auto plain = run().toVector<int32_t>();
  ASSERT_EQ(plain.size(), 30u) << message;
  SiteHooks hooks;
  std::vector<std::string> names;
  hooks.observe = [&](const SiteValue &site) {
    ASSERT_EQ(site.value.getShape(), (Tensor::Shape{5, 2}));
    auto params = tq::getPerTensorParams(site.scheme);
    ASSERT_TRUE(params);
    EXPECT_EQ(params->zero, int64_t(names.size()) + 1);
    for (int t = 0; t < 5; ++t)
      for (size_t j = 0; j < 2; ++j)
        EXPECT_EQ(site.value.get<int32_t>()[t * 2 + j],
                  plain[t * 6 + names.size() * 2 + j]);
    names.push_back(site.name.str());
  };
  hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
    if (site.name != "L0.k")
      return std::nullopt;
    return Tensor::of(std::vector<int32_t>(10, 9), {5, 2});
  };
  auto forced = run(hooks).toVector<int32_t>();
  EXPECT_EQ(names, (std::vector<std::string>{"L0.q", "L0.k", "L0.v"}));
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(forced[i], i % 6 / 2 == 1 ? 9 : plain[i]);
}

TEST_F(QLinearTest, InputsWithoutALoweringAreRefused) {
  build("!tq.group<u8, axis = 1, map = [0 x 35, 1 x 35], "
        "params = [0.1, 0.2]>",
        "", "f32");
  run();
  EXPECT_EQ(message.rfind("'tq.qlinear' op has no lowering for inputs of type "
                          "'!tq.group<u8",
                          0),
            0u)
      << message;
}

TEST_F(QLinearTest, E12SixteenBitOutputs) {
  constexpr double sx = 0.04, sw = 0.003, sh = 5e-4;
  constexpr int zx = 117, zh = 31234, top = 65535;
  build("!quant.uniform<u8:f32, 0.04:117>", "hi = 65535 : i64",
        "!quant.uniform<u16:f32, 5.0e-4:31234>");
  std::vector<float> bias = floatVector(6).toVector<float>();
  std::vector<int32_t> correction;
  std::vector<float> multiplier, offset;
  for (int n = 0; n < 6; ++n) {
    int32_t sum = 0;
    for (int k = 0; k < 70; ++k)
      sum += w.get<int32_t>()[n * 70 + k];
    correction.push_back(-zx * sum);
    multiplier.push_back(float(sx * sw / sh));
    offset.push_back(float(bias[n] / sh + zh));
  }
  c = ints(correction);
  m = Tensor::of(std::vector<float>(multiplier), {6});
  o = Tensor::of(std::vector<float>(offset), {6});
  auto h = run().toVector<int32_t>();
  ASSERT_EQ(h.size(), 30u) << message;
  int64_t inside = 0;
  for (int i = 0; i < 30; ++i) {
    double sum = bias[i % 6];
    for (int k = 0; k < 70; ++k)
      sum += sx * (x.get<int32_t>()[i / 6 * 70 + k] - zx) * sw *
             w.get<int32_t>()[i % 6 * 70 + k];
    double code = std::clamp(std::nearbyint(sum / sh) + zh, 0.0, double(top));
    EXPECT_LE(std::fabs(h[i] - code), 1) << i;
    inside += h[i] > 0 && h[i] < top;
  }
  EXPECT_GT(inside, 15);
}

TEST_F(InterpretTest, E35ShiftGeluIsNearTheRealOne) {
  parse("(%x: tensor<?x70x!quant.uniform<u8:f32, 0.05:100>>) -> "
        "tensor<?x70x!quant.uniform<u8:f32, 0.04:10>>",
        "%0 = tq.qshift_gelu %x {zero = 100 : i64, unit = -12 : i64, "
        "post_multiplier = 0.009765625 : f32, post_offset = 10.0 : f32, "
        "hi = 190 : i64, sites = [\"L0.f\"]} : "
        "tensor<?x70x!quant.uniform<u8:f32, 0.05:100>> -> "
        "tensor<?x70x!quant.uniform<u8:f32, 0.04:10>>\n"
        "return %0 : tensor<?x70x!quant.uniform<u8:f32, 0.04:10>>\n");
  Tensor x = codes(9, 70, 0, 180);
  std::vector<int32_t> seen;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    if (site.name == "L0.f")
      seen = site.value.toVector<int32_t>();
  };
  auto y = run({x}, hooks).toVector<int32_t>();
  ASSERT_EQ(y.size(), 9u * 70) << message;
  EXPECT_EQ(seen, y);
  for (size_t i = 0; i < y.size(); ++i) {
    double v = 0.05 * (x.get<int32_t>()[i] - 100);
    double exact = v * 0.5 * std::erfc(-v / std::sqrt(2.0)) / 0.04 + 10;
    // A sigmoid is off by up to 9 % of the exponential, at most 0.044 with the
    // floor, times |v|; where it is small or large, by less.
    EXPECT_NEAR(y[i], std::clamp(exact, 0.0, 190.0),
                0.5 + (0.03 + 0.044 * std::fabs(v)) / 0.04)
        << v;
  }
}

} // namespace
