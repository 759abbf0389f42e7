//===- QAttentionEmitter.h - The parts of integer attention --------*- C++ -*-//
//
// Private to this folder: what QAttention.cpp (packing, scores),
// QAttentionSoftmax.cpp and QAttentionLog.cpp (probabilities),
// QAttentionContext.cpp, QAttentionTiles.cpp (products by tile registers) and
// QAttentionLanes.cpp (16 queries in the lanes of a vector) have in common.
// With k' = k - 128 and v' = v - 128 (s8):
//
//   sum (q - zq)(k - zk) = q.k' + (128 - zk) sum q - zq (sum k' + (128 - zk)
//   dh) sum p (v - zv)       = p.v' + (128 - zv) sum p
//
// K' is packed as panels of 16 tokens [head_dim / 4][16][4], V' as panels of
// 16 channels [T / 4][16][4]. Then, for eight rows at a time: scores by pairs
// of panels, softmax row by row, context by pairs of panels. Both panels are
// what tile registers take as they are: with these, products are made of 32
// rows at a time, and all else of the four eights of these one after another.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_QATTENTIONEMITTER_H
#define QUERN_LIB_TILE_QATTENTIONEMITTER_H

#include "lib/Tile/AttentionParts.h"
#include "lib/Tile/AttentionStages.h"
#include "lib/Tile/FixedPoint.h"
#include "lib/Tile/GemmTileWalk.h"

#include <algorithm>
#include <optional>

namespace quern {

/// Rows of one block at most: 8 rows by 2 panels leave registers for operands.
inline constexpr int64_t kAttentionRows = 8;
/// Rows of one block of tile registers, and tokens of a span of its sums.
inline constexpr int64_t kAttentionTileRows = 32;
inline constexpr int64_t kAttentionTileSpan = 128;

/// 2^23: adding it to v in [0, 2^23) leaves rne(v) in the low bits of the sum.
inline constexpr float kRoundMagic = 8388608.0f;
inline constexpr int32_t kRoundMagicBits = 0x4b000000;

/// Byte offsets in the scratch memory.
struct QAttentionLayout {
  explicit QAttentionLayout(const AttentionShape &s) {
    int64_t side = s.tiles ? kAttentionTileSpan : 32;
    int64_t tokens = (s.maxLength + side - 1) / side * side;
    rows = s.tiles ? kAttentionTileRows : kAttentionRows;
    keySteps = (s.headDim + 3) / 4;
    // Tile registers take 64 channels; those that are missing are zeros.
    if (s.tiles)
      keySteps = (keySteps + 15) / 16 * 16;
    valuePanels = (s.headDim + 15) / 16;
    // One line more than the codes, so that rows do not share cache sets.
    codeStride = (s.maxLength + 63) / 64 * 64 + 64;
    keys = 0;
    keySums = keys + tokens * keySteps * 4;
    values = keySums + tokens * 4;
    codes = values + tokens * valuePanels * 16;
    exps = codes + rows * codeStride;
    // Fixed rows are looked up in blocks of 64.
    expStride = (s.fixed ? codeStride - 64 : tokens) * 4 + 64;
    planes = exps + kAttentionRows * expStride;
    if (s.isLog())
      planeCount = qm_log_planes(s.log) * s.log.per_octave;
    int64_t matrices = std::max<int64_t>(planeCount, 1);
    terms = planes + planeCount * rows * codeStride;
    termStride = rows * 4 < 64 ? 64 : rows * 4;
    sums = terms + (1 + matrices) * termStride;
    tables = sums + kAttentionRows * 8;
    tileSums = tables + planeCount * 256;
    laneQueries = tileSums + (s.tiles ? matrices * kTileBlockBytes : 0);
    laneRows = laneProbs = size = laneQueries;
    if (hasLaneAttention(s)) {
      laneRows += keySteps * 64;
      laneProbs = laneRows + tokens * 64;
      size = laneProbs + tokens * 16;
    }
  }
  /// Rows of a block.
  int64_t rows;
  int64_t keySteps, valuePanels, codeStride, expStride, termStride;
  int64_t keys, keySums, values, codes, exps, planes, terms, size;
  /// Of fixed softmax: sums of the rows. Of logarithmic codes: their weights in
  /// each plane.
  int64_t sums, tables;
  /// Blocks of sums of tile registers: of scores or of uniform codes, or of
  /// each plane.
  int64_t tileSums;
  /// With queries in lanes: panels of them, rows of score codes and then of
  /// exponentials, and probability codes.
  int64_t laneQueries, laneRows, laneProbs;
  /// Of both parities.
  int64_t planeCount = 0;
};

/// Emits the body for one head; the members are run-time values of it.
class QAttentionEmitter {
public:
  using Value = mlir::Value;
  using Values = KernelBuilder::Values;

