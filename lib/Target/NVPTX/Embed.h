//===- Embed.h - Embedding tables, sums and LayerNorm on codes --*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qembed: rows of three tables of s8 codes are added to codes, and again,
// and normalized. One warp to a token.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_EMBED_H
#define QUERN_LIB_TARGET_NVPTX_EMBED_H

#include "lib/Target/NVPTX/CodeNorm.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct EmbedForm {
  int64_t d = 0;
  /// True where a table (word, type, position) has a scale per row, false where
  /// it has one.
  bool rowScales[3] = {false, false, false};
  Storage e1 = Storage::U8, e2 = Storage::U8, out = Storage::U8;
};

/// An error where the form has no kernel.
Error checkEmbed(const EmbedForm &form);

/// Such as `embed_768_u8_u8_u8`, with `_word` and so on where scales are by
/// row.
std::string getEmbedName(const EmbedForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   ids, types, positions    i32 [m]: rows of the tables
///   word, type, position     s8 [rows][tableStride]
///   their scales             f32
///   params                   f32 [5], as QEmbedParams of lib/Tile/Embed.h
///   gamma, beta              f32 [d]
///   norm                     f64 [3], as CodeNormParams
///   out                      codes or f32 [m][outStride]
///   m, tableStride, outStride                i32, strides multiples of 16
///   e1Lo, e1Hi, e2Lo, e2Hi, outLo, outHi     f32
void buildEmbed(mlir::ModuleOp module, const EmbedForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_EMBED_H
