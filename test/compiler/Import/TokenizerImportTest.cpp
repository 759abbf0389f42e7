//===- TokenizerImportTest.cpp - Tokenizer files, good and bad ------------===//
//
// Each bad file must give an error that names the file, what was found and
// what was expected.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/TokenizerImport.h"

#include "runtime/tokenizer/Tokenizer.h"
#include "test/support/TempFolder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

using namespace quern;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\n";

/// A tokenizer.json of the same vocabulary, in parts that tests replace.
struct Json {
  std::string model =
      R"({"type": "WordPiece", "unk_token": "[UNK]",
          "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
          "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3,
                    "[MASK]": 4, "the": 5, "##s": 6}})";
  std::string normalizer =
      R"({"type": "BertNormalizer", "clean_text": true,
          "handle_chinese_chars": true, "strip_accents": null,
          "lowercase": true})";
  std::string preTokenizer = R"({"type": "BertPreTokenizer"})";
  std::string added =
      R"([{"id": 4, "content": "[MASK]", "special": true,
           "normalized": false}])";
  std::string processor =
      R"({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]})";
  std::string truncation = "null";

  std::string text() const {
    return "{\"version\": \"1.0\", \"truncation\": " + truncation +
           ", \"added_tokens\": " + added + ", \"normalizer\": " + normalizer +
           ", \"pre_tokenizer\": " + preTokenizer +
           ", \"post_processor\": " + processor + ", \"model\": " + model + "}";
  }
};

class TokenizerImportTest : public testing::Test {
protected:
  void write(const char *name, const std::string &text) {
    std::ofstream(folder.file(name), std::ios::binary) << text;
  }
  /// The error of importing the folder.
  std::string error(size_t embeddingRows = 0) {
    auto result = importTokenizer(folder.path(), embeddingRows);
    return result ? "no error" : result.message();
  }
  std::string error(const Json &json) {
    write("tokenizer.json", json.text());
    return error();
  }
  /// Ids of a text under the folder's tokenizer.
  std::vector<int32_t> ids(const std::string &text) {
    auto result = importTokenizer(folder.path());
    if (!result) {
      ADD_FAILURE() << result.message();
      return {};
    }
    Tokenizer tokenizer;
    EXPECT_EQ(tokenizer.open(result->blob.data(), result->blob.size()),
              nullptr);
    Encoding encoding;
    EXPECT_EQ(tokenizer.encode(text, 0, encoding), EncodeStatus::Ok);
    return {encoding.ids(), encoding.ids() + encoding.size()};
  }

  test::TempFolder folder;
};
} // namespace

TEST_F(TokenizerImportTest, Vocabulary) {
  write("vocab.txt", vocabulary);
  EXPECT_THAT(ids("Thes [MASK] x"), ElementsAre(2, 5, 6, 4, 1, 3));
}

TEST_F(TokenizerImportTest, VocabularyWithWindowsLinesAndBlankEnd) {
  write("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\nthe\r\n\r\n\n");
  EXPECT_THAT(ids("the"), ElementsAre(1, 3, 2));
}

TEST_F(TokenizerImportTest, Options) {
  write("vocab.txt", "<u>\n<c>\n<s>\nthe\nTh\u00E9\n##\u0301\n");
  write("tokenizer_config.json",
        R"({"do_lower_case": false, "unk_token": {"content": "<u>"},
            "cls_token": "<c>",
            "tokenizer_class": "BertTokenizerFast"})");
  write("special_tokens_map.json", R"({"sep_token": "<s>"})");
  EXPECT_THAT(ids("the Th\u00E9 The <s>"), ElementsAre(1, 3, 4, 0, 2, 2));
}

