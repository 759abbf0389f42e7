//===- TokenRows.h - Codes with a range of their own in each row *- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Between values and rows as lib/Tile/TokenRows.h lays them out, one warp to a
// row.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_TOKENROWS_H
#define QUERN_LIB_TARGET_NVPTX_TOKENROWS_H

#include "lib/Target/NVPTX/CodeNorm.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct TokenForm {
  /// To values rather than to codes.
  bool dequantize = false;
  /// Of the codes, 2 to 8.
  int64_t bits = 8;
  /// The range is as wide above 0 as below.
  bool centred = false;
};

/// An error where the form has no kernel.
Error checkTokens(const TokenForm &form);

/// Such as `quantize_tokens_u8`.
std::string getTokensName(const TokenForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   x, out     f32 [m][realStride], and codes [m][d up to 64, and 64]; the
///              other way round to dequantize
///   m, d, realStride   i32
void buildTokens(mlir::ModuleOp module, const TokenForm &form);

/// Appends `shift_gelu`: codes looked up in one of 256 tables that the largest
/// code of their row chooses. Parameters, in order:
///   x, tables, out     u8 [m][xStride], [256][256], [m][outStride]
///   m, d, xStride, outStride   i32
void buildShiftGelu(mlir::ModuleOp module);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_TOKENROWS_H
