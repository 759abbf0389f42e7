//===- RewriteTest.cpp - The integer graph against the simulation ---------===//
//
// Small random BERTs go through import, calibration, tq-quantize-pipeline and
// tq-rewrite-pipeline; both results are interpreted. From equal input codes
// every site may differ by one code at most: the simulation is run with the
// integer graph's codes forced behind each of its quantizers.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Rewrite/LevelComparison.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace quern;
using namespace quern::test;

namespace {

/// The levels of a small BERT and a recipe.
Outcome compare(const TinyModelOptions &options, const char *recipe) {
  RewriteModel model(options, recipe);
  return Pipeline(model).run();
}

TEST(Rewrite, W8A8LeavesNoFloatOps) {
  Outcome outcome = compare({}, R"({"base": "w8a8"})");
  expectEqualFromEqualCodes(outcome);
  // 3 of the embedding, 13 per layer, pooler and logits.
  EXPECT_EQ(outcome.sites, 31u);
  std::map<std::string, int> &ops = outcome.ops;
  EXPECT_EQ(ops["tq.qembed"], 1);
  EXPECT_EQ(ops["tq.qattention"], 2);
  EXPECT_EQ(ops["tq.qadd_norm"], 4);
  // QKV, output, two of the FFN per layer; of the last one Q apart, for the
  // first rows; pooler and classifier.
  EXPECT_EQ(ops["tq.qlinear"], 11);
  EXPECT_EQ(ops["tq.qpool"], 1);
  EXPECT_EQ(ops["tq.dequantize"], 1);
  for (const char *name :
       {"tq.linear", "tq.layer_norm", "tq.add", "tq.softmax", "tq.scores",
        "tq.context", "tq.embedding", "tq.quantize", "tq.gelu", "tq.tanh"})
    EXPECT_EQ(ops.count(name), 0u) << name;
}

TEST(Rewrite, DefaultRecipe) {
  Outcome outcome = compare({}, R"({"base": "default"})");
  expectEqualFromEqualCodes(outcome);
  EXPECT_EQ(outcome.sites, 30u);
  EXPECT_EQ(outcome.ops["tq.qattention"], 2);
  EXPECT_EQ(outcome.ops["tq.qadd_norm"], 4);
  EXPECT_EQ(outcome.ops["tq.qlinear"], 11);
  EXPECT_EQ(outcome.ops["tq.dequantize"], 0);
}

TEST(Rewrite, Fp32IsTheFloatGraph) {
  Outcome outcome = compare({}, R"({"base": "fp32"})");
  ASSERT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.sites, 0u);
  EXPECT_EQ(outcome.ops.count("tq.observe"), 0u);
  EXPECT_EQ(outcome.ops["tq.linear"], 14);
  ASSERT_EQ(outcome.real.size(), outcome.integer.size());
  for (size_t i = 0; i < outcome.real.size(); ++i)
    EXPECT_NEAR(outcome.real[i], outcome.integer[i], 1e-5);
}

/// Models and recipes with islands, heads and widths of every kind.
struct Case {
  const char *name;
  TinyModelOptions options;
  const char *recipe;
};

void PrintTo(const Case &value, std::ostream *os) { *os << value.name; }

std::vector<Case> cases() {
  std::vector<Case> all;
  auto add = [&](const char *name, const char *recipe,
                 TinyModelOptions options = {}) {
    all.push_back({name, options, recipe});
  };
  TinyModelOptions odd;
  odd.hidden = 100;
  odd.heads = 4;
  odd.intermediate = 270;
  add("OddWidths", R"({"base": "w8a8-channel"})", odd);
  TinyModelOptions mean;
  mean.head = HeadKind::Embedding;
  add("MeanEmbedding", R"({"base": "default"})", mean);
  mean.pooling = PoolingKind::Cls;
  add("ClsEmbedding", R"({"base": "default"})", mean);
  TinyModelOptions tokens;
  tokens.head = HeadKind::TokenClassification;
  tokens.labels = 3;
  add("TokenClassification", R"({"base": "w8a8"})", tokens);
  TinyModelOptions relu;
  relu.activation = "relu";
  add("Relu", R"({"base": "w8a8"})", relu);
  TinyModelOptions tanhGelu;
  tanhGelu.activation = "gelu_new";
  add("GeluTanh", R"({"base": "w8a8"})", tanhGelu);
  add("IslandAtX", R"({"base": "w8a8", "sites": {"x": 16}})");
  add("IslandAtLayer", R"({"base": "w8a8", "sites": {"L1": "fp32"}})");
  add("IslandAtScores", R"({"base": "w8a8", "sites": {"s": 16, "p1": 16}})");
  add("IslandAtSums", R"({"base": "w8a8", "sites": {"u": "fp32", "y0": 16}})");
  // The channel ranges fall back to one range where a reader stays in f32.
  add("ChannelsAndIslands",
      R"({"base": "default", "sites": {"u": "fp32", "h1": "fp32"}})");
  add("ChannelsAndFloatWeights", R"({"base": "default", "weight": "fp32"})");
  add("FloatNorms",
      R"({"base": "w8a8", "sites": {"emb": "fp32", "x": "fp32", "z0": "fp32"}})");
  add("IslandAtEmbedding", R"({"base": "w8a8", "sites": {"E.t": "fp32"}})");
  add("FloatWeights", R"({"base": "w8a8", "weight": "fp32"})");
  add("FloatActivations", R"({"base": "w8a8", "activation": "fp32"})");
  add("FourBitWeights", R"({"base": "w8a8", "weight": {"bits": 4}})");
  add("SixteenBits", R"({"base": "w8a8", "activation": {"bits": 16}})");
  return all;
}

class RewriteCase : public testing::TestWithParam<Case> {};

TEST_P(RewriteCase, OneCodeFromEqualCodes) {
  expectEqualFromEqualCodes(compare(GetParam().options, GetParam().recipe));
}

INSTANTIATE_TEST_SUITE_P(All, RewriteCase, testing::ValuesIn(cases()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
