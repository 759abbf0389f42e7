//===- VectorsTest.cpp - Hard texts against recorded ids ------------------===//
//
// Every line of vectors.txt: what Hugging Face's `tokenizers` made of a text
// under some options. record-vectors.py wrote it.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Tokenizer.h"
#include "test/runtime/tokenizer/Vocabulary.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

namespace quern {

std::string testFile(const char *name) {
  const char *root = std::getenv("QUERN_SOURCE_DIR");
  return std::string(root ? root : ".") + "/test/runtime/tokenizer/" + name;
}

TokenizerSpec testSpec() {
  TokenizerSpec spec;
  std::ifstream file(testFile("vocab.txt"));
  std::string line;
  while (std::getline(file, line)) {
    auto id = static_cast<uint32_t>(spec.vocabulary.size());
    spec.vocabulary.push_back({line, id});
    if (id < 5)
      spec.added.push_back({line, id});
  }
  spec.unknownId = 1;
  spec.classifyId = 2;
  spec.separateId = 3;
  return spec;
}

} // namespace quern

using namespace quern;

namespace {
struct Vector {
  std::string name, options, text, pair;
  size_t maxLength = 0;
  bool hasPair = false;
  std::vector<int32_t> ids, typeIds;
};
} // namespace

static std::string fromHex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; hex != "empty" && i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

static std::vector<int32_t> numbers(const std::string &text) {
  std::istringstream stream(text);
  std::vector<int32_t> result;
  for (int32_t number; stream >> number;)
    result.push_back(number);
  return result;
}

static std::vector<Vector> readVectors() {
  std::vector<Vector> result;
  std::ifstream file(testFile("vectors.txt"));
  std::string line;
  while (std::getline(file, line)) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, '\t');)
      fields.push_back(field);
    if (fields.size() != 7) {
      ADD_FAILURE() << "vectors.txt has a line of " << fields.size()
                    << " fields";
      continue;
    }
    Vector vector;
    vector.name = fields[0];
    vector.options = fields[1];
    vector.maxLength = std::stoul(fields[2]);
    vector.text = fromHex(fields[3]);
    vector.hasPair = fields[4] != "-";
    vector.pair = vector.hasPair ? fromHex(fields[4]) : "";
    vector.ids = numbers(fields[5]);
    vector.typeIds = numbers(fields[6]);
    result.push_back(vector);
  }
  return result;
}

static std::vector<std::byte> blobFor(const std::string &options) {
  auto has = [&](char letter) {
    return options.find(letter) != std::string::npos;
  };
  TokenizerSpec spec = testSpec();
  spec.cleanText = has('c');
  spec.chineseChars = has('h');
  spec.lowercase = has('l');
  spec.stripAccents = has('A') ? has('l') : has('a');
  std::vector<std::byte> blob;
  EXPECT_EQ(writeTokenizerBlob(spec, blob), "");
  return blob;
}

TEST(Vectors, AllTextsGiveTheRecordedIds) {
  std::map<std::string, std::vector<std::byte>> blobs;
  std::vector<Vector> vectors = readVectors();
  ASSERT_GE(vectors.size(), 500u);
  Encoding encoding;
  for (const Vector &vector : vectors) {
    SCOPED_TRACE(vector.name + ", options " + vector.options);
    if (!blobs.count(vector.options))
      blobs[vector.options] = blobFor(vector.options);
    const std::vector<std::byte> &blob = blobs[vector.options];
    Tokenizer tokenizer;
    ASSERT_EQ(tokenizer.open(blob.data(), blob.size()), nullptr);
    EncodeStatus status =
        vector.hasPair
            ? tokenizer.encode(vector.text, vector.pair, vector.maxLength,
                               encoding)
            : tokenizer.encode(vector.text, vector.maxLength, encoding);
    ASSERT_EQ(status, EncodeStatus::Ok);
    std::vector<int32_t> ids(encoding.ids(), encoding.ids() + encoding.size());
    std::vector<int32_t> types(encoding.typeIds(),
                               encoding.typeIds() + encoding.size());
    EXPECT_EQ(ids, vector.ids);
    EXPECT_EQ(types, vector.typeIds);
    for (size_t i = 0; i < encoding.size(); ++i) {
      const std::string &from = types[i] ? vector.pair : vector.text;
      EXPECT_LE(encoding.spans()[i].begin, encoding.spans()[i].end);
      EXPECT_LE(encoding.spans()[i].end, from.size());
    }
  }
}
