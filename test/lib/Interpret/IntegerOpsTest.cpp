//===- IntegerOpsTest.cpp - L2 ops against straightforward loops ----------===//
//
// Part of Quern. Products, sums and pooling over codes: exact against loops
// that follow the descriptions, and near the real-valued formula.
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

class QAddNormTest : public InterpretTest {
protected:
  void build(const std::string &bits, const std::string &attributes,
             const std::string &output) {
    std::string type = "tensor<?x48x!quant.uniform<u" + bits + ":f32, 0.1>>";
    std::string vector = "tensor<48xf32>";
    parse("(%a: " + type + ", %b: " + type + ", %ma: tensor<1xf32>, %mb: " +
              vector + ", %mo: " + vector + ", %g: " + vector +
              ", %be: " + vector + ") -> tensor<?x48x" + output + ">",
          "%0 = tq.qadd_norm %a, %b, %ma, %mb, %mo, %g, %be {" + attributes +
              ", sum_zero = 100 : i64, eps = 1.0e-12 : f64, "
              "sites = [\"L0.u\", \"L0.x\"]} : (" +
              type + ", " + type + ", tensor<1xf32>, " + vector + ", " +
              vector + ", " + vector + ", " + vector + ") -> tensor<?x48x" +
              output + ">\nreturn %0 : tensor<?x48x" + output + ">\n");
  }
};

TEST_F(QAddNormTest, IsTheLayerNormOfTheQuantizedSum) {
  for (int bits : {8, 16}) {
    int top = (1 << bits) - 1;
    build(std::to_string(bits),
          "sum_scale = 0.05 : f32, sum_hi = " + std::to_string(top) + " : i64",
          "f32");
    Tensor a = codes(9, 48, 0, top), b = codes(9, 48, 0, top);
    Tensor ma = Tensor::of(std::vector<float>{0.3f}, {1});
    Tensor mb = floatVector(48, 0.4), mo = floatVector(48, 10);
    Tensor g = floatVector(48), be = floatVector(48);
    std::vector<int32_t> u;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      if (site.name == "L0.u") {
        u = site.value.toVector<int32_t>();
        EXPECT_EQ(tq::getCodeStorage(site.scheme)->bits, unsigned(bits));
      }
    };
    auto y = run({a, b, ma, mb, mo, g, be}, hooks).toVector<float>();
    ASSERT_EQ(y.size(), 9u * 48) << message;
    for (int t = 0; t < 9; ++t) {
      double mean = 0, var = 0;
      for (int j = 0; j < 48; ++j) {
        int i = t * 48 + j;
        float first = float(a.get<int32_t>()[i]) * 0.3f;
        float second = float(b.get<int32_t>()[i]) * mb.get<float>()[j];
        float sum = first + second;
        EXPECT_EQ(u[i], qm_round_code(sum + mo.get<float>()[j], 0, top));
        mean += 0.05f * double(u[i]) / 48;
      }
      for (int j = 0; j < 48; ++j)
        var += std::pow(0.05f * double(u[t * 48 + j]) - mean, 2) / 48;
      for (int j = 0; j < 48; ++j) {
        double exact = (0.05f * double(u[t * 48 + j]) - mean) /
                           std::sqrt(var + 1e-12) * g.get<float>()[j] +
                       be.get<float>()[j];
        EXPECT_NEAR(y[t * 48 + j], exact, 1e-4 * (1 + std::fabs(exact)));
      }
    }
  }
}

