//===- VectorCode.cpp - Vector code that lowerings share ------------------===//
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/VectorCode.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace quern::tk {

Dot4Words splitDot4(OpBuilder &builder, Location loc, Value a, Value b) {
  auto words = VectorType::get({32}, builder.getI16Type());
  Value eight = splat<int16_t>(builder, loc, words, 8);
  Value low = splat<int16_t>(builder, loc, words, 255);
  a = vector::BitCastOp::create(builder, loc, words, a);
  b = vector::BitCastOp::create(builder, loc, words, b);
  Dot4Words parts;
  parts.evenA = arith::AndIOp::create(builder, loc, a, low);
  parts.oddA = arith::ShRUIOp::create(builder, loc, a, eight);
  parts.evenB = arith::ShRSIOp::create(
      builder, loc, arith::ShLIOp::create(builder, loc, b, eight), eight);
  parts.oddB = arith::ShRSIOp::create(builder, loc, b, eight);
  return parts;
}

} // namespace quern::tk
