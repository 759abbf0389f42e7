//===- StepsTest.h - Simulation and integers of learned steps ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What tests of steps of heads and of blocks share: a model with
// its scheme, as simulation and as integer graph, and the codes of its sites.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_REWRITE_STEPSTEST_H
#define QUERN_TEST_LIB_REWRITE_STEPSTEST_H

#include "lib/Quantize/Passes.h"
#include "lib/Rewrite/Passes.h"
#include "test/lib/Interpret/InterpretTest.h"

#include "mlir/Pass/PassManager.h"

#include <map>

namespace quern {

class StepsTest : public InterpretTest {
protected:
  using Codes = std::map<std::string, std::vector<int32_t>>;

  /// The model of `text`, quantized, and `integer`, rewritten.
  void build(const std::string &text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module) << message << text;
    mlir::PassManager passes(&context);
    passes.addPass(createQuantize());
    ASSERT_TRUE(mlir::succeeded(passes.run(*module))) << message;
    integer = module->clone();
    mlir::PassManager rewrite(&context);
    buildRewritePipeline(rewrite);
    ASSERT_TRUE(mlir::succeeded(rewrite.run(*integer))) << message;
  }

  /// The elements of a random square weight, as MLIR has them.
  std::string weights(int64_t width) {
    std::string text = "[";
    for (int64_t row = 0; row < width; ++row) {
      text += row ? ", [" : "[";
      for (int64_t col = 0; col < width; ++col)
        text += (col ? ", " : "") + std::to_string(normal(random));
      text += "]";
    }
    return text + "]";
  }

  /// The codes that each site computes, and the real values of the simulation;
  /// with `given`, what follows a site reads the codes of that run.
  Codes run(mlir::ModuleOp what, const Codes *given = nullptr,
            std::map<std::string, std::vector<double>> *reals = nullptr) {
    Codes codes;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      codes[site.name.str()] = site.value.toVector<int32_t>();
      if (reals && site.real)
        (*reals)[site.name.str()] = site.real->toVector<double>();
    };
    if (given)
      hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
        return Tensor::of(std::vector<int32_t>(given->at(site.name.str())),
                          site.value.getShape());
      };
    EXPECT_TRUE(mlir::succeeded(Interpreter(what).run(inputs, hooks)))
        << message;
    return codes;
  }

  std::normal_distribution<float> normal{0, 0.6f};
  mlir::OwningOpRef<mlir::ModuleOp> integer;
  std::vector<Tensor> inputs;
};

} // namespace quern

#endif // QUERN_TEST_LIB_REWRITE_STEPSTEST_H
