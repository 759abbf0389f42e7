//===- AttentionTest.cpp - Integer attention of the GPU, emulated ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Packed sequences of all kinds of lengths.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/AttentionCase.h"

using namespace quern::nvptx::test;
namespace nvptx = quern::nvptx;
using nvptx::Storage;

namespace {

template <typename T>
void check(const nvptx::AttentionForm &form, int64_t heads,
           const std::vector<int64_t> &lengths, uint32_t seed = 1) {
  Emulator emulator;
  checkAttention<T>(emulator, form, heads, lengths, seed);
}

TEST(NvptxAttention, LengthsOfAllKinds) {
  check<uint8_t>({64}, 2, {1, 2, 31, 32, 33, 7});
  check<uint8_t>({32}, 3, {5, 64, 1, 40});
  check<uint8_t>({64}, 1, {63, 65, 100}, 2);
}

TEST(NvptxAttention, MoreQueriesThanABlockHas) {
  check<uint8_t>({64}, 1, {200, 3});
  check<uint8_t>({32}, 2, {129});
}

TEST(NvptxAttention, MostKeysAtOnce) {
  check<uint8_t>({64}, 1, {nvptx::kMostKeysAtOnce});
  nvptx::AttentionLaunch launch =
      nvptx::getAttentionLaunch({64}, 1, 12, nvptx::kMostKeysAtOnce);
  EXPECT_LE(launch.sharedBytes, 99 * 1024);
}

nvptx::AttentionForm inParts(nvptx::AttentionForm form, int64_t keysAtOnce) {
  form.keysAtOnce = keysAtOnce;
  return form;
}

/// Sequences of one part, of whole parts, and of a few keys more.
TEST(NvptxAttention, KeysInParts) {
  check<uint8_t>(inParts({64}, 32), 2, {1, 32, 33, 70});
  check<float>(inParts({24, Storage::F32, true}, 64), 3, {64, 130, 5});
  // Values in place of keys, and channels in two halves.
  check<uint8_t>(inParts({120}, 32), 1, {20, 65});
  check<uint16_t>(inParts({7, Storage::U16}, 32), 3, {1, 64, 37});
  nvptx::AttentionForm heads = inParts({32}, 32);
  heads.perHead = true;
  check<uint8_t>(heads, 5, {40});
  // Planes that are empty in one warp may have something in another.
  check<uint8_t>(inParts({32, Storage::U8, false, {8, 1}}, 32), 1, {1, 70});
  check<uint8_t>(inParts({128, Storage::U8, false, {8, 2}}, 32), 1, {33, 5});
  check<uint8_t>(inParts({32, Storage::U8, true, {4, 2}}, 32), 2, {70});
}

/// As models with more than 512 positions have them.
TEST(NvptxAttention, LongSequences) {
  nvptx::AttentionForm form = inParts({64}, nvptx::kKeysAtOnce);
  check<uint8_t>(form, 1, {nvptx::kMostKeysAtOnce + 1, 3});
  form.firstQuery = true;
  check<uint8_t>(form, 2, {700, 256, 1500});
  form.log = {4, 2};
  check<uint8_t>(form, 1, {700, 257});
  EXPECT_LE(nvptx::getAttentionLaunch(form, 1, 1, 5000).sharedBytes, 99 * 1024);
}

TEST(NvptxAttention, FirstQueriesAlone) {
  check<uint8_t>({64, Storage::U8, true}, 2, {1, 33, 70});
  check<float>({32, Storage::F32, true}, 3, {64, 5});
}

TEST(NvptxAttention, OtherResults) {
  check<float>({64, Storage::F32}, 2, {20, 37});
  check<uint16_t>({32, Storage::U16}, 2, {20, 37});
}

TEST(NvptxAttention, HeadsOfAllWidths) {
  for (int64_t dim : {8, 16, 24, 48, 96, 120, 128})
    check<uint8_t>({dim}, 2, {1, 37, 70});
  check<uint16_t>({40, Storage::U16, true}, 3, {1, 33, 5});
  // Those of which rows begin at any byte.
  for (int64_t dim : {1, 7, 20, 26, 33, 95, 127})
    check<uint8_t>({dim}, 3, {1, 37, 70});
  // Nothing lies behind the last row.
  check<uint8_t>({7}, 16, {3});
  check<uint16_t>({26, Storage::U16, true}, 3, {1, 33, 5});
  check<float>({13, Storage::F32}, 5, {33, 5});
  check<float>({80, Storage::F32, true}, 2, {33, 5});
  for (int64_t dim : {96, 128})
    EXPECT_LE(nvptx::getAttentionLaunch({dim}, 1, 12, nvptx::kMostKeysAtOnce)
                  .sharedBytes,
              99 * 1024);
}

TEST(NvptxAttention, LogarithmicProbabilities) {
  for (int32_t perOctave : {1, 2})
    for (int32_t bits : {3, 4, 6, 8})
      check<uint8_t>({32, Storage::U8, false, {bits, perOctave}}, 1, {1, 40});
  check<uint16_t>({64, Storage::U16, false, {4, 1}}, 2, {33, 70});
  check<float>({128, Storage::F32, false, {4, 2}}, 1, {40});
  check<uint8_t>({64, Storage::U8, true, {8, 2}}, 2, {1, 33, 70});
}

/// As learned by heads: each has steps and bits of its own.
TEST(NvptxAttention, ConstantsOfHeads) {
  nvptx::AttentionForm form = {32};
  form.perHead = true;
  check<uint8_t>(form, 5, {1, 40});
  check<uint16_t>({40, Storage::U16, true, {}, false, true, true}, 3, {33, 5});
  check<float>({128, Storage::F32, false, {}, false, true, true}, 2, {37});
}

TEST(NvptxAttention, FormsWithoutKernel) {
  EXPECT_EQ(nvptx::checkAttention({129}).message(),
            "attention: heads of 129 channels, expected 1 to 128");
  EXPECT_EQ(nvptx::checkAttention({64, Storage::U8, false, {2, 1}}).message(),
            "attention: logarithmic codes of 2 bits, 1 an octave, expected 3 "
            "to 8 bits and 1 or 2");
  EXPECT_EQ(
      nvptx::checkAttention({64, Storage::U8, false, {6, 1}, true}).message(),
      "attention: logarithmic codes without floats, expected 3 or 4 bits of "
      "base 2");
  EXPECT_EQ(
      nvptx::checkAttention({64, Storage::F32, false, {0, 0}, true}).message(),
      "attention: an f32 result without floats, expected codes");
  EXPECT_EQ(nvptx::checkAttention(inParts({64}, 48)).message(),
            "attention: 48 keys at once, expected multiples of 32 up to 512, "
            "or 0 for all");
  EXPECT_EQ(
      nvptx::checkAttention({64, Storage::U8, false, {4, 1}, false, true, true})
          .message(),
      "attention: constants of heads with logarithmic codes or without "
      "floats, expected neither");
}

} // namespace
