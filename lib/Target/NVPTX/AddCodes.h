//===- AddCodes.h - Residual sums that several ops read ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qadd: what a layer of an encoder with its LayerNorms in front leaves to
// the next sum and to a LayerNorm. Widths are known at run time.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ADDCODES_H
#define QUERN_LIB_TARGET_NVPTX_ADDCODES_H

#include "lib/Target/NVPTX/Codes.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct AddCodesForm {
  Storage a = Storage::U8, b = Storage::U8, out = Storage::U8;
  /// Integers from the operands to the codes.
  bool fixed = false;
};

/// An error where the form has no kernel.
Error checkAddCodes(const AddCodesForm &form);

/// Such as `add_u8_u8_u8_fixed`.
std::string getAddCodesName(const AddCodesForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   a, b             codes or f32 [m][aStride], [m][bStride]
///   ma, mb, mo       f32 [d]: a sum is a * ma + b * mb + mo
///     if fixed, in place of these: aScale, bScale, as packFixed of
///     lib/Tile/FixedPoint.h, by column
///   out              codes [m][outStride]
///   m, d, aStride, bStride, outStride  i32; d is rounded up to 4, strides are
///                    multiples of 16
///   lo, hi           f32; i32 if fixed
void buildAddCodes(mlir::ModuleOp module, const AddCodesForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ADDCODES_H
