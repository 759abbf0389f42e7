//===- BlobWriter.cpp - Making a tokenizer blob ---------------------------===//
//
// Lays the sections out and sorts the vocabulary into hash buckets.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/BlobWriter.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <algorithm>
#include <cstring>

namespace quern {

using namespace tokenizer_blob;

/// The finished hash of a token.
static uint32_t hashOf(const std::string &text) {
  uint32_t hash = hashSeed;
  for (char c : text)
    hash = hashByte(hash, static_cast<uint8_t>(c));
  return hashFinish(hash);
}

/// Text of every id, vocabulary and added tokens together. Returns a problem.
static std::string collect(const TokenizerSpec &spec,
                           std::vector<const std::string *> &texts) {
  auto add = [&](const std::string &text, uint32_t id) -> std::string {
    if (text.size() > maxTokenBytes)
      return "token of id " + std::to_string(id) + " has " +
             std::to_string(text.size()) + " bytes, expected at most " +
             std::to_string(maxTokenBytes);
    if (id >= idLimit)
      return "token '" + text + "' has id " + std::to_string(id) +
             ", expected less than " + std::to_string(idLimit);
    if (id >= texts.size())
      texts.resize(size_t(id) + 1, nullptr);
    if (texts[id] && *texts[id] != text)
      return "id " + std::to_string(id) + " belongs to '" + *texts[id] +
             "' and to '" + text + "'";
    texts[id] = &text;
    return "";
  };
  for (const auto &[text, id] : spec.vocabulary)
    if (std::string problem = add(text, id); !problem.empty())
      return problem;
  for (const TokenizerSpec::AddedToken &token : spec.added) {
    if (token.text.empty())
      return "added token " + std::to_string(token.id) + " is empty";
    if (std::string problem = add(token.text, token.id); !problem.empty())
      return problem;
  }
  return "";
}

std::string writeTokenizerBlob(const TokenizerSpec &spec,
                               std::vector<std::byte> &blob) {
  blob.clear();
  std::vector<const std::string *> texts;
  if (std::string problem = collect(spec, texts); !problem.empty())
    return problem;

  Header header = {};
  header.magic = magic;
  header.version = version;
  header.normalizer = (spec.cleanText ? CleanText : 0) |
                      (spec.chineseChars ? ChineseChars : 0) |
                      (spec.stripAccents ? StripAccents : 0) |
                      (spec.lowercase ? Lowercase : 0);
  header.maxWordChars = spec.maxWordChars;
  header.tokenCount = static_cast<uint32_t>(texts.size());
  header.unknownId = spec.unknownId;
  header.classifyId = spec.classifyId;
  header.separateId = spec.separateId;
  header.prefixSize = static_cast<uint32_t>(spec.continuingPrefix.size());

  std::string pool;
  std::vector<uint32_t> bases;
  std::vector<uint16_t> offsets;
  texts.push_back(nullptr); // the end of the last token
  for (size_t id = 0; id < texts.size(); ++id) {
    if (id % (1u << blockBits) == 0)
      bases.push_back(static_cast<uint32_t>(pool.size()));
    offsets.push_back(static_cast<uint16_t>(pool.size() - bases.back()));
    if (texts[id])
      pool += *texts[id];
  }
  offsets.resize((offsets.size() + 1) / 2 * 2);
  // The blob's offsets are of 32 bits; this is far beyond any vocabulary.
  if (pool.size() > (size_t(1) << 31))
    return "vocabulary has " + std::to_string(pool.size()) +
           " bytes, expected at most 2147483648";
  header.poolSize = static_cast<uint32_t>(pool.size());
  pool += spec.continuingPrefix;
  pool.resize((pool.size() + 3) / 4 * 4);

  // About four tokens a bucket: hardly slower than one, and a quarter the size.
  header.bucketBits = 1;
  while ((size_t(4) << header.bucketBits) < spec.vocabulary.size())
    ++header.bucketBits;
  std::vector<std::pair<uint32_t, uint32_t>> hashed;
  for (const auto &[text, id] : spec.vocabulary) {
    hashed.push_back({hashOf(text), id});
    header.longestToken =
        std::max(header.longestToken, static_cast<uint32_t>(text.size()));
  }
  std::sort(hashed.begin(), hashed.end());
  std::vector<uint32_t> buckets((size_t(1) << header.bucketBits) + 1, 0);
  std::vector<uint32_t> entries;
  for (auto [hash, id] : hashed) {
    ++buckets[(hash >> (32 - header.bucketBits)) + 1];
    entries.push_back(id | hash << 22);
  }
  for (size_t i = 1; i < buckets.size(); ++i)
    buckets[i] += buckets[i - 1];
  header.entryCount = static_cast<uint32_t>(entries.size());

  std::vector<Added> added;
  for (const TokenizerSpec::AddedToken &token : spec.added)
    added.push_back({token.id, (token.singleWord ? SingleWord : 0u) |
                                   (token.stripLeft ? StripLeft : 0u) |
                                   (token.stripRight ? StripRight : 0u)});
  header.addedCount = static_cast<uint32_t>(added.size());

  uint32_t end = sizeof(Header);
  auto place = [&](size_t bytes) {
    uint32_t start = end;
    end += static_cast<uint32_t>(bytes);
    return start;
  };
  header.bases = place(bases.size() * 4);
  header.offsets = place(offsets.size() * 2);
  header.buckets = place(buckets.size() * 4);
  header.entries = place(entries.size() * 4);
  header.added = place(added.size() * sizeof(Added));
  header.pool = place(pool.size());
  header.size = end;

  blob.resize(end);
  auto store = [&](uint32_t offset, const void *from, size_t bytes) {
    if (bytes)
      std::memcpy(blob.data() + offset, from, bytes);
  };
  store(0, &header, sizeof(header));
  store(header.bases, bases.data(), bases.size() * 4);
  store(header.offsets, offsets.data(), offsets.size() * 2);
  store(header.buckets, buckets.data(), buckets.size() * 4);
  store(header.entries, entries.data(), entries.size() * 4);
  store(header.added, added.data(), added.size() * sizeof(Added));
  store(header.pool, pool.data(), pool.size());

  // The reader's checks are the definition of a good blob.
  Tokenizer tokenizer;
  if (const char *problem = tokenizer.open(blob.data(), blob.size())) {
    blob.clear();
    return problem;
  }
  return "";
}

} // namespace quern
