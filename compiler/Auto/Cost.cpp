//===- Cost.cpp - Predicted time of a graph -------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Cost.h"

#include "dialects/TQ/TQOps.h"
#include "dialects/TQ/TQTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace quern {

constexpr double floatFactor = 8, byteFactor = 4;
constexpr double sequence = 128;

/// Bytes of an element of an activation.
static double elementBytes(Type element) {
  if (element.isF32() || element.isInteger(32))
    return 4;
  auto storage = tq::getCodeStorage(element);
  return storage && storage->max > 255 ? 2 : 1;
}

/// Columns of an activation of all tokens, 0 for anything else.
static double columnsOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() != 2 || !type.isDynamicDim(0) ||
      type.isDynamicDim(1))
    return 0;
  return double(type.getDimSize(1));
}

static double activationBytes(Value value) {
  double columns = columnsOf(value);
  if (columns == 0)
    return 0;
  return columns *
         elementBytes(cast<RankedTensorType>(value.getType()).getElementType());
}

/// Multiply-adds of a token, weighted by what they run on.
static double multiplyAdds(Operation *op) {
  if (isa<tq::QLinearOp, tq::QGroupLinearOp, tq::LinearOp>(op)) {
    double macs = columnsOf(op->getOperand(0)) * columnsOf(op->getResult(0));
    if (isa<tq::LinearOp>(op))
      return floatFactor * macs;
    auto type = cast<RankedTensorType>(op->getOperand(0).getType());
    if (auto groups = dyn_cast<tq::GroupType>(type.getElementType()))
      return macs * (1 + groupFactor * double(groups.getParams().size()));
    return macs * (elementBytes(type.getElementType()) > 1 ? wideFactor : 1);
  }
  // Scores and context: each token with each other one.
  if (isa<tq::QAttentionOp>(op))
    return 2 * sequence * columnsOf(op->getResult(0));
  if (isa<tq::ScoresOp, tq::ContextOp>(op))
    return floatFactor * sequence * columnsOf(op->getOperand(1));
  return 0;
}

/// True for what takes rows of tokens and gives one for each sequence.
static bool takesOneRow(Operation *op) {
  if (auto context = dyn_cast<tq::ContextOp>(op))
    return context.getFirstQuery();
  if (auto scores = dyn_cast<tq::ScoresOp>(op))
    return scores.getFirstQuery();
  if (auto attention = dyn_cast<tq::QAttentionOp>(op))
    return bool(attention.getQ());
  return isa<tq::PoolOp, tq::QPoolOp>(op);
}

double predictedCost(ModuleOp integer) {
  double cost = 0;
  // Values with a row for each sequence, which is a token in `sequence`.
  DenseSet<Value> few;
  auto share = [&](Value value) {
    return few.contains(value) ? 1 / sequence : 1;
  };
  integer.walk([&](Operation *op) {
    if (isa<func::FuncOp, func::ReturnOp, ModuleOp>(op))
      return;
    bool isFew = takesOneRow(op) ||
                 llvm::any_of(op->getOperands(),
                              [&](Value value) { return few.contains(value); });
    if (isFew)
      few.insert(op->result_begin(), op->result_end());
    cost += multiplyAdds(op) * (isFew ? 1 / sequence : 1);
    // A pool by the first token reads no other.
    bool readsOne = false;
    if (auto pool = dyn_cast<tq::PoolOp>(op))
      readsOne = pool.getKind() == tq::PoolKind::Cls;
    if (auto pool = dyn_cast<tq::QPoolOp>(op))
      readsOne = pool.getKind() == tq::PoolKind::Cls;
    for (Value operand : op->getOperands())
      cost += byteFactor * activationBytes(operand) *
              (readsOne ? 1 / sequence : share(operand));
    for (Value result : op->getResults())
      cost += byteFactor * activationBytes(result) * share(result);
  });
  return cost;
}

} // namespace quern
