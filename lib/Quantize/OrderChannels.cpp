//===- OrderChannels.cpp - Channels of a group next to each other ---------===//
//
// The pass tq-order-channels; quantization.md 8.1. First every encoder layer
// is matched, then constants are put in the new order. New constants are made,
// so shared ones keep their other readers.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/RoundedCodes.h"
#include "lib/Quantize/SchemeAttr.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/FixedPoint.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_ORDERCHANNELS
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// What of an encoder layer has channels of the residual stream.
struct Layer {
  tq::ObserveOp r, g, u, x, h, y, z;
  tq::LinearOp attention, down;
  tq::LayerNormOp norm1, norm2;
  /// Position to channel; never empty.
  Order order;
};

template <typename Op> Op onlyReader(Value value) {
  return value.hasOneUse() ? dyn_cast<Op>(*value.user_begin()) : Op();
}

/// The operand of a sum that is an observed linear; the other one is `other`.
tq::ObserveOp observedLinear(tq::AddOp add, Value &other) {
  for (Value side : {add.getA(), add.getB()}) {
    auto observe = side.getDefiningOp<tq::ObserveOp>();
    if (observe && observe->hasOneUse() &&
        observe.getX().getDefiningOp<tq::LinearOp>()) {
      other = side == add.getA() ? add.getB() : add.getA();
      return observe;
    }
  }
  return nullptr;
}

/// Readers of a LayerNorm output: linears and one residual sum.
tq::AddOp onlySum(tq::ObserveOp observe) {
  tq::AddOp sum;
  for (Operation *user : observe->getUsers()) {
    if (isa<tq::LinearOp>(user))
      continue;
    auto add = dyn_cast<tq::AddOp>(user);
    if (!add || sum)
      return nullptr;
    sum = add;
  }
  return sum;
}

/// The layer around the first LayerNorm's output.
bool matchLayer(tq::ObserveOp x, Layer &layer) {
  layer.x = x;
  layer.norm1 = x.getX().getDefiningOp<tq::LayerNormOp>();
  if (!layer.norm1 || !layer.norm1->hasOneUse())
    return false;
  layer.u = layer.norm1.getX().getDefiningOp<tq::ObserveOp>();
  if (!layer.u || !layer.u->hasOneUse())
    return false;
  auto first = layer.u.getX().getDefiningOp<tq::AddOp>();
  Value r, inner;
  if (!first || !first->hasOneUse() || !(layer.g = observedLinear(first, r)))
    return false;
  layer.attention = layer.g.getX().getDefiningOp<tq::LinearOp>();
  layer.r = r.getDefiningOp<tq::ObserveOp>();
  if (!layer.r || onlySum(layer.r) != first || !layer.attention->hasOneUse())
    return false;
  tq::AddOp second = onlySum(x);
  if (!second || !(layer.h = observedLinear(second, inner)) ||
      inner != x.getResult())
    return false;
  layer.down = layer.h.getX().getDefiningOp<tq::LinearOp>();
  layer.y = onlyReader<tq::ObserveOp>(second.getResult());
  if (!layer.y || !layer.down->hasOneUse())
    return false;
  layer.norm2 = onlyReader<tq::LayerNormOp>(layer.y.getResult());
  if (!layer.norm2)
    return false;
  layer.z = onlyReader<tq::ObserveOp>(layer.norm2.getResult());
  return bool(layer.z);
}

/// A constant of rows x cols with rows or columns in another order.
Value reordered(Value constant, const Order &order, bool rows) {
  auto data = tq::getConstantData<float>(constant);
  if (!data)
    return nullptr;
  auto type = cast<RankedTensorType>(constant.getType());
  size_t cols = type.getRank() == 2 ? type.getDimSize(1) : 1;
  std::vector<float> values(data->size());
  size_t width = order.size();
  if (rows || type.getRank() == 1) {
    for (size_t i = 0; i < width; ++i)
      std::copy_n(data->data() + order[i] * cols, cols,
                  values.data() + i * cols);
  } else {
    for (size_t from = 0; from < values.size(); from += width)
      for (size_t i = 0; i < width; ++i)
        values[from + i] = (*data)[from + order[i]];
  }
  OpBuilder builder(constant.getContext());
  builder.setInsertionPointAfterValue(constant);
  std::string name = (weightName(constant) + ".ordered").str();
  Value result = tq::createConstant<float>(builder, constant.getLoc(), type,
                                           name, std::move(values));
  // Small constants have no name of their own, but tq.scheme may go by it.
  if (!weightName(constant).empty() && weightName(result).empty())
    result.getDefiningOp()->setAttr(weightNameAttr,
                                    builder.getStringAttr(name));
  return result;
}

