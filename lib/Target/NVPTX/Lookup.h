//===- Lookup.h - Rows of an embedding table --------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.embedding: the real numbers of one table's rows, of which f32 or codes are
// stored. tq.qembed has its three tables in a kernel of its own (Embed.h).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_LOOKUP_H
#define QUERN_LIB_TARGET_NVPTX_LOOKUP_H

#include "lib/Target/NVPTX/Codes.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct LookupForm {
  /// 32 for a table of f32, else bits of its codes: 8, 4 or 2.
  int64_t bits = 32;
  /// Codes have a scale for each row rather than one.
  bool rowScales = false;
};

/// An error where the form has no kernel.
Error checkLookup(const LookupForm &form);

/// Such as `lookup_w8_rows`.
std::string getLookupName(const LookupForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   index   i32 [m]: rows of the table
///   table   f32, or codes as by packTableRow of lib/Tile
///   out     f32 [m][outStride]
///   scales  f32 [rows] or [1]; only of codes
///   m, d, rowBytes, outStride  i32; d is rounded up to 4, rows of the table
///           are rowBytes apart, a multiple of 16
void buildLookup(mlir::ModuleOp module, const LookupForm &form);

/// Four codes of a row of packTableRow, from `column` on, as i32.
DeviceBuilder::Values loadTableCodes(DeviceBuilder &k, mlir::Value table,
                                     mlir::Value row, mlir::Value rowBytes,
                                     mlir::Value column, int64_t bits);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_LOOKUP_H
