//===- TokenRangesTest.cpp - L2: codes with the ranges of tokens ----------===//
//
// Part of Quern. Row E29: quantizers, linears and sums whose ranges are found
// at run time, against loops in double and in 64-bit integers.
//
//===----------------------------------------------------------------------===//

#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace quern;

namespace {

constexpr int64_t width = 70;

/// Rows that are hard to quantize: see the comments.
std::vector<std::vector<float>> hardRows() {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> rows;
  auto add = [&](auto value) {
    rows.emplace_back();
    for (int64_t j = 0; j < width; ++j)
      rows.back().push_back(value(j));
  };
  add([&](int64_t) { return normal(random); });
  // Nothing, of either sign.
  add([](int64_t) { return 0.0f; });
  add([](int64_t) { return -0.0f; });
  // One outlier, fifty times what else there is, in the last column.
  add([&](int64_t j) { return j == width - 1 ? 150.0f : normal(random); });
  add([&](int64_t j) { return j == 0 ? -150.0f : normal(random); });
  // Constants, and values of one sign.
  add([](int64_t) { return 3.25f; });
  add([](int64_t) { return -3.25f; });
  add([&](int64_t) { return std::fabs(normal(random)); });
  add([&](int64_t) { return -std::fabs(normal(random)); });
  // Below the least normal number, and a range below the least scale.
  add([](int64_t j) {
    return float(j % 3 - 1) * std::numeric_limits<float>::denorm_min();
  });
  add([](int64_t j) { return float(j - 30) * 1e-36f; });
  // Large numbers.
  add([&](int64_t) { return normal(random) * 1e30f; });
  return rows;
}

Tensor tensorOf(const std::vector<std::vector<float>> &rows) {
  std::vector<float> all;
  for (const auto &row : rows)
    all.insert(all.end(), row.begin(), row.end());
  return Tensor::of(std::move(all), {int64_t(rows.size()), width});
}

struct Row {
  float scale;
  int64_t zero;
};

/// Scale and zero point as the design says them, in f32 where it says f32.
Row rangeOf(const std::vector<float> &row, int bits, bool centred) {
  float lo = 0, hi = 0;
  for (float x : row) {
    lo = std::min(lo, x);
    hi = std::max(hi, x);
  }
  float top = float((1 << bits) - 1);
  if (centred && lo < 0) {
    float half = float((1 << (bits - 1)) - 1);
    return {std::max(std::max(-lo, hi) / half, 0x1p-100f), int64_t(1)
                                                               << (bits - 1)};
  }
  float scale = std::max((hi - lo) / top, 0x1p-100f);
  // The quotient is at most a rounding error above `top`.
  float zero = std::nearbyint(-lo / scale);
  return {scale, int64_t(std::min(zero, top))};
}

int64_t codeOf(float x, const Row &range, int bits) {
  float inverse = 1 / range.scale;
  double q = std::nearbyint(x * inverse) + double(range.zero);
  return int64_t(std::min(std::max(q, 0.0), double((1 << bits) - 1)));
}

class TokenRangesTest : public InterpretTest {
protected:
  static std::string typeOf(int bits, bool centred) {
    return "!tq.dynamic<u" + std::to_string(bits) + ", token" +
           (centred ? ", symmetric>" : ">");
  }

  /// Quantize and dequantize; hooks see the codes as site L0.x.
  void parseRoundTrip(const std::string &type) {
    parse("(%x: tensor<?x70xf32>) -> tensor<?x70xf32>",
          "%q = tq.quantize %x {site = \"L0.x\"} : tensor<?x70xf32> -> "
          "tensor<?x70x" +
              type + ">\n%0 = tq.dequantize %q : tensor<?x70x" + type +
              "> -> tensor<?x70xf32>\nreturn %0 : tensor<?x70xf32>\n");
  }

