//===- RowTest.cpp - Row kernels of the GPU, emulated ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/SumCase.h"

using namespace quern::nvptx::test;
namespace nvptx = quern::nvptx;
using nvptx::Storage;

namespace {

TEST(NvptxAddNorm, Widths) {
  Emulator emulator;
  for (int64_t d : {4, 60, 128, 132, 384, 768, 1024})
    checkAddNorm(emulator,
                 {d, Storage::U8, Storage::U8, Storage::U8, Storage::U8},
                 {1, 4, 7}, true);
}

TEST(NvptxAddNorm, CodesAndReals) {
  Emulator emulator;
  checkAddNorm(emulator,
               {96, Storage::U8, Storage::U16, Storage::U16, Storage::U8}, {5},
               true);
  checkAddNorm(emulator,
               {384, Storage::U16, Storage::U8, Storage::U16, Storage::U16},
               {6}, false);
  checkAddNorm(emulator,
               {768, Storage::U8, Storage::U8, Storage::U8, Storage::F32}, {3},
               true);
}

TEST(NvptxAddNorm, SecondForms) {
  const Storage u8 = Storage::U8, u16 = Storage::U16;
  using Second = nvptx::SecondForm;
  Emulator emulator;
  checkAddNorm(emulator, {132, u8, u8, u8, u16, {Second::Planes}}, {1, 5},
               true);
  checkAddNorm(emulator, {96, u8, u16, u16, u8, {Second::Requantized}}, {6},
               false);
  checkAddNorm(emulator, {260, u8, u8, u8, u16, {Second::Requantized, u16}},
               {3}, true);
}

TEST(NvptxAddNorm, FormsWithoutKernel) {
  const nvptx::SecondForm planes = {nvptx::SecondForm::Planes};
  for (auto [out, found] :
       {std::pair(Storage::U8, "u8"), {Storage::F32, "f32"}})
    EXPECT_EQ(nvptx::checkAddNorm(
                  {8, Storage::U8, Storage::U8, Storage::U8, out, planes})
                  .message(),
              std::string("a second form of ") + found +
                  ", expected one of codes, planes of u16");
  EXPECT_EQ(nvptx::checkAddNorm({6}).message(),
            "rows of 6 columns, expected a multiple of 4, at most 2048");
  EXPECT_EQ(nvptx::checkAddNorm({8, Storage::F32, Storage::U8, Storage::F32})
                .message(),
            "the sum of a residual in f32, expected u8 or u16");
}

TEST(NvptxEmbed, Tables) {
  Emulator emulator;
  checkEmbed(emulator, {768}, 9);
  checkEmbed(emulator, {100, {true, false, true}}, 5);
  checkEmbed(emulator, {384, {true, false, false}, Storage::U16, Storage::U16},
             4);
  for (int64_t d : {100, 64}) {
    checkEmbed(emulator,
               {d,
                {true, false, false},
                Storage::U8,
                Storage::U8,
                Storage::U8,
                {2, 8, 4}},
               5);
    checkEmbed(emulator,
               {d,
                {false, false, false},
                Storage::U8,
                Storage::U8,
                Storage::U8,
                {4, 2, 8}},
               5);
  }
}

TEST(NvptxElements, AllFunctions) {
  Emulator emulator;
  checkAllElements(emulator);
}

TEST(NvptxSums, SumsAndTables) {
  Emulator emulator;
  checkSumsAndTables(emulator);
}

TEST(NvptxSums, FormsWithoutKernel) {
  const Storage u8 = Storage::U8, f32 = Storage::F32;
  EXPECT_EQ(nvptx::checkAddCodes({u8, u8, f32}).message(),
            "the sum of a residual in f32, expected u8 or u16");
  EXPECT_EQ(nvptx::checkAddCodes({u8, f32, u8, true}).message(),
            "a sum without floats of f32 operands, expected u8 or u16");
  EXPECT_EQ(nvptx::checkLookup({3}).message(),
            "table of 3 bits, expected 32, 8, 4 or 2");
  EXPECT_EQ(nvptx::checkLookup({32, true}).message(),
            "table of f32 with scales, expected none");
  EXPECT_EQ(
      nvptx::checkElements({nvptx::ElementFunction::Dequantize, u8, f32, true})
          .message(),
      "dequantize: found a real offset, expected it of pool_mean");
}

} // namespace
