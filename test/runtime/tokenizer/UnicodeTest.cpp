//===- UnicodeTest.cpp - Decoding and properties of single characters -----===//
//
// UTF-8 against the table of the Unicode standard, and properties where the
// two sources of them disagree.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

using namespace quern::unicode;
using testing::ElementsAre;

/// Lengths of the parts that a text is read in, negative for U+FFFD.
static std::vector<int> parts(std::string_view text) {
  std::vector<int> result;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    Decoded next = decode(at, end);
    int bytes = static_cast<int>(next.bytes);
    result.push_back(next.point == replacement ? -bytes : bytes);
    at += next.bytes;
  }
  return result;
}

TEST(Unicode, EncodesWhatItDecodes) {
  for (uint32_t point = 0; point < 0x110000; ++point) {
    if (point >= 0xD800 && point < 0xE000)
      continue;
    char bytes[4];
    size_t size = encode(point, bytes);
    Decoded back = decode(bytes, bytes + size);
    ASSERT_EQ(back.point, point);
    ASSERT_EQ(back.bytes, size);
  }
}

TEST(Unicode, OneReplacementForEachMaximalPart) {
  EXPECT_THAT(parts("a\x80\xBF"), ElementsAre(1, -1, -1));
  EXPECT_THAT(parts("\xC0\xAF"), ElementsAre(-1, -1));
  EXPECT_THAT(parts("\xE4\xB8"), ElementsAre(-2));
  EXPECT_THAT(parts("\xE4\xB8\xE4\xB8\xAD"), ElementsAre(-2, 3));
  EXPECT_THAT(parts("\xE0\x80\x80"), ElementsAre(-1, -1, -1));
  EXPECT_THAT(parts("\xED\xA0\x80"), ElementsAre(-1, -1, -1));
  EXPECT_THAT(parts("\xF0\x9F\x98"
                    "b"),
              ElementsAre(-3, 1));
  EXPECT_THAT(parts("\xF4\x90\x80\x80"), ElementsAre(-1, -1, -1, -1));
  EXPECT_THAT(parts("\xF5\xFE\xFF"), ElementsAre(-1, -1, -1));
}

TEST(Unicode, Flags) {
  auto flags = [](uint32_t point) { return properties(point).flags; };
  EXPECT_EQ(flags('\t'), Space);
  EXPECT_EQ(flags(0x0B), Space | Other);
  EXPECT_EQ(flags(0x7F), Other);
  EXPECT_EQ(flags(0x85), Space | Other);
  EXPECT_EQ(flags('$'), Punctuation);
  EXPECT_EQ(flags('_'), Punctuation | Word);
  EXPECT_EQ(flags('a'), Word);
  EXPECT_EQ(flags(0x20AC), 0) << "the euro sign is no punctuation";
  EXPECT_EQ(flags(0x301), Mark | Word);
  EXPECT_EQ(flags(0x200D), Other | Word);
  EXPECT_EQ(flags(replacement), Other);
  EXPECT_EQ(flags(0x0378), 0) << "unassigned is text";
  EXPECT_EQ(flags(0x1AC1), Word) << "a mark newer than the recorded tables";
  EXPECT_EQ(flags(0x13430), 0) << "a format character newer than them";
}

TEST(Unicode, DecomposesFully) {
  uint32_t out[4];
  ASSERT_EQ(decompose(0x1F82, out), 4u);
  EXPECT_THAT(out, ElementsAre(0x3B1, 0x313, 0x300, 0x345));
  EXPECT_EQ(decompose(0xAC01, out), 3u);
  EXPECT_EQ(decompose(0xFB01, out), 1u) << "ligatures only have another kind";
  EXPECT_EQ(decompose(0x11938, out), 1u) << "newer than the recorded tables";
}

TEST(Unicode, LowersWithoutContext) {
  uint32_t out[2];
  ASSERT_EQ(lower(0x130, out), 2u);
  EXPECT_THAT(out, ElementsAre('i', 0x307));
  ASSERT_EQ(lower(0x3A3, out), 1u);
  EXPECT_EQ(out[0], 0x3C3u);
  ASSERT_EQ(lower(0xA7CB, out), 1u);
  EXPECT_EQ(out[0], 0x264u) << "newer than utf8proc's tables";
}
