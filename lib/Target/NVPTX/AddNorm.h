//===- AddNorm.h - Residual sum and LayerNorm on codes ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qadd_norm: the sum of two tensors of codes becomes codes again, and those
// are normalized. One warp to a row, nothing but codes in memory.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ADDNORM_H
#define QUERN_LIB_TARGET_NVPTX_ADDNORM_H

#include "lib/Target/NVPTX/CodeNorm.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built. The sum is codes.
struct AddNormForm {
  int64_t d = 0;
  Storage a = Storage::U8, b = Storage::U8, sum = Storage::U8,
          out = Storage::U8;
  /// What is stored beside the result.
  SecondForm second = {};
};

/// An error where the form has no kernel.
Error checkAddNorm(const AddNormForm &form);

/// Such as `add_norm_768_u8_u8_u8_u8`.
std::string getAddNormName(const AddNormForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   a, b             codes [m][aStride], [m][bStride]
///   ma, mb, mo       f32 [d]: a sum is a * ma + b * mb + mo
///   gamma, beta      f32 [d]
///   norm             f64 [3], as CodeNormParams
///   out              codes or f32 [m][outStride]
///   tap              codes of the sum [m][tapStride]
///   m, aStride, bStride, outStride, tapStride  i32, strides multiples of 16
///   tapping          i32: 1 if the sum is to be written to tap, else 0
///   sumLo, sumHi, outLo, outHi                 f32
/// and those of SecondRows.
void buildAddNorm(mlir::ModuleOp module, const AddNormForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ADDNORM_H
