//===- KernelForms.h - What a kernel computes, as data ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A target that writes kernels of its own need not read loops: a kernel carries
// the attribute `form`, a dictionary of its kind and of the numbers it was
// built with. Strides count elements, storages are "u8", "u16" and "f32", rows
// are "tokens" or "sequences". Kernels without one are known to CPUs alone.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_KERNELFORMS_H
#define QUERN_LIB_TILE_KERNELFORMS_H

#include "lib/Tile/AddCodes.h"
#include "lib/Tile/Attention.h"
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/GemmGroup.h"
#include "lib/Tile/GemmWide.h"
#include "lib/Tile/GroupNorm.h"
#include "lib/Tile/Pool.h"
#include "lib/Tile/TokenRows.h"

namespace quern {

/// Name of the attribute.
inline constexpr llvm::StringLiteral kFormAttr = "form";

/// How a product comes by its input.
enum class LinearInput { Codes, Planes, Tokens };
/// "linear": k, n, x_stride, out_stride, activation, out, lo, hi, rows, zeros,
/// bits, fixed, wide (planes of 16-bit codes), tokens (ranges of tokens).
void describeGemm(mlir::ModuleOp module, llvm::StringRef kernel,
                  const GemmShape &shape, LinearInput input);
/// "group_linear": as "linear". Where the groups lie is data of the launch.
void describeGroupGemm(mlir::ModuleOp module, llvm::StringRef kernel,
                       const GroupGemmShape &shape);
/// "real_linear": k, n, x_stride, out_stride, activation, bits (32: f32), rows.
void describeRealGemm(mlir::ModuleOp module, llvm::StringRef kernel,
                      const GemmShape &shape, int64_t bits);
/// "planes": d, x_stride, out_stride (of one plane), in, out, rows.
void describePlanes(mlir::ModuleOp module, llvm::StringRef kernel,
                    const PlanesShape &shape);
/// "attention": heads, head_dim, qkv_stride, q_column, k_column, v_column,
/// first, query_stride, context_stride, out, lo, hi, score_hi, prob_hi, and of
/// logarithmic probabilities log_bits (0: uniform) and per_octave; fixed, and
/// then nearest; per_head.
void describeAttention(mlir::ModuleOp module, llvm::StringRef kernel,
                       const AttentionShape &shape);
/// "real_attention": heads, head_dim, query_stride, qkv_stride, context_stride,
/// q_column, k_column, v_column, first, quantize_scores, quantize_probs.
void describeRealAttention(mlir::ModuleOp module, llvm::StringRef kernel,
                           const AttentionShape &shape);
/// "add": d, a_stride, b_stride, out_stride, a, b, out, lo, hi, rows, fixed.
void describeAdd(mlir::ModuleOp module, llvm::StringRef kernel,
                 const AddNormShape &shape, bool fixed);
/// "add_norm": d, a_stride, b_stride, out_stride, tap_stride, a, b, sum, out,
/// sum_lo, sum_hi, lo, hi, rows.
void describeAddNorm(mlir::ModuleOp module, llvm::StringRef kernel,
                     const AddNormShape &shape);
/// "fixed_add_norm": as "add_norm", and by_channel.
void describeFixedAddNorm(mlir::ModuleOp module, llvm::StringRef kernel,
                          const AddNormShape &shape, bool byChannel);
/// "norm_f32" or "add_norm_f32": d, a_stride, b_stride, out_stride, tap_stride,
/// rows.
void describeRealNorm(mlir::ModuleOp module, llvm::StringRef kernel,
                      llvm::StringRef kind, const AddNormShape &shape);
/// "group_norm": as "add_norm", and groups (0: none), ordered, and each, where
/// every channel is a group.
void describeGroupNorm(mlir::ModuleOp module, llvm::StringRef kernel,
                       const GroupNormShape &shape);
/// "embed": d, table_stride, out_stride, tap_stride, word_scales, type_scales,
/// position_scales, word_bits, type_bits, position_bits, e1, e2, out, e1_lo,
/// e1_hi, e2_lo, e2_hi, lo, hi, e1_zero, e2_zero, fixed, factors.
void describeEmbed(mlir::ModuleOp module, llvm::StringRef kernel,
                   const EmbedShape &shape, bool fixed);
/// "embed_f32": d, table_stride, out_stride, tap_stride, word_scales,
/// type_scales, position_scales, word_bits, type_bits, position_bits.
void describeRealEmbed(mlir::ModuleOp module, llvm::StringRef kernel,
                       const EmbedShape &shape);
/// "lookup": d, row_bytes (of the table), out_stride, table_bits (32: f32),
/// row_scales.
void describeLookup(mlir::ModuleOp module, llvm::StringRef kernel,
                    const LookupShape &shape);
/// "quantize", "dequantize", "requantize", "normalize", "limit", "shift_gelu",
/// or "add_f32", "gelu_f32" and the like: d, x_stride, b_stride, out_stride,
/// in, out, rows.
void describeRows(mlir::ModuleOp module, llvm::StringRef kernel,
                  llvm::StringRef kind, const RowShape &shape);
/// "quantize_tokens" or "dequantize_tokens": d, real_stride, code_bits,
/// centred, rows.
void describeTokens(mlir::ModuleOp module, llvm::StringRef kernel,
                    llvm::StringRef kind, const TokenShape &shape);
/// "pool_first" or "pool_mean": d, x_stride, out_stride, in, out, offset (of
/// the codes, real, behind their zero point in the parameters).
void describePool(mlir::ModuleOp module, llvm::StringRef kernel,
                  const PoolShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_KERNELFORMS_H