  QAttentionEmitter(KernelBuilder &k, const AttentionShape &shape)
      : k(k), shape(shape), layout(shape),
        blockRows(shape.smallTile ? 4 : kAttentionRows),
        blockPanels(shape.smallTile ? 1 : 2), qkv(k.buffer(0)),
        offsets(k.buffer(1)), params(k.buffer(2)), context(k.buffer(3)),
        queries(shape.firstQuery ? k.buffer(4) : qkv),
        scoreTap(k.buffer(shape.firstQuery ? 5 : 4)),
        probTap(k.buffer(shape.firstQuery ? 6 : 5)), scratch(k.scratch()) {}

  void emit();
  /// The body of buildAttentionStage.
  void emitStage(AttentionStage stage);

private:
  Value param(int64_t i) { return k.load(params, k.index(i)); }
  Value integerParam(int64_t i) { return k.toInt(param(i)); }
  void loadConstants();
  void loadHeadConstants();
  void head(const HeadChunk &chunk);
  void rowHead();
  void packKeys();
  void packValues();
  /// Tokens of the packed values: those of the sequence, and zeros up to whole
  /// steps of the form that multiplies them.
  Value valueRows();
  void rowTerms(Value row);
  void scores(Value row);
  void scorePair(Value row, Value pair);
  void storeScores(Value pair, llvm::ArrayRef<Value> sums);
  Values scoreTerms(Value pair);
  /// Probabilities of the block's score codes.
  void softmax(Value row);
  void realSoftmax(Value row);
  void fixedSoftmax(Value row);
  /// Runs a step of fixed softmax for each row: body(r, codes, exps, sum).
  using RowStep = llvm::function_ref<void(Value, Value, Value, Value)>;
  void eachFixedRow(Value rows, RowStep body);
  void tapRows(Value row, Value tap);
  Values rowMaxima();
  Values exponentials(llvm::ArrayRef<Value> tops);
  Value exponentialOf(Value top, Value codes);
  Values probabilities(Value ratios);
  Value probabilityOf(Value e, Value ratio);
  void uniformCodes(Value total);
  void logCodes(llvm::ArrayRef<Value> tops, Value total);
  /// The planes of the codes of eight rows; `most` has the largest code but
  /// that of zero, where there are several planes.
  void packPlanes(Value most);
  void fixedLogCodes();
  Value logarithm(Value x);
  void tapLogCodes(Value row);
  void packPlane(Value plane);
  void packPlaneOfBytes(Value plane);
  void storeTables();
  /// Whether logarithmic codes are kept as bytes.
  bool hasByteCodes() const { return qm_log_zero(shape.log) <= 255; }
  /// A term of the rows' sums for one matrix of weights.
  void storeTerm(Value sums, Value at);
  /// Lanes of a sum are added in steps of `width` lanes and less.
  Value reduceRows(Values v, int64_t width = 8);
  void contextRows(Value row);
  void contextPanels(Value row, Value first, int64_t count, int64_t channels);
  Values weightedSums(Value plane, int64_t parity, Value first, int64_t count);
  Values joinedPlanes(Value first, int64_t count);
  Values joinedFixedPlanes(Value first, int64_t count);
  /// Context codes, or reals, of sums.
  Value contextOf(Value sums);
  void storeContext(Value row, Value first, int64_t count, int64_t channels,
                    Values values);

