//===- HfConfigTest.cpp - Configuration files of a model folder -----------===//
//
// What is understood, and what is refused by name.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/HfConfig.h"
#include "lib/Support/File.h"
#include "lib/Support/Json.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace quern;
using namespace quern::test;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
class HfConfigTest : public testing::Test {
protected:
  HfConfigTest() { takeFamily("bert"); }
  /// Starts from the configuration of a model_type.
  TinyModelOptions takeFamily(const char *name) {
    TinyModelOptions options;
    options.family = name;
    config = *parseJson(tinyConfig(options), "base");
    return options;
  }
  Expected<ModelInfo> read() { return readText(config.dump()); }
  Expected<ModelInfo> readText(const std::string &text) {
    if (Error error = writeText(folder.file("config.json"), text))
      return error;
    return readHfConfig(folder.path());
  }
  /// The message after one key was changed.
  std::string with(const char *key, const json &value) {
    json saved = config;
    config[key] = value;
    auto info = read();
    config = saved;
    return info ? "no error" : info.message();
  }
  /// Sentence-transformers' files with this pooling configuration.
  void writeModules(const json &pooling, bool normalize = true) {
    TinyModelOptions options;
    options.head = HeadKind::Embedding;
    options.normalize = normalize;
    EXPECT_FALSE(writeTinyModel(folder.path(), options));
    if (!pooling.is_null())
      EXPECT_FALSE(
          writeText(folder.file("1_Pooling/config.json"), pooling.dump()));
  }

  TempFolder folder;
  json config;
};
} // namespace

TEST_F(HfConfigTest, Classification) {
  auto info = read();
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->head, HeadKind::Classification);
  EXPECT_THAT(info->labels, ElementsAre("label 0", "label 1"));
  EXPECT_EQ(info->hidden, 32);
  EXPECT_EQ(info->heads, 2);
  EXPECT_EQ(info->layers, 2);
  EXPECT_EQ(info->intermediate, 64);
  EXPECT_EQ(info->vocab, 384);
  EXPECT_EQ(info->maxLength, 64);
  EXPECT_EQ(info->layerNormEps, 1e-12);
  EXPECT_EQ(info->activation, ActivationKind::Gelu);
  EXPECT_TRUE(info->pooler);
}

TEST_F(HfConfigTest, LabelsKeepTheOrderOfTheirNumbers) {
  config["id2label"] = json::object();
  for (int i = 0; i < 12; ++i)
    config["id2label"][std::to_string(i)] = "n" + std::to_string(i);
  auto info = read();
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->labels[2], "n2");
  EXPECT_EQ(info->labels[10], "n10");
  config.erase("id2label");
  EXPECT_THAT(read()->labels, ElementsAre("LABEL_0", "LABEL_1"));
  config["num_labels"] = 3;
  EXPECT_EQ(read()->labels.size(), 3u);
}

TEST_F(HfConfigTest, Heads) {
  config["architectures"] = {"BertForTokenClassification"};
  EXPECT_EQ(read()->head, HeadKind::TokenClassification);
  EXPECT_FALSE(read()->pooler);
  config["architectures"] = {"BertForQuestionAnswering"};
  EXPECT_EQ(read()->head, HeadKind::QuestionAnswering);
  EXPECT_THAT(read()->labels, ElementsAre("start", "end"));
  config["architectures"] = {"BertModel"};
  EXPECT_EQ(read()->head, HeadKind::Embedding);
  config["architectures"] = {"BertForSequenceClassification"};
  config["id2label"] = {{"0", "score"}};
  EXPECT_EQ(read()->head, HeadKind::Regression);
  config["problem_type"] = "single_label_classification";
  EXPECT_EQ(read()->head, HeadKind::Classification);
  config["problem_type"] = nullptr;
  EXPECT_EQ(read()->head, HeadKind::Regression);
}

TEST_F(HfConfigTest, Activations) {
  for (auto [name, kind] :
       {std::pair("gelu", ActivationKind::Gelu),
        std::pair("gelu_new", ActivationKind::GeluTanh),
        std::pair("gelu_pytorch_tanh", ActivationKind::GeluTanh),
        std::pair("relu", ActivationKind::Relu)}) {
    config["hidden_act"] = name;
    EXPECT_EQ(read()->activation, kind);
  }
  EXPECT_THAT(with("hidden_act", "silu"),
              AllOf(HasSubstr("config.json: hidden_act: found \"silu\""),
                    HasSubstr("\"gelu_new\"")));
}

