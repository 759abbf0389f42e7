//===- AttentionEmitter.h - The parts of GPU attention ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Private to this folder: what Attention.cpp (the frame), AttentionCopies.cpp
// (into shared memory and registers), AttentionScores.cpp (scores),
// AttentionProbs.cpp (softmax), AttentionContext.cpp (context, taps) and
// AttentionParts.cpp (keys some at a time) have in common.
//
// A warp has 16 queries, of which a thread has two: rows lane / 4 and 8 more,
// called halves. Keys come in chunks of 32, as four tiles of 8. mma leaves
// scores of two neighbouring columns of a tile in a thread, and wants four
// neighbouring keys of the probabilities in a register. A sum over keys may be
// taken in any order, so the rows of K are dealt to the tiles such that both
// are true: column 2 t + e of tile i is key
//
//   16 (i / 2) + 4 t + 2 (i % 2) + e
//
// Channels of V are dealt like the columns of Gemm.cpp: a thread ends with
// eight neighbours. K, and V transposed, lie in shared memory in the order in
// which ldmatrix reads them, their channels rounded up to 32; score codes lie
// in words that their thread alone writes and reads.
//
// A part is what of a sequence is in shared memory at once: all of it, or
// form.keysAtOnce keys. Parts are entered by all threads of a block.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ATTENTIONEMITTER_H
#define QUERN_LIB_TARGET_NVPTX_ATTENTIONEMITTER_H

#include "lib/Target/NVPTX/Attention.h"
#include "lib/Target/NVPTX/FixedPoint.h"

#include "llvm/Support/MathExtras.h"

namespace quern::nvptx {

inline constexpr int64_t kAttentionThreads = kAttentionQueries / 16 * 32;
/// Channels of the context that a thread sums at once: their sums, and what
/// planes of probabilities add up to, must fit its registers.
inline constexpr int64_t kChannelsAtOnce = 64;

/// How a head lies in shared memory.
struct AttentionLayout {
  explicit AttentionLayout(int64_t headDim)
      : dim(headDim), width(int64_t(llvm::alignTo(headDim, 32))),
        keyBytes(width > 64 ? 128 : width), overlaid(width > 64) {}
  /// Channels, and those of rows in shared memory.
  int64_t dim, width;
  /// Bytes of a key, and of all that grows with keys.
  int64_t keyBytes;
  /// Values take the place of the keys when these have been used: both would
  /// leave no room for the longest sequence.
  bool overlaid;
  int64_t bytesPerKey() const {
    return keyBytes + (overlaid ? 0 : width) + kAttentionQueries + 4;
  }
};

class AttentionEmitter {
public:
  using Value = mlir::Value;
  using Values = DeviceBuilder::Values;

  AttentionEmitter(DeviceBuilder &k, const AttentionForm &form)
      : k(k), form(form), layout(form.headDim), dim(layout.dim),
        width(layout.width) {}

  void emit();

private:
  // Attention.cpp
  void takeParams();
  void place();
  void loadConstants();
  void head();

  // AttentionParts.cpp
  using Chunk =
      llvm::function_ref<Values(Value chunk, llvm::ArrayRef<Value> carried)>;
  /// What follows is about this part.
  void enter(Value part);
  /// Copies the keys of the part and scores them, and copies its values if they
  /// are asked for. `tops`, and what it gives, are the largest codes of each
  /// half that a thread has seen.
  Values scorePart(bool withValues, llvm::ArrayRef<Value> tops);
  void replaceKeys();
  /// The largest score code of each half.
  Values scores();
  /// Runs `body` for every chunk of the sequence, whose scores are there, and
  /// its values if they are asked for.
  Values forEachChunk(llvm::ArrayRef<Value> init, bool withValues, Chunk body);
  /// The largest that a warp of the block has.
  Value blockMax(Value x);

  // AttentionCopies.cpp
  Value anyFour(Value row, Value stride, Value column, Value channel);
  void copyAny(Value key, Value channel, Value to);
  void copyHalves(Value key, Value channel, Value to);
  void copyKeys();
  void copyValues();
  void sumKeys();
  Value queryWord(Value row, Value column, int64_t channel);
  void loadQueries();

  // AttentionScores.cpp
  Values scoreChunks(llvm::ArrayRef<Value> tops);
  void scoreChunk(Value chunk, Values &tops);
  Values multiplyKeys(Value chunk);
  Value scoreCode(Value sum);

  // AttentionProbs.cpp
  void fillTable();
  /// What makes codes of exponentials, from the sums of both halves.
  void normalize(llvm::ArrayRef<Value> tops);
  Values totals();
  Value exponential(Value distance);
  /// The code of a probability, for a score `distance` below the top of its
  /// half.
  Value probCode(size_t half, Value distance);
  Value logBase(Value total);
  Value logLimit(Value total, int c);
  /// Planes of logarithmic codes that are not empty in all rows of the warp.
  Value usedPlanes();
  /// What a code counts in a plane of one parity.
  Value planeWeight(Value code, Value plane, int64_t parity);