  // Queries in lanes.
  void laneHead();
  void packLaneKeys();
  Value packQueries(Value row);
  Value laneScores(Value rowTerm);
  Value laneExponentials(Value top);
  Value withoutMagic(Value sum, Value count);
  Value joinBytes(llvm::ArrayRef<Value> codes);
  Value laneProbabilities(Value ratio);
  void laneContext(Value row, Value term);
  /// Tokens that have rows: whole fours.
  Value laneTokens() { return k.roundUp(c.length, 4); }
  Value laneKey(Value token, int64_t channel) {
    return k.add(k.mul(token, shape.headDim), layout.keys + channel);
  }
  Value laneRow(Value token, int64_t r) {
    return k.add(k.mul(token, 64), layout.laneRows + r * 64);
  }

  // Products by tile registers.
  void tileRows();
  Value eights(Value row);
  /// Tile i or j of two, of a step of 64.
  using TileSource = llvm::function_ref<Value(int64_t, int64_t)>;
  void multiplyTiles(Value at, bool begins, int64_t steps, TileSource rowsAt,
                     TileSource panelAt);
  void eachEight(Value row, llvm::function_ref<void(Value)> body);
  void tileScores(Value row);
  void tileSoftmax(Value row);
  void tileContext(Value row);
  void tileWeights(Value plane, int64_t parity, Value first);
  Values tileSumsOf(Value block);

  /// Address of row `r` (a constant) of a block of q, or of the codes.
  Value queryRow(Value row, int64_t r) {
    return k.add(k.mul(k.add(c.firstQuery, row), queryStride()),
                 k.add(queryColumn, r * queryStride()));
  }
  int64_t queryStride() const {
    return shape.firstQuery ? shape.queryStride : shape.qkvStride;
  }
  /// Rows of the block that are there.
  Value rowsLeft(Value row) {
    return k.min(k.sub(c.queries, row), k.index(blockRows));
  }
  Value codeRow(int64_t r) {
    return fromEight(layout.codeStride, layout.codes + r * layout.codeStride);
  }
  /// `at`, behind eight rows of `stride` bytes for every eight before the one
  /// at hand.
  Value fromEight(int64_t stride, int64_t at) {
    return eight ? k.add(k.mul(eight, kAttentionRows * stride), at)
                 : k.index(at);
  }
  /// Terms of the scores, or of the sums of a matrix of weights.
  Value termsAt(int64_t matrix) {
    return fromEight(4, layout.terms + matrix * layout.termStride);
  }

  /// Row 0 of the weights of a plane, and the terms of its sums.
  Value planeAt(Value plane, int64_t parity) {
    int64_t one = layout.rows * layout.codeStride;
    return k.add(k.mul(plane, shape.log.per_octave * one),
                 fromEight(layout.codeStride, layout.planes + parity * one));
  }
  Value planeTerms(Value plane, int64_t parity) {
    return k.add(k.mul(plane, shape.log.per_octave * layout.termStride),
                 termsAt(1 + parity));
  }
  /// Its block of sums of tile registers; that of uniform codes without one.
  Value planeSums(Value plane, int64_t parity) {
    if (!plane)
      return k.index(layout.tileSums);
    return k.add(k.mul(plane, shape.log.per_octave * kTileBlockBytes),
                 layout.tileSums + parity * kTileBlockBytes);
  }
  Value planesIn(Value most);

  KernelBuilder &k;
  const AttentionShape &shape;
  QAttentionLayout layout;
  /// Rows of a block, and panels of scores or context that are summed together.
  int64_t blockRows, blockPanels;
  Value qkv, offsets, params, context, queries, scoreTap, probTap, scratch;
  /// False where only codes are asked for.
  bool makesPlanes = true;
  /// In a block of tile registers: the eight rows at hand, by number, and
  /// whether sums are there already.
  Value eight;
  bool hasTileSums = false;
  /// What packPlanes has been given by the eight rows at hand, whose planes are
  /// made later.
  std::optional<Value> seen;
  // Of the layer.
  Value expHi, expLo, scoreMultiplier, scoreOffset, probMultiplier;
  Value contextMultiplier, contextOffset, zq, zk, zv, probStep;
  FixedLanes fixedScore, fixedContext;
  // Of the layer or of the head: limits of codes.
  Value probLimit, contextLo, contextHi;
  // Of the head.
  HeadChunk c;
  Value queryColumn, valueStride, headColumn, excess;
  /// Of the row block: planes of logarithmic codes that are not all zero.
  Value usedPlanes;
};

} // namespace quern

#endif // QUERN_LIB_TILE_QATTENTIONEMITTER_H