TEST_F(HfConfigTest, DistilBert) {
  TinyModelOptions options = takeFamily("distilbert");
  auto info = read();
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->family, "distilbert");
  EXPECT_EQ(info->hidden, options.hidden);
  EXPECT_EQ(info->heads, options.heads);
  EXPECT_EQ(info->layers, options.layers);
  EXPECT_EQ(info->intermediate, options.intermediate);
  EXPECT_EQ(info->layerNormEps, 1e-12);
  EXPECT_FALSE(info->hasTypes);
  EXPECT_TRUE(info->pooler);
  EXPECT_EQ(info->poolerActivation, PoolerActivation::Relu);
  for (const char *key : {"dim", "n_heads", "n_layers", "hidden_dim"})
    EXPECT_THAT(with(key, 0),
                HasSubstr("config.json: " + std::string(key) + ": found 0"));
  EXPECT_THAT(with("n_heads", 5),
              HasSubstr("dim: found 32, expected a multiple of n_heads, 5"));
  EXPECT_THAT(with("activation", "silu"),
              HasSubstr("activation: found \"silu\""));
  EXPECT_THAT(with("architectures", {"DistilBertForMaskedLM"}),
              HasSubstr("expected one of DistilBertForSequenceClassification"));
  EXPECT_THAT(with("architectures", {"BertModel"}),
              HasSubstr("found \"BertModel\""));
}

TEST_F(HfConfigTest, Electra) {
  takeFamily("electra");
  auto info = read();
  ASSERT_TRUE(info) << info.message();
  EXPECT_TRUE(info->hasTypes);
  EXPECT_EQ(info->typeVocab, 2);
  EXPECT_EQ(info->poolerActivation, PoolerActivation::Gelu);
  EXPECT_THAT(with("embedding_size", 16),
              HasSubstr("embedding_size: found 16, expected hidden_size, 32"));
  EXPECT_THAT(with("architectures", {"ElectraForPreTraining"}),
              HasSubstr("expected one of ElectraForSequenceClassification"));
}

TEST_F(HfConfigTest, OtherModelsAreRefusedByName) {
  for (const char *name : {"roberta", "distilbert2", "llama", ""})
    EXPECT_THAT(with("model_type", name),
                HasSubstr("config.json: model_type: found \"" +
                          std::string(name) + "\", expected \"bert\""));
  EXPECT_THAT(with("model_type", 3), HasSubstr("expected a string"));
  EXPECT_THAT(with("architectures", {"BertForMaskedLM"}),
              AllOf(HasSubstr("found \"BertForMaskedLM\""),
                    HasSubstr("BertForSequenceClassification")));
  EXPECT_THAT(with("architectures", json::array()),
              HasSubstr("architectures: found an array of 0"));
  EXPECT_THAT(with("position_embedding_type", "relative_key"),
              HasSubstr("position_embedding_type: found \"relative_key\""));
  EXPECT_THAT(with("is_decoder", true), HasSubstr("is_decoder: found true"));
  EXPECT_THAT(with("quantization_config", {{"bits", 4}}),
              HasSubstr("quantization_config"));
  EXPECT_THAT(with("problem_type", "multi_label_classification"),
              HasSubstr("problem_type: found \"multi_label_classification\""));
}

TEST_F(HfConfigTest, SizesMustBeTrue) {
  EXPECT_THAT(with("num_attention_heads", 5),
              HasSubstr("hidden_size: found 32, expected a multiple of "
                        "num_attention_heads, 5"));
  for (const char *key :
       {"hidden_size", "num_attention_heads", "num_hidden_layers",
        "intermediate_size", "vocab_size", "max_position_embeddings"}) {
    for (const json &value : {json(), json(0), json(-1), json("32"), json(1.5),
                              json(INT64_MAX), json(UINT64_MAX)})
      EXPECT_THAT(with(key, value),
                  HasSubstr("config.json: " + std::string(key) + ": found"));
  }
  EXPECT_THAT(with("layer_norm_eps", 0), HasSubstr("layer_norm_eps: found 0"));
  EXPECT_THAT(with("layer_norm_eps", "x"), HasSubstr("expected a number"));
}

TEST_F(HfConfigTest, LabelsMustBeNumbered) {
  EXPECT_THAT(with("id2label", {{"0", "a"}, {"2", "b"}}),
              HasSubstr("expected a name for number 1 of 2"));
  EXPECT_THAT(with("id2label", json::object()), HasSubstr("id2label"));
  EXPECT_THAT(with("id2label", {{"0", 1}}), HasSubstr("id2label"));
}

