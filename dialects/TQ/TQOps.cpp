//===- TQOps.cpp - Folds of the tq ops ------------------------------------===//
//
// Part of Quern. Generated definitions and the few folds that cannot change
// a code. Verifiers are in TQVerify.cpp.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Quant/IR/Quant.h"

using namespace mlir;
using namespace quern::tq;

#define GET_OP_CLASSES
#include "dialects/TQ/TQOps.cpp.inc"

OpFoldResult ReluOp::fold(FoldAdaptor) {
  if (getX().getDefiningOp<ReluOp>())
    return getX();
  return {};
}

OpFoldResult RequantizeOp::fold(FoldAdaptor) {
  // f32(q) * 1 + 0 is q for every code of 16 bits or fewer.
  if (getX().getType() == getType() && getMultiplier().convertToFloat() == 1 &&
      getOffset().convertToFloat() == 0)
    return getX();
  return {};
}
