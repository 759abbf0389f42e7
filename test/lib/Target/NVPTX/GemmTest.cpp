//===- GemmTest.cpp - The product on tensor cores, emulated ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// PTX as it is shipped, run by test/support/ptx: bit for bit what quant_math.h
// says, at any number of rows.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/GemmCase.h"

using namespace quern::nvptx;
using namespace quern::nvptx::test;

namespace {

void check(const GemmForm &form, const GemmSchedule &schedule,
           const std::vector<GemmSize> &sizes) {
  Emulator emulator;
  checkGemm(emulator, form, schedule, sizes);
}

TEST(NvptxGemm, AnyNumberOfRows) {
  std::vector<GemmSize> sizes;
  for (int64_t m = 1; m <= 20; ++m)
    sizes.push_back({m, 64, 64});
  for (int64_t m : {63, 64, 65, 127, 130})
    sizes.push_back({m, 48, 128});
  check({}, {}, sizes);
}

TEST(NvptxGemm, AnyWidths) {
  // Fewer steps than stages, as many, and more; columns that end anywhere.
  check({}, {},
        {{5, 16, 64},
         {7, 80, 192},
         {9, 100, 100},
         {3, 1, 1},
         {33, 272, 320},
         {17, 96, 384}});
}

TEST(NvptxGemm, LayersOfBert) {
  check({}, {}, {{17, 768, 768}, {9, 2304, 768}, {5, 768, 3072}});
  check({Activation::Gelu}, {}, {{13, 3072, 768}});
}

TEST(NvptxGemm, EverySchedule) {
  for (GemmSchedule schedule :
       {GemmSchedule{32, 64, 16, 32, 3}, GemmSchedule{64, 128, 32, 64, 3},
        GemmSchedule{128, 128, 64, 64, 2}, GemmSchedule{128, 64, 32, 32, 4},
        GemmSchedule{128, 192, 64, 48 * 2, 2},
        GemmSchedule{128, 256, 64, 64, 3}}) {
    if (schedule.warpN == 96)
      schedule.warpM = 32;
    check({}, schedule, {{130, 320, 192}, {1, 32, 64}});
  }
}

TEST(NvptxGemm, ActivationsAndResults) {
  for (Activation activation :
       {Activation::None, Activation::Gelu, Activation::GeluTanh,
        Activation::Relu, Activation::Tanh})
    for (Storage result : {Storage::U8, Storage::U16, Storage::F32})
      check({activation, result}, {}, {{21, 80, 128}});
}

TEST(NvptxGemm, WeightsWithZeroPoints) {
  check({Activation::None, Storage::U8, true}, {},
        {{5, 64, 64}, {70, 100, 100}, {3, 768, 768}});
  check({Activation::Gelu, Storage::U8, true}, {128, 128, 64, 64, 2},
        {{19, 80, 128}});
}

/// Both planes of bytes, with steps that do not fill the stages.
TEST(NvptxGemm, CodesOf16Bits) {
  GemmForm form;
  form.wide = true;
  check(form, {}, {{5, 64, 64}, {70, 100, 100}, {3, 768, 768}});
  form.activation = Activation::Gelu;
  check(form, {64, 128, 32, 64, 3}, {{19, 80, 320}});
  form.result = Storage::F32;
  check(form, {}, {{1, 16, 1}});
}

/// Sums whose product lies in the middle between two codes, and next to it.
TEST(NvptxGemm, TiesGoToTheEvenCode) {
  GemmForm form;
  GemmSchedule schedule;
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { buildGemm(module, schedule, form); });
  GemmCase gemm({64, 64, 64}, form);
  for (int64_t row = 0; row < 64; ++row)
    for (int64_t j = 0; j < 64; ++j)
      gemm.x[size_t(row * 64 + j)] = j == 0 ? uint8_t(4 * row + 1) : j == 1;
  for (int64_t column = 0; column < 64; ++column)
    for (int64_t j = 0; j < 64; ++j)
      gemm.w[size_t(column * 64 + j)] = int8_t(j == 0   ? 1
                                               : j == 1 ? column
                                                        : 0);
  for (size_t i = 0; i < 64; ++i) {
    gemm.correction[i] = -int32_t(i);
    gemm.multiplier[i] = i % 2 ? 0.5f : std::nextafter(0.5f, float(i % 4));
    gemm.offset[i] = float(i) - 16;
  }
  EXPECT_EQ(gemm.run(emulator, schedule), "");
}

/// Codes that saturate at either end, and sums that wrap.
TEST(NvptxGemm, Saturates) {
  GemmForm form;
  GemmSchedule schedule;
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { buildGemm(module, schedule, form); });
  GemmCase gemm({33, 80, 192}, form, 7);
  for (size_t i = 0; i < gemm.multiplier.size(); ++i) {
    gemm.multiplier[i] = i % 3 == 0 ? 1e30f : i % 3 == 1 ? -1e30f : 1e-30f;
    gemm.correction[i] = i % 5 ? gemm.correction[i] : 0x7fffffff;
  }
  EXPECT_EQ(gemm.run(emulator, schedule), "");
}

} // namespace
