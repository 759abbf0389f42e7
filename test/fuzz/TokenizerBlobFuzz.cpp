//===- TokenizerBlobFuzz.cpp - Any bytes as tokenizer and as text ---------===//
//
// The first byte chooses: the rest is a blob with a text behind it; or a text
// for a good blob under the options of that byte; or changes to a good blob. A
// blob that opens must encode without touching other memory, and what it
// encodes must hold together.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/BlobWriter.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <cstdlib>
#include <cstring>

using namespace quern;

static void require(bool condition) {
  if (!condition)
    std::abort();
}

/// A small vocabulary under options taken from bits.
static std::vector<std::byte> goodBlob(uint8_t bits) {
  TokenizerSpec spec;
  const char *tokens[] = {"[UNK]", "[CLS]", "[SEP]",  "[MASK]",   "a",
                          "b",     "ab",    "##a",    "##b",      "##ab",
                          "e",     "i",     "\u4E2D", "##\u0301", "!",
                          "[",     "]",     "\u1100"};
  for (const char *token : tokens)
    spec.vocabulary.push_back(
        {token, static_cast<uint32_t>(spec.vocabulary.size())});
  for (uint32_t id = 0; id < 4; ++id)
    spec.added.push_back({tokens[id], id});
  spec.added.push_back({"<a", 18, true, true, true});
  spec.classifyId = 1;
  spec.separateId = 2;
  spec.cleanText = !(bits & 4);
  spec.chineseChars = !(bits & 8);
  spec.stripAccents = !(bits & 16);
  spec.lowercase = !(bits & 32);
  spec.maxWordChars = bits & 64 ? 3 : 100;
  std::vector<std::byte> blob;
  require(writeTokenizerBlob(spec, blob).empty());
  return blob;
}

/// Encodes whole, cut and as a pair; the results must agree.
static void encode(const Tokenizer &tokenizer, std::string_view text) {
  Encoding whole, cut;
  require(tokenizer.encode(text, 0, whole) == EncodeStatus::Ok);
  require(!whole.truncated() && whole.size() >= 2);
  for (size_t i = 0; i < whole.size(); ++i) {
    Span span = whole.spans()[i];
    require(span.begin <= span.end && span.end <= text.size());
    require(whole.ids()[i] >= 0 && whole.typeIds()[i] == 0 &&
            size_t(whole.ids()[i]) < tokenizer.size());
  }
  size_t limit = 2 + text.size() % 7;
  require(tokenizer.encode(text, limit, cut) == EncodeStatus::Ok);
  require(cut.truncated() == (whole.size() > limit));
  size_t kept = cut.size() - 2;
  require(cut.size() == (cut.truncated() ? limit : whole.size()));
  require(std::memcmp(cut.ids(), whole.ids(), (kept + 1) * 4) == 0);

  std::string_view second = text.substr(text.size() / 3);
  require(tokenizer.encode(text, second, limit + 1, cut) == EncodeStatus::Ok);
  require(cut.size() <= limit + 1 && cut.size() >= 3);
  for (size_t i = 0; i < cut.size(); ++i)
    require(cut.spans()[i].end <=
            (cut.typeIds()[i] ? second.size() : text.size()));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3)
    return 0;
  uint8_t bits = data[0];
  size_t split = data[1] | data[2] << 8;
  data += 3;
  size -= 3;
  auto *text = reinterpret_cast<const char *>(data);
  std::vector<std::byte> blob;
  if ((bits & 3) == 0) {
    split = split < size ? split : size;
    blob.resize(split);
    if (split)
      std::memcpy(blob.data(), data, split);
  } else {
    blob = goodBlob(bits);
    split = 0;
    if ((bits & 3) == 1) {
      // Six bytes each: where, and what to put there.
      size_t changes = size / 12;
      for (; changes-- > 0; split += 6) {
        size_t at = data[split] | data[split + 1] << 8;
        std::memcpy(blob.data() + at % (blob.size() - 3), data + split + 2, 4);
      }
    }
  }
  Tokenizer tokenizer;
  if (!tokenizer.open(blob.data(), blob.size()))
    encode(tokenizer, {text + split, size - split});
  return 0;
}
