//===- InterpretTest.h - Parse a function and run it ------------*- C++ -*-===//
//
// Part of Quern. What the interpreter's tests share: a context with the
// dialects, random values, and a runner that keeps the diagnostics.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_TEST_LIB_INTERPRET_INTERPRETTEST_H
#define QUERN_TEST_LIB_INTERPRET_INTERPRETTEST_H

#include "dialects/TQ/TQOps.h"
#include "lib/Interpret/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <random>
#include <string>
#include <vector>

namespace quern {

class InterpretTest : public ::testing::Test {
protected:
  InterpretTest() {
    context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::quant::QuantDialect, tq::TQDialect>();
    context.getDiagEngine().registerHandler(
        [this](mlir::Diagnostic &diagnostic) { message = diagnostic.str(); });
  }

  /// A module whose function `forward` has this signature and body.
  void parse(const std::string &signature, const std::string &body) {
    std::string text = "func.func @forward" + signature + " {\n" + body + "}\n";
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module) << message << "\n" << text;
  }

  /// Runs `forward`; on failure the tensor is empty and `message` is set.
  Tensor run(std::vector<Tensor> inputs, const SiteHooks &hooks = {},
             Arithmetic arithmetic = Arithmetic::Auto) {
    message.clear();
    mlir::FailureOr<Tensor> result =
        Interpreter(*module).run(inputs, hooks, arithmetic);
    return mlir::failed(result) ? Tensor() : *result;
  }

  /// Random values of a normal distribution.
  Tensor floats(int64_t rows, int64_t width, double sigma = 1) {
    std::normal_distribution<float> distribution(0, sigma);
    std::vector<float> values(rows * width);
    for (float &value : values)
      value = distribution(random);
    return Tensor::of(std::move(values), {rows, width});
  }
  Tensor floatVector(int64_t size, double sigma = 1) {
    return Tensor::of(floats(1, size, sigma).toVector<float>(), {size});
  }
  /// Random integers in [low, high].
  Tensor codes(int64_t rows, int64_t width, int low, int high) {
    std::uniform_int_distribution<int32_t> distribution(low, high);
    std::vector<int32_t> values(rows * width);
    for (int32_t &value : values)
      value = distribution(random);
    return Tensor::of(std::move(values), {rows, width});
  }
  static Tensor ints(std::vector<int32_t> values) {
    int64_t size = values.size();
    return Tensor::of(std::move(values), {size});
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string message;
  std::mt19937 random{7};
};

} // namespace quern

#endif // QUERN_TEST_LIB_INTERPRET_INTERPRETTEST_H
