//===- Tokenizer.h - WordPiece, equal to Hugging Face's -------------------===//
//
// Turns text into the ids that BERT reads. A Tokenizer is a view of a blob
// (TokenizerBlob.h) that stays where it is; opening checks every offset and
// copies nothing. encode() gives what `tokenizers` gives for a pipeline of
// BertNormalizer, BertPreTokenizer, WordPiece and the [CLS]/[SEP] template,
// with truncation "longest_first".
//
// Text is UTF-8. Bytes that are not are read as Python's
// bytes.decode(errors="replace") reads them, which clean text then drops.
//
// No exceptions, no C++ library beyond headers; the only memory taken from the
// heap is an Encoding's arrays.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_RUNTIME_TOKENIZER_TOKENIZER_H
#define QUERN_RUNTIME_TOKENIZER_TOKENIZER_H

#include "runtime/tokenizer/TokenizerBlob.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quern {

/// Bytes [begin, end) of the text a token came from; of the second text where
/// its type id is 1. Tokens of the template have 0, 0.
struct Span {
  uint32_t begin;
  uint32_t end;
};

/// The tokens of one input. Reuse it: its arrays grow and never shrink.
class Encoding {
public:
  Encoding() = default;
  ~Encoding();
  Encoding(Encoding &&other);
  Encoding &operator=(Encoding &&other);

  /// Makes room for the tokens of inputs encoded with this maximum length, so
  /// that encoding them does not allocate. False when memory is short.
  bool reserve(size_t maxLength);

  /// Number of tokens, those of the template included.
  size_t size() const { return count; }
  /// Token ids.
  const int32_t *ids() const { return idData; }
  /// 0 for the first text and its template tokens, 1 for the second.
  const int32_t *typeIds() const { return typeData; }
  /// Where the tokens came from.
  const Span *spans() const { return spanData; }
  /// Whether tokens were cut off to keep to the maximum length.
  bool truncated() const { return cut; }

private:
  friend class Tokenizer;
  friend class Encoder;

  /// Room for `wanted` tokens; keeps the contents.
  bool grow(size_t wanted);

  int32_t *idData = nullptr;
  int32_t *typeData = nullptr;
  Span *spanData = nullptr;
  size_t count = 0;
  size_t capacity = 0;
  bool cut = false;
};

/// Outcome of Tokenizer::encode.
enum class EncodeStatus {
  Ok,
  /// The maximum length leaves no room for the template's tokens.
  LengthTooSmall,
  /// The text has 2^32 bytes or more.
  TextTooLong,
  OutOfMemory,
};

/// A WordPiece tokenizer in a blob. Copies are cheap and share the blob, which
/// must outlive them. All functions are const and safe to call concurrently.
class Tokenizer {
public:
  Tokenizer() = default;

  /// Views `size` bytes at `blob`, 4-byte aligned. Returns null, or what is
  /// wrong (static text); then the tokenizer is left empty.
  const char *open(const void *blob, size_t size);

  /// Encodes one text into at most `maxLength` tokens; 0 means no limit.
  EncodeStatus encode(std::string_view text, size_t maxLength,
                      Encoding &out) const;
  /// Encodes a pair of texts.
  EncodeStatus encode(std::string_view text, std::string_view pair,
                      size_t maxLength, Encoding &out) const;

  /// Number of ids, those of added tokens included.
  size_t size() const { return header ? header->tokenCount : 0; }
  /// The text of a token; empty where the id has none.
  std::string_view token(size_t id) const;
  /// The id of a token of the vocabulary proper, or -1.
  int64_t find(std::string_view token) const;
  /// The blob's header, or null when nothing is open.
  const tokenizer_blob::Header *info() const { return header; }

private:
  friend class Encoder;

  EncodeStatus encode(std::string_view text, const std::string_view *pair,
                      size_t maxLength, Encoding &out) const;
  /// Looks up the token of `size` bytes at `text`, preceded by the continuing
  /// prefix if asked; `hash` is that of the whole before hashFinish().
  int64_t find(uint32_t hash, const char *text, size_t size,
               bool continuing) const;
  /// Where a token starts in the pool, and the one before it ends.
  uint32_t offset(size_t id) const {
    return bases[id >> tokenizer_blob::blockBits] + offsets[id];
  }
  std::string_view prefix() const;
  const char *check(size_t size) const;
  void makeTables();

  /// What to do with an ASCII byte, and with the first byte of others.
  enum class Action : uint8_t { Keep, Drop, Break, Isolate, Decode };

  const tokenizer_blob::Header *header = nullptr;
  const uint32_t *bases = nullptr;
  const uint16_t *offsets = nullptr;
  const uint32_t *buckets = nullptr;
  const uint32_t *entries = nullptr;
  const tokenizer_blob::Added *added = nullptr;
  const char *pool = nullptr;
  /// The hash of the continuing prefix.
  uint32_t prefixHash = 0;
  Action actions[256] = {};
  /// ASCII lower case where the blob asks for it.
  char lowered[128] = {};
  /// Whether an added token starts with this byte.
  bool startsAdded[256] = {};
};

} // namespace quern

#endif // QUERN_RUNTIME_TOKENIZER_TOKENIZER_H
