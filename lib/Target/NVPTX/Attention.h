//===- Attention.h - Integer attention on tensor cores ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qattention, one block to 64 queries of a head: scores, the exact table
// softmax and the context without a trip through the device's memory. A row is
// scored to its end before it is normalized, so the result does not depend on
// how keys are cut into tiles. Where all keys of a sequence would not fit
// shared memory, they come some at a time, and once more for every sum over
// them.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ATTENTION_H
#define QUERN_LIB_TARGET_NVPTX_ATTENTION_H

#include "lib/Target/NVPTX/Codes.h"
#include "quern/log_math.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct AttentionForm {
  /// At most 128. Multiples of 16, and next to them of 8, are copied fastest.
  int64_t headDim = 64;
  Storage context = Storage::U8;
  /// Only the first token of each sequence asks: queries and contexts have a
  /// row for each sequence.
  bool firstQuery = false;
  /// Logarithmic codes of the probabilities; of 0 bits where they are uniform.
  qm_log_codes log = {0, 0};
  /// Integers from the scores to the codes of the context.
  bool fixed = false;
  /// Of `fixed`: probabilities are rounded to the nearest code, or down;
  /// logarithmic ones to the nearest code, or as log-int-softmax does.
  bool nearest = true;
  /// Heads have constants of their own; not with logarithmic or fixed
  /// probabilities.
  bool perHead = false;
  /// Keys that are in shared memory at once, a multiple of 32; 0 for all of a
  /// sequence, of which there are at most kMostKeysAtOnce.
  int64_t keysAtOnce = 0;

  bool isLog() const { return log.bits != 0; }
  /// How codes of the probabilities are kept in their tap.
  Storage probStorage() const {
    return isLog() && qm_log_zero(log) > 255 ? Storage::U16 : Storage::U8;
  }
};

/// The longest sequence whose keys, values and scores fit shared memory.
inline constexpr int64_t kMostKeysAtOnce = 512;
/// What models with longer ones have as AttentionForm::keysAtOnce.
inline constexpr int64_t kKeysAtOnce = 256;
/// The longest sequence whose sums of u8 times u8 fit 32 bits.
inline constexpr int64_t kLongestSequence = 32768;

/// Queries of a block.
inline constexpr int64_t kAttentionQueries = 64;

/// An error where the form has no kernel.
Error checkAttention(const AttentionForm &form);

/// Such as `attention_64_u8`, or `attention_first_64_log2x4_u8`.
std::string getAttentionName(const AttentionForm &form);

struct AttentionLaunch {
  int64_t gridX = 0, gridY = 0, threads = 0, sharedBytes = 0;
  /// The parameter `keys`.
  int64_t keys = 0;
};
AttentionLaunch getAttentionLaunch(const AttentionForm &form, int64_t sequences,
                                   int64_t heads, int64_t longest);

/// Appends the kernel. Block y is head y % heads of sequence y / heads, block x
/// its queries from 64 x on (one, with firstQuery). Parameters, in order;
/// pointers on 16 bytes:
///   qkv      u8  [tokens][qkvStride]
///   offsets  i32 [sequences + 1]
///   params   f32, as QAttentionParams of lib/Tile/Attention.h, with those of
///            heads if perHead; bytes as by packFixedAttention of
///            lib/Tile/FixedAttention.h if fixed
///   queries  u8  [sequences][queryStride]; only with firstQuery
///   context  codes or f32 [tokens][contextStride]; of sequences with
///            firstQuery
///   scoreTap, probTap   codes of both, as buildQAttention lays them out
///   heads, keys, qkvStride, contextStride, qColumn, kColumn, vColumn   i32;
///            keys is a multiple of 32, the longest length or more; strides
///            are multiples of 16, columns of 16 or of what headDim is
///   queryStride                           i32; only with firstQuery
///   sequences, tapping                    i32; whether taps are written
///   scoreHi, probHi, contextLo, contextHi   f32; i32 if fixed; the last three
///            are read only where heads have none
void buildAttention(mlir::ModuleOp module, const AttentionForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ATTENTION_H