/// Rows E38 and E40: the sum rounds each of its terms, and codes of 8 bits are
/// within one of the real LayerNorm; a gain of zero gives the shift.
TEST_F(QAddNormTest, E38FixedIsNearTheRealLayerNorm) {
  build("16", "sum_scale = 0.05 : f32, sum_hi = 65535 : i64, fixed",
        "!quant.uniform<u8:f32, 0.03:120>");
  Tensor a = codes(9, 48, 0, 65535), b = codes(9, 48, 0, 65535);
  Tensor ma = Tensor::of(std::vector<float>{0.3f}, {1});
  Tensor mb = floatVector(48, 0.4), mo = floatVector(48, 20000);
  std::vector<float> g = floats(1, 48).toVector<float>();
  for (float &v : g)
    v = v * 30;
  g[5] = 0;
  Tensor gamma = Tensor::of(std::move(g), {48}), be = floatVector(48, 120);
  std::vector<int32_t> u;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    if (site.name == "L0.u")
      u = site.value.toVector<int32_t>();
  };
  auto y = run({a, b, ma, mb, mo, gamma, be}, hooks).toVector<int32_t>();
  ASSERT_EQ(y.size(), 9u * 48) << message;
  for (int t = 0; t < 9; ++t) {
    double mean = 0, var = 0;
    for (int j = 0; j < 48; ++j) {
      int i = t * 48 + j;
      double first = double(a.get<int32_t>()[i]) * 0.3f + mo.get<float>()[j];
      double second = double(b.get<int32_t>()[i]) * mb.get<float>()[j];
      EXPECT_EQ(u[i], std::clamp(std::nearbyint(first) + std::nearbyint(second),
                                 0.0, 65535.0));
      mean += double(u[i]) / 48;
    }
    for (int j = 0; j < 48; ++j)
      var += std::pow(u[t * 48 + j] - mean, 2) / 48;
    for (int j = 0; j < 48; ++j) {
      double exact =
          (u[t * 48 + j] - mean) / std::sqrt(var) * gamma.get<float>()[j] +
          be.get<float>()[j];
      EXPECT_NEAR(y[t * 48 + j], std::clamp(exact, 0.0, 255.0), 1) << j;
    }
  }
}

/// Row E39: power-of-two factors by channel, against the real LayerNorm; codes
/// of 8 bits whose mean is no whole code are within one.
TEST_F(QAddNormTest, E39FactorsAreShifts) {
  for (bool factors : {false, true}) {
    std::string map;
    for (int j = 0; j < 48; ++j)
      map += std::string(j ? ", " : "") + char('0' + j * 5 % 7 % 4);
    build("8",
          "sum_scale = 0.05 : f32, fixed" +
              (factors ? ", sum_type = !tq.group<u8, axis = 1, map = [" + map +
                             "], params = [0.125:90, 0.25:90, 1.0:90, "
                             "0.5:90]>"
                       : std::string()),
          "!quant.uniform<u8:f32, 0.03:120>");
    // Of group 2 the scale is 8 times the least, of group 3 4 times.
    const int factorOf[] = {1, 2, 8, 4};
    Tensor a = codes(9, 48, 0, 255), b = codes(9, 48, 0, 255);
    Tensor ma = Tensor::of(std::vector<float>{0.02f}, {1});
    Tensor mb = floatVector(48, 0.004);
    std::vector<float> middle = floats(1, 48).toVector<float>(), g;
    // Steps of one code around 90, and outliers 50 times as far.
    for (int j = 0; j < 48; ++j)
      middle[j] = 90 + (j % 16 == 3 ? 50 : 1) * middle[j];
    for (float v : floats(1, 48).toVector<float>())
      g.push_back(v * 20);
    Tensor mo = Tensor::of(std::move(middle), {48}),
           gamma = Tensor::of(std::move(g), {48}), be = floatVector(48, 100);
    std::vector<int32_t> u;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      if (site.name == "L0.u")
        u = site.value.toVector<int32_t>();
    };
    auto y = run({a, b, ma, mb, mo, gamma, be}, hooks).toVector<int32_t>();
    ASSERT_EQ(y.size(), 9u * 48) << message;
    for (int t = 0; t < 9; ++t) {
      std::vector<double> x;
      double mean = 0, var = 0;
      for (int j = 0; j < 48; ++j) {
        x.push_back((u[t * 48 + j] - 90) *
                    (factors ? factorOf[j * 5 % 7 % 4] : 1));
        mean += x[j] / 48;
      }
      for (double v : x)
        var += (v - mean) * (v - mean) / 48;
      for (int j = 0; j < 48; ++j) {
        double exact = (x[j] - mean) / std::sqrt(var) * gamma.get<float>()[j] +
                       be.get<float>()[j];
        EXPECT_NEAR(y[t * 48 + j], std::clamp(exact, 0.0, 255.0), 0.75)
            << j << ", deviation " << std::sqrt(var);
      }
    }
  }
}

