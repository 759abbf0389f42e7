//===- PairSums.h - Sums of numbers of 16 bits and of squares ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// 32 numbers at a time, whose products are summed in pairs, without loss.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_PAIRSUMS_H
#define QUERN_LIB_TILE_PAIRSUMS_H

#include "lib/Tile/KernelBuilder.h"

#include <utility>

namespace quern {

/// Products of 32 numbers of 16 bits, with sign, summed in pairs: 16 of 32
/// bits. LLVM finds the instruction that every x86 has for it.
mlir::Value multiplyPairs(KernelBuilder &k, mlir::Value a, mlir::Value b);

/// Values that the sums over a row are made of.
constexpr int64_t kPairSums = 3;

/// Adds 32 numbers, with sign, to kPairSums vectors of 16 lanes of i32, zeros
/// at first; for up to QI_MOST_COLUMNS numbers in all.
KernelBuilder::Values addPairs(KernelBuilder &k, mlir::Value numbers,
                               llvm::ArrayRef<mlir::Value> sums);

/// The sum of all numbers and of their squares, both i64.
std::pair<mlir::Value, mlir::Value>
totalsOfPairs(KernelBuilder &k, llvm::ArrayRef<mlir::Value> sums);

} // namespace quern

#endif // QUERN_LIB_TILE_PAIRSUMS_H
