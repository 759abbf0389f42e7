//===- RealAttention.h - Attention in f32 on GPUs ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.scores, tq.softmax and tq.context in one, with quantizers between them
// whose codes become values again at once. Sums have the order that
// lib/Tile/Attention.cpp gives them: channels and keys ascend, and what softmax
// divides by is the sum of sixteen partial sums.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_REALATTENTION_H
#define QUERN_LIB_TARGET_NVPTX_REALATTENTION_H

#include "lib/Support/Status.h"
#include "lib/Target/NVPTX/Attention.h"
#include "lib/Target/NVPTX/DeviceBuilder.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct RealAttentionForm {
  /// At most 256.
  int64_t headDim = 64;
  /// Only the first token of each sequence asks: queries and contexts have a
  /// row for each sequence.
  bool firstQuery = false;
  /// There are quantizers at the scores, and at the probabilities.
  bool quantizeScores = false, quantizeProbs = false;
  /// A block is one warp with one query, for long sequences.
  bool alone = false;
};

/// An error where the form has no kernel.
Error checkRealAttention(const RealAttentionForm &form);

/// Such as `attention_f32_64` or `attention_f32_first_64_sp`.
std::string getRealAttentionName(const RealAttentionForm &form);

/// The longest sequence whose scores fit shared memory, and that of which those
/// of one query do.
inline constexpr int64_t kMostRealKeys = 1536;
inline constexpr int64_t kLongestRealSequence = 25344;

/// Queries of a block.
int64_t getRealAttentionQueries(const RealAttentionForm &form);
AttentionLaunch getRealAttentionLaunch(const RealAttentionForm &form,
                                       int64_t sequences, int64_t heads,
                                       int64_t longest);

/// Appends the kernel. Block y is head y % heads of sequence y / heads, block x
/// some of its queries. Parameters, in order; pointers on 16 bytes:
///   q         f32 [tokens][queryStride]; of sequences with firstQuery
///   k, v      f32 [tokens][keyStride]
///   offsets   i32 [sequences + 1]
///   params    f32 [9], as buildAttention of lib/Tile/Attention.h has them
///   context   f32 [tokens][contextStride]; of sequences with firstQuery
///   scoreTap, probTap  f32, as buildAttention lays them out
///   heads, keys, queryStride, keyStride, contextStride, qColumn, kColumn,
///   vColumn, sequences, tapping  i32; keys is a multiple of 32, the longest
///             length or more; strides and columns are multiples of 4
void buildRealAttention(mlir::ModuleOp module, const RealAttentionForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_REALATTENTION_H
