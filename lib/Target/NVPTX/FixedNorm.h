//===- FixedNorm.h - LayerNorm over codes, without floats -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// qi_layer_norm of integer_norm.h, one warp to a row: an integer square root
// and one division for the row, products and shifts for its elements.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_FIXEDNORM_H
#define QUERN_LIB_TARGET_NVPTX_FIXEDNORM_H

#include "lib/Target/NVPTX/AddNorm.h"
#include "lib/Target/NVPTX/FixedPoint.h"

namespace quern::nvptx {

/// Normalizes the codes of `row`, four for each step, and stores the results,
/// whose lo and hi are i32. `channels` are bytes as by packChannels of
/// lib/Tile/FixedChannels.h. Codes are shifted up by `up` bits (i32), or, if
/// that is null, multiplied by powers of their channels.
void normalizeFixedRow(WarpRow &columns, llvm::ArrayRef<mlir::Value> codes,
                       mlir::Value channels, mlir::Value up, mlir::Value row,
                       const RowResult &result);

/// What of the kernel is fixed when it is built.
struct FixedAddNormForm {
  AddNormForm norm;
  /// Channels have factors, powers of two.
  bool byChannel = false;
};

/// The widest row whose numbers and constants fit the registers of a warp.
inline constexpr int64_t kWidestFixedRow = 1024;

/// An error where the form has no kernel.
Error checkFixedAddNorm(const FixedAddNormForm &form);

/// Such as `add_norm_768_u8_u8_u8_u8_fixed`.
std::string getFixedAddNormName(const FixedAddNormForm &form);

/// Appends the kernel of a fixed tq.qadd_norm. Blocks of kRowsPerBlock warps.
/// Parameters, in order; pointers on 16 bytes:
///   a, b             codes [m][aStride], [m][bStride]
///   aScale, bScale   as packFixed of lib/Tile/FixedPoint.h, by column
///   channels         as above
///   out, tap         codes [m][outStride], [m][tapStride]
///   m, aStride, bStride, outStride, tapStride, tapping, up   i32; up is 0 by
///                    channel
///   sumLo, sumHi, lo, hi   i32
void buildFixedAddNorm(mlir::ModuleOp module, const FixedAddNormForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_FIXEDNORM_H
