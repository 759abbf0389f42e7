//===- TQVerify.cpp - Verifiers of the L0 and L1 ops ----------------------===//
//
// Part of Quern. What the operand constraints of the .td files cannot say:
// sizes that must agree, code ranges, attributes that must make sense. Every
// message holds the values.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQChecks.h"
#include "dialects/TQ/TQOps.h"

using namespace mlir;
using namespace quern::tq;

//===----------------------------------------------------------------------===//
// L0
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  return failure(failed(checkDim(*this, "the result", getResult(), 0,
                                 dimOf(getIndex(), 0), "index")) ||
                 failed(checkDim(*this, "the result", getResult(), 1,
                                 dimOf(getTable(), 1), "table")));
}

LogicalResult ScaleShiftOp::verify() {
  int64_t width = dimOf(getX(), 1);
  return failure(failed(checkDim(*this, "scale", getScale(), 0, width, "x")) ||
                 failed(checkDim(*this, "shift", getShift(), 0, width, "x")) ||
                 failed(checkSameShape(*this, getX(), getResult())));
}

LogicalResult LayerNormOp::verify() {
  int64_t width = dimOf(getX(), 1);
  return failure(failed(checkDim(*this, "gamma", getGamma(), 0, width, "x")) ||
                 failed(checkDim(*this, "beta", getBeta(), 0, width, "x")) ||
                 failed(checkSameShape(*this, getX(), getResult())) ||
                 failed(checkEps(*this, getEps())));
}

LogicalResult LinearOp::verify() {
  int64_t outputs = dimOf(getW(), 0);
  return failure(
      failed(checkDim(*this, "w", getW(), 1, dimOf(getX(), 1), "x")) ||
      failed(checkDim(*this, "b", getB(), 0, outputs, "w")) ||
      failed(checkDim(*this, "the result", getResult(), 0, dimOf(getX(), 0),
                      "x")) ||
      failed(checkDim(*this, "the result", getResult(), 1, outputs, "w")));
}

LogicalResult ScoresOp::verify() {
  return failure(
      failed(checkHeads(*this, getHeads(), dimOf(getQ(), 1))) ||
      failed(checkOffsets(*this, getOffsets())) ||
      (!getFirstQuery() &&
       failed(checkDim(*this, "k", getK(), 0, dimOf(getQ(), 0), "q"))) ||
      failed(checkDim(*this, "k", getK(), 1, dimOf(getQ(), 1), "q")) ||
      failed(
          checkDim(*this, "the result", getResult(), 0, getHeads(), "heads")));
}

LogicalResult SoftmaxOp::verify() {
  return failure(failed(checkOffsets(*this, getOffsets())) ||
                 failed(checkFinite(*this, "scale", getScale())) ||
                 failed(checkSameShape(*this, getS(), getResult())));
}

LogicalResult ContextOp::verify() {
  return failure(failed(checkHeads(*this, getHeads(), dimOf(getV(), 1))) ||
                 failed(checkOffsets(*this, getOffsets())) ||
                 failed(checkDim(*this, "p", getP(), 0, getHeads(), "heads")) ||
                 (getFirstQuery()
                      ? failed(checkDim(*this, "the result", getResult(), 1,
                                        dimOf(getV(), 1), "v"))
                      : failed(checkSameShape(*this, getV(), getResult()))));
}

LogicalResult PoolOp::verify() {
  return failure(failed(checkOffsets(*this, getOffsets())) ||
                 failed(checkDim(*this, "the result", getResult(), 1,
                                 dimOf(getX(), 1), "x")));
}

LogicalResult NormalizeOp::verify() {
  if (cast<RankedTensorType>(getX().getType()).getRank() != 2)
    return emitOpError("expects rows of a matrix, got ") << getX().getType();
  return checkEps(*this, getEps());
}

LogicalResult ObserveOp::verify() {
  if (getSite().empty())
    return emitOpError("expects a site, got an empty name");
  if (static_cast<int64_t>(getLayer()) < -1)
    return emitOpError("expects a layer of -1 or more, got ") << getLayer();
  return success();
}

//===----------------------------------------------------------------------===//
// L1
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  ShapedType valueType = getValue().getShapedType();
  auto integer = dyn_cast<IntegerType>(valueType.getElementType());
  CodeStorage storage = *getCodeStorage(type.getElementType());
  unsigned bytes = llvm::alignTo(storage.bits, 8);
  if (!integer ||
      (integer.getWidth() != storage.bits && integer.getWidth() != bytes))
    return emitOpError("expects codes in i")
           << storage.bits << " or i" << bytes << ", got "
           << valueType.getElementType();
  if (valueType.getShape() != type.getShape())
    return emitOpError("expects the value and the result to have one shape, "
                       "got ")
           << valueType << " and " << type;
  if (auto dense = dyn_cast<DenseIntElementsAttr>(getValue()))
    for (const APInt &code : dense.getValues<APInt>()) {
      int64_t q = storage.isSigned ? code.getSExtValue() : code.getZExtValue();
      if (q < storage.min || q > storage.max)
        return emitOpError("expects codes in [")
               << storage.min << ", " << storage.max << "], got " << q;
    }
  return checkChannels(*this, getResult());
}

LogicalResult QuantizeOp::verify() {
  return failure(failed(checkSameShape(*this, getX(), getResult())) ||
                 failed(checkChannels(*this, getResult())));
}

LogicalResult DequantizeOp::verify() {
  return failure(failed(checkSameShape(*this, getX(), getResult())) ||
                 failed(checkChannels(*this, getX())));
}

LogicalResult RequantizeOp::verify() {
  for (Value value : {getX(), getResult()})
    if (!getPerTensorParams(elementOf(value)))
      return emitOpError("expects per-tensor !quant.uniform types, got ")
             << elementOf(value);
  return failure(failed(checkSameShape(*this, getX(), getResult())) ||
                 failed(checkResult(*this, getX())) ||
                 failed(checkResult(*this, getResult())) ||
                 failed(checkFinite(*this, "multiplier", getMultiplier())) ||
                 failed(checkFinite(*this, "offset", getOffset())));
}

LogicalResult DequantizeWeightOp::verify() {
  if (getBits() < 2 || getBits() > 8)
    return emitOpError("expects codes of 2 to 8 bits, got ") << getBits();
  int64_t rank = cast<RankedTensorType>(getCodes().getType()).getRank();
  if (rank != 1 && rank != 2)
    return emitOpError("expects codes of rank 1 or 2, got ") << rank;
  if (getZeros()) {
    if (rank != 2)
      return emitOpError("expects codes of rank 2 beside zeros, got ") << rank;
    if (failed(checkDim(*this, "zeros", getZeros(), 0, dimOf(getCodes(), 0),
                        "codes")))
      return failure();
  }
  if (std::optional<ArrayRef<int64_t>> blocks = getBlocks()) {
    if (rank != 2 || getZeros())
      return emitOpError("expects codes of rank 2 and no zeros beside blocks");
    return failure(failed(checkSameShape(*this, getCodes(), getResult())) ||
                   failed(checkBlocks(*this, *blocks, dimOf(getCodes(), 1))) ||
                   failed(checkDim(*this, "scales", getScales(), 0,
                                   int64_t(blocks->size()), "blocks")));
  }
  return failure(failed(checkSameShape(*this, getCodes(), getResult())) ||
                 failed(checkOneOrAll(*this, "scales", getScales(),
                                      dimOf(getCodes(), 0), "codes")));
}
