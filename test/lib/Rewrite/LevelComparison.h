//===- LevelComparison.h - The integer graph against the simulation -------===//
//
// From equal input codes every site may differ by one code at most: the
// simulation is run with the integer graph's codes forced behind each of its
// quantizers.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_REWRITE_LEVELCOMPARISON_H
#define QUERN_TEST_LIB_REWRITE_LEVELCOMPARISON_H

#include "lib/Rewrite/Passes.h"
#include "test/lib/Rewrite/RewriteModel.h"

#include "gtest/gtest.h"

namespace quern::test {

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
  explicit Pipeline(RewriteModel &model) : model(model) {}

  Outcome run() {
    if (mlir::succeeded(compile()))
      compare();
    outcome.error = model.error;
    if (outcome.error.empty() && outcome.integer.empty())
      outcome.error = "failed without a message";
    return outcome;
  }

private:
  mlir::LogicalResult compile() {
    if (mlir::failed(model.build()))
      return mlir::failure();
    l2 = model.l1->clone();
    mlir::PassManager integer(&model.context);
    buildRewritePipeline(integer);
    CheckStageOptions stage;
    stage.stage = "integer";
    integer.addPass(createCheckStage(stage));
    return integer.run(*l2);
  }

  void compare() {
    l2->walk([&](mlir::Operation *op) {
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

  RewriteModel &model;
  Outcome outcome;
  mlir::OwningOpRef<mlir::ModuleOp> l2;
};

/// Results from equal codes agree to f32 rounding; codes almost always.
inline void expectEqualFromEqualCodes(const Outcome &outcome) {
  ASSERT_EQ(outcome.error, "");
  EXPECT_LE(outcome.worst, 1);
  EXPECT_LE(outcome.differ * 500, outcome.codes);
  ASSERT_EQ(outcome.simulated.size(), outcome.integer.size());
  ASSERT_FALSE(outcome.integer.empty());
  for (size_t i = 0; i < outcome.integer.size(); ++i)
    EXPECT_NEAR(outcome.simulated[i], outcome.integer[i],
                2e-5 * (1 + std::fabs(outcome.simulated[i])));
}

} // namespace quern::test

#endif // QUERN_TEST_LIB_REWRITE_LEVELCOMPARISON_H
