//===- ValidateTest.cpp - Compilations that check themselves --------------===//
//
// Tiny models of all kinds of recipes with --tq-validate, and one with a pass
// that is wrong.
//
//===----------------------------------------------------------------------===//
#include "compiler/Compiler.h"
#include "test/compiler/Validate/WrongPasses.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include <gmock/gmock.h>

#include <filesystem>

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;

namespace {

struct ValidateCase {
  const char *name;
  std::string recipe;
  std::vector<std::string> overrides = {};
  HeadKind head = HeadKind::Classification;
  /// Rewrites that must have been proved in exact arithmetic, at least.
  unsigned proved = 0;
  /// Passes to be interpreted, and values compared, at least. A float program
  /// shows its result only.
  unsigned interpreted = 4;
  uint64_t values = 10000;
};

void PrintTo(const ValidateCase &value, std::ostream *out) {
  *out << value.name;
}

CompileRequest requestFor(const TempFolder &folder, HeadKind head) {
  TinyModelOptions options;
  options.head = head;
  options.hidden = 48;
  options.heads = 4;
  options.intermediate = 80;
  CompileRequest request;
  request.modelFolder = folder.file("model");
  request.output = folder.file("m.qbm");
  request.threads = 1;
  request.targets = {"x86-sse2"};
  request.validate = true;
  request.calibration = {{"the first film was a great story", std::nullopt},
                         {"two people, 3 dogs and a cat", "they like it"},
                         {"never dull!", std::nullopt}};
  if (Error error = writeTinyModel(request.modelFolder, options))
    ADD_FAILURE() << error.message();
  return request;
}

class Validate : public testing::TestWithParam<ValidateCase> {};

TEST_P(Validate, EveryPassKeepsItsPromise) {
  TempFolder folder;
  CompileRequest request = requestFor(folder, GetParam().head);
  request.recipe = GetParam().recipe;
  request.overrides = GetParam().overrides;
  Expected<CompileResult> result = compile(request);
  ASSERT_TRUE(bool(result)) << result.message();
  ASSERT_TRUE(result->validation);
  const ValidationSummary &summary = *result->validation;
  // The rewrites, the tiling, and the kernels as far as they can be run.
  EXPECT_GE(summary.interpreted, GetParam().interpreted) << summary.line();
  EXPECT_GE(summary.proved, GetParam().proved) << summary.line();
  EXPECT_GE(summary.values, GetParam().values) << summary.line();
  EXPECT_LE(summary.oneCode * 100, summary.values) << summary.line();
}

INSTANTIATE_TEST_SUITE_P(
    All, Validate,
    testing::Values(
        ValidateCase{"F32", "fp32", {}, HeadKind::Classification, 0, 3, 20},
        ValidateCase{"W8A8", "w8a8"}, ValidateCase{"Default", "default"},
        ValidateCase{"Wide",
                     "w8a8",
                     {"x=16", "h=16", "y=16", "c.granularity=token",
                      "f.granularity=token", "emb.granularity=channel",
                      "emb.residual=8"}},
        ValidateCase{"Embedding", "w8a8", {}, HeadKind::Embedding},
        ValidateCase{"Answers", "w8a8", {}, HeadKind::QuestionAnswering},
        ValidateCase{"Islands", "w8a8", {"L1.s=fp32", "u0=fp32", "C=fp32"}},
        ValidateCase{
            "Groups", "peg6", {"x.form=direct"}, HeadKind::Classification, 1},
        ValidateCase{"Folded",
                     "peg6",
                     {"x.form=folded", "L1.x.form=direct"},
                     HeadKind::Classification,
                     2},
        ValidateCase{"Logarithms",
                     "w8a8",
                     {"p.quantizer=log_sqrt2", "p.bits=4"},
                     HeadKind::Classification,
                     2}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(ValidateInvalid, WrongPassStopsTheCompilation) {
  TempFolder folder;
  CompileRequest request = requestFor(folder, HeadKind::Classification);
  request.recipe = "w8a8";
  request.promises = wrongPromises();
  request.extend = [](const std::string &stage, mlir::PassManager &manager) {
    if (stage == "rewrite")
      manager.nest<mlir::func::FuncOp>().addPass(createWrongZeroPoint());
  };
  Expected<CompileResult> result = compile(request);
  ASSERT_FALSE(bool(result));
  // The op, the element, both values.
  EXPECT_THAT(result.message(), HasSubstr("'tq.qlinear' op is not what it was "
                                          "before test-wrong-zero-point (one "
                                          "code): site '"));
  EXPECT_THAT(result.message(), HasSubstr(", element "));
  EXPECT_THAT(result.message(), HasSubstr(" before, "));
  EXPECT_THAT(result.message(), HasSubstr(" after, where the real value"));
  EXPECT_FALSE(std::filesystem::exists(request.output));

  // Without the flag nobody notices.
  request.validate = false;
  EXPECT_TRUE(bool(compile(request)));
}

TEST(ValidateInvalid, PassWithoutAClass) {
  TempFolder folder;
  CompileRequest request = requestFor(folder, HeadKind::Classification);
  request.recipe = "w8a8";
  request.extend = [](const std::string &stage, mlir::PassManager &manager) {
    if (stage == "rewrite")
      manager.nest<mlir::func::FuncOp>().addPass(createSilentPass());
  };
  Expected<CompileResult> result = compile(request);
  ASSERT_FALSE(bool(result));
  EXPECT_THAT(result.message(), HasSubstr("pass test-silent cannot be "
                                          "validated: found no class"));
}

} // namespace