  /// The linear of codes that a quantizer makes, with three outputs.
  void parseLinear(const std::string &type, const std::string &attributes,
                   const std::string &output) {
    parse("(%x: tensor<?x70xf32>, %w: tensor<3x70xi8>, %c: tensor<3xi32>, "
          "%m: tensor<3xf32>, %o: tensor<3xf32>) -> tensor<?x3x" +
              output + ">",
          "%q = tq.quantize %x : tensor<?x70xf32> -> tensor<?x70x" + type +
              ">\n%0 = tq.qlinear %q, %w, %c, %m, %o {" + attributes +
              "} : (tensor<?x70x" + type +
              ">, tensor<3x70xi8>, tensor<3xi32>, tensor<3xf32>, "
              "tensor<3xf32>) -> tensor<?x3x" +
              output + ">\nreturn %0 : tensor<?x3x" + output + ">\n");
  }

  /// Less the sums of the weights' rows.
  Tensor corrections() const {
    std::vector<int32_t> all;
    for (int n = 0; n < 3; ++n) {
      all.push_back(0);
      for (int k = 0; k < width; ++k)
        all.back() -= w.get<int32_t>()[n * width + k];
    }
    return ints(all);
  }

  Tensor w = codes(3, width, -128, 127), m = floatVector(3, 0.01),
         o = floatVector(3, 2);
};

TEST_F(TokenRangesTest, E29CodesOfHardRows) {
  auto rows = hardRows();
  Tensor x = tensorOf(rows);
  for (int bits = 2; bits <= 8; ++bits)
    for (bool centred : {false, true}) {
      SCOPED_TRACE(typeOf(bits, centred));
      parseRoundTrip(typeOf(bits, centred));
      std::vector<int32_t> codes;
      std::vector<tq::UniformParams> ranges;
      SiteHooks hooks;
      hooks.observe = [&](const SiteValue &site) {
        codes = site.value.toVector<int32_t>();
        ranges.assign(site.value.ranges.begin(), site.value.ranges.end());
      };
      auto y = run({x}, hooks, Arithmetic::Machine).toVector<float>();
      ASSERT_EQ(y.size(), rows.size() * width) << message;
      ASSERT_EQ(ranges.size(), rows.size());
      for (size_t t = 0; t < rows.size(); ++t) {
        Row range = rangeOf(rows[t], bits, centred);
        EXPECT_EQ(float(ranges[t].scale), range.scale) << "row " << t;
        EXPECT_EQ(ranges[t].zero, range.zero) << "row " << t;
        for (int64_t j = 0; j < width; ++j) {
          int64_t code = codeOf(rows[t][j], range, bits);
          ASSERT_EQ(codes[t * width + j], code) << "row " << t << ", " << j;
          EXPECT_EQ(y[t * width + j], float(code - range.zero) * range.scale);
          // Half a step, plus the end that rounding the zero point may cut.
          EXPECT_LE(std::fabs(double(y[t * width + j]) - rows[t][j]),
                    1.001 * range.scale);
        }
      }
    }
}

TEST_F(TokenRangesTest, RowsOfZerosAreZeros) {
  parseRoundTrip(typeOf(8, false));
  std::vector<std::vector<float>> rows(2, std::vector<float>(width, 0.0f));
  rows[1].assign(width, -0.0f);
  auto y = run({tensorOf(rows)}, {}, Arithmetic::Machine).toVector<float>();
  ASSERT_EQ(y.size(), 2u * width) << message;
  for (float v : y) {
    EXPECT_EQ(v, 0.0f);
    EXPECT_FALSE(std::signbit(v));
  }
}

TEST_F(TokenRangesTest, SimulationIsWithinOneCode) {
  auto rows = hardRows();
  for (bool centred : {false, true}) {
    parseRoundTrip(typeOf(8, centred));
    std::vector<int32_t> seen[2];
    for (int machine : {0, 1}) {
      SiteHooks hooks;
      hooks.observe = [&](const SiteValue &site) {
        seen[machine] = site.value.toVector<int32_t>();
      };
      run({tensorOf(rows)}, hooks,
          machine ? Arithmetic::Machine : Arithmetic::Real);
    }
    ASSERT_EQ(seen[0].size(), rows.size() * width) << message;
    ASSERT_EQ(seen[1].size(), rows.size() * width) << message;
    for (size_t i = 0; i < seen[0].size(); ++i)
      EXPECT_LE(std::abs(seen[0][i] - seen[1][i]), 1) << i;
  }
}

TEST_F(TokenRangesTest, ARowDependsOnNothingElse) {
  auto rows = hardRows();
  parseRoundTrip(typeOf(8, false));
  auto all = run({tensorOf(rows)}, {}, Arithmetic::Machine).toVector<float>();
  ASSERT_EQ(all.size(), rows.size() * width) << message;
  for (size_t t = 0; t < rows.size(); ++t) {
    auto one =
        run({tensorOf({rows[t]})}, {}, Arithmetic::Machine).toVector<float>();
    ASSERT_EQ(one.size(), size_t(width));
    EXPECT_EQ(std::memcmp(one.data(), &all[t * width], width * sizeof(float)),
              0)
        << "row " << t;
  }
}

TEST_F(TokenRangesTest, LinearsAreExact) {
  auto rows = hardRows();
  Tensor x = tensorOf(rows), c = corrections();
  for (bool centred : {false, true}) {
    parseLinear(typeOf(8, centred), "", "f32");
    auto y = run({x, w, c, m, o}, {}, Arithmetic::Machine).toVector<float>();
    ASSERT_EQ(y.size(), rows.size() * 3) << message;
    for (size_t t = 0; t < rows.size(); ++t) {
      Row range = rangeOf(rows[t], 8, centred);
      for (int n = 0; n < 3; ++n) {
        int64_t acc = 0;
        for (int64_t k = 0; k < width; ++k)
          acc += (codeOf(rows[t][k], range, 8) - range.zero) *
                 w.get<int32_t>()[n * width + k];
        float factor = range.scale * m.get<float>()[n];
        float v = float(acc) * factor;
        EXPECT_EQ(y[t * 3 + n], v + o.get<float>()[n]) << "row " << t;
      }
    }
  }
}

TEST_F(TokenRangesTest, ActivationAndCodesComeBehindTheScale) {
  auto rows = hardRows();
  Tensor x = tensorOf(rows), c = corrections();
  parseLinear(typeOf(8, false), "", "f32");
  auto real = run({x, w, c, m, o}, {}, Arithmetic::Machine).toVector<float>();
  parseLinear(typeOf(8, false),
              "activation = #tq.activation<gelu>, post_multiplier = 8.0 : f32, "
              "post_offset = 3.0 : f32, hi = 200 : i64",
              "!quant.uniform<u8:f32, 0.125:3>");
  auto y = run({x, w, c, m, o}, {}, Arithmetic::Machine).toVector<int32_t>();
  ASSERT_EQ(y.size(), real.size()) << message;
  for (size_t i = 0; i < y.size(); ++i) {
    float v = qm_gelu(real[i]) * 8.0f;
    EXPECT_EQ(y[i], qm_round_code(v + 3.0f, 0, 200));
  }
}

TEST_F(TokenRangesTest, CodesWithoutRangesAreRefused) {
  parse("(%x: tensor<?x70x!tq.dynamic<u8, token>>) -> tensor<?x70xf32>",
        "%0 = tq.dequantize %x : tensor<?x70x!tq.dynamic<u8, token>> -> "
        "tensor<?x70xf32>\nreturn %0 : tensor<?x70xf32>\n");
  EXPECT_EQ(run({codes(2, width, 0, 255)}, {}, Arithmetic::Machine).size(), 0);
  EXPECT_NE(message.find("expects a range for each of 2 rows, got 0"),
            std::string::npos)
      << message;
}

TEST_F(TokenRangesTest, RangesOfABatchAreRefused) {
  parseRoundTrip("!tq.dynamic<u8, tensor>");
  EXPECT_EQ(run({floats(2, width)}, {}, Arithmetic::Machine).size(), 0);
  EXPECT_NE(message.find("is defined in f32 for per-tensor types and ranges of "
                         "tokens only"),
            std::string::npos)
      << message;
}

TEST_F(TokenRangesTest, FirstRowsKeepTheirRanges) {
  parse("(%x: tensor<?x70xf32>, %s: tensor<?xi32>) -> tensor<?x70xf32>",
        "%q = tq.quantize %x : tensor<?x70xf32> -> "
        "tensor<?x70x!tq.dynamic<u8, token>>\n"
        "%p = tq.qpool %q, %s {kind = #tq.pool_kind<cls>} : "
        "(tensor<?x70x!tq.dynamic<u8, token>>, tensor<?xi32>) -> "
        "tensor<?x70x!tq.dynamic<u8, token>>\n"
        "%0 = tq.dequantize %p : tensor<?x70x!tq.dynamic<u8, token>> -> "
        "tensor<?x70xf32>\nreturn %0 : tensor<?x70xf32>\n");
  auto rows = hardRows();
  ASSERT_EQ(rows.size(), 12u);
  // Sequences of 3, 0 and 9 tokens.
  auto pooled =
      run({tensorOf(rows), ints({0, 3, 3, 12})}, {}, Arithmetic::Machine)
          .toVector<float>();
  ASSERT_EQ(pooled.size(), 3u * width) << message;
  parseRoundTrip(typeOf(8, false));
  auto all = run({tensorOf(rows)}, {}, Arithmetic::Machine).toVector<float>();
  for (int64_t j = 0; j < width; ++j) {
    EXPECT_EQ(pooled[j], all[j]);
    EXPECT_EQ(pooled[width + j], 0.0f);
    EXPECT_EQ(pooled[2 * width + j], all[3 * width + j]);
  }
}

/// A sum with values in f32 is that with a scale of 1.
TEST_F(TokenRangesTest, SumsTakeValues) {
  auto text = [](const std::string &type) {
    return "tensor<?x70x" + type + ">";
  };
  std::string codesType = "!quant.uniform<u8:f32, 0.5:10>";
  for (const std::string &type : {codesType, std::string("f32")}) {
    parse("(%a: " + text(type) + ", %b: " + text(codesType) +
              ", %v: tensor<1xf32>, %g: tensor<70xf32>) -> " + text("f32"),
          "%0 = tq.qadd_norm %a, %b, %v, %v, %v, %g, %g {sum_scale = 0.1 : "
          "f32, sum_zero = 0 : i64, eps = 1.0e-12 : f64} : (" +
              text(type) + ", " + text(codesType) +
              ", tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<70xf32>, "
              "tensor<70xf32>) -> " +
              text("f32") + "\nreturn %0 : " + text("f32") + "\n");
    Tensor a = codes(3, width, 0, 100), b = codes(3, width, 0, 100);
    Tensor v = Tensor::of(std::vector<float>{0.75f}, {1}), g = floatVector(70);
    Tensor given =
        type == "f32" ? Tensor::of(a.toVector<float>(), {3, width}) : a;
    auto y = run({given, b, v, g}).toVector<float>();
    ASSERT_EQ(y.size(), 3u * width) << message;
    for (int t = 0; t < 3; ++t) {
      std::vector<double> u;
      double sum = 0, squares = 0;
      for (int j = 0; j < width; ++j) {
        float both = float(a.get<int32_t>()[t * width + j]) * 0.75f +
                     float(b.get<int32_t>()[t * width + j]) * 0.75f;
        u.push_back(qm_round_code(both + 0.75f, 0, 255));
        sum += u.back();
        squares += u.back() * u.back();
      }
      double mean = sum / width;
      double deviation = std::sqrt(squares / width - mean * mean);
      for (int j = 0; j < width; ++j) {
        double gain = g.get<float>()[j];
        EXPECT_NEAR(y[t * width + j], (u[j] - mean) / deviation * gain + gain,
                    1e-4);
      }
    }
  }
}

} // namespace
