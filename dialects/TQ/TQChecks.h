//===- TQChecks.h - Checks shared by the verifiers --------------*- C++ -*-===//
//
// Part of Quern. Private to dialects/TQ: conditions that several verifiers
// test. Each reports on the op, with the values, and returns failure.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQCHECKS_H
#define QUERN_DIALECTS_TQ_TQCHECKS_H

#include "dialects/TQ/TQTypes.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace quern::tq {

/// Size of dimension `dim` of a tensor.
int64_t dimOf(mlir::Value value, unsigned dim);

/// Element type of a tensor.
mlir::Type elementOf(mlir::Value value);

/// Dimension `dim` of `value` must be `expected` where both are known.
mlir::LogicalResult checkDim(mlir::Operation *op, llvm::StringRef name,
                             mlir::Value value, unsigned dim, int64_t expected,
                             llvm::StringRef why);

/// A vector of one entry per `why`, or of one entry for all.
mlir::LogicalResult checkOneOrAll(mlir::Operation *op, llvm::StringRef name,
                                  mlir::Value value, int64_t expected,
                                  llvm::StringRef why);

/// Offsets hold at least the 0 that starts the first sequence.
mlir::LogicalResult checkOffsets(mlir::Operation *op, mlir::Value offsets);

/// The result has the shape of the operand, where both are known.
mlir::LogicalResult checkSameShape(mlir::Operation *op, mlir::Value x,
                                   mlir::Value result);

/// The heads divide the width.
mlir::LogicalResult checkHeads(mlir::Operation *op, int64_t heads,
                               int64_t width);

/// An epsilon keeps a division defined; it is not negative.
mlir::LogicalResult checkEps(mlir::Operation *op, const llvm::APFloat &eps);

/// A constant of the arithmetic is finite.
mlir::LogicalResult checkFinite(mlir::Operation *op, llvm::StringRef name,
                                const llvm::APFloat &value);

/// A scale is positive and finite.
mlir::LogicalResult checkPositive(mlir::Operation *op, llvm::StringRef name,
                                  const llvm::APFloat &value);

/// A width in which codes can be stored: 2 to 8 bits.
mlir::LogicalResult checkBits(mlir::Operation *op, llvm::StringRef name,
                              int64_t bits);

/// Code bounds: in order, and within 16 bits either way.
mlir::LogicalResult checkBounds(mlir::Operation *op, llvm::StringRef name,
                                int64_t lo, int64_t hi);

/// As many sites as the op has quantizers, or none; all different but for empty
/// names, of quantizers that are no sites.
mlir::LogicalResult checkSites(mlir::Operation *op, mlir::ArrayAttr sites,
                               unsigned expected);

/// The channels of a type must be the channels of the tensor that has it.
mlir::LogicalResult checkChannels(mlir::Operation *op, mlir::Value value);

/// Activations of integer products: unsigned codes of at most 16 bits.
mlir::LogicalResult checkActivation(mlir::Operation *op, llvm::StringRef name,
                                    mlir::Value value);

/// Weights of integer products: bare i8, or signed codes of at most 8 bits.
mlir::LogicalResult checkWeight(mlir::Operation *op, llvm::StringRef name,
                                mlir::Value value);

/// A result is f32, or codes of at most 16 bits that hold [lo, hi].
mlir::LogicalResult checkResult(mlir::Operation *op, mlir::Value result);

/// An op whose arithmetic is fixed-point has a result in codes.
mlir::LogicalResult checkFixed(mlir::Operation *op, bool fixed,
                               mlir::Value result);

/// `order` has each of `width` channels once.
mlir::LogicalResult checkOrder(mlir::Operation *op,
                               llvm::ArrayRef<int64_t> order, int64_t width);

/// The ends of blocks of `width` columns: ascending, the last one the width.
mlir::LogicalResult checkBlocks(mlir::Operation *op,
                                llvm::ArrayRef<int64_t> ends, int64_t width);

/// The type of a grouped sum, if it has one: u8 in groups of its columns.
mlir::LogicalResult checkSumType(mlir::Operation *op,
                                 std::optional<mlir::Type> sumType,
                                 int64_t width, int64_t lo, int64_t hi);

} // namespace quern::tq

#endif // QUERN_DIALECTS_TQ_TQCHECKS_H
