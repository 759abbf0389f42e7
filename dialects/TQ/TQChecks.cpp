//===- TQChecks.cpp - Checks shared by the verifiers ----------------------===//
//
// Part of Quern. See TQChecks.h.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQChecks.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace quern::tq;

int64_t quern::tq::dimOf(Value value, unsigned dim) {
  return cast<RankedTensorType>(value.getType()).getDimSize(dim);
}

Type quern::tq::elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

LogicalResult quern::tq::checkDim(Operation *op, StringRef name, Value value,
                                  unsigned dim, int64_t expected,
                                  StringRef why) {
  int64_t size = dimOf(value, dim);
  if (size == expected || ShapedType::isDynamic(size) ||
      ShapedType::isDynamic(expected))
    return success();
  return op->emitOpError("expects ")
         << name << " to have size " << expected << " in dimension " << dim
         << ", as " << why << ", got " << size;
}

LogicalResult quern::tq::checkOneOrAll(Operation *op, StringRef name,
                                       Value value, int64_t expected,
                                       StringRef why) {
  if (dimOf(value, 0) == 1)
    return success();
  return checkDim(op, name, value, 0, expected, why);
}

LogicalResult quern::tq::checkOffsets(Operation *op, Value offsets) {
  if (dimOf(offsets, 0) == 0)
    return op->emitOpError("expects offsets to have at least 1 entry, got 0");
  return success();
}

LogicalResult quern::tq::checkSameShape(Operation *op, Value x, Value result) {
  auto from = cast<RankedTensorType>(x.getType());
  auto to = cast<RankedTensorType>(result.getType());
  if (from.getRank() != to.getRank())
    return op->emitOpError("expects a result of rank ")
           << from.getRank() << ", as the operand, got " << to.getRank();
  for (unsigned dim = 0; dim < from.getRank(); ++dim)
    if (failed(checkDim(op, "the result", result, dim, from.getDimSize(dim),
                        "the operand")))
      return failure();
  return success();
}

LogicalResult quern::tq::checkHeads(Operation *op, int64_t heads,
                                    int64_t width) {
  if (heads < 1)
    return op->emitOpError("expects at least 1 head, got ") << heads;
  if (!ShapedType::isDynamic(width) && width % heads)
    return op->emitOpError("expects the width to be a multiple of ")
           << heads << " heads, got " << width;
  return success();
}

LogicalResult quern::tq::checkEps(Operation *op, const APFloat &eps) {
  if (!eps.isFinite() || eps.isNegative())
    return op->emitOpError("expects an eps of 0 or more, got ")
           << eps.convertToDouble();
  return success();
}

LogicalResult quern::tq::checkFinite(Operation *op, StringRef name,
                                     const APFloat &value) {
  if (!value.isFinite())
    return op->emitOpError("expects a finite ")
           << name << ", got " << value.convertToFloat();
  return success();
}

LogicalResult quern::tq::checkPositive(Operation *op, StringRef name,
                                       const APFloat &value) {
  if (!value.isFinite() || value.isNegative() || value.isZero())
    return op->emitOpError("expects a positive ")
           << name << ", got " << value.convertToFloat();
  return success();
}

LogicalResult quern::tq::checkBits(Operation *op, StringRef name,
                                   int64_t bits) {
  if (bits >= 2 && bits <= 8)
    return success();
  return op->emitOpError("expects ") << name << " in [2, 8], got " << bits;
}

LogicalResult quern::tq::checkBounds(Operation *op, StringRef name, int64_t lo,
                                     int64_t hi) {
  if (lo > hi || lo < -32768 || hi > 65535)
    return op->emitOpError("expects ")
           << name << " bounds in order and within [-32768, 65535], got " << lo
           << " and " << hi;
  return success();
}

LogicalResult quern::tq::checkSites(Operation *op, ArrayAttr sites,
                                    unsigned expected) {
  if (!sites.empty() && sites.size() != expected)
    return op->emitOpError("expects ")
           << expected << " sites or none, got " << sites.size();
  llvm::StringSet<> seen;
  for (auto site : sites.getAsRange<StringAttr>())
    if (!site.empty() && !seen.insert(site.getValue()).second)
      return op->emitOpError("expects different sites, got '")
             << site.getValue() << "' twice";
  return success();
}

LogicalResult quern::tq::checkChannels(Operation *op, Value value) {
  auto tensor = cast<RankedTensorType>(value.getType());
  int64_t axis = -1, channels = 0;
  if (auto t = dyn_cast<GroupType>(tensor.getElementType())) {
    axis = t.getAxis();
    channels = t.getMap().size();
  } else if (auto t = dyn_cast<BinaryType>(tensor.getElementType())) {
    axis = t.getAxis();
    channels = t.getParams().size();
  } else if (auto t = dyn_cast<quant::UniformQuantizedPerAxisType>(
                 tensor.getElementType())) {
    axis = t.getQuantizedDimension();
    channels = t.getScales().size();
  }
  if (axis < 0)
    return success();
  if (axis >= tensor.getRank())
    return op->emitOpError("expects the axis of ")
           << tensor.getElementType() << " to be below the rank "
           << tensor.getRank() << ", got " << axis;
  int64_t size = tensor.getDimSize(axis);
  if (!ShapedType::isDynamic(size) && size != channels)
    return op->emitOpError("expects ")
           << size << " channels for axis " << axis << ", got " << channels;
  return success();
}

LogicalResult quern::tq::checkActivation(Operation *op, StringRef name,
                                         Value value) {
  if (failed(checkChannels(op, value)))
    return failure();
  CodeStorage storage = *getCodeStorage(elementOf(value));
  if (storage.isSigned || storage.bits > 16)
    return op->emitOpError("expects ")
           << name << " to have unsigned codes of at most 16 bits, got "
           << elementOf(value);
  return success();
}

LogicalResult quern::tq::checkWeight(Operation *op, StringRef name,
                                     Value value) {
  std::optional<CodeStorage> storage = getCodeStorage(elementOf(value));
  if (!storage)
    return success();
  if (failed(checkChannels(op, value)))
    return failure();
  bool binary = isa<BinaryType>(elementOf(value));
  if ((!storage->isSigned && !binary) || storage->bits > 8)
    return op->emitOpError("expects ")
           << name << " to have signed codes of at most 8 bits, got "
           << elementOf(value);
  return success();
}

LogicalResult quern::tq::checkFixed(Operation *op, bool fixed, Value result) {
  if (!fixed || !elementOf(result).isF32())
    return success();
  return op->emitOpError("expects a result in codes with fixed, got f32");
}

LogicalResult quern::tq::checkResult(Operation *op, Value result) {
  std::optional<CodeStorage> storage = getCodeStorage(elementOf(result));
  if (!storage)
    return success();
  if (storage->bits > 16)
    return op->emitOpError("expects codes of at most 16 bits, got ")
           << elementOf(result);
  return checkChannels(op, result);
}
