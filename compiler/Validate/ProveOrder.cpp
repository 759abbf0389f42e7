//===- ProveOrder.cpp - tq-order-channels moved numbers and no more -------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Both functions are walked side by side. Of every value after the pass the
// channel of each column is known: from the orders that the pass wrote to the
// sites, which are not believed but checked against the constants of every op
// that makes or reads the value.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Proofs.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/GroupMap.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace quern {

namespace {
class OrderProof {
public:
  LogicalResult run(func::FuncOp before, func::FuncOp after);

private:
  LogicalResult step(Operation *before, Operation *after);
  LogicalResult linear(tq::LinearOp before, tq::LinearOp after);
  LogicalResult meeting(Operation *after, ArrayRef<Value> values, Order &order);
  LogicalResult moved(Operation *op, StringRef what, Value before, Value after,
                      const Order &rows, const Order &columns);
  LogicalResult plain(Operation *after);

  /// The order of a value's columns; none is that of the imported model.
  Order of(Value value) const { return orders.lookup(value); }
  void set(Value value, Order order) {
    orders[value] = isIdentity(order) ? Order() : std::move(order);
  }

  DenseMap<Value, Value> matched;
  DenseMap<Value, Order> orders;
};
} // namespace

static Order orderOf(tq::ObserveOp observe) {
  auto order = observe->getAttrOfType<DenseI64ArrayAttr>(channelOrderName);
  return order ? Order(order.asArrayRef().begin(), order.asArrayRef().end())
               : Order();
}

/// The order that the next site says it has.
static Order claimed(Value value) {
  for (Operation *user : value.getUsers()) {
    if (auto observe = dyn_cast<tq::ObserveOp>(user))
      return orderOf(observe);
    if (isa<tq::AddOp, tq::GeluOp, tq::ReluOp, tq::TanhOp>(user))
      return claimed(user->getResult(0));
  }
  return {};
}

LogicalResult OrderProof::moved(Operation *op, StringRef what, Value before,
                                Value after, const Order &rows,
                                const Order &columns) {
  auto a = tq::getConstantData<float>(before);
  auto b = tq::getConstantData<float>(after);
  if (!a || !b || before.getType() != after.getType())
    return op->emitOpError("has a ")
           << what << " that is no constant, so tq-order-channels cannot be "
           << "proved";
  auto shape = cast<RankedTensorType>(before.getType()).getShape();
  bool isMatrix = shape.size() == 2;
  size_t height = isMatrix ? shape[0] : 1, width = shape.back();
  const Order &across = isMatrix ? columns : rows;
  auto wrong = [&](const Order &order, size_t size) {
    return !order.empty() && order.size() != size;
  };
  if ((isMatrix && wrong(rows, height)) || wrong(across, width))
    return op->emitOpError("has a ") << what << " of another size than the "
                                     << "order of its channels";
  for (size_t r = 0; r < height; ++r)
    for (size_t c = 0; c < width; ++c) {
      size_t from = (isMatrix && !rows.empty() ? rows[r] : r) * width +
                    (across.empty() ? c : across[c]);
      size_t to = r * width + c;
      if (llvm::bit_cast<uint32_t>((*a)[from]) !=
          llvm::bit_cast<uint32_t>((*b)[to]))
        return op->emitOpError("is not what it was before tq-order-channels "
                               "(in exact arithmetic): ")
               << what << ", element " << to << " (row " << r << ", column "
               << c << "): " << (*a)[from] << " before, " << (*b)[to]
               << " after";
    }
  return success();
}

/// Values that one op combines must have one order.
LogicalResult OrderProof::meeting(Operation *after, ArrayRef<Value> values,
                                  Order &order) {
  order = of(values.front());
  for (Value value : values.drop_front()) {
    Order other = of(value);
    for (size_t i = 0, size = std::max(order.size(), other.size()); i < size;
         ++i) {
      int64_t a = order.empty() ? i : order[i];
      int64_t b = other.empty() ? i : other[i];
      if (a != b)
        return after->emitOpError("reads channels in two orders after "
                                  "tq-order-channels: in column ")
               << i << " channel " << a << " and channel " << b;
    }
  }
  return success();
}

/// Ops that know what the columns mean read and write the model's order.
LogicalResult OrderProof::plain(Operation *after) {
  for (Value operand : after->getOperands()) {
    Order order = of(operand);
    for (size_t i = 0; i < order.size(); ++i)
      if (order[i] != int64_t(i))
        return after->emitOpError("reads channels in another order than the "
                                  "model's after tq-order-channels: in column ")
               << i << " channel " << order[i];
  }
  return success();
}