LogicalResult reorder(OpOperand &operand, const Order &order, bool rows) {
  Value value = reordered(operand.get(), order, rows);
  if (!value)
    return operand.getOwner()->emitError(
        "expects a constant whose channels can be put in order");
  operand.set(value);
  return success();
}

LogicalResult reorderNorm(tq::LayerNormOp norm, const Order &order) {
  return failure(failed(reorder(norm.getGammaMutable(), order, true)) ||
                 failed(reorder(norm.getBetaMutable(), order, true)));
}

LogicalResult reorderOutputs(tq::LinearOp linear, const Order &order) {
  reorderCodes(linear, order, true);
  return failure(failed(reorder(linear.getWMutable(), order, true)) ||
                 failed(reorder(linear.getBMutable(), order, true)));
}

LogicalResult reorderReaders(tq::ObserveOp observe, const Order &order) {
  for (Operation *user : observe->getUsers())
    if (auto linear = dyn_cast<tq::LinearOp>(user)) {
      reorderCodes(linear, order, false);
      if (failed(reorder(linear.getWMutable(), order, false)))
        return failure();
    }
  return success();
}

void mark(tq::ObserveOp observe, const Order &order) {
  observe->setAttr(channelOrderName,
                   DenseI64ArrayAttr::get(observe.getContext(), order));
}

/// The tables, and the observes on the way, behind sums; false if there is
/// anything else.
bool collectTables(Value value, SmallVectorImpl<tq::EmbeddingOp> &tables,
                   SmallVectorImpl<tq::ObserveOp> &observes) {
  if (!value.hasOneUse())
    return false;
  if (auto observe = value.getDefiningOp<tq::ObserveOp>()) {
    observes.push_back(observe);
    return collectTables(observe.getX(), tables, observes);
  }
  if (auto add = value.getDefiningOp<tq::AddOp>())
    return collectTables(add.getA(), tables, observes) &&
           collectTables(add.getB(), tables, observes);
  auto table = value.getDefiningOp<tq::EmbeddingOp>();
  if (table)
    tables.push_back(table);
  return bool(table);
}

/// Whether a sum has power-of-two factors, which a LayerNorm takes wherever
/// their channels lie.
bool hasPowersOfTwo(const SiteQuantizer &sum) {
  std::vector<tq::UniformParams> groups;
  for (auto [scale, zero] : llvm::zip_equal(sum.groupScales, sum.groupZeros))
    groups.push_back({scale, zero});
  return tq::powerOfTwoFactors(groups).has_value();
}

struct OrderChannelsPass : quern::impl::OrderChannelsBase<OrderChannelsPass> {
  using OrderChannelsBase::OrderChannelsBase;

  void runOnOperation() override {
    std::optional<SchemeAttr> scheme = SchemeAttr::read(getOperation());
    if (!scheme || failed(run(*scheme)))
      signalPassFailure();
  }

  /// The order of a layer: that of the groups of x, else of h or y. Where those
  /// of x are folded no product is left that wants neighbours, and the sums of
  /// h and y take their groups wherever they lie.
  Order orderOf(const SchemeAttr &scheme, Layer &layer) {
    size_t width = cast<RankedTensorType>(layer.x.getType()).getDimSize(1);
    if (std::optional<SiteQuantizer> x = scheme.site(layer.x.getSite()))
      if (x->foldedGroups)
        return identityOrder(width);
    for (tq::ObserveOp observe : {layer.x, layer.h, layer.y}) {
      std::optional<SiteQuantizer> site = scheme.site(observe.getSite());
      if (site && site->groupOf.size() == width &&
          (observe != layer.y || !hasPowersOfTwo(*site)))
        return groupOrder(site->groupOf);
    }
    return identityOrder(width);
  }

