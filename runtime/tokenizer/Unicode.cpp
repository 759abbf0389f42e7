//===- Unicode.cpp - Character properties as Hugging Face sees them -------===//
//
// utf8proc's tables with the recorded differences laid over them.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Unicode.h"

#include <utf8proc.h>

namespace quern::unicode {

namespace {
/// Corrections to utf8proc, as bits.
enum Correction : uint8_t {
  NotOther = 1,
  NotMark = 2,
  NotPunctuation = 4,
  IsMark = 8,
  IsPunctuation = 16,
  Starter = 32,
  NotDecomposed = 64,
};

/// Corrections of a range of code points.
struct Difference {
  uint32_t first;
  uint32_t last;
  uint8_t corrections;
};

/// Code points whose lower case is `delta` away.
struct LowerDifference {
  uint32_t first;
  uint32_t last;
  int32_t delta;
};
} // namespace

#include "runtime/tokenizer/UnicodeDifferences.inc"

/// The entry of a sorted table that holds `point`, or null.
template <typename Entry, size_t Size>
static const Entry *find(const Entry (&table)[Size], uint32_t point) {
  if (point < table[0].first || point > table[Size - 1].last)
    return nullptr;
  size_t low = 0, high = Size;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    (table[middle].first <= point ? low : high) = middle;
  }
  return point <= table[low].last ? &table[low] : nullptr;
}

static uint8_t correctionsOf(uint32_t point) {
  const Difference *found = find(differences, point);
  return found ? found->corrections : 0;
}

