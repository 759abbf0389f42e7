//===- TokenizerTest.cpp - Blobs, spans, truncation, added tokens ---------===//
//
// What vectors.txt does not show: the interface, and blobs that lie.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Tokenizer.h"
#include "test/runtime/tokenizer/Vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

using namespace quern;
using testing::ElementsAre;

namespace {
class TokenizerTest : public testing::Test {
protected:
  void open(const TokenizerSpec &spec) {
    ASSERT_EQ(writeTokenizerBlob(spec, blob), "");
    ASSERT_EQ(tokenizer.open(blob.data(), blob.size()), nullptr);
  }
  void SetUp() override { open(testSpec()); }

  /// Token texts of an encoding without the template's.
  std::vector<std::string> tokens(std::string_view text) {
    EXPECT_EQ(tokenizer.encode(text, 0, encoding), EncodeStatus::Ok);
    std::vector<std::string> result;
    for (size_t i = 1; i + 1 < encoding.size(); ++i)
      result.emplace_back(tokenizer.token(encoding.ids()[i]));
    return result;
  }
  /// The bytes each of them came from.
  std::vector<std::string> sources(std::string_view text) {
    EXPECT_EQ(tokenizer.encode(text, 0, encoding), EncodeStatus::Ok);
    std::vector<std::string> result;
    for (size_t i = 1; i + 1 < encoding.size(); ++i) {
      Span span = encoding.spans()[i];
      result.emplace_back(text.substr(span.begin, span.end - span.begin));
    }
    return result;
  }

  std::vector<std::byte> blob;
  Tokenizer tokenizer;
  Encoding encoding;
};
} // namespace

TEST_F(TokenizerTest, SplitsIntoTheLongestPieces) {
  EXPECT_THAT(tokens("Unaffable, the world"),
              ElementsAre("un", "##aff", "##able", ",", "the", "world"));
}

TEST_F(TokenizerTest, FindsTokensByText) {
  for (size_t id = 0; id < tokenizer.size(); ++id)
    EXPECT_EQ(tokenizer.find(tokenizer.token(id)), int64_t(id));
  EXPECT_EQ(tokenizer.find("worl"), -1);
  EXPECT_EQ(tokenizer.find(""), -1);
  EXPECT_EQ(tokenizer.token(tokenizer.size()), "");
}

TEST_F(TokenizerTest, SpansAreBytesOfTheText) {
  EXPECT_THAT(sources(" The\tunaffable"),
              ElementsAre("The", "un", "aff", "able"));
  // The accent after the word's last letter is dropped and in no span.
  EXPECT_THAT(sources("h\u00E9llo e\u0301"), ElementsAre("h\u00E9llo", "e"));
  EXPECT_THAT(sources("\u4E2D!"), ElementsAre("\u4E2D", "!"));
  EXPECT_THAT(sources("xy\xFF~q"), ElementsAre("xy", "~", "q"));
}

TEST_F(TokenizerTest, TypeIdsTellWhoseSpanItIs) {
  ASSERT_EQ(tokenizer.encode("the", "a world", 0, encoding), EncodeStatus::Ok);
  ASSERT_EQ(encoding.size(), 6u);
  EXPECT_EQ(encoding.typeIds()[4], 1);
  EXPECT_EQ(encoding.spans()[4].begin, 2u);
  EXPECT_EQ(encoding.spans()[4].end, 7u);
  EXPECT_EQ(encoding.spans()[5].end, 0u);
}

TEST_F(TokenizerTest, SaysWhetherItCut) {
  ASSERT_EQ(tokenizer.encode("the world", 4, encoding), EncodeStatus::Ok);
  EXPECT_FALSE(encoding.truncated());
  ASSERT_EQ(tokenizer.encode("the world", 3, encoding), EncodeStatus::Ok);
  EXPECT_TRUE(encoding.truncated());
  EXPECT_EQ(encoding.size(), 3u);
  ASSERT_EQ(tokenizer.encode("the", "world", 4, encoding), EncodeStatus::Ok);
  EXPECT_TRUE(encoding.truncated());
  ASSERT_EQ(tokenizer.encode("the", "", 4, encoding), EncodeStatus::Ok);
  EXPECT_FALSE(encoding.truncated());
}

TEST_F(TokenizerTest, RefusesALengthWithoutRoom) {
  EXPECT_EQ(tokenizer.encode("the", 1, encoding), EncodeStatus::LengthTooSmall);
  EXPECT_EQ(tokenizer.encode("the", "the", 2, encoding),
            EncodeStatus::LengthTooSmall);
  EXPECT_EQ(encoding.size(), 0u);
  EXPECT_EQ(tokenizer.encode("the", 2, encoding), EncodeStatus::Ok);
  EXPECT_EQ(encoding.size(), 2u);
}

TEST_F(TokenizerTest, ReservedEncodingKeepsItsArrays) {
  ASSERT_TRUE(encoding.reserve(128));
  const int32_t *ids = encoding.ids();
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += "the unaffable world ";
  ASSERT_EQ(tokenizer.encode(text, text, 128, encoding), EncodeStatus::Ok);
  EXPECT_EQ(encoding.size(), 128u);
  EXPECT_EQ(encoding.ids(), ids);
}

TEST_F(TokenizerTest, LongTextsNeedNoLimit) {
  std::string text;
  for (int i = 0; i < 100000; ++i)
    text += "the ";
  ASSERT_EQ(tokenizer.encode(text, 0, encoding), EncodeStatus::Ok);
  EXPECT_EQ(encoding.size(), 100002u);
  EXPECT_EQ(encoding.spans()[100000].end, 399999u);
}

