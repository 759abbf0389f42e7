//===- CodesTest.cpp - Quantizers against their formulas ------------------===//
//
// Part of Quern. Rows E01 and E02, and the types that upstream cannot say.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Codes.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "mlir/AsmParser/AsmParser.h"

#include <cfenv>
#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::tq;

namespace {

class CodesTest : public InterpretTest {
protected:
  mlir::Type type(const std::string &text) {
    mlir::Type result = mlir::parseType(text, &context);
    EXPECT_TRUE(result) << text << ": " << message;
    return result;
  }
  std::vector<int32_t> quantize(std::vector<double> values,
                                const std::string &scheme,
                                Tensor::Shape shape = {}) {
    if (shape.empty())
      shape = {int64_t(values.size())};
    auto op = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
    auto codes = quantizeTensor(op, Tensor::of(values, shape), type(scheme),
                                Rounding::HalfEven);
    last = mlir::failed(codes) ? Tensor() : *codes;
    auto back = dequantizeTensor(op, last, type(scheme));
    values_ =
        mlir::failed(back) ? std::vector<double>() : back->toVector<double>();
    op.erase();
    return last.toVector<int32_t>();
  }
  Tensor last;
  /// What the last codes stand for.
  std::vector<double> values_;
};

TEST_F(CodesTest, E01UniformEqualsTheFormulaOnAMillionValues) {
  // nearbyint rounds half to even in the default mode.
  ASSERT_EQ(std::fegetround(), FE_TONEAREST);
  std::uniform_real_distribution<double> uniform(-30, 30);
  for (auto [scale, zero, min, max] :
       {std::tuple{0.125, 128, 0, 255}, std::tuple{0.1, 0, -128, 127},
        std::tuple{0.37, 255, 0, 255}, std::tuple{0.001, 12345, 0, 65535}})
    for (int i = 0; i < 250000; ++i) {
      // Every third value is a tie of the grid of 1/8.
      double x = i % 3 ? uniform(random) : (i % 1024 - 512) * 0.0625;
      double expected = std::nearbyint(x / scale) + zero;
      expected = std::min(std::max(expected, double(min)), double(max));
      ASSERT_EQ(quantizeUniform(x, {scale, zero}, min, max, Rounding::HalfEven),
                int32_t(expected))
          << x << " at " << scale;
    }
}

TEST_F(CodesTest, RoundsTheQuotientBeforeTheZeroPoint) {
  // 0.5 rounds to 0 and 1.5 to 2: an odd zero point must not change that.
  EXPECT_EQ(
      quantize({0.5, 1.5, -0.5, -1.5, -0.0}, "!quant.uniform<u8:f32, 1.0:3>"),
      (std::vector<int32_t>{3, 5, 3, 1, 3}));
}

TEST_F(CodesTest, ClampsExtremesAndNoNumbers) {
  double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(quantize({1e300, -1e300, inf, -inf, std::nan("")},
                     "!quant.uniform<u8:f32, 0.1:100>"),
            (std::vector<int32_t>{255, 0, 255, 0, 0}));
  EXPECT_EQ(quantize({1e9, -1e9}, "!quant.uniform<i8<-127:127>:f32, 0.1>"),
            (std::vector<int32_t>{127, -127}));
}

TEST_F(CodesTest, E02RoundingModesOnEveryHalfInteger) {
  for (int64_t i = -(1 << 21) - 1; i <= (1 << 21) + 1; i += 2) {
    double x = i * 0.5, low = double((i - 1) / 2 - (i < 0 ? 1 : 0));
    low = std::floor(x);
    double even = std::fmod(low, 2) == 0 ? low : low + 1;
    ASSERT_EQ(roundReal(x, Rounding::HalfEven), even) << x;
    ASSERT_EQ(roundReal(x, Rounding::HalfUp), low + 1) << x;
    ASSERT_EQ(roundReal(x, Rounding::HalfAway), x < 0 ? low : low + 1) << x;
    ASSERT_EQ(roundReal(x, Rounding::Floor), low) << x;
    ASSERT_EQ(roundReal(x, Rounding::Trunc), x < 0 ? low + 1 : low) << x;
  }
}

TEST_F(CodesTest, HalfUpDoesNotAddAndFloor) {
  // floor(v + 1/2) gives 1 here.
  EXPECT_EQ(roundReal(0.49999999999999994, Rounding::HalfUp), 0);
  EXPECT_EQ(roundReal(0.49999999999999994, Rounding::HalfEven), 0);
}

TEST_F(CodesTest, GroupsHaveTheirOwnParameters) {
  EXPECT_EQ(quantize({1, 1, 1, -1, -1, -1},
                     "!tq.group<u8, axis = 1, map = [1, 0, 1], "
                     "params = [0.5:10, 0.25:20]>",
                     {2, 3}),
            (std::vector<int32_t>{24, 12, 24, 16, 8, 16}));
  EXPECT_EQ(values_, (std::vector<double>{1, 1, 1, -1, -1, -1}));
}

TEST_F(CodesTest, PerAxisScalesFollowTheirAxis) {
  EXPECT_EQ(
      quantize({1, 1, 1, 1}, "!quant.uniform<i8:f32:0, {0.5, 0.25}>", {2, 2}),
      (std::vector<int32_t>{2, 2, 4, 4}));
}

TEST_F(CodesTest, LogSqrt2HasSeventeenSymbolsAtFourBits) {
  EXPECT_EQ(quantize({1, 0.5, std::sqrt(0.5), 0, -1, 1e-9, 2},
                     "!tq.log<u4, sqrt2, scale = 1.0, zero = 16>"),
            (std::vector<int32_t>{0, 2, 1, 16, 16, 16, 0}));
  EXPECT_DOUBLE_EQ(values_[1], 0.5);
  EXPECT_DOUBLE_EQ(values_[2], std::sqrt(0.5));
  EXPECT_EQ(values_[3], 0);
  EXPECT_EQ(quantize({1, 0.25, std::ldexp(1, -15), 0},
                     "!tq.log<u4, two, scale = 1.0, zero = 15>"),
            (std::vector<int32_t>{0, 2, 15, 15}));
}

TEST_F(CodesTest, BinaryThresholdTieIsZero) {
  EXPECT_EQ(
      quantize({0.25, 0.2500001, -1, 9}, "!tq.binary<bit, scales = [0.5]>"),
      (std::vector<int32_t>{0, 1, 0, 1}));
  EXPECT_EQ(quantize({0.1, -0.1}, "!tq.binary<sign, scales = [0.5]>"),
            (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(values_, (std::vector<double>{0.5, -0.5}));
}

TEST_F(CodesTest, RealOffsetIsNotACode) {
  EXPECT_EQ(quantize({-0.17, 0.0, 1.0},
                     "!tq.offset<u8, scale = 0.25, offset = -0.17>"),
            (std::vector<int32_t>{0, 1, 5}));
  EXPECT_DOUBLE_EQ(values_[1], 0.08);
}

TEST_F(CodesTest, DynamicRangesComeFromTheValues) {
  EXPECT_EQ(quantize({0, 255, -1, 1}, "!tq.dynamic<u8, token>", {2, 2}),
            (std::vector<int32_t>{0, 255, 0, 255}));
  EXPECT_EQ(quantize({-254, 127}, "!tq.dynamic<i8, tensor, symmetric>"),
            (std::vector<int32_t>{-127, 64}));
  // Rows of zeros, one-sided rows, and symmetric rows of unsigned codes.
  EXPECT_EQ(quantize({0, 0, -2, -1, 1, 3}, "!tq.dynamic<u2, token>", {3, 2}),
            (std::vector<int32_t>{0, 0, 0, 1, 1, 3}));
  EXPECT_EQ(values_, (std::vector<double>{0, 0, -2, -4.0 / 3, 1, 3}));
  EXPECT_EQ(quantize({0, 0, -7, 3, 15, 4}, "!tq.dynamic<u4, token, symmetric>",
                     {3, 2}),
            (std::vector<int32_t>{0, 0, 1, 11, 15, 4}));
  EXPECT_EQ(quantize({1, 2}, "!tq.dynamic<u8, sequence>", {1, 2}).size(), 0u);
  EXPECT_NE(message.find("has no interpretation"), std::string::npos);
}

} // namespace
