//===- SliceRowsTest.cpp - The integer graph of fewer rows ----------------===//
//
// Over many recipes: L2 with the rows that the head reads against L2 with all
// rows of the last layer, in machine arithmetic, bit for bit, in a batch of
// mixed lengths. That the machine code is L2 is tested in test/e2e.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Rewrite/Passes.h"
#include "test/lib/Rewrite/RewriteModel.h"

#include "gtest/gtest.h"

#include <cstring>

using namespace mlir;
using namespace quern;
using namespace quern::test;

namespace {

struct Case {
  const char *name;
  const char *recipe;
  HeadKind head = HeadKind::Classification;
  int64_t layers = 2;
};

void PrintTo(const Case &value, std::ostream *os) { *os << value.name; }

class SliceRowsTest : public testing::TestWithParam<Case> {
protected:
  /// L2 of the model, with all rows of the last layer or not.
  OwningOpRef<ModuleOp> integer(bool allRows) {
    OwningOpRef<ModuleOp> module = model->l0->clone();
    NamedAttrList scheme(
        (*model->l1)->getAttrOfType<DictionaryAttr>(SchemeAttr::name));
    if (allRows)
      scheme.set(SchemeAttr::rows, StringAttr::get(&model->context, "all"));
    (*module)->setAttr(SchemeAttr::name, scheme.getDictionary(&model->context));
    PassManager manager(&model->context);
    buildQuantizePipeline(manager);
    buildRewritePipeline(manager);
    if (failed(manager.run(*module)))
      return nullptr;
    return module;
  }

  std::optional<RewriteModel> model;
};

/// Ops of attention that have one query for each sequence.
size_t firstQueries(ModuleOp module) {
  size_t count = 0;
  module.walk([&](tq::QAttentionOp op) { count += bool(op.getQ()); });
  module.walk([&](tq::ContextOp op) { count += op.getFirstQuery(); });
  return count;
}

TEST_P(SliceRowsTest, SameBytes) {
  TinyModelOptions options;
  options.head = GetParam().head;
  options.layers = GetParam().layers;
  options.pooling = PoolingKind::Cls;
  options.hidden = 48;
  options.heads = 4;
  options.intermediate = 80;
  model.emplace(options, GetParam().recipe);
  ASSERT_TRUE(succeeded(model->build())) << model->error;
  OwningOpRef<ModuleOp> few = integer(false), all = integer(true);
  ASSERT_TRUE(few && all) << model->error;
  EXPECT_EQ(firstQueries(*few), 1u);
  EXPECT_EQ(firstQueries(*all), 0u);
  for (unsigned seed : {5u, 6u}) {
    auto run = [&](ModuleOp module) {
      auto result = Interpreter(module).run(model->inputs(seed), SiteHooks(),
                                            Arithmetic::Machine);
      EXPECT_TRUE(succeeded(result)) << model->error;
      return succeeded(result) ? result->toVector<float>()
                               : std::vector<float>();
    };
    std::vector<float> ours = run(*few), expected = run(*all);
    ASSERT_FALSE(expected.empty());
    ASSERT_EQ(ours.size(), expected.size());
    EXPECT_NE(expected.front(), expected.back());
    EXPECT_EQ(
        std::memcmp(ours.data(), expected.data(), ours.size() * sizeof(float)),
        0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SliceRowsTest,
    testing::Values(
        Case{"Float", R"({"base": "fp32"})"},
        Case{"W8A8", R"({"base": "w8a8"})"},
        Case{"Default", R"({"base": "default", "bias_correction": false})"},
        Case{"Mixed", R"({"base": "mp"})"}, Case{"Wide", R"({"base": "w8a8",
                         "sites": {"emb": 16, "x": 16, "z": 16}})"},
        Case{"Groups", R"({"base": "peg6"})"},
        Case{"ChannelsAtZ", R"({"base": "w8a8", "sites":
                               {"z": {"granularity": "channel"}}})"},
        Case{"Reparameterized", R"({"base": "repq-w6a6"})"},
        Case{"ResidualCodes", R"({"base": "repq-w4a4"})"},
        Case{"ResidualCodesOneLayer", R"({"base": "repq-w4a4"})",
             HeadKind::Classification, 1},
        Case{"LogAttention", R"({"base": "w8a8", "sites":
                                {"p": {"quantizer": "log2"}}})"},
        Case{"IntegerOnly", R"({"base": "integer-only"})"},
        Case{"RangesOfTokens", R"({"base": "w8a8", "sites": {
               "emb": {"granularity": "token"}, "x": {"granularity": "token"},
               "z": {"granularity": "token"}, "c": {"granularity": "token"},
               "f": {"granularity": "token"}}})"},
        Case{"FloatLayer", R"({"base": "w8a8", "sites": {"L1": "fp32"}})"},
        Case{"FloatLayerBelow", R"({"base": "w8a8", "sites": {"L0": "fp32"}})"},
        Case{"FloatScores", R"({"base": "w8a8", "sites": {"s": "fp32"}})"},
        Case{"FloatQueries", R"({"base": "w8a8", "sites": {"q": "fp32"}})"},
        Case{"WideWeightsOnly", R"({"base": "w4a32"})"},
        Case{"OneLayer", R"({"base": "w8a8"})", HeadKind::Classification, 1},
        Case{"Regression", R"({"base": "w8a8"})", HeadKind::Regression},
        Case{"EmbeddingOfFirst", R"({"base": "w8a8"})", HeadKind::Embedding}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
