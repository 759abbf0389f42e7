//===- RewriteTest.cpp - The integer graph against the simulation ---------===//
//
// Small random BERTs go through import, calibration, tq-quantize-pipeline and
// tq-rewrite-pipeline; both results are interpreted. From equal input codes
// every site may differ by one code at most: the simulation is run with the
// integer graph's codes forced behind each of its quantizers.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Passes.h"
#include "test/lib/Rewrite/RewriteModel.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace quern;
using quern::test::TinyModelOptions;

namespace {

/// What a recipe made of a model, and how far the levels are apart.
struct Outcome {
  std::string error;
  /// Names of the ops of L2 and how many there are.
  std::map<std::string, int> ops;
  /// Sites compared, codes compared, codes that differ, largest difference.
  size_t sites = 0, codes = 0, differ = 0;
  int64_t worst = 0;
  /// Results of L0, L1 and L2 on the test inputs.
  std::vector<double> real, simulated, integer;
};

class Pipeline {
public:
  Pipeline(const TinyModelOptions &options, const char *recipe)
      : model(options, recipe) {}

  Outcome run() {
    if (succeeded(compile()))
      compare();
    outcome.error = model.error;
    if (outcome.error.empty() && outcome.integer.empty())
      outcome.error = "failed without a message";
    return outcome;
  }

private:
  LogicalResult compile() {
    if (failed(model.build()))
      return failure();
    l2 = model.l1->clone();
    PassManager integer(&model.context);
    buildRewritePipeline(integer);
    CheckStageOptions stage;
    stage.stage = "integer";
    integer.addPass(createCheckStage(stage));
    return integer.run(*l2);
  }

  void compare() {
    l2->walk([&](Operation *op) {
      ++outcome.ops[op->getName().getStringRef().str()];
    });
    std::vector<Tensor> in = model.inputs(9);
    std::map<std::string, Tensor> codes;
    SiteHooks record;
    record.observe = [&](const SiteValue &site) {
      codes.emplace(site.name.str(), site.value);
    };
    auto integer = Interpreter(*l2).run(in, record, Arithmetic::Machine);
    SiteHooks force;
    force.observe = [&](const SiteValue &site) {
      auto found = codes.find(site.name.str());
      ASSERT_NE(found, codes.end()) << site.name.str();
      std::vector<int32_t> mine = site.value.toVector<int32_t>();
      std::vector<int32_t> theirs = found->second.toVector<int32_t>();
      ASSERT_EQ(mine.size(), theirs.size()) << site.name.str();
      ++outcome.sites;
      outcome.codes += mine.size();
      for (size_t i = 0; i < mine.size(); ++i) {
        int64_t difference = std::abs(int64_t(mine[i]) - theirs[i]);
        outcome.differ += difference != 0;
        outcome.worst = std::max(outcome.worst, difference);
        EXPECT_LE(difference, 1) << site.name.str() << " at " << i;
        if (difference > 1)
          break;
      }
    };
    force.force = [&](const SiteValue &site) -> std::optional<Tensor> {
      auto found = codes.find(site.name.str());
      if (found == codes.end())
        return std::nullopt;
      return found->second;
    };
    auto forced = Interpreter(*model.l1).run(in, force, Arithmetic::Real);
    auto simulated = Interpreter(*model.l1).run(in, {}, Arithmetic::Real);
    auto real = Interpreter(*model.l0).run(in, {}, Arithmetic::Real);
    if (mlir::failed(integer) || mlir::failed(forced) ||
        mlir::failed(simulated) || mlir::failed(real))
      return;
    outcome.real = real->toVector<double>();
    outcome.simulated = forced->toVector<double>();
    outcome.integer = integer->toVector<double>();
  }

  test::RewriteModel model;
  Outcome outcome;
  OwningOpRef<ModuleOp> l2;
};

/// Results from equal codes agree to f32 rounding; codes almost always.
void expectEqualFromEqualCodes(const Outcome &outcome) {
  ASSERT_EQ(outcome.error, "");
  EXPECT_LE(outcome.worst, 1);
  EXPECT_LE(outcome.differ * 500, outcome.codes);
  ASSERT_EQ(outcome.simulated.size(), outcome.integer.size());
  ASSERT_FALSE(outcome.integer.empty());
  for (size_t i = 0; i < outcome.integer.size(); ++i)
    EXPECT_NEAR(outcome.simulated[i], outcome.integer[i],
                2e-5 * (1 + std::fabs(outcome.simulated[i])));
}

TEST(Rewrite, W8A8LeavesNoFloatOps) {
  Outcome outcome = Pipeline({}, R"({"base": "w8a8"})").run();
  expectEqualFromEqualCodes(outcome);
  // 3 of the embedding, 13 per layer, pooler and logits.
  EXPECT_EQ(outcome.sites, 31u);
  std::map<std::string, int> &ops = outcome.ops;
  EXPECT_EQ(ops["tq.qembed"], 1);
  EXPECT_EQ(ops["tq.qattention"], 2);
  EXPECT_EQ(ops["tq.qadd_norm"], 4);
  // QKV, output, two of the FFN per layer; pooler and classifier.
  EXPECT_EQ(ops["tq.qlinear"], 10);
  EXPECT_EQ(ops["tq.qpool"], 1);
  EXPECT_EQ(ops["tq.dequantize"], 1);
  for (const char *name :
       {"tq.linear", "tq.layer_norm", "tq.add", "tq.softmax", "tq.scores",
        "tq.context", "tq.embedding", "tq.quantize", "tq.gelu", "tq.tanh"})
    EXPECT_EQ(ops.count(name), 0u) << name;
}

TEST(Rewrite, DefaultRecipe) {
  Outcome outcome = Pipeline({}, R"({"base": "default"})").run();
  expectEqualFromEqualCodes(outcome);
  EXPECT_EQ(outcome.sites, 30u);
  EXPECT_EQ(outcome.ops["tq.qattention"], 2);
  EXPECT_EQ(outcome.ops["tq.qadd_norm"], 4);
  EXPECT_EQ(outcome.ops["tq.qlinear"], 10);
  EXPECT_EQ(outcome.ops["tq.dequantize"], 0);
}

TEST(Rewrite, Fp32IsTheFloatGraph) {
  Outcome outcome = Pipeline({}, R"({"base": "fp32"})").run();
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
  expectEqualFromEqualCodes(
      Pipeline(GetParam().options, GetParam().recipe).run());
}

INSTANTIATE_TEST_SUITE_P(All, RewriteCase, testing::ValuesIn(cases()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
