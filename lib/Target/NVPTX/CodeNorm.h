//===- CodeNorm.h - LayerNorm over codes, one warp to a row -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The lanes of a warp hold a row in registers, four neighbours out of every
// 128. Sums over codes are integers, so their order does not matter; the few
// steps in f64 are those of lib/Tile/Norm.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_CODENORM_H
#define QUERN_LIB_TARGET_NVPTX_CODENORM_H

#include "lib/Target/NVPTX/SecondForm.h"

namespace quern::nvptx {

/// Rows, and so warps, of a block of the row kernels.
inline constexpr int64_t kRowsPerBlock = 4;
/// The widest row that fits the registers of a warp.
inline constexpr int64_t kWidestRow = 2048;

/// An error unless rows of `d` columns can be held so.
Error checkRow(int64_t d);

/// The columns that a lane has of a row of d.
class WarpRow {
public:
  WarpRow(DeviceBuilder &k, int64_t d);

  int64_t steps() const { return (d + 127) / 128; }
  /// First of the four columns of a step; of those that are not there, columns
  /// that are.
  mlir::Value column(int64_t step);
  /// Whether they are there; null where they always are.
  mlir::Value inside(int64_t step);
  /// `value` there, 0 elsewhere.
  mlir::Value orZero(int64_t step, mlir::Value value);
  /// Runs `body` there.
  void ifInside(int64_t step, DeviceBuilder::Body body);
  /// The four f32 of a vector of d.
  DeviceBuilder::Values reals(mlir::Value vector, int64_t step);

  DeviceBuilder &k;
  int64_t d;
  mlir::Value lane;
};

/// Runs `body` for the row of each warp that has one of `rows`.
void forEachWarpRow(DeviceBuilder &k, mlir::Value rows,
                    llvm::function_ref<void(mlir::Value row)> body);

/// Runs `body` for every four of a lane among `d` columns, a multiple of 4 that
/// is known at run time.
void forEachFour(DeviceBuilder &k, mlir::Value d,
                 llvm::function_ref<void(mlir::Value column)> body);

/// Writes the codes of `row`, four for each step, to a tap, if taps are kept.
void keepCodes(WarpRow &columns, llvm::ArrayRef<mlir::Value> codes,
               mlir::Value tapping, mlir::Value tap, mlir::Value row,
               mlir::Value stride, Storage storage);

/// Where and how results go; lo and hi are the ends of the codes.
struct RowResult {
  mlir::Value out, stride, lo, hi;
  Storage storage = Storage::U8;
  SecondRows second = {};

  /// Stores the four results of a step.
  void store(WarpRow &columns, int64_t step,
             llvm::ArrayRef<mlir::Value> results, mlir::Value row) const;
};

/// The mean of the codes of a row, and the reciprocal of their deviation, in
/// f32.
std::pair<mlir::Value, mlir::Value>
codeStatistics(WarpRow &columns, llvm::ArrayRef<mlir::Value> codes,
               mlir::Value norm);

/// Normalizes the codes of `row`, four for each step, and stores the results.
/// `norm` points to three f64: scale, factor and eps, as CodeNormParams of
/// lib/Tile/Norm.h; gamma and beta to f32.
void normalizeRow(WarpRow &columns, llvm::ArrayRef<mlir::Value> codes,
                  mlir::Value norm, mlir::Value gamma, mlir::Value beta,
                  mlir::Value row, const RowResult &result);

/// Address of `column` in `row`; the stride counts elements.
mlir::Value elementAt(DeviceBuilder &k, mlir::Value base, mlir::Value row,
                      mlir::Value stride, mlir::Value column, Storage storage);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_CODENORM_H