TEST_F(HfConfigTest, FilesThatAreNoConfiguration) {
  EXPECT_THAT(readText("").message(), HasSubstr("found an empty file"));
  EXPECT_THAT(readText("[]").message(), HasSubstr("expected a JSON object"));
  EXPECT_THAT(readText("{").message(), HasSubstr("parse error"));
  EXPECT_THAT(readText(std::string("{}\0{", 4)).message(),
              HasSubstr("config.json: byte 3: found a zero byte, expected"));
  std::string deep;
  for (int i = 0; i < 10000; ++i)
    deep += "{\"a\":";
  EXPECT_THAT(readText(deep).message(), HasSubstr("nested deeper than 64"));
  std::filesystem::remove(folder.file("config.json"));
  std::filesystem::create_directory(folder.file("config.json"));
  EXPECT_THAT(readHfConfig(folder.path()).message(),
              HasSubstr("config.json: found a directory, expected a file"));
}

TEST_F(HfConfigTest, SentenceTransformers) {
  writeModules(json());
  auto info = readHfConfig(folder.path());
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->head, HeadKind::Embedding);
  EXPECT_EQ(info->pooling, PoolingKind::Mean);
  EXPECT_TRUE(info->normalize);
  EXPECT_EQ(info->maxLength, 64);
  writeModules({{"pooling_mode_cls_token", true}, {"include_prompt", true}},
               false);
  info = readHfConfig(folder.path());
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->pooling, PoolingKind::Cls);
  EXPECT_FALSE(info->normalize);
  std::string length = folder.file("sentence_bert_config.json");
  ASSERT_FALSE(writeText(length, R"({"max_seq_length": 20})"));
  EXPECT_EQ(readHfConfig(folder.path())->maxLength, 20);
  ASSERT_FALSE(writeText(length, R"({"max_seq_length": 512})"));
  EXPECT_EQ(readHfConfig(folder.path())->maxLength, 64);
  ASSERT_FALSE(writeText(length, R"({"max_seq_length": 2})"));
  EXPECT_THAT(readHfConfig(folder.path()).message(),
              HasSubstr("max_seq_length: found 2, expected an integer from 3"));
}

TEST_F(HfConfigTest, OtherPoolingIsRefused) {
  auto message = [&](const json &pooling) {
    writeModules(pooling);
    auto info = readHfConfig(folder.path());
    return info ? "no error" : info.message();
  };
  EXPECT_THAT(message({{"pooling_mode_max_tokens", true}}),
              HasSubstr("pooling_mode_max_tokens: found true, expected only "
                        "pooling_mode_cls_token or pooling_mode_mean_tokens"));
  EXPECT_THAT(message({{"pooling_mode_mean_tokens", false}}),
              HasSubstr("found 0 pooling modes"));
  EXPECT_THAT(message({{"pooling_mode_mean_tokens", true},
                       {"pooling_mode_cls_token", true}}),
              HasSubstr("found 2 pooling modes"));
  EXPECT_THAT(message({{"pooling_mode_mean_tokens", true},
                       {"word_embedding_dimension", 33}}),
              HasSubstr("found 33, expected the model's hidden size, 32"));
}

TEST_F(HfConfigTest, OtherModulesAreRefused) {
  writeModules(json());
  std::string path = folder.file("modules.json");
  auto message = [&](const std::string &text) {
    EXPECT_FALSE(writeText(path, text));
    auto info = readHfConfig(folder.path());
    return info ? "no error" : info.message();
  };
  std::string transformer =
      R"({"path": "", "type": "sentence_transformers.models.Transformer"})";
  EXPECT_THAT(message("{}"), HasSubstr("expected a list of modules"));
  EXPECT_THAT(message("[1]"), HasSubstr("module 0: found 1"));
  EXPECT_THAT(message("[" + transformer + "]"),
              HasSubstr("found no Pooling module"));
  EXPECT_THAT(
      message("[" + transformer +
              R"(, {"path": "2_Dense", "type": "sentence_transformers.models.)"
              R"(Dense"}])"),
      HasSubstr(
          "module 1: type: found \"sentence_transformers.models.Dense\""));
  EXPECT_THAT(message("[" + transformer +
                      R"(, {"path": "../../x", "type": "sentence_transformers.)"
                      R"(models.Pooling"}])"),
              HasSubstr("path: found \"../../x\", expected a folder within"));
}

