//===- CheckStage.cpp - What is legal at each level -----------------------===//
//
// The pass tq-check-stage: the contracts between the stages, checked where one
// hands over to the next.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

namespace quern {
#define GEN_PASS_DEF_CHECKSTAGE
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

enum class Stage { Import, Simulate, Integer };

bool isFloatOp(Operation *op) {
  return isa<tq::EmbeddingOp, tq::AddOp, tq::ScaleShiftOp, tq::ReorderOp,
             tq::LayerNormOp, tq::LinearOp, tq::GeluOp, tq::ReluOp, tq::TanhOp,
             tq::ScoresOp, tq::SoftmaxOp, tq::ContextOp, tq::PoolOp,
             tq::NormalizeOp>(op);
}

bool isIntegerOp(Operation *op) {
  return isa<tq::QLinearOp, tq::QGroupLinearOp, tq::QAttentionOp, tq::QAddOp,
             tq::QAddNormOp, tq::QEmbedOp, tq::QPoolOp, tq::QShiftGeluOp,
             tq::QLimitOp, tq::RequantizeOp, tq::ConstantOp>(op);
}

bool isFrame(Operation *op) {
  return isa<ModuleOp, func::FuncOp, func::ReturnOp, arith::ConstantOp>(op);
}

/// A weight whose codes a product or a look-up makes numbers of.
bool isWeightOfFloat(Operation *op) {
  return isa<tq::DequantizeWeightOp>(op) &&
         llvm::all_of(op->getUsers(), [](Operation *user) {
           return isa<tq::LinearOp, tq::EmbeddingOp>(user);
         });
}

/// The rule for one operation; the text names what is wrong.
struct Checker {
  Stage stage;
  StringRef name;
  llvm::StringMap<Operation *> sites;

  LogicalResult check(Operation *op) {
    if (isFrame(op) || isFloatOp(op))
      return success();
    bool legal = false;
    switch (stage) {
    case Stage::Import:
      legal = isa<tq::ObserveOp>(op);
      break;
    case Stage::Simulate:
      legal = isa<tq::QuantizeOp, tq::DequantizeOp, tq::DequantizeWeightOp>(op);
      break;
    case Stage::Integer:
      legal = isIntegerOp(op) || isa<tq::QuantizeOp, tq::DequantizeOp>(op) ||
              isWeightOfFloat(op);
      break;
    }
    if (!legal)
      return op->emitError("is not legal at stage '") << name << "'";
    if (auto quantize = dyn_cast<tq::QuantizeOp>(op))
      if (failed(checkSite(quantize)))
        return failure();
    if (stage == Stage::Integer &&
        isa<tq::QLinearOp, tq::QGroupLinearOp, tq::QEmbedOp>(op))
      return checkWeights(op);
    return success();
  }

  LogicalResult checkSite(tq::QuantizeOp op) {
    if (auto site = op.getSiteAttr()) {
      auto [it, added] = sites.try_emplace(site.getValue(), op);
      if (!added) {
        InFlightDiagnostic diagnostic = op.emitError("site '")
                                        << site.getValue()
                                        << "' already has a quantizer";
        diagnostic.attachNote(it->second->getLoc()) << "which is here";
        return diagnostic;
      }
    } else if (stage == Stage::Simulate) {
      return op.emitError("expects a 'site' at stage '") << name << "'";
    }
    if (stage == Stage::Simulate)
      for (Operation *user : op->getUsers())
        if (!isa<tq::DequantizeOp>(user))
          return op.emitError("expects only tq.dequantize to read its codes "
                              "at stage 'simulate', got ")
                 << user->getName();
    return success();
  }

  LogicalResult checkWeights(Operation *op) {
    for (Value operand : op->getOperands()) {
      auto type = cast<RankedTensorType>(operand.getType());
      if (type.hasStaticShape() &&
          !operand.getDefiningOp<arith::ConstantOp>() &&
          !operand.getDefiningOp<tq::ConstantOp>())
        return op->emitError("expects its weights to be constants, got an "
                             "operand of type ")
               << type;
    }
    return success();
  }
};

struct CheckStagePass : quern::impl::CheckStageBase<CheckStagePass> {
  using CheckStageBase::CheckStageBase;

  void runOnOperation() override {
    Checker checker;
    checker.name = stage;
    if (stage == "import")
      checker.stage = Stage::Import;
    else if (stage == "simulate")
      checker.stage = Stage::Simulate;
    else if (stage == "integer")
      checker.stage = Stage::Integer;
    else {
      getOperation().emitError("tq-check-stage: unknown stage '")
          << stage << "', expected import, simulate or integer";
      return signalPassFailure();
    }
    WalkResult result = getOperation().walk([&](Operation *op) {
      return failed(checker.check(op)) ? WalkResult::interrupt()
                                       : WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
