//===- TokenizerBlob.h - The bytes of a tokenizer in a module -------------===//
//
// A tokenizer as one relocatable, little-endian block of 32-bit words that is
// used where it lies (in a mapped module file). The reader trusts nothing in
// it. Layout: header, then the sections that it points to.
//
// A token is looked up by the hash of its bytes: the top bits choose a bucket,
// the bucket lists entries, an entry is a token's id with 10 bits of the hash.
// Prefixes of a word are hashed in one pass because the hash is FNV-1a.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_RUNTIME_TOKENIZER_TOKENIZERBLOB_H
#define QUERN_RUNTIME_TOKENIZER_TOKENIZERBLOB_H

#include <cstddef>
#include <cstdint>

namespace quern::tokenizer_blob {

/// "QTOK", little-endian.
constexpr uint32_t magic = 0x4B4F5451;
/// Raised whenever the layout or the hash changes.
constexpr uint32_t version = 1;
/// Tokens must have smaller ids: an entry keeps 22 bits of them.
constexpr uint32_t idLimit = 1u << 22;
/// The longest word, in characters, that a blob may ask to look up; it bounds
/// the encoder's memory.
constexpr uint32_t maxWordCharsLimit = 256;
/// Bytes of the longest token: that of the longest word.
constexpr uint32_t maxTokenBytes = 4 * maxWordCharsLimit;
/// Tokens, as a power of two, whose places in the pool share a 32-bit base, so
/// that 16 bits are left for each.
constexpr uint32_t blockBits = 5;
static_assert((maxTokenBytes << blockBits) < 65536, "offsets have 16 bits");

/// What is done to a text before it is split.
enum NormalizerFlag : uint32_t {
  CleanText = 1,
  ChineseChars = 2,
  StripAccents = 4,
  Lowercase = 8,
};

/// How an added token is matched.
enum AddedFlag : uint32_t { SingleWord = 1, StripLeft = 2, StripRight = 4 };

/// An added token; its text is that of its id.
struct Added {
  uint32_t id;
  /// A set of AddedFlag.
  uint32_t flags;
};

/// The first bytes of a blob. Offsets count bytes from its start and are
/// multiples of four.
struct Header {
  uint32_t magic;
  uint32_t version;
  /// Bytes of the whole blob.
  uint32_t size;
  /// A set of NormalizerFlag.
  uint32_t normalizer;
  /// Longer words become the unknown token.
  uint32_t maxWordChars;
  /// All ids are below.
  uint32_t tokenCount;
  uint32_t unknownId;
  uint32_t classifyId;
  uint32_t separateId;
  /// tokenCount + 1 ends of tokens in the pool, ascending from 0: offset i is
  /// bases[i >> blockBits] (32 bits) + offsets[i] (16 bits).
  uint32_t bases;
  uint32_t offsets;
  /// 2^bucketBits + 1 starts of buckets in the entries, ascending from 0.
  uint32_t buckets;
  uint32_t bucketBits;
  /// Entries: id | hash << 22.
  uint32_t entries;
  uint32_t entryCount;
  /// Array of Added.
  uint32_t added;
  uint32_t addedCount;
  /// The bytes of all tokens.
  uint32_t pool;
  uint32_t poolSize;
  /// The prefix of tokens that continue a word, in the pool's section but
  /// after its tokens.
  uint32_t prefixSize;
  /// Bytes of the longest token; shorter look-ups suffice.
  uint32_t longestToken;
};
static_assert(sizeof(Header) == 84, "the layout is an interface");

/// The hash of no bytes.
constexpr uint32_t hashSeed = 2166136261u;

/// Extends a hash by one byte.
constexpr uint32_t hashByte(uint32_t hash, uint8_t byte) {
  return (hash ^ byte) * 16777619u;
}

/// Spreads a hash over all bits: the top ones choose the bucket and the low
/// ten are kept in the entry.
constexpr uint32_t hashFinish(uint32_t hash) {
  hash ^= hash >> 16;
  hash *= 0x85EBCA6Bu;
  hash ^= hash >> 13;
  return hash * 0xC2B2AE35u;
}

} // namespace quern::tokenizer_blob

#endif // QUERN_RUNTIME_TOKENIZER_TOKENIZERBLOB_H