TEST_F(TokenizerTest, AnEndlessWordIsOneUnknown) {
  EXPECT_THAT(tokens(std::string(1 << 20, 'a')), ElementsAre("[UNK]"));
  std::string marks = "a";
  for (int i = 0; i < 1 << 16; ++i)
    marks += "\u0F71"; // stripped
  EXPECT_THAT(tokens(marks), ElementsAre("a"));
  marks = "a";
  for (int i = 0; i < 1 << 16; ++i)
    marks += "\u302E"; // kept, class 224
  EXPECT_THAT(tokens(marks), ElementsAre("[UNK]"));
}

TEST_F(TokenizerTest, AddedTokenFlags) {
  TokenizerSpec spec = testSpec();
  auto id = static_cast<uint32_t>(spec.vocabulary.size());
  spec.added.push_back({"<w>", id, /*singleWord=*/true});
  spec.added.push_back({"<l>", id + 1, false, /*stripLeft=*/true});
  spec.added.push_back({"<r>", id + 2, false, false, /*stripRight=*/true});
  spec.added.push_back({"<r>a", id + 3});
  open(spec);
  EXPECT_EQ(tokenizer.size(), size_t(id) + 4);
  EXPECT_EQ(tokenizer.find("<w>"), -1) << "not in the vocabulary proper";
  EXPECT_THAT(
      tokens("<w> a<w> <w>b <w>,"),
      ElementsAre("<w>", "a", "<", "w", ">", "<", "w", ">", "b", "<w>", ","));
  EXPECT_THAT(tokens("\u00E9<w>"), ElementsAre("e", "<", "w", ">"));
  EXPECT_THAT(sources("a \u3000<l> b"), ElementsAre("a", " \u3000<l>", "b"));
  EXPECT_THAT(sources("a <r>\t b"), ElementsAre("a", "<r>\t ", "b"));
  EXPECT_THAT(sources("<r> <l>"), ElementsAre("<r> ", "<l>"));
  EXPECT_THAT(tokens("<r>a<r>b"), ElementsAre("<r>a", "<r>", "b"));
}

TEST_F(TokenizerTest, IdsMayHaveHoles) {
  TokenizerSpec spec;
  spec.vocabulary = {{"[UNK]", 7}, {"[CLS]", 3}, {"[SEP]", 90}, {"a", 1000}};
  spec.unknownId = 7;
  spec.classifyId = 3;
  spec.separateId = 90;
  open(spec);
  EXPECT_EQ(tokenizer.size(), 1001u);
  EXPECT_EQ(tokenizer.token(500), "");
  EXPECT_THAT(tokens("a b"), ElementsAre("a", "[UNK]"));
}

TEST_F(TokenizerTest, OtherPrefixes) {
  TokenizerSpec spec = testSpec();
  spec.continuingPrefix = "";
  open(spec);
  EXPECT_THAT(tokens("unworld"), ElementsAre("un", "world"));
  spec.continuingPrefix = "\u2581";
  spec.vocabulary.push_back({"\u2581world", 308});
  open(spec);
  EXPECT_THAT(tokens("unworld"), ElementsAre("un", "\u2581world"));
}

TEST_F(TokenizerTest, ManyThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this] {
      Encoding own;
      for (int round = 0; round < 200; ++round) {
        ASSERT_EQ(tokenizer.encode("the unaffable world", 0, own),
                  EncodeStatus::Ok);
        ASSERT_EQ(own.size(), 7u);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(TokenizerTest, WriterRefusesContradictions) {
  std::vector<std::byte> none;
  TokenizerSpec spec = testSpec();
  spec.added.push_back({"[X]", 6});
  EXPECT_EQ(writeTokenizerBlob(spec, none),
            "id 6 belongs to 'world' and to '[X]'");
  spec = testSpec();
  spec.vocabulary.push_back({"far", 1u << 22});
  EXPECT_EQ(writeTokenizerBlob(spec, none),
            "token 'far' has id 4194304, expected less than 4194304");
  spec = testSpec();
  spec.unknownId = 400;
  EXPECT_EQ(writeTokenizerBlob(spec, none),
            "tokenizer has a special token outside its vocabulary");
  spec = testSpec();
  spec.maxWordChars = 1000;
  EXPECT_EQ(writeTokenizerBlob(spec, none),
            "tokenizer has an impossible word length");
  spec = testSpec();
  spec.vocabulary[10].first = std::string(1025, 'a');
  EXPECT_EQ(writeTokenizerBlob(spec, none),
            "token of id 10 has 1025 bytes, expected at most 1024");
  spec.vocabulary[10].first = std::string(1024, 'a');
  EXPECT_EQ(writeTokenizerBlob(spec, blob), "");
  EXPECT_TRUE(none.empty());
}

TEST_F(TokenizerTest, RefusesTruncatedBlobs) {
  for (size_t size = 0; size < blob.size(); size += 4) {
    Tokenizer other;
    EXPECT_NE(other.open(blob.data(), size), nullptr);
    EXPECT_EQ(other.size(), 0u);
  }
  Tokenizer other;
  EXPECT_STREQ(other.open(blob.data() + 1, blob.size() - 1),
               "tokenizer is not aligned to 4 bytes");
}

TEST_F(TokenizerTest, AlteredBlobsDoNotCrash) {
  // Every word of the blob in turn holds numbers that lie. The blob may be
  // refused or give other tokens; it must not be read outside its bytes.
  for (uint32_t value : {0u, 1u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    for (size_t at = 0; at + 4 <= blob.size(); at += 4) {
      std::vector<std::byte> altered = blob;
      std::memcpy(altered.data() + at, &value, 4);
      Tokenizer other;
      if (other.open(altered.data(), altered.size()))
        continue;
      EXPECT_EQ(other.encode("[MASK] unaffable h\u00E9llo", 0, encoding),
                EncodeStatus::Ok);
    }
  }
}
