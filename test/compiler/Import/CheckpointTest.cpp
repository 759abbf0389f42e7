//===- CheckpointTest.cpp - The weights of a model folder -----------------===//
//
// Spellings of names, shards, and weights that are not what they should be.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Checkpoint.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;

namespace {
class CheckpointTest : public testing::Test {
protected:
  Expected<Checkpoint> open() {
    if (Error error = writeTinyWeights(folder.path(), tinyWeights(options),
                                       options.shards))
      return error;
    return Checkpoint::open(folder.path());
  }
  /// The message of opening the folder, reading nothing.
  std::string messageOf() {
    auto checkpoint = Checkpoint::open(folder.path());
    return checkpoint ? "no error" : checkpoint.message();
  }

  TempFolder folder;
  TinyModelOptions options;
};

constexpr const char *norm = "encoder.layer.1.output.LayerNorm.bias";
} // namespace

TEST_F(CheckpointTest, EverySpellingGivesTheSameValues) {
  auto plain = open();
  ASSERT_TRUE(plain) << plain.message();
  auto expected = plain->read(norm, {32});
  ASSERT_TRUE(expected) << expected.message();
  std::vector<float> values(expected->data, expected->data + 32);
  for (bool prefix : {false, true})
    for (bool oldNames : {false, true})
      for (int shards : {1, 3}) {
        std::filesystem::remove(folder.file("model.safetensors"));
        options.prefix = prefix;
        options.oldNames = oldNames;
        options.shards = shards;
        auto checkpoint = open();
        ASSERT_TRUE(checkpoint) << checkpoint.message();
        auto read = checkpoint->read(norm, {32});
        ASSERT_TRUE(read) << read.message();
        EXPECT_EQ(std::memcmp(read->data, values.data(), 128), 0);
        EXPECT_TRUE(checkpoint->has("classifier.weight"));
        EXPECT_FALSE(checkpoint->has("qa_outputs.weight"));
      }
}

TEST_F(CheckpointTest, HalvesAreNear) {
  auto plain = open();
  std::vector<float> values;
  {
    auto read = plain->read(norm, {32});
    values.assign(read->data, read->data + 32);
  }
  for (const char *dtype : {"F16", "BF16"}) {
    options.dtype = dtype;
    auto checkpoint = open();
    auto read = checkpoint->read(norm, {32});
    ASSERT_TRUE(read) << read.message();
    for (int i = 0; i < 32; ++i)
      EXPECT_NEAR(read->data[i], values[i], std::fabs(values[i]) / 250);
  }
}

TEST_F(CheckpointTest, UnusedTensorsAreListed) {
  auto checkpoint = open();
  size_t all = checkpoint->unused().size();
  ASSERT_TRUE(checkpoint->read(norm, {32}));
  auto rest = checkpoint->unused();
  EXPECT_EQ(rest.size(), all - 1);
  EXPECT_THAT(rest, testing::Contains("bert.embeddings.position_ids"));
}

TEST_F(CheckpointTest, MissingAndMisshapenTensors) {
  auto checkpoint = open();
  EXPECT_THAT(
      checkpoint->read("pooler.extra.weight", {4, 5}).message(),
      HasSubstr("model.safetensors: tensor bert.pooler.extra.weight: found "
                "none, expected f32, f16 or bf16 of shape 4x5"));
  EXPECT_THAT(checkpoint->read(norm, {33}).message(),
              HasSubstr("model.safetensors: tensor bert.encoder.layer.1.output."
                        "LayerNorm.bias: found shape 32, expected f32, f16 or "
                        "bf16 of shape 33"));
  EXPECT_THAT(checkpoint->read("embeddings.position_ids", {1, 64}).message(),
              HasSubstr("found dtype I64, expected F32, F16 or BF16"));
}

