//===- Embed.h - Embeddings and LayerNorm of their sum ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qembed, one warp to a token: three rows of codes are added in two steps,
// each rounded to codes of its own, and the sum is normalized.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_EMBED_H
#define QUERN_LIB_TARGET_NVPTX_EMBED_H

#include "lib/Target/NVPTX/Codes.h"

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
  /// Of the codes of each table: 8, 4 or 2.
  int64_t tableBits[3] = {8, 8, 8};
  /// Integers from the tables to the codes.
  bool fixed = false;
  /// Of fixed: channels of the second sum have factors, powers of two.
  bool factors = false;
};

/// An error where the form has no kernel.
Error checkEmbed(const EmbedForm &form);

/// Such as `embed_768_u8_u8_u8`, with `_word` and so on where scales are by
/// row, and `_w4` where codes of words have 4 bits.
std::string getEmbedName(const EmbedForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   ids, types, positions    i32 [m]: rows of the tables
///   word, type, position     rows of packTableRow of lib/Tile, those of 8 bits
///                            s8 [rows][tableStride]
///   their scales             f32; if fixed mantissa and shift, i32
///   params                   f32 [5], as QEmbedParams of lib/Tile/Embed.h
///   gamma, beta              f32 [d]
///   norm                     f64 [3], as CodeNormParams
///     if fixed, in place of these four: first, as packFixed, and channels, as
///     packChannels of lib/Tile; with factors behind them those of channels,
///     i32 up to a multiple of 16
///   out                      codes or f32 [m][outStride]
///   firstTap, secondTap      codes of both sums [m][tapStride]
///   m, tableStride, outStride, tapStride, tapping   i32, strides multiples of
///                            16
///   up, e1Zero, e2Zero       i32; only if fixed: bits by which the second sum
///                            is shifted up (0 with factors), zero points
///   e1Lo, e1Hi, e2Lo, e2Hi, outLo, outHi     f32; i32 if fixed
void buildEmbed(mlir::ModuleOp module, const EmbedForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_EMBED_H