  LogicalResult run(const SchemeAttr &scheme) {
    SmallVector<Layer> layers;
    WalkResult walked = getOperation().walk([&](tq::ObserveOp op) {
      if (op.getKey() != "x")
        return WalkResult::advance();
      Layer layer;
      if (matchLayer(op, layer)) {
        layer.order = orderOf(scheme, layer);
        layers.push_back(layer);
        return WalkResult::advance();
      }
      std::optional<SiteQuantizer> site = scheme.site(op.getSite());
      if (!site || site->groupOf.empty() ||
          isIdentity(groupOrder(site->groupOf)))
        return WalkResult::advance();
      if (succeeded(orderInner(op, groupOrder(site->groupOf))))
        return WalkResult::advance();
      op.emitError("has groups, but its layer's channels cannot be put in "
                   "another order");
      return WalkResult::interrupt();
    });
    if (walked.wasInterrupted())
      return failure();
    for (Layer &layer : layers)
      if (failed(orderLayer(layer, layers)))
        return failure();
    return success();
  }

  /// A LayerNorm that only products read, as of encoders with LayerNorms in
  /// front: its output alone takes the order, the residual stream stays.
  LogicalResult orderInner(tq::ObserveOp x, const Order &order) {
    auto norm = x.getX().getDefiningOp<tq::LayerNormOp>();
    if (!norm || !norm->hasOneUse() ||
        !llvm::all_of(x->getUsers(),
                      [](Operation *user) { return isa<tq::LinearOp>(user); }))
      return failure();
    if (failed(reorderReaders(x, order)))
      return failure();
    mark(x, order);
    OpBuilder builder(x);
    ++reorders;
    x.getXMutable().assign(tq::ReorderOp::create(
        builder, x.getLoc(), x.getX().getType(), x.getX(), order));
    return success();
  }

  LogicalResult orderLayer(Layer &layer, ArrayRef<Layer> layers) {
    const Order &order = layer.order;
    if (!isIdentity(order)) {
      ++ordered;
      bool follows = llvm::any_of(
          layers, [&](const Layer &other) { return other.z == layer.r; });
      if ((!follows && failed(orderStart(layer))) ||
          failed(reorderReaders(layer.r, order)) ||
          failed(reorderOutputs(layer.attention, order)) ||
          failed(reorderNorm(layer.norm1, order)) ||
          failed(reorderReaders(layer.x, order)) ||
          failed(reorderOutputs(layer.down, order)) ||
          failed(reorderNorm(layer.norm2, order)))
        return failure();
      for (tq::ObserveOp observe :
           {layer.g, layer.u, layer.x, layer.h, layer.y})
        mark(observe, order);
    }
    // Behind the layer: the order of the next one, or of the model.
    Order next = identityOrder(order.size());
    for (const Layer &other : layers)
      if (other.r == layer.z)
        next = other.order;
    if (!isIdentity(next))
      mark(layer.z, next);
    Order map = reorderFrom(order, next);
    if (isIdentity(map))
      return success();
    OpBuilder builder(layer.z);
    ++reorders;
    layer.z.getXMutable().assign(
        tq::ReorderOp::create(builder, layer.z.getLoc(),
                              layer.z.getX().getType(), layer.z.getX(), map));
    return success();
  }

  /// The residual stream in front of the first ordered layer: the embedding,
  /// whose tables take the order, or something that needs a tq.reorder.
  LogicalResult orderStart(Layer &layer) {
    mark(layer.r, layer.order);
    SmallVector<tq::EmbeddingOp> tables;
    SmallVector<tq::ObserveOp> observes;
    auto norm = layer.r.getX().getDefiningOp<tq::LayerNormOp>();
    if (norm && norm->hasOneUse() &&
        collectTables(norm.getX(), tables, observes)) {
      for (tq::EmbeddingOp table : tables)
        if (failed(reorder(table.getTableMutable(), layer.order, false)))
          return failure();
      for (tq::ObserveOp observe : observes)
        mark(observe, layer.order);
      return reorderNorm(norm, layer.order);
    }
    OpBuilder builder(layer.r);
    ++reorders;
    layer.r.getXMutable().assign(tq::ReorderOp::create(
        builder, layer.r.getLoc(), layer.r.getX().getType(), layer.r.getX(),
        layer.order));
    return success();
  }
};

} // namespace
