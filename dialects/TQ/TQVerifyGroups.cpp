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

LogicalResult quern::tq::checkBlocks(Operation *op, ArrayRef<int64_t> ends,
                                     int64_t width) {
  int64_t last = 0;
  for (int64_t end : ends) {
    if (end <= last)
      return op->emitOpError("expects blocks to end in ascending order, got ")
             << end << " behind " << last;
    last = end;
  }
  if (ends.empty() || (!ShapedType::isDynamic(width) && last != width))
    return op->emitOpError("expects blocks that end at column ")
           << width << ", got " << last;
  return success();
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