  /// Runs `body` for each of 16 scores of a chunk: word, place in the word,
  /// distance from the top, whether there is a key.
  void forEachScore(Value chunk,
                    llvm::function_ref<void(size_t word, size_t e,
                                            Value distance, Value there)>
                        body);

  // AttentionContext.cpp
  using Weight = llvm::function_ref<Value(size_t half, Value distance)>;
  void context();
  /// Sums over all keys of weights times values less their zero point, of
  /// tiles of 8 channels.
  Values weightedSums(Weight weight, int64_t firstTile, int64_t tiles);
  Values joinedPlanes(int64_t firstTile, int64_t tiles);
  Values joinedFixedPlanes(int64_t firstTile, int64_t tiles);
  void storeContext(llvm::ArrayRef<Value> sums, int64_t firstTile,
                    int64_t tiles);
  void storeEach(llvm::ArrayRef<Value> eight, Value to, Value channel);
  Value contextCode(Value sum);
  void writeTaps();

  Value constant(int64_t i) {
    return k.load(k.at(params, k.c(4 * i)), k.f32(), 4);
  }
  /// Number i of those of the head.
  Value headConstant(int64_t i) {
    return k.load(k.at(headParams, k.c(4 * i)), k.f32(), 4);
  }
  Value scoreMultiplier() {
    return form.perHead ? headConstant(0) : constant(32);
  }
  Value probMultiplier() {
    return form.perHead ? headConstant(1) : constant(34);
  }
  Value contextMultiplier() {
    return form.perHead ? headConstant(3) : constant(35);
  }
  /// Number i of fixed constants, i64.
  Value fixedNumber(int64_t i) {
    return k.load(k.at(params, k.c(2 * kFixedBytes + 8 * i)), k.i64(), 8);
  }
  /// Place of a 16-byte piece in rows of 32, 64 or 128 bytes, such that eight
  /// rows on end lie in different banks.
  Value piece(Value row, Value which, int64_t bytes) {
    int64_t shift = int64_t(llvm::Log2_64(uint64_t(128 / bytes)));
    Value key = k.bitAnd(k.shr(row, shift), bytes / 16 - 1);
    return k.add(k.mul(row, bytes), k.shl(k.bitXor(which, key), 4));
  }
  /// The largest, or the sum, of the four lanes that share a row.
  Value overQuad(Value v, bool sum) {
    for (int64_t mask : {1, 2}) {
      Value other = k.shuffleXor(v, mask);
      v = sum ? k.add(v, other) : k.max(v, other);
    }
    return v;
  }
  /// First key of four neighbours: those of tiles 2 pair and 2 pair + 1.
  Value keyOf(Value chunk, int64_t pair) {
    return k.add(k.add(k.shl(chunk, 5), k.shl(quad, 2)), pair * 16);
  }
  /// Words of a chunk: pair 0 of both halves, pair 1 of both halves.
  Value codesAt(Value chunk, int64_t word) {
    Value index = k.add(k.shl(chunk, 2), word);
    return k.at(codes,
                k.shl(k.add(k.mul(index, kAttentionThreads), thread), 2));
  }

  DeviceBuilder &k;
  const AttentionForm &form;
  AttentionLayout layout;
  int64_t dim, width;
  Value qkv, offsets, params, out, scoreTap, probTap;
  Value heads, keys, qkvStride, contextStride, sequences, tapping;
  /// Of the part: its first key (null if there is one part), its token, keys
  /// from there to the end of the sequence, and those of the part up to a whole
  /// chunk; shared memory has room for `keys`.
  Value partStart, firstKey, keysLeft, ownKeys;
  /// How many parts there are, if keys come in such.
  Value parts;
  Value askers, queryStride;
  Value qColumn, kColumn, vColumn, scoreHi, probHi, contextLo, contextHi;
  Value thread, lane, quad, sequence, headIndex, headColumn, first, length;
  Value chunks, row;
  /// Where queries and contexts begin, and how many there are.
  Value firstAsker, askerCount;
  Value table, warpNumbers, keyRows, valueRows, codes, terms;
  Value zq, zk, zv, headParams;
  FixedScale fixedScore, fixedContext;
  /// Of the warp's queries: fragments, and what their sums contribute.
  llvm::SmallVector<Values> queries;
  Values queryTerms;
  /// Of both halves: the largest score, and what makes codes of exponentials
  /// (a ratio, the code of the top, or a factor); limits of fixed logarithms.
  Values tops, scales;
  Values limits[2];
};

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ATTENTIONEMITTER_H
