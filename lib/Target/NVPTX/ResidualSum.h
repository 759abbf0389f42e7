//===- ResidualSum.h - Codes of a residual's sum ----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_RESIDUALSUM_H
#define QUERN_LIB_TARGET_NVPTX_RESIDUALSUM_H

#include "lib/Target/NVPTX/CodeNorm.h"

namespace quern::nvptx {

/// round(a * ma + b * mb + mo), channel by channel, held within [lo, hi], and
/// the tap that may keep it.
struct ResidualSum {
  mlir::Value a, b, ma, mb, mo, aStride, bStride, lo, hi;
  mlir::Value tap, tapStride, tapping;
  Storage aStorage = Storage::U8, bStorage = Storage::U8;
  Storage storage = Storage::U8;

  /// The code of one channel.
  mlir::Value code(DeviceBuilder &k, mlir::Value x, mlir::Value y,
                   mlir::Value scaleX, mlir::Value scaleY,
                   mlir::Value offset) const;
  /// The codes of four neighbouring columns.
  DeviceBuilder::Values four(DeviceBuilder &k, mlir::Value row,
                             mlir::Value column) const;
  /// The codes of a row, four for each step.
  DeviceBuilder::Values codes(WarpRow &columns, mlir::Value row) const;
  /// Writes them to the tap if taps are kept.
  void keep(WarpRow &columns, llvm::ArrayRef<mlir::Value> codes,
            mlir::Value row) const;
};

/// The sum without floats: at(a) + at(b) of integer_requant.h, held within
/// [lo, hi] (i32).
struct FixedResidualSum {
  mlir::Value terms[2], scales[2], strides[2], lo, hi;
  Storage storages[2] = {Storage::U8, Storage::U8};

  /// The codes of four neighbouring columns.
  DeviceBuilder::Values four(DeviceBuilder &k, mlir::Value row,
                             mlir::Value column) const;
};

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_RESIDUALSUM_H