TEST_F(TokenizerImportTest, MaxLength) {
  std::string file = folder.path() + "/tokenizer_config.json";
  auto read = [&](const std::string &value) {
    write("tokenizer_config.json", "{\"model_max_length\": " + value + "}");
    return readMaxLength(file);
  };
  EXPECT_EQ(*read("512"), std::optional<uint32_t>(512));
  EXPECT_EQ(*read("3.0"), std::optional<uint32_t>(3));
  for (const char *none : {"null", "1000000000000000019884624838656", "1e30",
                           "1048577", "18446744073709551615"})
    EXPECT_EQ(*read(none), std::nullopt) << none;
  for (const char *wrong : {"0", "1", "2", "-5", "12.5", "-1e30", "\"x\"",
                            "\"512\"", "true", "[512]", "{}"}) {
    auto length = read(wrong);
    ASSERT_FALSE(length) << wrong;
    EXPECT_THAT(length.message(),
                HasSubstr("tokenizer_config.json: model_max_length: found "))
        << wrong;
    EXPECT_THAT(length.message(), HasSubstr(", expected a whole number of at "
                                            "least 3 tokens"));
  }
}

TEST_F(TokenizerImportTest, AddedTokensDecoder) {
  write("vocab.txt", vocabulary);
  write("tokenizer_config.json",
        R"({"added_tokens_decoder": {"7": {"content": "<x>", "lstrip": false,
            "normalized": false, "special": true}}})");
  EXPECT_THAT(ids("the<x>"), ElementsAre(2, 5, 7, 3));
  EXPECT_THAT(error(7), HasSubstr("vocab.txt: found ids up to 7, expected less "
                                  "than 7, the rows of the word embedding"));
}

TEST_F(TokenizerImportTest, TokenizerJson) {
  write("tokenizer.json", Json().text());
  EXPECT_THAT(ids("Thes [MASK] x"), ElementsAre(2, 5, 6, 4, 1, 3));
  Json json;
  json.processor =
      R"({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                 {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                 {"Sequence": {"id": "B", "type_id": 1}},
                 {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2]},
                           "[SEP]": {"id": "[SEP]", "ids": [3]}}})";
  json.normalizer =
      R"({"type": "Sequence", "normalizers": [)" + json.normalizer + "]}";
  write("tokenizer.json", json.text());
  EXPECT_THAT(ids("THE"), ElementsAre(2, 5, 3));
}

TEST_F(TokenizerImportTest, BothMustAgree) {
  write("tokenizer.json", Json().text());
  write("vocab.txt", vocabulary);
  EXPECT_THAT(ids("the"), ElementsAre(2, 5, 3));
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n##s\nthe\n");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: line 6: found \"##s\" with id 5, "
                                 "expected id 6 of "));
  write("vocab.txt", std::string(vocabulary) + "more\n");
  EXPECT_THAT(error(), HasSubstr("line 8: found \"more\" with id 7, expected a "
                                 "token of "));
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: found 6 tokens, expected also "
                                 "\"##s\" with id 6 of "));
}

TEST_F(TokenizerImportTest, BadVocabulary) {
  EXPECT_THAT(error(), HasSubstr("found neither tokenizer.json nor vocab.txt"));
  write("vocab.txt", "");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: found an empty vocabulary"));
  write("vocab.txt", "\n\n");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: found an empty vocabulary"));
  write("vocab.txt", "[UNK]\n[CLS]\nthe\n[SEP]\nthe\n");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: line 5: found \"the\", which line "
                                 "3 has already, expected every token once"));
  write("vocab.txt", "[UNK]\nth\xFF\n");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: line 2: found"));
  write("vocab.txt", "[CLS]\n[SEP]\nthe\n");
  EXPECT_THAT(error(), HasSubstr("vocab.txt: found no token \"[UNK]\", "
                                 "expected the unknown token"));
  write("vocab.txt", "[UNK]\n[SEP]\n");
  EXPECT_THAT(error(), HasSubstr("found no token \"[CLS]\""));
  write("vocab.txt", "[UNK]\n[CLS]\n");
  EXPECT_THAT(error(), HasSubstr("found no token \"[SEP]\""));
  write("vocab.txt", vocabulary);
  EXPECT_EQ(error(7), "no error");
  EXPECT_THAT(error(6), HasSubstr("vocab.txt: found ids up to 6, expected less "
                                  "than 6"));
  // Tables may be padded; a file that was cut in two is no vocabulary of it.
  EXPECT_EQ(error(15), "no error");
  EXPECT_THAT(error(16), HasSubstr("vocab.txt: found 7 ids, expected at least "
                                   "half of 16, the rows of the word"));
}