TEST_F(CheckpointTest, NonFiniteWeightsAreNamed) {
  auto weights = tinyWeights(options);
  for (SafetensorsOutput &tensor : weights)
    if (tensor.name == "classifier.weight") {
      float bad[] = {NAN, INFINITY};
      std::memcpy(&tensor.data[4 * (32 + 7)], &bad[0], 4);
      std::memcpy(&tensor.data[4 * (32 + 9)], &bad[1], 4);
    } else if (tensor.name == "classifier.bias") {
      float bad = -INFINITY;
      std::memcpy(&tensor.data[4], &bad, 4);
    }
  ASSERT_FALSE(writeTinyWeights(folder.path(), weights));
  auto checkpoint = Checkpoint::open(folder.path());
  EXPECT_THAT(checkpoint->read("classifier.weight", {2, 32}).message(),
              HasSubstr("tensor classifier.weight: found NaN at index [1, 7], "
                        "expected finite values"));
  EXPECT_THAT(checkpoint->read("classifier.bias", {2}).message(),
              HasSubstr("found infinity at index [1]"));
}

TEST_F(CheckpointTest, FoldersWithoutWeights) {
  EXPECT_THAT(messageOf(), HasSubstr("found no weights, expected "
                                     "model.safetensors or"));
  ASSERT_FALSE(writeText(folder.file("pytorch_model.bin"), "x"));
  EXPECT_THAT(messageOf(), HasSubstr("found pytorch_model.bin, which is not"));
  std::filesystem::create_directory(folder.file("model.safetensors"));
  EXPECT_THAT(messageOf(), HasSubstr("found a directory, expected a file"));
}

TEST_F(CheckpointTest, IndexMustNameShardsOfItsFolder) {
  std::string index = folder.file("model.safetensors.index.json");
  for (const char *name : {"../model.safetensors", "/etc/passwd",
                           "sub/a.safetensors", "..", ".", "", "a\\\\b"}) {
    ASSERT_FALSE(writeText(index, std::string(R"({"weight_map": {"t": ")") +
                                      name + "\"}}"));
    EXPECT_THAT(messageOf(), HasSubstr("index.json: tensor t: found shard"));
  }
  ASSERT_FALSE(writeText(index, R"({"weight_map": {"t": "a.safetensors"}})"));
  EXPECT_THAT(messageOf(), HasSubstr("found no file a.safetensors"));
  ASSERT_FALSE(writeText(index, R"({"weight_map": {"t": 1}})"));
  EXPECT_THAT(messageOf(), HasSubstr("found shard 1"));
  for (const char *text :
       {"{}", R"({"weight_map": []})", R"({"weight_map": {}})"}) {
    ASSERT_FALSE(writeText(index, text));
    EXPECT_THAT(messageOf(), HasSubstr("index.json: weight_map: found"));
  }
}

TEST_F(CheckpointTest, IndexAndShardsMustAgree) {
  options.shards = 2;
  ASSERT_TRUE(open());
  std::string index = folder.file("model.safetensors.index.json");
  std::string first = "model-00001-of-00002.safetensors";
  std::string second = "model-00002-of-00002.safetensors";
  auto weights = tinyWeights(options);
  ASSERT_FALSE(writeText(index, R"({"weight_map": {"classifier.bias": ")" +
                                    first + "\"}}"));
  EXPECT_THAT(messageOf(),
              HasSubstr("index.json: tensor classifier.bias: not found in"));
  // The same tensor in both shards.
  ASSERT_FALSE(writeSafetensors(folder.file(first), {weights.back()}));
  ASSERT_FALSE(writeText(index, R"({"weight_map": {"classifier.bias": ")" +
                                    first + R"(", "b": ")" + second + "\"}}"));
  EXPECT_THAT(messageOf(), HasSubstr("tensor classifier.bias: found a second "
                                     "time, it is also in"));
  std::filesystem::remove(folder.file(second));
  EXPECT_THAT(messageOf(), HasSubstr("found no file " + second));
}
