//===- TokenizerFilesFuzz.cpp - Any bytes as tokenizer files --------------===//
//
// The first byte chooses between vocab.txt and tokenizer.json. What is
// accepted must make a blob that opens, or be refused with a message.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/TokenizerImport.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <cstdlib>

using namespace quern;

static void require(bool condition) {
  if (!condition)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);
  if (data[0] & 1) {
    auto tokens = parseVocabulary(text, "vocab.txt");
    require(tokens ? !tokens->empty() : !tokens.message().empty());
    return 0;
  }
  auto spec = parseTokenizerJson(text, "tokenizer.json");
  if (!spec) {
    require(!spec.message().empty());
    return 0;
  }
  std::vector<std::byte> blob;
  if (!writeTokenizerBlob(*spec, blob).empty())
    return 0;
  Tokenizer tokenizer;
  require(!tokenizer.open(blob.data(), blob.size()));
  Encoding encoding;
  require(tokenizer.encode(text, 64, encoding) == EncodeStatus::Ok);
  return 0;
}
