//===- FoldedGroupsTest.cpp - Groups folded into LayerNorm and weights ----===//
//
// Small random BERTs with groups at x, kept and folded: as long as weights are
// f32 the two graphs are the same function, with the same codes at x; with
// codes the folded one has no product of groups left.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/TQTypes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Rewrite/Passes.h"
#include "test/lib/Rewrite/RewriteModel.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace quern;
using namespace quern::test;

namespace {

struct FoldedCase {
  const char *name;
  const char *groups;
  bool isSymmetric = false;
};

void PrintTo(const FoldedCase &value, std::ostream *out) { *out << value.name; }

class FoldedGroupsTest : public testing::TestWithParam<FoldedCase> {
protected:
  static std::string recipe(const char *form) {
    return std::string(R"({"sites": {"x": {)") + GetParam().groups +
           ", \"form\": \"" + form + "\"}}, \"activation\": {\"symmetric\": " +
           (GetParam().isSymmetric ? "true" : "false") + "}}";
  }

  static TinyModelOptions options() {
    TinyModelOptions options;
    options.hidden = 36;
    options.heads = 3;
    return options;
  }
};

/// L1 of an L0 with a scheme, of which only sites x have quantizers and no
/// weight has codes.
OwningOpRef<ModuleOp> onlyX(ModuleOp l0, ModuleOp l1) {
  OwningOpRef<ModuleOp> module = l0.clone();
  Builder builder(module->getContext());
  NamedAttrList scheme(l1->getAttrOfType<DictionaryAttr>(SchemeAttr::name));
  NamedAttrList sites;
  for (NamedAttribute site : cast<DictionaryAttr>(scheme.get("sites")))
    sites.set(site.getName(), site.getName().getValue().ends_with(".x")
                                  ? site.getValue()
                                  : builder.getStringAttr("fp32"));
  scheme.set("sites", sites.getDictionary(module->getContext()));
  scheme.set("weights", builder.getDictionaryAttr({}));
  (*module)->setAttr(SchemeAttr::name,
                     scheme.getDictionary(module->getContext()));
  PassManager passes(module->getContext());
  passes.addPass(createReparameterize());
  passes.addPass(createQuantize());
  return succeeded(passes.run(*module)) ? std::move(module) : nullptr;
}

/// The codes of every x, and the output in double.
struct RealRun {
  std::map<std::string, std::vector<int32_t>> codes;
  std::vector<double> output;
};

RealRun runReal(ModuleOp module, const std::vector<Tensor> &inputs) {
  RealRun run;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    run.codes[site.name.str()] = site.value.toVector<int32_t>();
  };
  FailureOr<Tensor> output =
      Interpreter(module).run(inputs, hooks, Arithmetic::Real);
  if (succeeded(output))
    run.output = output->toVector<double>();
  return run;
}

TEST_P(FoldedGroupsTest, IsTheSameFunction) {
  RewriteModel direct(options(), recipe("direct"));
  RewriteModel folded(options(), recipe("folded"));
  ASSERT_TRUE(succeeded(direct.build())) << direct.error;
  ASSERT_TRUE(succeeded(folded.build())) << folded.error;
  OwningOpRef<ModuleOp> before = onlyX(*direct.l0, *direct.l1);
  OwningOpRef<ModuleOp> after = onlyX(*folded.l0, *folded.l1);
  ASSERT_TRUE(before && after) << direct.error << folded.error;
  for (unsigned seed : {7, 8, 9}) {
    RealRun a = runReal(*before, direct.inputs(seed));
    RealRun b = runReal(*after, folded.inputs(seed));
    ASSERT_EQ(a.codes.size(), 2u);
    EXPECT_EQ(a.codes, b.codes);
    // Codes of several groups that are not all alike.
    std::vector<int32_t> codes = a.codes.begin()->second;
    std::sort(codes.begin(), codes.end());
    EXPECT_GT(std::unique(codes.begin(), codes.end()) - codes.begin(), 60);
    ASSERT_FALSE(a.output.empty());
    ASSERT_EQ(a.output.size(), b.output.size());
    double largest = 0, difference = 0;
    for (size_t i = 0; i < a.output.size(); ++i) {
      largest = std::max(largest, std::fabs(a.output[i]));
      difference = std::max(difference, std::fabs(a.output[i] - b.output[i]));
    }
    EXPECT_GT(largest, 1e-3);
    EXPECT_LE(difference, 1e-5 * largest);
  }
}

TEST_P(FoldedGroupsTest, LeavesNoProductOfGroups) {
  RewriteModel direct(options(), recipe("direct"));
  RewriteModel folded(options(), recipe("folded"));
  for (RewriteModel *model : {&direct, &folded}) {
    ASSERT_TRUE(succeeded(model->build())) << model->error;
    PassManager passes(&model->context);
    buildRewritePipeline(passes);
    CheckStageOptions stage;
    stage.stage = "integer";
    passes.addPass(createCheckStage(stage));
    ASSERT_TRUE(succeeded(passes.run(*model->l1))) << model->error;
  }
  auto count = [](ModuleOp module, auto kind) {
    unsigned found = 0;
    module.walk([&](decltype(kind)) { ++found; });
    return found;
  };
  EXPECT_EQ(count(*direct.l1, tq::QGroupLinearOp()), 2u);
  EXPECT_EQ(count(*folded.l1, tq::QGroupLinearOp()), 0u);
  EXPECT_EQ(count(*folded.l1, tq::ScaleShiftOp()), 0u);
  EXPECT_EQ(count(*folded.l1, tq::ReorderOp()), 0u);
  // Sums and LayerNorms stay fused, without an order of channels.
  EXPECT_EQ(count(*folded.l1, tq::QAddNormOp()),
            count(*direct.l1, tq::QAddNormOp()));
  folded.l1->walk([](tq::QAddNormOp op) { EXPECT_FALSE(op.getOrder()); });
}

INSTANTIATE_TEST_SUITE_P(
    Groups, FoldedGroupsTest,
    testing::Values(
        FoldedCase{"Sorted",
                   R"("granularity": "groups", "groups": 6, "permute": true)"},
        FoldedCase{"Fitted",
                   R"("granularity": "groups", "groups": 5, "permute": "fit")"},
        FoldedCase{"Symmetric",
                   R"("granularity": "groups", "groups": 3, "permute": true)",
                   true},
        FoldedCase{"EachChannel", R"("granularity": "per-embedding")"}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
