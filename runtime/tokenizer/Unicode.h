//===- Unicode.h - Character properties as Hugging Face sees them ---------===//
//
// What WordPiece asks about a code point. Answers come from utf8proc, corrected
// where the tables of Hugging Face's `tokenizers` differ
// (UnicodeDifferences.inc), so that both split a text alike.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_RUNTIME_TOKENIZER_UNICODE_H
#define QUERN_RUNTIME_TOKENIZER_UNICODE_H

#include <cstddef>
#include <cstdint>

namespace quern::unicode {

/// The code point that stands for bytes that are no UTF-8.
constexpr uint32_t replacement = 0xFFFD;

/// A code point and the number of bytes it was read from.
struct Decoded {
  uint32_t point;
  uint32_t bytes;
};

/// Reads one code point of [at, end), which must not be empty. Bytes that are
/// no UTF-8 give U+FFFD for each maximal part that could have begun a
/// character, as Python's bytes.decode(errors="replace") does: a stray byte, a
/// surrogate's first byte or a truncated sequence is one U+FFFD.
Decoded decode(const char *at, const char *end);

/// Writes the UTF-8 of a code point and returns its length, 1 to 4.
size_t encode(uint32_t point, char out[4]);

/// Flags of a code point.
enum Property : uint8_t {
  /// Control, format or private use, and U+FFFD: dropped by clean text. Tab,
  /// line feed and carriage return are not in it; unassigned is not either.
  Other = 1,
  /// White_Space.
  Space = 2,
  /// ASCII punctuation and symbols, and general category P.
  Punctuation = 4,
  /// General category Mn: what strip accents removes.
  Mark = 8,
  /// What a regular expression's \w matches.
  Word = 16,
};

/// All that is asked of a code point.
struct Properties {
  /// A set of Property.
  uint8_t flags;
  /// Canonical combining class; 0 is a starter.
  uint8_t combining;
};

/// Looks a code point up.
Properties properties(uint32_t point);

/// True for the ranges that BERT separates by spaces. They are BERT's own, and
/// extensions F and later of CJK are deliberately not all there.
bool isChinese(uint32_t point);

/// Full canonical decomposition, not reordered; returns the length, 1 to 4.
unsigned decompose(uint32_t point, uint32_t out[4]);

/// Lower case without context (a final sigma is an ordinary one); returns the
/// length, 2 for U+0130 and otherwise 1.
unsigned lower(uint32_t point, uint32_t out[2]);

} // namespace quern::unicode

#endif // QUERN_RUNTIME_TOKENIZER_UNICODE_H
