//===- IntegerNormTest.cpp - LayerNorms of sums of codes ------------------===//
//
// Part of Quern. tq.qadd_norm: exact against loops that follow the description,
// and near the real-valued formula.
//
//===----------------------------------------------------------------------===//

#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

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

  /// Keeps the sum of the next run in `u`.
  SiteHooks watched() {
    SiteHooks hooks;
    hooks.observe = [this](const SiteValue &site) {
      if (site.name != "L0.u")
        return;
      u = site.value.toVector<int32_t>();
      sumBits = tq::getCodeStorage(site.scheme)->bits;
    };
    return hooks;
  }

  std::vector<int32_t> u;
  unsigned sumBits = 0;
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
    auto y = run({a, b, ma, mb, mo, g, be}, watched()).toVector<float>();
    EXPECT_EQ(sumBits, unsigned(bits));
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
  auto y = run({a, b, ma, mb, mo, gamma, be}, watched()).toVector<int32_t>();
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
    auto y = run({a, b, ma, mb, mo, gamma, be}, watched()).toVector<int32_t>();
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
  auto x = run({a, b, whole(sa / su, 1), whole(sb / su, 48),
                whole(zu - za * sa / su - zb * sb / su, 48),
                Tensor::of(std::vector<float>(g), {48}),
                Tensor::of(std::vector<float>(be), {48})},
               watched())
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

} // namespace