TEST_F(HfConfigTest, Vision) {
  config = {{"architectures", {"DeiTForImageClassification"}},
            {"hidden_size", 32},
            {"image_size", 48},
            {"intermediate_size", 64},
            {"model_type", "deit"},
            {"num_attention_heads", 2},
            {"num_channels", 3},
            {"num_hidden_layers", 2},
            {"num_labels", 5},
            {"patch_size", 16},
            {"qkv_bias", false}};
  auto info = read();
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->family, "deit");
  EXPECT_EQ(info->head, HeadKind::Classification);
  EXPECT_EQ(info->labels.size(), 5u);
  ASSERT_TRUE(info->image);
  EXPECT_EQ(info->image->patchSize(), 3 * 16 * 16);
  // The class, distillation, and nine patches.
  EXPECT_EQ(info->positions, 11);
  EXPECT_FALSE(info->qkvBias);
  EXPECT_THAT(with("patch_size", 20),
              HasSubstr("image_size: found 48, expected a multiple of "
                        "patch_size, 20"));
  EXPECT_THAT(with("image_size", 16384),
              HasSubstr("image_size: found 16384, expected at most 65536 "
                        "patches"));
  EXPECT_THAT(with("num_channels", 0), HasSubstr("num_channels: found 0"));
  EXPECT_THAT(with("qkv_bias", 1), HasSubstr("qkv_bias: found 1"));
  EXPECT_THAT(with("architectures", {"ViTModel"}),
              HasSubstr("architectures: found \"ViTModel\", expected "
                        "DeiTForImageClassification or DeiTModel"));
  EXPECT_THAT(with("model_type", "swin"),
              HasSubstr("model_type: found \"swin\", expected \"bert\""));
}

TEST_F(HfConfigTest, Preprocessor) {
  config = {{"architectures", {"ViTModel"}},
            {"hidden_size", 32},
            {"image_size", 48},
            {"intermediate_size", 64},
            {"model_type", "vit"},
            {"num_attention_heads", 2},
            {"num_channels", 3},
            {"num_hidden_layers", 2},
            {"patch_size", 16}};
  // Without the file nobody knows what bytes stand for.
  auto none = read();
  ASSERT_TRUE(none) << none.message();
  EXPECT_TRUE(none->image->mean.empty());
  auto image = [&](const std::string &text) {
    EXPECT_FALSE(writeFile(folder.file("preprocessor_config.json"), text));
    return read();
  };
  // Hugging Face's defaults.
  auto plain = image(R"({"size": 224, "do_resize": true})");
  ASSERT_TRUE(plain) << plain.message();
  EXPECT_EQ(plain->image->rescale, 1.0 / 255);
  EXPECT_THAT(plain->image->mean, ElementsAre(0.5f, 0.5f, 0.5f));
  EXPECT_THAT(plain->image->deviation, ElementsAre(0.5f, 0.5f, 0.5f));
  auto given = image(R"({"image_mean": [0.25, 0, -1], "image_std": 2,
                         "do_rescale": false})");
  ASSERT_TRUE(given) << given.message();
  EXPECT_EQ(given->image->rescale, 1);
  EXPECT_THAT(given->image->mean, ElementsAre(0.25f, 0.0f, -1.0f));
  EXPECT_THAT(given->image->deviation, ElementsAre(2.0f, 2.0f, 2.0f));
  auto off = image(R"({"image_mean": [9, 9, 9], "do_normalize": false,
                       "rescale_factor": 0.5})");
  ASSERT_TRUE(off) << off.message();
  EXPECT_EQ(off->image->rescale, 0.5);
  EXPECT_THAT(off->image->mean, ElementsAre(0.0f, 0.0f, 0.0f));
  EXPECT_THAT(off->image->deviation, ElementsAre(1.0f, 1.0f, 1.0f));
  auto wrong = [&](const std::string &text) {
    auto info = image(text);
    return info ? "no error" : info.message();
  };
  EXPECT_THAT(
      wrong(R"({"image_mean": [0.5, 0.5]})"),
      HasSubstr("image_mean: found an array of 2, expected a number for "
                "each of 3 channels"));
  EXPECT_THAT(wrong(R"({"image_mean": [0.5, 0.5, "x"]})"),
              HasSubstr("image_mean"));
  EXPECT_THAT(wrong(R"({"image_mean": [0.5, 0.5, 1e300]})"),
              HasSubstr("expected finite numbers"));
  EXPECT_THAT(
      wrong(R"({"image_std": [0.5, 0, 0.5]})"),
      HasSubstr("image_std: found an array of 3, expected numbers above "
                "0"));
  EXPECT_THAT(wrong(R"({"rescale_factor": 0})"),
              HasSubstr("rescale_factor: found 0, expected a number above 0"));
  EXPECT_THAT(wrong(R"({"do_rescale": 1})"), HasSubstr("do_rescale: found 1"));
  EXPECT_THAT(wrong("[]"), HasSubstr("preprocessor_config.json"));
}
