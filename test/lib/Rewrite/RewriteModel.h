//===- RewriteModel.h - Tiny models up to L1, for the rewrites' tests -----===//
//
// A small random BERT through import, calibration by the interpreter and
// tq-quantize-pipeline.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_REWRITE_REWRITEMODEL_H
#define QUERN_TEST_LIB_REWRITE_REWRITEMODEL_H

#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/Import/Import.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Interpret/Interpreter.h"
#include "lib/Quantize/Passes.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include <cmath>
#include <map>
#include <random>

namespace quern::test {

/// Packed sequences of random ids: ids, types, positions, offsets.
inline std::vector<Tensor> randomInputs(unsigned seed, int vocab,
                                        std::vector<int> lengths) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids, types, positions, offsets = {0};
  for (int length : lengths) {
    for (int i = 0; i < length; ++i) {
      ids.push_back(random() % vocab);
      types.push_back(i > length / 2);
      positions.push_back(i);
    }
    offsets.push_back(ids.size());
  }
  auto tensor = [](std::vector<int32_t> v) {
    Tensor::Shape shape = {int64_t(v.size())};
    return Tensor::of(std::move(v), shape);
  };
  return {tensor(ids), tensor(types), tensor(positions), tensor(offsets)};
}

/// The L0 and L1 modules of a model and a recipe; errors collect in `error`.
class RewriteModel {
public:
  RewriteModel(const TinyModelOptions &options, std::string recipe)
      : options(options), recipeText(std::move(recipe)) {
    context.loadDialect<tq::TQDialect, mlir::arith::ArithDialect,
                        mlir::func::FuncDialect, mlir::quant::QuantDialect>();
    handler.emplace(&context, [this](mlir::Diagnostic &diagnostic) {
      error += diagnostic.str() + "\n";
      return mlir::success();
    });
  }

  virtual ~RewriteModel() = default;

  mlir::LogicalResult build() {
    if (Error problem = write())
      return fail(problem.message());
    Expected<ImportedModel> imported = importModel(context, folder.path());
    if (!imported)
      return fail(imported.message());
    l0 = std::move(imported->module);
    Expected<Recipe> recipe = Recipe::parse(recipeText, "recipe");
    if (!recipe)
      return fail(recipe.message());
    Calibrator calibrator(observedSites(collectSites(*l0), *recipe));
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      std::vector<float> values = site.value.toVector<float>();
      calibrator.observe(site.name.str(), values.data(), site.value.rows(),
                         site.value.width());
    };
    for (unsigned seed = 1; seed <= 3; ++seed)
      if (mlir::failed(Interpreter(*l0).run(inputs(seed), hooks)))
        return mlir::failure();
    Expected<RangeTable> ranges = calibrator.finish();
    if (!ranges)
      return fail(ranges.message());
    l1 = l0->clone();
    if (Error problem = attachScheme(*l1, *recipe, *ranges))
      return fail(problem.message());
    mlir::PassManager simulate(&context);
    buildQuantizePipeline(simulate);
    return simulate.run(*l1);
  }

  /// The arguments of @forward.
  virtual std::vector<Tensor> inputs(unsigned seed) const {
    return randomInputs(seed, options.vocab, {5, 1, 17, 9});
  }

  /// Writes the model into `folder`.
  virtual Error write() const { return writeTinyModel(folder.path(), options); }

  mlir::LogicalResult fail(const std::string &message) {
    error += message;
    return mlir::failure();
  }

  TinyModelOptions options;
  std::string recipeText;
  TempFolder folder;
  mlir::MLIRContext context;
  std::string error;
  std::optional<mlir::ScopedDiagnosticHandler> handler;
  mlir::OwningOpRef<mlir::ModuleOp> l0, l1;
};

} // namespace quern::test

#endif // QUERN_TEST_LIB_REWRITE_REWRITEMODEL_H