TEST_F(TokenizerImportTest, DirectoriesAreNoFiles) {
  std::filesystem::create_directory(folder.file("vocab.txt"));
  EXPECT_THAT(error(), HasSubstr("vocab.txt: found a directory"));
  std::filesystem::create_directory(folder.file("tokenizer.json"));
  EXPECT_THAT(error(), HasSubstr("found a directory, expected a file"));
}

TEST_F(TokenizerImportTest, OtherTokenizersAreRefusedByName) {
  write("vocab.txt", vocabulary);
  write("tokenizer_config.json",
        R"({"tokenizer_class": "BertJapaneseTokenizer"})");
  EXPECT_THAT(error(), HasSubstr("tokenizer_class: found "
                                 "\"BertJapaneseTokenizer\", expected"));
  std::filesystem::remove(folder.file("vocab.txt"));
  Json json;
  json.model = R"({"type": "BPE", "vocab": {}, "merges": []})";
  EXPECT_THAT(error(json), HasSubstr("tokenizer.json: model.type: found "
                                     "\"BPE\", expected \"WordPiece\""));
  json.model = R"({"vocab": {"a": 0}, "merges": []})";
  EXPECT_THAT(error(json), HasSubstr("found \"BPE\""));
  json.model = R"({"unk_id": 0, "vocab": [["a", 0.5]]})";
  EXPECT_THAT(error(json), HasSubstr("found \"Unigram\""));
  json.model = R"({"type": 3, "continuing_subword_prefix": "##"})";
  EXPECT_THAT(error(json), HasSubstr("model.type: found 3, expected"));
  json = Json();
  json.normalizer = R"({"type": "NFKC"})";
  EXPECT_THAT(error(json), HasSubstr("normalizer.type: found \"NFKC\""));
  json = Json();
  json.preTokenizer = R"({"type": "ByteLevel"})";
  EXPECT_THAT(error(json), HasSubstr("found \"ByteLevel\""));
  json = Json();
  json.processor = R"({"type": "RobertaProcessing"})";
  EXPECT_THAT(error(json), HasSubstr("found \"RobertaProcessing\""));
  json.processor = "null";
  EXPECT_THAT(error(json), HasSubstr("post_processor: found nothing"));
}

TEST_F(TokenizerImportTest, BadTokenizerJson) {
  write("tokenizer.json", "");
  EXPECT_THAT(error(), HasSubstr("tokenizer.json: found an empty file"));
  write("tokenizer.json", "[1]");
  EXPECT_THAT(error(), HasSubstr("expected a JSON object"));
  std::string deep(10000, '[');
  write("tokenizer.json", deep);
  EXPECT_THAT(error(), HasSubstr("nested deeper than"));
  write("tokenizer.json", "{\"a\": " + deep + std::string(10000, ']') + "}");
  EXPECT_THAT(error(), HasSubstr("nested deeper than"));
  Json json;
  json.model = R"({"type": "WordPiece", "vocab": {}})";
  EXPECT_THAT(error(json), HasSubstr("model.vocab: found an empty vocabulary"));
  json.model = R"({"type": "WordPiece", "vocab": {"the": 0, "the": 1}})";
  EXPECT_THAT(error(json), HasSubstr("key \"the\" is given twice"));
  json.model = R"({"type": "WordPiece", "vocab": {"the": -1}})";
  EXPECT_THAT(error(json), HasSubstr("model.vocab: \"the\": found -1"));
  json.model = R"({"type": "WordPiece", "vocab": {"the": 4194304}})";
  EXPECT_THAT(error(json), HasSubstr("found 4194304, expected an id below"));
  json.model = R"({"type": "WordPiece", "vocab": {"the": 1}})";
  EXPECT_THAT(error(json), HasSubstr("found no token \"[UNK]\""));
  json.model = R"({"type": "WordPiece", "vocab": {"[UNK]": 1}})";
  json.added = "[]";
  EXPECT_THAT(error(json), HasSubstr("found no token \"[CLS]\""));
  json.model = R"({"type": "WordPiece", "vocab": {"[UNK]": 1, "[CLS]": 2,
                   "[SEP]": 3, "a": 3}})";
  EXPECT_THAT(error(json), HasSubstr("id 3 belongs to '[SEP]' and to 'a'"));
  json.model = R"({"type": "WordPiece", "max_input_chars_per_word": 0,
                   "vocab": {"[UNK]": 1}})";
  EXPECT_THAT(error(json), HasSubstr("max_input_chars_per_word: found 0, "
                                     "expected an integer from 1 to 256"));
}

