//===- WrongPasses.cpp - Passes that break their promise ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/Validate/WrongPasses.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace quern::test {

namespace {

/// `change` on a copy of a constant vector.
template <typename F> void changeVector(OpOperand &operand, F change) {
  auto data = tq::getConstantData<float>(operand.get());
  if (!data)
    return;
  std::vector<float> values(data->array().begin(), data->array().end());
  change(values);
  OpBuilder builder(operand.getOwner());
  operand.set(tq::createVector<float>(builder, operand.getOwner()->getLoc(),
                                      "wrong", std::move(values)));
}

template <typename Derived>
struct FunctionPass : PassWrapper<Derived, OperationPass<func::FuncOp>> {
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, tq::TQDialect>();
  }
};

struct WrongZeroPoint : FunctionPass<WrongZeroPoint> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WrongZeroPoint)
  StringRef getArgument() const final { return "test-wrong-zero-point"; }
  StringRef getDescription() const final { return "a zero point off by one"; }
  void runOnOperation() override {
    getOperation().walk([&](tq::QLinearOp op) {
      changeVector(op.getOffsetMutable(),
                   [](std::vector<float> &offset) { offset.back() += 1; });
      return WalkResult::interrupt();
    });
  }
};

struct WrongBias : FunctionPass<WrongBias> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WrongBias)
  StringRef getArgument() const final { return "test-wrong-bias"; }
  StringRef getDescription() const final { return "a bias 1e-5 too large"; }
  void runOnOperation() override {
    getOperation().walk([&](tq::LinearOp op) {
      changeVector(op.getBMutable(), [](std::vector<float> &bias) {
        bias.front() += 1e-5f * (1 + std::fabs(bias.front()));
      });
      return WalkResult::interrupt();
    });
  }
};

struct Silent : FunctionPass<Silent> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Silent)
  StringRef getArgument() const final { return "test-silent"; }
  StringRef getDescription() const final { return "promises nothing"; }
  void runOnOperation() override {}
};

} // namespace

std::unique_ptr<Pass> createWrongZeroPoint() {
  return std::make_unique<WrongZeroPoint>();
}
std::unique_ptr<Pass> createWrongBias() {
  return std::make_unique<WrongBias>();
}
std::unique_ptr<Pass> createSilentPass() { return std::make_unique<Silent>(); }

void registerWrongPasses() {
  PassRegistration<WrongZeroPoint>();
  PassRegistration<WrongBias>();
  PassRegistration<Silent>();
}

std::vector<PassPromise> wrongPromises() {
  return {{"test-wrong-zero-point", PassClass::OneCode},
          {"test-wrong-bias", PassClass::Relative}};
}

} // namespace quern::test
