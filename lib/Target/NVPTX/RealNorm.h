//===- RealNorm.h - LayerNorm over real numbers on GPUs ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.layer_norm in f32 over a row, over the sum of two, or over the sum of rows
// of three embedding tables: one warp to a row, widths are known at run time.
// Sums have the order of lib/Tile/Norm.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_REALNORM_H
#define QUERN_LIB_TARGET_NVPTX_REALNORM_H

#include "lib/Support/Status.h"
#include "lib/Target/NVPTX/DeviceBuilder.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct RealNormForm {
  enum Source { Row, Sum, Tables } source = Row;
  /// Of tables of words, types and positions: 32 for numbers, or bits of codes,
  /// and whether these have a scale for each row.
  int64_t tableBits[3] = {32, 32, 32};
  bool rowScales[3] = {false, false, false};

  bool hasCodes() const {
    return tableBits[0] != 32 || tableBits[1] != 32 || tableBits[2] != 32;
  }
};

/// An error where the form has no kernel.
Error checkRealNorm(const RealNormForm &form);

/// "norm_f32", "add_norm_f32", or such as "embed_f32_w4r_w32_w8".
std::string getRealNormName(const RealNormForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   of a row     x       f32 [m][xStride]
///   of a sum     a, b    f32 [m][aStride], [m][bStride]
///   of tables    ids, types, positions  i32 [m]
///                word, type, position   f32 [rows][tableStride], or codes, as
///                                       loadTableCodes has them
///   gamma, beta  f32 [d]
///   eps          f32 [1]
///   scales       f32, of all three tables; only where one has codes
///   out          f32 [m][outStride]
///   tap          f32 [m][tapStride], of a sum; of tables two: of words and
///                types, and of all three
///   m, d         i32
///   xStride; aStride, bStride; or tableStride   i32
///   outStride    i32
///   tapStride, tapping  i32, not of a row
void buildRealNorm(mlir::ModuleOp module, const RealNormForm &form);

/// The sum of `value` over d columns, as a lane finds it: sixteen partial sums,
/// each of every sixteenth column in ascending order, then halves onto halves.
/// Both halves of the warp find it.
mlir::Value
sumOfColumns(DeviceBuilder &k, mlir::Value d,
             llvm::function_ref<mlir::Value(mlir::Value column)> value);
/// The f32 nearest to the root of an f32.
mlir::Value rootOfReal(DeviceBuilder &k, mlir::Value v);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_REALNORM_H
