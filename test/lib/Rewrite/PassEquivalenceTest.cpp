//===- PassEquivalenceTest.cpp - Every rewrite keeps what it rewrites -----===//
//
// Row E46. The module is interpreted before and after every single pass from
// L1 to L2, on the same data and from the same codes at every site. A pass that
// rounds anew may move a code by one and outputs by f32 rounding; the others
// must change no bit.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Passes.h"
#include "test/lib/Rewrite/RewriteModel.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace quern;
using namespace quern::test;

namespace {

/// The module after each pass.
struct Step {
  std::string pass;
  OwningOpRef<ModuleOp> module;
};

/// Copies the module whenever a pass of the pipeline is done.
class Recorder : public PassInstrumentation {
public:
  explicit Recorder(std::vector<Step> &steps) : steps(steps) {}

  void runAfterPass(Pass *pass, Operation *op) override {
    if (pass->getArgument().empty())
      return;
    ModuleOp module = dyn_cast<ModuleOp>(op);
    if (!module)
      module = op->getParentOfType<ModuleOp>();
    steps.push_back({pass->getArgument().str(), module.clone()});
    eraseDead(*steps.back().module);
  }

  /// What a fusion replaced shows its sites until tq-clean-up is done.
  static void eraseDead(ModuleOp module) {
    SmallVector<Operation *> ops;
    module.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
  }

private:
  std::vector<Step> &steps;
};

/// Moves constants or deletes what nobody reads: not a bit may change.
bool isExact(const std::string &pass) {
  return pass == "tq-clean-up" || pass == "tq-materialize-weights";
}

struct Case {
  const char *name;
  const char *recipe;
  HeadKind head = HeadKind::Classification;
};

void PrintTo(const Case &value, std::ostream *os) { *os << value.name; }

class E46 : public testing::TestWithParam<Case> {
protected:
  using Codes = std::map<std::string, Tensor>;

  /// Results and the codes of all sites, each computed from `given` codes.
  std::vector<double> interpret(ModuleOp module, const Codes &given,
                                Codes &found) {
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      found.emplace(site.name.str(), site.value);
    };
    hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
      auto it = given.find(site.name.str());
      return it == given.end() ? std::nullopt : std::optional(it->second);
    };
    auto result =
        Interpreter(module).run(model->inputs(9), hooks, Arithmetic::Real);
    EXPECT_TRUE(succeeded(result)) << model->error;
    return succeeded(result) ? result->toVector<double>()
                             : std::vector<double>();
  }

  void compare(ModuleOp before, ModuleOp after, const std::string &pass) {
    Codes reference, ours, given;
    interpret(before, {}, given);
    std::vector<double> expected = interpret(before, given, reference);
    std::vector<double> results = interpret(after, given, ours);
    ASSERT_EQ(ours.size(), reference.size());
    size_t codes = 0, differ = 0;
    for (const auto &[site, tensor] : reference) {
      ASSERT_TRUE(ours.count(site)) << site;
      std::vector<int32_t> a = tensor.toVector<int32_t>();
      std::vector<int32_t> b = ours.at(site).toVector<int32_t>();
      ASSERT_EQ(a.size(), b.size()) << site;
      codes += a.size();
      for (size_t i = 0; i < a.size(); ++i) {
        differ += a[i] != b[i];
        ASSERT_LE(std::abs(a[i] - b[i]), isExact(pass) ? 0 : 1)
            << site << " at " << i;
      }
    }
    EXPECT_LE(differ * 500, codes);
    ASSERT_EQ(results.size(), expected.size());
    for (size_t i = 0; i < results.size(); ++i)
      ASSERT_NEAR(results[i], expected[i],
                  isExact(pass) ? 0 : 2e-5 * (1 + std::fabs(expected[i])))
          << i;
  }

  std::optional<RewriteModel> model;
};

TEST_P(E46, EveryPassKeepsTheCodes) {
  TinyModelOptions options;
  options.head = GetParam().head;
  options.hidden = 48;
  options.heads = 4;
  options.intermediate = 80;
  model.emplace(options, GetParam().recipe);
  model->context.disableMultithreading();
  ASSERT_TRUE(succeeded(model->build())) << model->error;
  std::vector<Step> steps;
  steps.push_back({"", model->l1->clone()});
  PassManager manager(&model->context);
  buildRewritePipeline(manager);
  manager.addInstrumentation(std::make_unique<Recorder>(steps));
  ASSERT_TRUE(succeeded(manager.run(*model->l1))) << model->error;
  // Eight passes, one of them three times.
  ASSERT_GE(steps.size(), 11u);
  for (size_t i = 1; i < steps.size(); ++i) {
    SCOPED_TRACE(steps[i].pass + ", step " + std::to_string(i));
    compare(*steps[i - 1].module, *steps[i].module, steps[i].pass);
    if (HasFatalFailure())
      return;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, E46,
    testing::Values(
        Case{"W8A8", R"({"base": "w8a8"})"},
        Case{"Default", R"({"base": "default", "bias_correction": false})"},
        Case{"Embedding", R"({"base": "w8a8-channel"})", HeadKind::Embedding},
        Case{"Answers", R"({"base": "w8a8"})", HeadKind::QuestionAnswering},
        Case{"Groups", R"({"base": "w8a8", "sites": {
            "x": {"granularity": "groups", "groups": 6},
            "h": {"granularity": "groups", "groups": 5, "permute": true},
            "y": {"granularity": "per-embedding"}}})"},
        Case{"Wide", R"({"base": "w8a8",
            "sites": {"x": 16, "h": 16, "y": 16, "P": 12}})"},
        Case{"Narrow", R"({"base": "w8a8", "activation": {"bits": 5,
            "symmetric": true}, "weight": {"bits": 4}})"},
        Case{"Widths", R"({"base": "w8a8", "sites": {
            "q": 6, "k": 4, "s": 7, "L1.v": 5}})"},
        Case{"Islands", R"({"base": "w8a8", "sites": {
            "L1.s": "fp32", "u0": "fp32", "f1": "fp32", "C": "fp32"}})"}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
