//===- Attention.h - Fused attention kernels ------------------------------===//
//
// One kernel for integer attention (tq.qattention) and one for f32 (tq.scores,
// tq.softmax and tq.context in one). A chunk is one head of one sequence:
// chunk c is head c % heads of sequence c / heads, so a launch is
// chunks(base = sequences, multiply = heads). The scores of eight rows at most
// go to memory; with queries in lanes of 16, in tile registers of 32.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_ATTENTION_H
#define QUERN_LIB_TILE_ATTENTION_H

#include "lib/Tile/KernelBuilder.h"
#include "quern/log_math.h"

#include <array>
#include <vector>

namespace quern {

/// What of attention is fixed when the kernel is built. Strides and columns
/// count elements.
struct AttentionShape {
  int64_t heads = 1;
  int64_t headDim = 64;
  int64_t maxLength = 512;
  /// Row stride of the buffers that hold q, k and v, and where they begin.
  int64_t qkvStride = 0;
  int64_t qColumn = 0, kColumn = 0, vColumn = 0;
  /// Only the first token of each sequence asks: queries lie in a buffer of
  /// their own, a row for each sequence, and so does the context.
  bool firstQuery = false;
  int64_t queryStride = 0;
  int64_t contextStride = 0;
  /// Integer attention only: how the context is stored, its codes and those of
  /// scores and probabilities.
  Storage context = Storage::U8;
  CodeRange contextRange, scoreRange, probRange;
  /// Logarithmic codes of the probabilities; of 0 bits where they are uniform.
  qm_log_codes log = {0, 0};
  bool isLog() const { return log.bits != 0; }
  /// How the codes of the probabilities are kept in their tap.
  Storage probStorage() const {
    return isLog() && qm_log_zero(log) > 255 ? Storage::U16 : Storage::U8;
  }
  /// Integer attention without floats; then the bytes of an exponential, and
  /// whether probabilities are rounded to the nearest code or down; logarithmic
  /// ones to the nearest code or as log-int-softmax does.
  bool fixed = false;
  int64_t expBytes = 3;
  bool roundProbs = true;
  /// isNarrow of scores and context.
  bool narrow = false;
  /// Integer attention only: blocks of 4 rows by 1 panel, for 16 vector
  /// registers.
  bool smallTile = false;
  /// Integer attention only: products of 32 rows by tile registers, in
  /// sequences that have leastTileQueries().
  bool tiles = false;
  /// Constants of heads; not with logarithmic or fixed probabilities.
  bool perHead = false;
  /// f32 attention only: quantizers at the scores and the probabilities, whose
  /// codes become values again at once.
  bool quantizeScores = false, quantizeProbs = false;
};

/// The constants of one layer; data() is the content of the `params` buffer.
struct QAttentionParams {
  std::array<float, 16> expHi, expLo;
  float scoreMultiplier, scoreOffset, probMultiplier;
  float contextMultiplier, contextOffset;
  int32_t zq, zk, zv;
  /// Of logarithmic probabilities.
  float probStep = 0;
  /// Of a kernel with constants of heads, those of each as tq.qattention has
  /// them in per_head.
  std::vector<float> perHead = {};

  /// Numbers before those of heads, which have so many each.
  static constexpr int64_t size = 64, headSize = 6;
  std::vector<float> data() const;
};

/// Buffers: qkv i8 [tokens][qkvStride], offsets i32 [sequences + 1], params
/// f32 (QAttentionParams::data), context i8, i16 or f32 (values, without
/// rounding) [tokens][contextStride], and the taps s, i8, and p, i8 or (by
/// probStorage) i16. Taps are
/// [heads][R], R the sum of the squared sequence lengths: code (h, i, j) of
/// sequence s lies at h * R + base(s) + i * T(s) + j, base(s) being the sum of
/// T^2 before s. Reads up to 31 rows and 63 bytes beyond the last token. With
/// `fixed`, params is i8, as by packFixedAttention. With `firstQuery`, qkv
/// holds k and v, a buffer q, i8 [sequences][queryStride], comes before the
/// taps, the context has a row for each sequence, and code (h, j) of sequence s
/// is at h * tokens + offsets[s] + j of the taps. It also appends the variants
/// `NAME.small` and, where hasTileAttention(), `NAME.tiles`: see
/// AttentionShape::smallTile and ::tiles.
mlir::func::FuncOp buildQAttention(mlir::ModuleOp module, llvm::StringRef name,
                                   const AttentionShape &shape);

/// From so many tokens on a sequence's products are made by tile registers.
///
/// A block of them takes as long with one row as with 32: for up to 32 keys and
/// heads of 64 channels 12 products of 16 cycles (four of scores, eight of
/// context) and as many stores, and loads of its sums, 430 to 460 cycles.
/// Vectors of rows take 128 for the scores of every eight rows, and four for
/// every token of their context: 384 with 16 tokens, 590 with 17.
///
/// With queries in lanes T tokens take T^2 cycles for heads of 64 channels, and
/// tile registers save three quarters of that; but their softmax is that of
/// rows, which takes 1800 cycles more with 32 tokens, 3500 with 64 and 4400
/// with 128 (lib/README.md). So they are for more than 4096 / head_dim tokens:
/// 128, 64 and 32 of heads of 32, 64 and 128 channels.
int64_t leastTileQueries(const AttentionShape &shape);

/// True if the kernel of `shape` has a form with tile registers: not for
/// sequences that are all too short for them, for one row of queries, for heads
/// that are no multiple of 32 channels, and for logarithmic codes that are no
/// bytes.
bool hasTileAttention(const AttentionShape &shape);

/// True if the kernel of `shape` has a form with 16 queries in the lanes of a
/// vector, which runs where taps are off (and not where tile registers do):
/// for uniform codes, contexts of bytes, and heads of 32 channels or of a
/// multiple of 64.
bool hasLaneAttention(const AttentionShape &shape);

/// Scratch bytes that one call of the integer kernel needs.
int64_t qattentionScratch(const AttentionShape &shape);

/// The constants of a quantizer within f32 attention: a code is
/// round(clamp(x * inverse, lo, hi)), its value code * step; lo and hi are the
/// limits of the codes less the zero point.
struct InnerQuantizer {
  float inverse = 0, lo = 0, hi = 0, step = 0;
};

/// Buffers: q, k and v f32 (which may be one buffer; with `firstQuery` rows of
/// q and of the context are those of sequences), offsets i32, params f32
/// [9] (the softmax scale, then the InnerQuantizer of the scores and that of
/// the probabilities, read only where the shape says so), context f32, taps s
/// (unscaled scores) and p before their quantizers, f32, laid out as above.
mlir::func::FuncOp buildAttention(mlir::ModuleOp module, llvm::StringRef name,
                                  const AttentionShape &shape);

/// Scratch bytes that one call of the f32 kernel needs.
int64_t attentionScratch(const AttentionShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_ATTENTION_H
