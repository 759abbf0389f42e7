//===- GemmEpilogue.h - From sums to what is stored -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What a thread does with eight neighbouring sums of a row: add the correction,
// scale, activate, requantize, store.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_GEMMEPILOGUE_H
#define QUERN_LIB_TARGET_NVPTX_GEMMEPILOGUE_H

#include "lib/Target/NVPTX/FixedPoint.h"
#include "lib/Target/NVPTX/Gemm.h"

namespace quern::nvptx {

/// Bytes that the tables of an activation take.
inline constexpr int64_t kEpilogueSharedBytes = 512;

class GemmEpilogue {
public:
  using Value = mlir::Value;

  /// Appends the parameters behind x and w.
  static void addParams(const GemmForm &form,
                        llvm::SmallVectorImpl<DeviceBuilder::Param> &params);

  /// Takes the pointers among the parameters.
  GemmEpilogue(DeviceBuilder &k, const GemmForm &form);
  /// Takes those behind xStride; returns that behind yStride: the number of
  /// groups or, with zero points, of columns.
  Value takeParams(Value m, Value n);

  /// Loads what group `group` has for the eight columns from `column` on; where
  /// they are not there, for others.
  void loadGroup(Value group, Value column);
  /// The sum of a group in the `which`-th of these columns, as f32.
  Value scaled(Value sum, int64_t which);

  /// Adds the scaled sums of group `group` to those of the groups before, which
  /// are laid out as finishTiles has them.
  void addGroup(Value group, Value column, int64_t tilesM, int64_t spans,
                llvm::ArrayRef<Value> sums,
                llvm::MutableArrayRef<Value> before);

  /// The sum, an i64, of the `which`-th column of 16-bit codes from those of
  /// their bytes; within columns().
  Value joined(Value high, Value low, int64_t which);

  /// Where the ranges of tokens are, and bytes from one to the next.
  void takeRanges(Value first, Value stride) {
    ranges = first;
    rangeStride = stride;
  }

  /// Fills the tables; a barrier must follow.
  void prepare(Value shared, Value thread, int64_t threads);

  /// Runs `body` where the eight columns from `column` on are there.
  void columns(Value column, DeviceBuilder::Body body);
  /// Finishes these columns of `row`, whose codes have the sum `codes`, if it
  /// is there. Sums of groups are scaled, those of 16-bit codes joined already.
  void finish(Value row, llvm::ArrayRef<Value> sums, Value codes);

  /// Finishes all sums of a thread: of tiles of 16 rows, from `row` on and 8
  /// further, and of `spans` times eight columns, from `column` on, 32 apart.
  /// `sums` has, for each tile, each span and each pair of columns, those of
  /// the two rows; behind them, with zero points, four for each tile, of codes.
  /// `lows` has those of low bytes, where codes have 16 bits.
  void finishTiles(Value row, Value column, int64_t tilesM, int64_t spans,
                   llvm::ArrayRef<Value> sums, llvm::ArrayRef<Value> lows);

private:
  /// From a sum to its code without floats.
  Value fixedResult(Value sum, size_t which);

  DeviceBuilder &k;
  GemmForm form;
  Value correction, zeros, multiplier, offset, post, y, m, n, yStride, lo, hi;
  Value tables, column, postScale, postOffset;
  DeviceBuilder::Values corrections, lowCorrections, zeroPoints, multipliers,
      offsets;
  llvm::SmallVector<FixedScale> outputs;
  FixedScale fixedPost;
  Value ranges, rangeStride;
};

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_GEMMEPILOGUE_H
