//===- TQVerifyGroups.cpp - Verifiers of the ops of groups ----------------===//
//
// Part of Quern. See TQGroupOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQChecks.h"
#include "dialects/TQ/TQOps.h"

using namespace mlir;
using namespace quern::tq;

LogicalResult quern::tq::checkOrder(Operation *op, ArrayRef<int64_t> order,
                                    int64_t width) {
  if (!ShapedType::isDynamic(width) && int64_t(order.size()) != width)
    return op->emitOpError("expects an order of ")
           << width << " channels, got " << order.size();
  std::vector<bool> seen(order.size());
  for (int64_t channel : order) {
    if (channel < 0 || channel >= int64_t(order.size()) || seen[channel])
      return op->emitOpError("expects an order that has every channel once, "
                             "got ")
             << channel
             << (channel < 0 || channel >= int64_t(order.size()) ? ""
                                                                 : " twice");
    seen[channel] = true;
  }
  return success();
}

LogicalResult ReorderOp::verify() {
  return checkOrder(*this, getOrder(), dimOf(getX(), 1));
}

LogicalResult QGroupLinearOp::verify() {
  auto type = dyn_cast<GroupType>(elementOf(getX()));
  if (!type || type.getStorageBits() > 8 || type.getAxis() != 1)
    return emitOpError("expects x to have codes of at most 8 bits in groups of "
                       "columns, "
                       "got ")
           << elementOf(getX());
  int64_t outputs = dimOf(getW(), 0);
  int64_t all = ShapedType::isDynamic(outputs)
                    ? outputs
                    : outputs * int64_t(type.getParams().size());
  if (failed(checkActivation(*this, "x", getX())) ||
      failed(checkWeight(*this, "w", getW())) ||
      failed(checkDim(*this, "w", getW(), 1, dimOf(getX(), 1), "x")) ||
      failed(checkDim(*this, "correction", getCorrection(), 0, all,
                      "groups times outputs")) ||
      failed(checkDim(*this, "multiplier", getMultiplier(), 0, all,
                      "groups times outputs")) ||
      failed(checkDim(*this, "offset", getOffset(), 0, outputs, "w")) ||
      failed(checkDim(*this, "the result", getResult(), 0, dimOf(getX(), 0),
                      "x")) ||
      failed(checkDim(*this, "the result", getResult(), 1, outputs, "w")) ||
      failed(checkFinite(*this, "post_multiplier", getPostMultiplier())) ||
      failed(checkFinite(*this, "post_offset", getPostOffset())) ||
      failed(checkBounds(*this, "code", getLo(), getHi())) ||
      failed(checkSites(*this, getSites(), getSites().size())))
    return failure();
  if (getActivation() == Activation::None &&
      (getPostMultiplier().convertToFloat() != 1 ||
       getPostOffset().convertToFloat() != 0))
    return emitOpError("expects post_multiplier 1 and post_offset 0 without an "
                       "activation, got ")
           << getPostMultiplier().convertToFloat() << " and "
           << getPostOffset().convertToFloat();
  std::optional<CodeStorage> storage = getCodeStorage(elementOf(getResult()));
  if (storage && (getLo() < storage->min || getHi() > storage->max))
    return emitOpError("expects code bounds within [")
           << storage->min << ", " << storage->max << "], got " << getLo()
           << " and " << getHi();
  return checkResult(*this, getResult());
}

LogicalResult quern::tq::checkSumType(Operation *op,
                                      std::optional<Type> sumType,
                                      int64_t width, int64_t lo, int64_t hi) {
  if (!sumType)
    return success();
  auto type = dyn_cast<GroupType>(*sumType);
  if (!type || type.getIsSigned() || type.getStorageBits() > 8 ||
      type.getAxis() != 1)
    return op->emitOpError("expects a sum_type of unsigned codes of at most 8 "
                           "bits in groups of columns, got ")
           << *sumType;
  if (!ShapedType::isDynamic(width) && int64_t(type.getMap().size()) != width)
    return op->emitOpError("expects a sum_type of ")
           << width << " channels, got " << type.getMap().size();
  int64_t top = getCodeStorage(type)->max;
  if (lo < 0 || hi > top)
    return op->emitOpError("expects sum bounds within [0, ")
           << top << "], got " << lo << " and " << hi;
  return success();
}
