//===- Tokenizer.cpp - Opening a tokenizer blob, looking tokens up --------===//
//
// The reader's half of TokenizerBlob.h: every offset and count is checked
// once, so that encoding needs no checks.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/tokenizer/Unicode.h"

#include <cstring>

namespace quern {

using namespace tokenizer_blob;

/// Whether `count` items of `itemSize` bytes at `offset` lie inside the blob,
/// aligned.
static bool inside(const Header &header, uint32_t offset, uint64_t count,
                   uint64_t itemSize) {
  return offset % 4 == 0 && offset >= sizeof(Header) &&
         offset + count * itemSize <= header.size;
}

/// Whether `count` numbers ascend from 0 to `last`.
template <typename Get>
static bool ascends(size_t count, uint32_t last, Get get) {
  uint32_t previous = 0;
  bool ordered = get(0) == 0 && get(count - 1) == last;
  for (size_t i = 1; i < count; ++i) {
    uint32_t next = get(i);
    ordered &= previous <= next;
    previous = next;
  }
  return ordered;
}

const char *Tokenizer::open(const void *blob, size_t size) {
  *this = Tokenizer();
  if (reinterpret_cast<uintptr_t>(blob) % 4 != 0)
    return "tokenizer is not aligned to 4 bytes";
  if (size < sizeof(Header))
    return "tokenizer is shorter than its header";
  auto *bytes = static_cast<const char *>(blob);
  header = static_cast<const Header *>(blob);
  auto words = [&](uint32_t offset) {
    return reinterpret_cast<const uint32_t *>(bytes + offset);
  };
  // Pointers are formed from checked offsets only.
  const char *problem = check(size);
  if (!problem) {
    bases = words(header->bases);
    offsets = reinterpret_cast<const uint16_t *>(bytes + header->offsets);
    buckets = words(header->buckets);
    entries = words(header->entries);
    added = reinterpret_cast<const Added *>(bytes + header->added);
    pool = bytes + header->pool;
    if (!ascends(size_t(header->tokenCount) + 1, header->poolSize,
                 [this](size_t i) { return offset(i); }))
      problem = "tokenizer has tokens outside its pool";
    else if (!ascends((size_t(1) << header->bucketBits) + 1, header->entryCount,
                      [this](size_t i) { return buckets[i]; }))
      problem = "tokenizer has buckets outside its entries";
  }
  if (!problem) {
    bool known = true;
    for (uint32_t i = 0; i < header->entryCount; ++i)
      known &= (entries[i] & (idLimit - 1)) < header->tokenCount;
    if (!known)
      problem = "tokenizer has an entry for an unknown id";
  }
  for (uint32_t i = 0; !problem && i < header->addedCount; ++i)
    if (added[i].id >= header->tokenCount || token(added[i].id).empty())
      problem = "tokenizer has an added token without text";
  if (problem) {
    *this = Tokenizer();
    return problem;
  }
  makeTables();
  return nullptr;
}

const char *Tokenizer::check(size_t size) const {
  if (header->magic != magic)
    return "tokenizer has a wrong magic number";
  if (header->version != version)
    return "tokenizer has an unknown version";
  if (header->size < sizeof(Header) || header->size > size)
    return "tokenizer is truncated";
  uint32_t count = header->tokenCount;
  if (count == 0 || count > idLimit || header->unknownId >= count ||
      header->classifyId >= count || header->separateId >= count)
    return "tokenizer has a special token outside its vocabulary";
  if (header->maxWordChars == 0 || header->maxWordChars > maxWordCharsLimit)
    return "tokenizer has an impossible word length";
  if (header->bucketBits == 0 || header->bucketBits > 22)
    return "tokenizer has an impossible number of buckets";
  if (header->prefixSize > 64 || header->addedCount > idLimit)
    return "tokenizer has an impossible prefix or added tokens";
  if (!inside(*header, header->bases, (uint64_t(count) >> blockBits) + 1, 4) ||
      !inside(*header, header->offsets, uint64_t(count) + 1, 2) ||
      !inside(*header, header->buckets, (uint64_t(1) << header->bucketBits) + 1,
              4) ||
      !inside(*header, header->entries, header->entryCount, 4) ||
      !inside(*header, header->added, header->addedCount, sizeof(Added)) ||
      !inside(*header, header->pool,
              uint64_t(header->poolSize) + header->prefixSize, 1))
    return "tokenizer has a section outside its bytes";
  return nullptr;
}

void Tokenizer::makeTables() {
  bool clean = header->normalizer & CleanText;
  for (unsigned c = 0; c < 256; ++c) {
    actions[c] = Action::Decode;
    if (c >= 0x80)
      continue;
    uint8_t flags = unicode::properties(c).flags;
    bool dropped = c == 0 || (flags & unicode::Other);
    if (clean && dropped)
      actions[c] = Action::Drop;
    else if (flags & unicode::Space)
      actions[c] = Action::Break;
    else if (flags & unicode::Punctuation)
      actions[c] = Action::Isolate;
    else
      actions[c] = Action::Keep;
    bool upper = (header->normalizer & Lowercase) && c >= 'A' && c <= 'Z';
    lowered[c] = static_cast<char>(upper ? c + ('a' - 'A') : c);
  }
  for (uint32_t i = 0; i < header->addedCount; ++i)
    startsAdded[static_cast<uint8_t>(token(added[i].id)[0])] = true;
  prefixHash = hashSeed;
  for (char c : prefix())
    prefixHash = hashByte(prefixHash, static_cast<uint8_t>(c));
}

std::string_view Tokenizer::prefix() const {
  return {pool + header->poolSize, header->prefixSize};
}

std::string_view Tokenizer::token(size_t id) const {
  if (id >= size())
    return {};
  return {pool + offset(id), offset(id + 1) - offset(id)};
}

int64_t Tokenizer::find(uint32_t hash, const char *text, size_t size,
                        bool continuing) const {
  hash = hashFinish(hash);
  uint32_t bucket = hash >> (32 - header->bucketBits);
  uint32_t skip = continuing ? header->prefixSize : 0;
  for (uint32_t i = buckets[bucket]; i < buckets[bucket + 1]; ++i) {
    // Ten bits of the hash reject almost every other token of the bucket.
    if ((entries[i] ^ hash << 22) >> 22)
      continue;
    uint32_t id = entries[i] & (idLimit - 1);
    std::string_view found = token(id);
    if (found.size() == skip + size &&
        std::memcmp(found.data() + skip, text, size) == 0 &&
        std::memcmp(found.data(), pool + header->poolSize, skip) == 0)
      return id;
  }
  return -1;
}

int64_t Tokenizer::find(std::string_view token) const {
  if (!header)
    return -1;
  uint32_t hash = hashSeed;
  for (char c : token)
    hash = hashByte(hash, static_cast<uint8_t>(c));
  return find(hash, token.data(), token.size(), /*continuing=*/false);
}

} // namespace quern