LogicalResult OrderProof::linear(tq::LinearOp before, tq::LinearOp after) {
  Order out = claimed(after.getResult());
  if (failed(moved(after, "weight", before.getW(), after.getW(), out,
                   of(after.getX()))) ||
      failed(moved(after, "bias", before.getB(), after.getB(), out, {})))
    return failure();
  set(after.getResult(), std::move(out));
  return success();
}

LogicalResult OrderProof::step(Operation *before, Operation *after) {
  if (before->getName() != after->getName() ||
      before->getNumOperands() != after->getNumOperands())
    return after->emitOpError("stands after tq-order-channels where ")
           << before->getName() << " stood before";
  for (auto [a, b] : llvm::zip(before->getOperands(), after->getOperands())) {
    Operation *constant = a.getDefiningOp<arith::ConstantOp>();
    Value source = b;
    while (auto reorder = source.getDefiningOp<tq::ReorderOp>())
      source = reorder.getX();
    if (!constant && matched.lookup(a) != source)
      return after->emitOpError("reads another value after tq-order-channels");
  }
  if (!after->getName().compareOpProperties(before->getPropertiesStorage(),
                                            after->getPropertiesStorage()))
    return after->emitOpError("has other attributes after tq-order-channels: ")
           << after->getAttrDictionary() << ", not "
           << before->getAttrDictionary();
  if (after->getNumResults() == 0)
    return plain(after);
  Value result = after->getResult(0);
  matched[before->getResult(0)] = result;
  return TypeSwitch<Operation *, LogicalResult>(after)
      .Case([&](tq::LinearOp op) {
        return linear(cast<tq::LinearOp>(before), op);
      })
      .Case([&](tq::EmbeddingOp op) {
        Order order = claimed(result);
        set(result, order);
        return moved(op, "table", cast<tq::EmbeddingOp>(before).getTable(),
                     op.getTable(), {}, order);
      })
      .Case([&](tq::LayerNormOp op) {
        auto old = cast<tq::LayerNormOp>(before);
        Order order = of(op.getX());
        set(result, order);
        return failure(
            failed(
                moved(op, "gain", old.getGamma(), op.getGamma(), order, {})) ||
            failed(moved(op, "shift", old.getBeta(), op.getBeta(), order, {})));
      })
      .Case([&](tq::ObserveOp op) {
        Order order = of(op.getX()), said = orderOf(op);
        if (isIdentity(said))
          said.clear();
        if (order != said)
          return LogicalResult(op.emitOpError("says another order of channels "
                                              "than its value has"));
        set(result, order);
        return success();
      })
      .Case<tq::AddOp>([&](tq::AddOp op) {
        Order order;
        LogicalResult done = meeting(op, {op.getA(), op.getB()}, order);
        set(result, order);
        return done;
      })
      .Case<tq::GeluOp, tq::ReluOp, tq::TanhOp, tq::PoolOp, tq::NormalizeOp>(
          [&](Operation *op) {
            set(result, of(op->getOperand(0)));
            return success();
          })
      .Case<tq::ScoresOp, tq::SoftmaxOp, tq::ContextOp>(
          [&](Operation *op) { return plain(op); })
      .Default([&](Operation *op) -> LogicalResult {
        return op->emitOpError("has no rule by which tq-order-channels can be "
                               "proved");
      });
}

LogicalResult OrderProof::run(func::FuncOp before, func::FuncOp after) {
  for (auto [a, b] : llvm::zip(before.getArguments(), after.getArguments()))
    matched[a] = b;
  auto next = [](Block::iterator &it, Block::iterator end) {
    while (it != end && isa<arith::ConstantOp>(*it))
      ++it;
    return it == end ? nullptr : &*it;
  };
  Block &old = before.getBody().front(), &now = after.getBody().front();
  Block::iterator a = old.begin(), b = now.begin();
  while (Operation *changed = next(b, now.end())) {
    if (auto reorder = dyn_cast<tq::ReorderOp>(changed)) {
      Order from = of(reorder.getX()), to;
      for (int64_t column : reorder.getOrder())
        to.push_back(from.empty() ? column : from[column]);
      set(reorder.getResult(), std::move(to));
      ++b;
      continue;
    }
    Operation *original = next(a, old.end());
    if (!original)
      return changed->emitOpError("is new after tq-order-channels");
    if (failed(step(original, changed)))
      return failure();
    ++a;
    ++b;
  }
  if (Operation *gone = next(a, old.end()))
    return after.emitOpError("lacks ")
           << gone->getName() << " after tq-order-channels";
  return success();
}

LogicalResult proveOrder(func::FuncOp before, func::FuncOp after,
                         unsigned &proved) {
  ++proved;
  return OrderProof().run(before, after);
}

} // namespace quern
