//===- JoinProducts.h - One product for q, k and v -------------*- C++ -*--===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Products of one input become one product, whose outputs lie side by side.
// Private to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_REWRITE_JOINPRODUCTS_H
#define QUERN_LIB_REWRITE_JOINPRODUCTS_H

#include "lib/Rewrite/MatchGroups.h"

namespace quern {

/// The product that makes q, k or v: of weights with one scale for each row, or
/// with scales of blocks of columns, or of grouped codes.
class Product {
  template <typename F> auto either(F &&get) const {
    if (auto plain = llvm::dyn_cast<tq::QLinearOp>(made))
      return get(plain);
    return get(llvm::cast<tq::QGroupLinearOp>(made));
  }

public:
  Product() = default;
  explicit Product(mlir::Operation *op) {
    if (llvm::isa_and_nonnull<tq::QLinearOp, tq::QGroupLinearOp>(op))
      made = op;
  }

  explicit operator bool() const { return made; }
  mlir::Operation *op() const { return made; }
  mlir::Value x() const { return made->getOperand(0); }
  mlir::Value w() const { return made->getOperand(1); }
  mlir::Value correction() const { return made->getOperand(2); }
  mlir::Value multiplier() const { return made->getOperand(3); }
  mlir::Value offset() const { return made->getOperand(4); }
  mlir::Value result() const { return made->getResult(0); }
  mlir::Value zeros() const {
    auto plain = llvm::dyn_cast<tq::QLinearOp>(made);
    return plain ? plain.getWZeros() : mlir::Value();
  }
  /// The ends of the blocks, or null.
  mlir::DenseI64ArrayAttr ends() const {
    auto blocks = llvm::dyn_cast<tq::QGroupLinearOp>(made);
    return blocks ? blocks.getBlocksAttr() : nullptr;
  }
  bool isGrouped() const { return llvm::isa<tq::QGroupLinearOp>(made); }
  /// How many sums an output has.
  size_t groups() const {
    auto grouped = llvm::dyn_cast<tq::QGroupLinearOp>(made);
    return grouped ? size_t(grouped.getGroupCount()) : 1;
  }
  int64_t rows() const {
    return llvm::cast<mlir::RankedTensorType>(w().getType()).getDimSize(0);
  }
  bool hasActivation() const {
    return either([](auto op) { return op.getActivation(); }) !=
           tq::Activation::None;
  }
  int64_t weightBits() const {
    return either([](auto op) { return int64_t(op.getWeightBits()); });
  }
  mlir::ArrayAttr sites() const {
    return either([](auto op) { return op.getSites(); });
  }

private:
  mlir::Operation *made = nullptr;
};

/// One product of all of `products`, which have the same input, kind of weights
/// and ends of blocks; `codes` are what each makes, in its order. Its constants
/// are named as the first one's weights, with `suffix`. Null when a constant
/// cannot be read.
mlir::Value joinProducts(mlir::OpBuilder &builder,
                         llvm::ArrayRef<Product> products,
                         llvm::ArrayRef<HeadCodes> codes,
                         llvm::StringRef suffix);

} // namespace quern

#endif // QUERN_LIB_REWRITE_JOINPRODUCTS_H
