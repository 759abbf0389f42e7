//===- ProofsTest.cpp - Algebraic rewrites in exact arithmetic ------------===//
//
// The proofs accept what the passes make of functions of two linears behind a
// LayerNorm, and refuse it as soon as one bit of one constant is another.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Proofs.h"

#include "compiler/Registry.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <gmock/gmock.h>

#include <cmath>

using namespace mlir;
using namespace quern;
using testing::HasSubstr;

namespace {

/// A site of three channels with scales and shifts, a linear and a sum.
constexpr char text[] = R"(
module attributes {tq.scheme = {weights = {}, sites = {
  L0.x = {bits = 8 : i64, scale = 0.1 : f32, zero = 3 : i64,
          channel_scale = dense<[0.3, 7.0, 1.1]> : tensor<3xf32>,
          channel_shift = dense<[-0.7, 0.0, 2.3]> : tensor<3xf32>}}}} {
  func.func @forward(%u: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %g = arith.constant dense<[1.3, 0.0, -0.9]> : tensor<3xf32>
    %b = arith.constant dense<[0.1, 0.2, 5.0]> : tensor<3xf32>
    %w = arith.constant dense<[[0.1, 0.2, 0.3], [-3.0, 0.7, 11.0],
                               [1.0e-3, 5.0, 0.0]]> : tensor<3x3xf32>
    %c = arith.constant dense<[0.5, -0.25, 3.0]> : tensor<3xf32>
    %0 = tq.layer_norm %u, %g, %b {eps = 1.0e-12 : f64}
        : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %1 = tq.observe %0 {key = "x", layer = 0 : i64, site = "L0.x"}
        : tensor<?x3xf32>
    %2 = tq.linear %1, %w, %c
        : (tensor<?x3xf32>, tensor<3x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %3 = tq.add %2, %1 : tensor<?x3xf32>
    return %3 : tensor<?x3xf32>
  }
})";

class Proofs : public testing::Test {
protected:
  Proofs() : context(registry()) {
    context.disableMultithreading();
    context.loadAllAvailableDialects();
    handler.emplace(&context, [this](Diagnostic &diagnostic) {
      error += diagnostic.str();
      return success();
    });
    before = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    if (!before)
      return;
    after = before->clone();
    PassManager manager(&context);
    manager.addPass(createReparameterize());
    EXPECT_TRUE(succeeded(manager.run(*after))) << error;
  }

  static DialectRegistry registry() {
    DialectRegistry registry;
    registerAllQuern(registry);
    return registry;
  }

  static func::FuncOp functionOf(ModuleOp module) {
    return *module.getOps<func::FuncOp>().begin();
  }

  template <typename Op> Op only() {
    Op found;
    after->walk([&](Op op) { found = op; });
    return found;
  }

  /// Moves one element of a constant by some places of f32.
  static void change(OpOperand &operand, size_t element, int places) {
    auto data = tq::getConstantData<float>(operand.get());
    ASSERT_TRUE(data);
    std::vector<float> values(data->array().begin(), data->array().end());
    for (int i = 0; i < places; ++i)
      values[element] = std::nextafter(values[element], INFINITY);
    OpBuilder builder(operand.getOwner());
    operand.set(tq::createConstant<float>(
        builder, operand.getOwner()->getLoc(),
        cast<RankedTensorType>(operand.get().getType()), "changed",
        std::move(values)));
  }

  LogicalResult proveOrders(ModuleOp moved) {
    unsigned proved = 0;
    return proveOrder(functionOf(*before), functionOf(moved), proved);
  }

  LogicalResult prove() {
    unsigned proved = 0;
    LogicalResult result = proveReparameterization(functionOf(*before),
                                                   functionOf(*after), proved);
    EXPECT_EQ(proved, 1u);
    return result;
  }

  MLIRContext context;
  std::string error;
  std::optional<ScopedDiagnosticHandler> handler;
  OwningOpRef<ModuleOp> before, after;
};

TEST_F(Proofs, ReparameterizationHolds) {
  ASSERT_TRUE(bool(before)) << error;
  EXPECT_TRUE(succeeded(prove())) << error;
}

TEST_F(Proofs, OneBitOfAGain) {
  change(only<tq::LayerNormOp>().getGammaMutable(), 2, 1);
  EXPECT_TRUE(failed(prove()));
  EXPECT_THAT(error, HasSubstr("site 'L0.x', gain times scale, element 2: "));
  EXPECT_THAT(error, HasSubstr(" expected, "));
}

TEST_F(Proofs, OneBitOfAShift) {
  change(only<tq::LayerNormOp>().getBetaMutable(), 0, 1);
  EXPECT_TRUE(failed(prove()));
  EXPECT_THAT(error, HasSubstr("shift times scale plus channel shift, element "
                               "0: "));
}

TEST_F(Proofs, OneBitOfAWeight) {
  change(only<tq::LinearOp>().getWMutable(), 4, 1);
  EXPECT_TRUE(failed(prove()));
  EXPECT_THAT(error, HasSubstr("weight, element 4: "));
}

TEST_F(Proofs, OneBitOfABias) {
  change(only<tq::LinearOp>().getBMutable(), 1, 1);
  EXPECT_TRUE(failed(prove()));
  EXPECT_THAT(error, HasSubstr("bias, element 1: "));
}

TEST_F(Proofs, SumThatReadsTheWrongScale) {
  change(only<tq::ScaleShiftOp>().getScaleMutable(), 1, 1);
  EXPECT_TRUE(failed(prove()));
  EXPECT_THAT(error, HasSubstr("channel scale, element 1: "));
}

TEST_F(Proofs, ReaderThatWasForgotten) {
  auto restored = only<tq::ScaleShiftOp>();
  restored.getResult().replaceAllUsesWith(restored.getX());
  restored.erase();
  EXPECT_TRUE(failed(prove()));
  EXPECT_THAT(error, HasSubstr("as if its channels had no scales"));
}

/// Columns of a linear in another order than its input has.
TEST_F(Proofs, OrderOfColumns) {
  OwningOpRef<ModuleOp> moved = before->clone();
  EXPECT_TRUE(succeeded(proveOrders(*moved))) << error;
  after = std::move(moved);
  change(only<tq::LinearOp>().getWMutable(), 4, 1);
  EXPECT_TRUE(failed(proveOrders(*after)));
  EXPECT_THAT(error, HasSubstr("weight, element 4 (row 1, column 1): "));
}

/// A site that says another order than its value has.
TEST_F(Proofs, OrderThatIsNotThere) {
  OwningOpRef<ModuleOp> moved = before->clone();
  moved->walk([&](tq::ObserveOp op) {
    op->setAttr("tq.order", DenseI64ArrayAttr::get(&context, {1, 0, 2}));
  });
  EXPECT_TRUE(failed(proveOrders(*moved)));
  EXPECT_THAT(error, HasSubstr("says another order"));
}

} // namespace