/// Row E12: sums of 16-bit codes (y) and LayerNorm outputs of 16 bits (x)
/// against the formula on real numbers, in double.
TEST_F(QAddNormTest, E12SixteenBitSumsAndOutputs) {
  constexpr double sa = 3e-4, sb = 2e-4, su = 5e-4, sx = 16.0 / 65535;
  constexpr int za = 1000, zb = 2000, zu = 100, zx = 32768, top = 65535;
  build("16", "sum_scale = 5.0e-4 : f32, sum_hi = 65535 : i64",
        "!quant.uniform<u16:f32, 2.44144350e-4:32768>");
  Tensor a = codes(21, 48, 0, top), b = codes(21, 48, 0, top);
  std::vector<float> real = floats(2, 48).toVector<float>(), g, be;
  for (int j = 0; j < 48; ++j) {
    g.push_back(float(real[j] / sx));
    be.push_back(float(real[48 + j] / sx + zx));
  }
  auto whole = [](double v, int64_t size) {
    return Tensor::of(std::vector<float>(size, float(v)), {size});
  };
  std::vector<int32_t> u;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    if (site.name == "L0.u")
      u = site.value.toVector<int32_t>();
  };
  auto x = run({a, b, whole(sa / su, 1), whole(sb / su, 48),
                whole(zu - za * sa / su - zb * sb / su, 48),
                Tensor::of(std::vector<float>(g), {48}),
                Tensor::of(std::vector<float>(be), {48})},
               hooks)
               .toVector<int32_t>();
  ASSERT_EQ(x.size(), 21u * 48) << message;
  ASSERT_EQ(u.size(), x.size());
  auto code = [](double value, double scale, int zero) {
    return std::clamp(std::nearbyint(value / scale) + zero, 0.0, double(top));
  };
  int64_t clamped = 0;
  for (int t = 0; t < 21; ++t) {
    double mean = 0, var = 0;
    for (int j = 0; j < 48; ++j) {
      int i = t * 48 + j;
      double sum =
          sa * (a.get<int32_t>()[i] - za) + sb * (b.get<int32_t>()[i] - zb);
      EXPECT_LE(std::fabs(u[i] - code(sum, su, zu)), 1) << i;
      clamped += u[i] == 0 || u[i] == top;
      mean += su * (u[i] - zu) / 48;
    }
    for (int j = 0; j < 48; ++j)
      var += std::pow(su * (u[t * 48 + j] - zu) - mean, 2) / 48;
    for (int j = 0; j < 48; ++j) {
      int i = t * 48 + j;
      double value =
          (su * (u[i] - zu) - mean) / std::sqrt(var + 1e-12) * real[j] +
          real[48 + j];
      EXPECT_LE(std::fabs(x[i] - code(value, sx, zx)), 1) << i;
    }
  }
  // Most codes say something.
  EXPECT_LT(clamped, 21 * 48 / 4);
}

/// Row E12: a product that is requantized to 16 bits (h).
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

TEST_F(QAddNormTest, EqualCodesGiveBeta) {
  build("8", "sum_scale = 0.05 : f32", "!quant.uniform<u8:f32, 0.1:7>");
  Tensor a = codes(1, 48, 200, 200),
         one = Tensor::of(std::vector<float>{1}, {1});
  Tensor zero = Tensor::of(std::vector<float>(48, 0), {48});
  Tensor seven = Tensor::of(std::vector<float>(48, 7), {48});
  // The variance is 0; eps keeps the division defined.
  EXPECT_EQ(
      run({a, a, one, zero, zero, floatVector(48), seven}).toVector<int32_t>(),
      std::vector<int32_t>(48, 7))
      << message;
}

