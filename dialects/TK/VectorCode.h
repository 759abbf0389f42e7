//===- VectorCode.h - Vector code that lowerings share ----------*- C++ -*-===//
//
// What the plain lowering of a micro-op and those of targets build alike.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TK_VECTORCODE_H
#define QUERN_DIALECTS_TK_VECTORCODE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace quern::tk {

/// A vector constant with `v` in each lane.
template <typename T>
mlir::Value splat(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::VectorType type, T v) {
  return mlir::arith::ConstantOp::create(
      builder, loc, mlir::DenseElementsAttr::get(type, mlir::ArrayRef<T>(v)));
}

/// The operands of tk.dot4 as numbers of 16 bits, 32 of each: even and odd
/// bytes of the unsigned and of the signed operand. Sums of two of their
/// products fit in 32 bits, whereas those of vpmaddubsw saturate.
struct Dot4Words {
  mlir::Value evenA, oddA, evenB, oddB;
};
Dot4Words splitDot4(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value a,
                    mlir::Value b);

} // namespace quern::tk

#endif // QUERN_DIALECTS_TK_VECTORCODE_H
