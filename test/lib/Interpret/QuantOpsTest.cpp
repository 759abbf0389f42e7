//===- QuantOpsTest.cpp - L1: quantizers and weights in a function --------===//
//
// Part of Quern. Constants of every kind, simulated weights, and what the
// interpreter refuses.
//
//===----------------------------------------------------------------------===//

#include "test/lib/Interpret/InterpretTest.h"

#include <cmath>

using namespace quern;

namespace {

using QuantOpsTest = InterpretTest;

TEST_F(QuantOpsTest, WeightsAreCodesTimesScalesExactly) {
  parse("(%x: tensor<?x2xf32>) -> tensor<?x3xf32>",
        "%c = arith.constant dense<[[1, -128], [127, 2], [-3, 4]]> : "
        "tensor<3x2xi8>\n"
        "%s = arith.constant dense<[0.1, 0.3, 0.7]> : tensor<3xf32>\n"
        "%b = arith.constant dense<0.0> : tensor<3xf32>\n"
        "%w = tq.dequantize_weight %c, %s : (tensor<3x2xi8>, tensor<3xf32>) "
        "-> tensor<3x2xf32>\n"
        "%0 = tq.linear %x, %w, %b : (tensor<?x2xf32>, tensor<3x2xf32>, "
        "tensor<3xf32>) -> tensor<?x3xf32>\nreturn %0 : tensor<?x3xf32>\n");
  auto y = run({Tensor::of(std::vector<float>{1, 0, 0, 1}, {2, 2})})
               .toVector<double>();
  EXPECT_EQ(y, (std::vector<double>{1 * double(0.1f), 127 * double(0.3f),
                                    -3 * double(0.7f), -128 * double(0.1f),
                                    2 * double(0.3f), 4 * double(0.7f)}))
      << message;
}

TEST_F(QuantOpsTest, ZeroPointsAreTakenOffTheCodesOfARow) {
  parse("(%x: tensor<?x2xf32>) -> tensor<?x2xf32>",
        "%c = arith.constant dense<[[1, -8], [7, 2]]> : tensor<2x2xi8>\n"
        "%s = arith.constant dense<[0.1, 0.3]> : tensor<2xf32>\n"
        "%z = arith.constant dense<[-11, 9]> : tensor<2xi32>\n"
        "%b = arith.constant dense<0.0> : tensor<2xf32>\n"
        "%w = tq.dequantize_weight %c, %s, %z : (tensor<2x2xi8>, "
        "tensor<2xf32>, tensor<2xi32>) -> tensor<2x2xf32>\n"
        "%0 = tq.linear %x, %w, %b : (tensor<?x2xf32>, tensor<2x2xf32>, "
        "tensor<2xf32>) -> tensor<?x2xf32>\nreturn %0 : tensor<?x2xf32>\n");
  auto y = run({Tensor::of(std::vector<float>{1, 0, 0, 1}, {2, 2})})
               .toVector<double>();
  EXPECT_EQ(y, (std::vector<double>{12 * double(0.1f), -2 * double(0.3f),
                                    3 * double(0.1f), -7 * double(0.3f)}))
      << message;
}

TEST_F(QuantOpsTest, OneScaleServesAVectorOfCodes) {
  parse("() -> tensor<2xf32>",
        "%c = arith.constant dense<[5, -6]> : tensor<2xi8>\n"
        "%s = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>\n"
        "%w = tq.dequantize_weight %c, %s : (tensor<2xi8>, tensor<2xf32>) -> "
        "tensor<2xf32>\nreturn %w : tensor<2xf32>\n");
  EXPECT_EQ(run({}).toVector<double>(), (std::vector<double>{2.5, -1.5}));
}

TEST_F(QuantOpsTest, ConstantsOfEveryStorage) {
  auto constant = [&](const std::string &value, const std::string &type) {
    parse("() -> tensor<2x" + type + ">",
          "%0 = tq.constant " + value + " -> tensor<2x" + type +
              ">\nreturn %0 : tensor<2x" + type + ">\n");
    return run({}).toVector<int32_t>();
  };
  using Codes = std::vector<int32_t>;
  EXPECT_EQ(
      constant("dense<[-1, 5]> : tensor<2xi8>", "!quant.uniform<u8:f32, 0.1>"),
      (Codes{255, 5}));
  EXPECT_EQ(constant("dense<-1> : tensor<2xi8>", "!quant.uniform<i8:f32, 0.1>"),
            (Codes{-1, -1}));
  EXPECT_EQ(constant("dense<[-1, 7]> : tensor<2xi16>",
                     "!quant.uniform<u16:f32, 0.1>"),
            (Codes{65535, 7}));
  EXPECT_EQ(
      constant("dense<[-8, 7]> : tensor<2xi4>", "!quant.uniform<i4:f32, 0.1>"),
      (Codes{-8, 7}));
  EXPECT_EQ(constant("dense_resource<w> : tensor<2xi8>",
                     "!quant.uniform<i8:f32, 0.1>"),
            Codes{});
  EXPECT_NE(message.find("the resource 'w', which has no data"),
            std::string::npos);
}

TEST_F(QuantOpsTest, QuantizeInF32AgreesAwayFromTies) {
  parse("(%x: tensor<?x1xf32>) -> tensor<?x1xf32>",
        "%q = tq.quantize %x {site = \"L0.x\"} : tensor<?x1xf32> -> "
        "tensor<?x1x!quant.uniform<u8:f32, 0.3:77>>\n"
        "%0 = tq.dequantize %q : tensor<?x1x!quant.uniform<u8:f32, 0.3:77>> "
        "-> tensor<?x1xf32>\nreturn %0 : tensor<?x1xf32>\n");
  Tensor x = floats(10000, 1, 20);
  std::vector<int32_t> real, machine;
  SiteHooks hooks;
  auto *target = &real;
  hooks.observe = [&](const SiteValue &site) {
    *target = site.value.toVector<int32_t>();
    EXPECT_TRUE(site.scheme);
  };
  run({x}, hooks, Arithmetic::Real);
  target = &machine;
  run({x}, hooks, Arithmetic::Machine);
  ASSERT_EQ(real.size(), 10000u) << message;
  int different = 0;
  for (size_t i = 0; i < real.size(); ++i) {
    EXPECT_LE(std::abs(real[i] - machine[i]), 1);
    different += real[i] != machine[i];
  }
  EXPECT_LE(different, 10);
}

TEST_F(QuantOpsTest, ForcedCodesMustFitTheType) {
  parse("(%x: tensor<?x1xf32>) -> tensor<?x1x!quant.uniform<u8:f32, 0.3>>",
        "%q = tq.quantize %x {site = \"L0.x\"} : tensor<?x1xf32> -> "
        "tensor<?x1x!quant.uniform<u8:f32, 0.3>>\n"
        "return %q : tensor<?x1x!quant.uniform<u8:f32, 0.3>>\n");
  SiteHooks hooks;
  hooks.force = [](const SiteValue &) -> std::optional<Tensor> {
    return Tensor::of(std::vector<int32_t>{256}, {1, 1});
  };
  run({floats(1, 1)}, hooks);
  EXPECT_EQ(message, "'tq.quantize' op was given code 256 for site 'L0.x', "
                     "which holds [0, 255]");
}

TEST_F(QuantOpsTest, RequantizeIsOneMultiplyAndOneAdd) {
  parse("(%x: tensor<?xi32>) -> tensor<?xi32>", "return %x : tensor<?xi32>\n");
  EXPECT_EQ(run({ints({4, 5})}).toVector<int32_t>(),
            (std::vector<int32_t>{4, 5}));
  parse("() -> tensor<3x!quant.uniform<u8:f32, 0.2:64>>",
        "%c = tq.constant dense<[1, 3, -1]> : tensor<3xi8> -> "
        "tensor<3x!quant.uniform<u8:f32, 0.1:128>>\n"
        "%0 = tq.requantize %c {multiplier = 0.5 : f32, offset = 2.0 : f32} : "
        "tensor<3x!quant.uniform<u8:f32, 0.1:128>> -> "
        "tensor<3x!quant.uniform<u8:f32, 0.2:64>>\n"
        "return %0 : tensor<3x!quant.uniform<u8:f32, 0.2:64>>\n");
  // 2.5, 3.5 and 129.5 are ties.
  EXPECT_EQ(run({}).toVector<int32_t>(), (std::vector<int32_t>{2, 4, 130}))
      << message;
}

TEST_F(QuantOpsTest, RefusesWhatItDoesNotKnow) {
  parse("(%x: tensor<2xf32>) -> tensor<2xf32>",
        "%0 = arith.addf %x, %x : tensor<2xf32>\nreturn %0 : tensor<2xf32>\n");
  run({floatVector(2)});
  EXPECT_EQ(message, "'arith.addf' op cannot be interpreted");
  run({floatVector(3)});
  EXPECT_EQ(message, "'func.func' op expects input 0 to be a 'tensor<2xf32>'");
  run({});
  EXPECT_EQ(message, "'func.func' op expects 1 inputs, got 0");
}

} // namespace