TEST_F(InterpretTest, E16QEmbedFollowsItsFormula) {
  parse("(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, "
        "%w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, "
        "%sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, "
        "%g: tensor<4xf32>, %b: tensor<4xf32>) -> "
        "tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>",
        "%0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b "
        "{e1_multiplier = 10.0 : f32, e1_zero = 100 : i64, e1_scale = 0.1 : "
        "f32, e2_multiplier = 5.0 : f32, e2_zero = 120 : i64, e2_scale = 0.2 "
        ": f32, eps = 1.0e-12 : f64, sites = [\"E.t\", \"E.e\", \"E.z\"]} : "
        "(tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, "
        "tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, "
        "tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> "
        "tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>\n"
        "return %0 : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>\n");
  Tensor word = codes(10, 4, -128, 127), type = codes(2, 4, -128, 127);
  Tensor place = codes(16, 4, -128, 127);
  Tensor sw = Tensor::of(std::vector<float>(10, 0.01f), {10});
  Tensor st = Tensor::of(std::vector<float>{0.02f}, {1});
  Tensor g = floatVector(4, 20),
         b = Tensor::of(std::vector<float>(4, 128), {4});
  std::vector<std::vector<int32_t>> seen;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    seen.push_back(site.value.toVector<int32_t>());
  };
  auto inputs = [&](int id) {
    return std::vector<Tensor>{ints({9, id}),
                               ints({0, 1}),
                               ints({0, 15}),
                               word,
                               type,
                               place,
                               sw,
                               st,
                               st,
                               g,
                               b};
  };
  run(inputs(3), hooks);
  ASSERT_EQ(seen.size(), 3u) << message;
  for (int j = 0; j < 4; ++j) {
    float t = float(word.get<int32_t>()[3 * 4 + j]) * 0.01f;
    t = t + float(type.get<int32_t>()[4 + j]) * 0.02f;
    int32_t e1 = qm_round_code(t * 10.0f + 100.0f, 0, 255);
    EXPECT_EQ(seen[0][4 + j], e1);
    float sum = (float(e1) - 100.0f) * 0.1f;
    sum = sum + float(place.get<int32_t>()[15 * 4 + j]) * 0.02f;
    EXPECT_EQ(seen[1][4 + j], qm_round_code(sum * 5.0f + 120.0f, 0, 255));
  }
  run(inputs(10));
  EXPECT_EQ(message, "'tq.qembed' op expects ids in [0, 10), got 10");
}

TEST_F(InterpretTest, QPoolTakesTheFirstRowOrTheMean) {
  std::string in = "tensor<?x2x!quant.uniform<u8:f32, 0.5:10>>";
  for (bool mean : {false, true}) {
    std::string out = mean ? "tensor<?x2xf32>" : in;
    parse("(%x: " + in + ", %o: tensor<?xi32>) -> " + out,
          "%0 = tq.qpool %x, %o {kind = #tq.pool_kind<" +
              std::string(mean ? "mean" : "cls") + ">} : (" + in +
              ", tensor<?xi32>) -> " + out + "\nreturn %0 : " + out + "\n");
    Tensor x = Tensor::of(std::vector<int32_t>{10, 20, 11, 40, 0, 255}, {3, 2});
    Tensor y = run({x, ints({0, 2, 2, 3})});
    ASSERT_EQ(y.size(), 6) << message;
    if (!mean)
      EXPECT_EQ(y.toVector<int32_t>(),
                (std::vector<int32_t>{10, 20, 10, 10, 0, 255}));
    else
      EXPECT_EQ(y.toVector<float>(),
                (std::vector<float>{0.25, 10, 0, 0, -5, 122.5}));
  }
}

/// Row E18: a real offset is added to the mean, but to that of no tokens.
TEST_F(InterpretTest, QPoolAddsTheOffsetOfCodes) {
  std::string in = "tensor<?x2x!tq.offset<u8, scale = 0.5, offset = -1.25>>";
  parse("(%x: " + in + ", %o: tensor<?xi32>) -> tensor<?x2xf32>",
        "%0 = tq.qpool %x, %o {kind = #tq.pool_kind<mean>} : (" + in +
            ", tensor<?xi32>) -> tensor<?x2xf32>\n"
            "return %0 : tensor<?x2xf32>\n");
  Tensor x = Tensor::of(std::vector<int32_t>{10, 20, 11, 40, 0, 255}, {3, 2});
  Tensor y = run({x, ints({0, 2, 2, 3})});
  ASSERT_EQ(y.size(), 6) << message;
  EXPECT_EQ(y.toVector<float>(),
            (std::vector<float>{4, 13.75, 0, 0, -1.25, 126.25}));
}

} // namespace
