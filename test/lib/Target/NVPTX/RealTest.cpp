//===- RealTest.cpp - Kernels of real numbers, emulated -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/RealCase.h"

using namespace quern::nvptx;
using namespace quern::nvptx::test;

namespace {

TEST(NvptxReals, AllKernels) {
  Emulator emulator;
  checkAllReals(emulator);
}

/// k ascends, and nothing is added by twos.
TEST(NvptxReals, SumsKeepTheirOrder) {
  Emulator emulator;
  emulator.load([](mlir::ModuleOp module) { buildRealGemm(module, {}); });
  // 1 + 2^-24 sixteen times is 1, from the other end it is more.
  std::vector<float> x(64, 0x1p-24f), w(16 * 64, 1.0f), bias(16, 0.0f),
      y(16, -1.0f);
  x[0] = 1.0f;
  DeviceCall call;
  call.kernel = getRealGemmName({});
  call.launchAs(getRealGemmLaunch(1, 16));
  call.input("x", x);
  call.input("w", w);
  call.input("bias", bias);
  call.output("y", y);
  call.integers({1, 16, 64, 64, 16});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(y, std::vector<float>(16, 1.0f));
}

TEST(NvptxReals, FormsWithoutKernel) {
  EXPECT_EQ(checkRealGemm({3, Activation::None}).message(),
            "f32 products: weights of 3 bits, expected 32, 8, 4 or 2");
  EXPECT_EQ(checkRealGemm({8, Activation::IGelu}).message(),
            "activation: found 'i_gelu', expected it in products without "
            "floats");
  EXPECT_EQ(checkRealNorm({RealNormForm::Tables, {32, 16, 32}}).message(),
            "table of 16 bits, expected 32, 8, 4 or 2");
  EXPECT_EQ(
      checkRealNorm({RealNormForm::Tables, {32, 8, 32}, {true}}).message(),
      "table of f32 with scales, expected none");
  EXPECT_EQ(checkRealAttention({300}).message(),
            "attention in f32: heads of 300 channels, expected 1 to 256");
}

} // namespace