Decoded decode(const char *at, const char *end) {
  auto byte = [](char c) { return static_cast<uint8_t>(c); };
  uint32_t first = byte(*at);
  if (first < 0x80)
    return {first, 1};
  // The range of the second byte excludes overlong forms, surrogates and
  // what lies beyond U+10FFFF (Unicode, table 3-7).
  uint32_t low = 0x80, high = 0xBF, more;
  if (first >= 0xC2 && first <= 0xDF) {
    more = 1;
  } else if (first >= 0xE0 && first <= 0xEF) {
    more = 2;
    low = first == 0xE0 ? 0xA0 : 0x80;
    high = first == 0xED ? 0x9F : 0xBF;
  } else if (first >= 0xF0 && first <= 0xF4) {
    more = 3;
    low = first == 0xF0 ? 0x90 : 0x80;
    high = first == 0xF4 ? 0x8F : 0xBF;
  } else {
    return {replacement, 1};
  }
  uint32_t point = first & (0x3F >> more);
  for (uint32_t i = 1; i <= more; ++i) {
    if (at + i == end || byte(at[i]) < low || byte(at[i]) > high)
      return {replacement, i};
    point = point << 6 | (byte(at[i]) & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {point, more + 1};
}

size_t encode(uint32_t point, char out[4]) {
  auto tail = [](uint32_t bits) {
    return static_cast<char>(0x80 | (bits & 0x3F));
  };
  if (point < 0x80) {
    out[0] = static_cast<char>(point);
    return 1;
  }
  if (point < 0x800) {
    out[0] = static_cast<char>(0xC0 | point >> 6);
    out[1] = tail(point);
    return 2;
  }
  if (point < 0x10000) {
    out[0] = static_cast<char>(0xE0 | point >> 12);
    out[1] = tail(point >> 6);
    out[2] = tail(point);
    return 3;
  }
  out[0] = static_cast<char>(0xF0 | point >> 18);
  out[1] = tail(point >> 12);
  out[2] = tail(point >> 6);
  out[3] = tail(point);
  return 4;
}

/// Letters that are no letters by category: circled and squared ones have
/// Other_Alphabetic. The joiners are word characters for regular expressions.
static bool isExtraWord(uint32_t point) {
  return (point >= 0x24B6 && point <= 0x24E9) ||
         (point >= 0x1F130 && point <= 0x1F149) ||
         (point >= 0x1F150 && point <= 0x1F169) ||
         (point >= 0x1F170 && point <= 0x1F189) || point == 0x200C ||
         point == 0x200D;
}

Properties properties(uint32_t point) {
  const utf8proc_property_t *found =
      utf8proc_get_property(static_cast<utf8proc_int32_t>(point));
  Properties result = {0, static_cast<uint8_t>(found->combining_class)};
  switch (found->category) {
  case UTF8PROC_CATEGORY_CC:
    // White_Space among the controls are 9 to 13 and next line.
    if ((point >= 0x09 && point <= 0x0D) || point == 0x85)
      result.flags |= Space;
    if (point != '\t' && point != '\n' && point != '\r')
      result.flags |= Other;
    break;
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CO:
    result.flags |= Other;
    break;
  case UTF8PROC_CATEGORY_ZS:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
    result.flags |= Space;
    break;
  case UTF8PROC_CATEGORY_PC:
    result.flags |= Punctuation | Word;
    break;
  case UTF8PROC_CATEGORY_PD:
  case UTF8PROC_CATEGORY_PS:
  case UTF8PROC_CATEGORY_PE:
  case UTF8PROC_CATEGORY_PI:
  case UTF8PROC_CATEGORY_PF:
  case UTF8PROC_CATEGORY_PO:
    result.flags |= Punctuation;
    break;
  case UTF8PROC_CATEGORY_MN:
    result.flags |= Mark | Word;
    break;
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
    result.flags |= Word;
    break;
  default:
    break;
  }
  if (point < 0x80) {
    // ASCII symbols such as '$' and '+' count as punctuation.
    bool alphanumeric = (point >= '0' && point <= '9') ||
                        (point >= 'A' && point <= 'Z') ||
                        (point >= 'a' && point <= 'z');
    if (point > ' ' && point < 0x7F && !alphanumeric)
      result.flags |= Punctuation;
    return result;
  }
  if (point == replacement)
    result.flags |= Other;
  if (isExtraWord(point))
    result.flags |= Word;
  if (uint8_t corrections = correctionsOf(point)) {
    if (corrections & NotOther)
      result.flags &= ~Other;
    if (corrections & NotMark)
      result.flags &= ~Mark;
    if (corrections & IsMark)
      result.flags |= Mark;
    if (corrections & NotPunctuation)
      result.flags &= ~Punctuation;
    if (corrections & IsPunctuation)
      result.flags |= Punctuation;
    if (corrections & Starter)
      result.combining = 0;
  }
  return result;
}

bool isChinese(uint32_t point) {
  if (point < 0x3400)
    return false;
  return point <= 0x4DBF || (point >= 0x4E00 && point <= 0x9FFF) ||
         (point >= 0xF900 && point <= 0xFAFF) ||
         (point >= 0x20000 && point <= 0x2A6DF) ||
         (point >= 0x2A700 && point <= 0x2B81F) ||
         (point >= 0x2B920 && point <= 0x2CEAF) ||
         (point >= 0x2F800 && point <= 0x2FA1F);
}

unsigned decompose(uint32_t point, uint32_t out[4]) {
  out[0] = point;
  if (point < 0xC0 || (correctionsOf(point) & NotDecomposed))
    return 1;
  utf8proc_int32_t parts[4];
  int boundary = 0;
  utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point), parts, 4,
                              UTF8PROC_DECOMPOSE, &boundary);
  if (count < 1 || count > 4)
    return 1;
  for (utf8proc_ssize_t i = 0; i < count; ++i)
    out[i] = static_cast<uint32_t>(parts[i]);
  return static_cast<unsigned>(count);
}

unsigned lower(uint32_t point, uint32_t out[2]) {
  if (point == 0x130) {
    out[0] = 'i';
    out[1] = 0x307;
    return 2;
  }
  if (const LowerDifference *found = find(lowerDifferences, point))
    out[0] = static_cast<uint32_t>(static_cast<int32_t>(point) + found->delta);
  else
    out[0] = static_cast<uint32_t>(
        utf8proc_tolower(static_cast<utf8proc_int32_t>(point)));
  return 1;
}

} // namespace quern::unicode