TEST_F(TokenizerImportTest, BadAddedTokensAndTemplates) {
  Json json;
  json.added = R"([{"id": 5, "content": "[MASK]"}])";
  EXPECT_THAT(error(json), HasSubstr("normalized"));
  json.added = R"([{"id": 5, "content": "[MASK]", "special": true}])";
  EXPECT_THAT(error(json), HasSubstr("added_tokens[0]: id: found 5, expected 4,"
                                     " the vocabulary's id of \"[MASK]\""));
  json.added = R"([{"id": 7, "content": "", "special": true}])";
  EXPECT_THAT(error(json), HasSubstr("content: found \"\", expected a token"));
  json.added = R"([{"id": 7, "content": "<x>", "special": true,
                    "normalized": true}])";
  EXPECT_THAT(error(json), HasSubstr("normalized: found true, expected false"));
  json = Json();
  json.processor =
      R"({"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 2]})";
  EXPECT_THAT(error(json),
              HasSubstr("post_processor.sep: found 2, expected 3"));
  json.processor =
      R"({"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}]})";
  EXPECT_THAT(error(json), HasSubstr("post_processor.single: found another "
                                     "template, expected [CLS]:0 A:0 [SEP]:0"));
  json = Json();
  json.truncation = R"({"max_length": 8, "direction": "Left"})";
  EXPECT_THAT(error(json), HasSubstr("truncation: direction: found \"Left\""));
  json.truncation = "[8]";
  EXPECT_THAT(error(json), HasSubstr("truncation: found an array of 1, "
                                     "expected an object"));
}

TEST_F(TokenizerImportTest, BadConfiguration) {
  write("vocab.txt", vocabulary);
  write("tokenizer_config.json", R"({"do_lower_case": "yes"})");
  EXPECT_THAT(error(), HasSubstr("tokenizer_config.json: do_lower_case: found "
                                 "\"yes\", expected true or false"));
  write("tokenizer_config.json", R"({"cls_token": 5})");
  EXPECT_THAT(error(), HasSubstr("cls_token: found 5, expected a token"));
  write("tokenizer_config.json",
        R"({"added_tokens_decoder": {"4": {"content": "the"}}})");
  EXPECT_THAT(error(), HasSubstr("expected id 5 as in "));
  write("tokenizer_config.json",
        R"({"added_tokens_decoder": {"3": {"content": "<x>"}}})");
  EXPECT_THAT(error(), HasSubstr("tokenizer_config.json: added_tokens_decoder: "
                                 "\"3\": found \"<x>\", expected \"[SEP]\" as "
                                 "in "));
  write("tokenizer_config.json", R"({"added_tokens_decoder": [3]})");
  EXPECT_THAT(error(), HasSubstr("added_tokens_decoder: found an array of 1, "
                                 "expected an object"));
  write("tokenizer_config.json", R"({"additional_special_tokens": 3})");
  EXPECT_THAT(error(), HasSubstr("tokenizer_config.json: additional_special_"
                                 "tokens: found 3, expected a list"));
  write("tokenizer_config.json", R"({"additional_special_tokens": ["a", 3]})");
  EXPECT_THAT(error(), HasSubstr("additional_special_tokens: found 3, expected "
                                 "a token"));
  write("tokenizer_config.json", R"({"truncation_side": "left"})");
  EXPECT_THAT(error(), HasSubstr("truncation_side: found \"left\", expected "
                                 "\"right\""));
  write("tokenizer_config.json", R"({})");
  write("added_tokens.json", R"({"the": 5})");
  EXPECT_EQ(error(), "no error");
  write("added_tokens.json", R"({"more": 7})");
  EXPECT_THAT(error(), HasSubstr("added_tokens.json: \"more\": found 7, "
                                 "expected a token of "));
}
