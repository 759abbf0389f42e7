//===- AttentionCopies.cpp - A head in shared memory and registers --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Keys and values are copied into shared memory, in the order in which their
// products read them, queries into registers. Rows of heads whose channels are
// a multiple of 16 are copied as they are; of 8, in halves; others begin at any
// byte, and are put together from aligned words.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

/// Channels `channel`, a multiple of 4, to channel + 3 of the head whose row
/// begins at byte `column` of an aligned `row` of `stride` bytes; zeros beyond
/// the head.
Value AttentionEmitter::anyFour(Value row, Value stride, Value column,
                                Value channel) {
  Value there = k.sub(k.c(dim), channel);
  // Of channels that are not there, some that are.
  Value at = k.add(column, k.min(channel, k.c((dim - 1) / 4 * 4)));
  Value aligned = k.bitAnd(at, -4), shift = k.shl(k.bitAnd(at, 3), 3);
  Value low = k.load(k.at(row, aligned), k.i32(), 4);
  // Where that would lie behind the row, the head has nothing of it.
  Value next = k.min(k.add(aligned, 4), k.sub(stride, k.c(4)));
  Value high = k.load(k.at(row, next), k.i32(), 4);
  // By 32 less the shift, in two parts that are below 32.
  high = k.shl(k.shlBy(high, k.sub(k.c(31), shift)), 1);
  Value word = k.bitOr(k.shrBy(low, shift), high);
  Value absent = k.max(k.sub(k.c(4), there), k.c(0));
  Value mask = k.shrBy(k.c(-1), k.shl(k.min(absent, k.c(3)), 3));
  return k.select(k.less(k.c(0), there), k.bitAnd(word, mask), k.c(0));
}

/// Sixteen bytes of a key from `channel` on, zeros where it has none.
void AttentionEmitter::copyAny(Value key, Value channel, Value to) {
  Value token = k.add(firstKey, k.min(key, k.sub(keysLeft, k.c(1))));
  Value row = k.at(qkv, k.mulWide(token, qkvStride));
  Value isThere = k.less(key, keysLeft);
  Values words;
  for (int64_t i = 0; i != 4; ++i) {
    Value word = anyFour(row, qkvStride, k.add(kColumn, headColumn),
                         k.add(channel, i * 4));
    words.push_back(k.select(isThere, word, k.c(0)));
  }
  k.storeMany(words, to);
}

/// Of heads whose rows lie at multiples of 8: 16 bytes of a key from `channel`
/// on, zeros where it has none.
void AttentionEmitter::copyHalves(Value key, Value channel, Value to) {
  Value token = k.add(firstKey, k.min(key, k.sub(keysLeft, k.c(1))));
  Value from =
      k.at(k.at(qkv, k.mulWide(token, qkvStride)), k.add(kColumn, headColumn));
  Values words;
  for (int64_t half = 0; half != 2; ++half) {
    Value here = k.add(channel, half * 8);
    Value isThere = k.bitAnd(k.less(key, keysLeft), k.less(here, k.c(dim)));
    here = k.min(here, k.c(dim - 8));
    for (Value word : k.loadMany(k.at(from, here), k.i32(), 2))
      words.push_back(k.select(isThere, word, k.c(0)));
  }
  k.storeMany(words, to);
}

/// Row 8 i + r of a chunk holds key 16 (i / 2) + 4 (r / 2) + 2 (i % 2) + r % 2.
void AttentionEmitter::copyKeys() {
  int64_t pieces = width / 16;
  Value column = k.add(kColumn, headColumn);
  k.loop(thread, k.mul(ownKeys, pieces), kAttentionThreads, {},
         [&](Value i, ArrayRef<Value>) {
           Value row = k.div(i, pieces), which = k.rem(i, pieces);
           Value tile = k.rem(k.div(row, 8), 4), r = k.rem(row, 8);
           Value key = k.bitAnd(row, -32);
           key = k.add(key, k.mul(k.div(tile, 2), 16));
           key = k.add(key, k.mul(k.div(r, 2), 4));
           key = k.add(key, k.add(k.mul(k.rem(tile, 2), 2), k.rem(r, 2)));
           Value to = k.at(keyRows, piece(row, which, layout.keyBytes));
           if (dim % 8) {
             copyAny(key, k.shl(which, 4), to);
             return Values();
           }
           if (dim % 16) {
             copyHalves(key, k.shl(which, 4), to);
             return Values();
           }
           Value from =
               k.at(k.at(qkv, k.mulWide(k.add(firstKey, key), qkvStride)),
                    k.add(column, k.shl(which, 4)));
           Value bytes = k.select(k.less(key, keysLeft), k.c(16), k.c(0));
           // Channels of the next head must not count.
           if (width != dim)
             bytes = k.select(k.less(which, k.c(dim / 16)), bytes, k.c(0));
           k.copyAsync(to, from, bytes);
           return Values();
         });
  k.commitCopies();
}

/// Four bytes of four words, turned over.
static Values transpose4(DeviceBuilder &k, ArrayRef<Value> w) {
  Value low0 = k.permute(w[0], w[1], 0x5140);
  Value low1 = k.permute(w[2], w[3], 0x5140);
  Value high0 = k.permute(w[0], w[1], 0x7362);
  Value high1 = k.permute(w[2], w[3], 0x7362);
  return {k.permute(low0, low1, 0x5410), k.permute(low0, low1, 0x7632),
          k.permute(high0, high1, 0x5410), k.permute(high0, high1, 0x7632)};
}

/// A chunk is [width][32 keys]; row 32 s + 8 i + r of it holds channel
/// 32 s + 8 (r / 2) + 2 i + r % 2. Four keys times four channels at a time.
void AttentionEmitter::copyValues() {
  int64_t across = width / 4;
  Value column = k.add(vColumn, headColumn);
  k.loop(thread, k.mul(k.shr(ownKeys, 2), across), kAttentionThreads, {},
         [&](Value i, ArrayRef<Value>) {
           Value key = k.mul(k.div(i, across), 4);
           Value channel = k.mul(k.rem(i, across), 4);
           // Of channels that are not there, some that are.
           Value source = width == dim ? channel : k.min(channel, k.c(dim - 4));
           Values words;
           for (int64_t e = 0; e != 4; ++e) {
             Value here = k.add(key, e);
             // Of keys that are not there, one that is; its weight is 0.
             Value token =
                 k.add(firstKey, k.min(here, k.sub(keysLeft, k.c(1))));
             Value row = k.at(qkv, k.mulWide(token, qkvStride));
             words.push_back(dim % 8 ? anyFour(row, qkvStride, column, channel)
                                     : k.load(k.at(row, k.add(column, source)),
                                              k.i32(), 4));
           }
           Value chunk = k.mul(k.shr(key, 5), width * 32);
           Value within = k.rem(key, 32);
           Values turned = transpose4(k, words);
           for (int64_t e = 0; e != 4; ++e) {
             Value c = k.add(channel, e);
             Value inSpan = k.rem(c, 32);
             Value r = k.add(k.mul(k.div(inSpan, 8), 2), k.rem(c, 2));
             Value tile = k.rem(k.div(inSpan, 2), 4);
             Value row = k.add(k.bitAnd(c, -32), k.add(k.mul(tile, 8), r));
             Value at =
                 k.add(piece(row, k.div(within, 16), 32), k.rem(within, 16));
             k.store(turned[size_t(e)], k.at(valueRows, k.add(chunk, at)), 4);
           }
           return Values();
         });
}

/// zq (zk dim - sum of the key), for each key in its place.
void AttentionEmitter::sumKeys() {
  k.loop(
      thread, ownKeys, kAttentionThreads, {}, [&](Value key, ArrayRef<Value>) {
        Value inChunk = k.rem(key, 32);
        Value tile =
            k.add(k.mul(k.div(inChunk, 16), 2), k.rem(k.div(key, 2), 2));
        Value r = k.add(k.mul(k.rem(k.div(inChunk, 4), 4), 2), k.rem(key, 2));
        Value row = k.add(k.bitAnd(key, -32), k.add(k.mul(tile, 8), r));
        Value sum = k.c(0);
        for (int64_t p = 0; p != (dim + 15) / 16; ++p)
          for (Value word :
               k.loadMany(k.at(keyRows, piece(row, k.c(p), layout.keyBytes)),
                          k.i32(), 4))
            sum = k.sumBytes(word, sum);
        Value term = k.mul(zq, k.sub(k.mul(zk, dim), sum));
        k.store(term, k.at(terms, k.shl(key, 2)), 4);
        return Values();
      });
}

/// The four channels of a thread from `channel` on, zeros where there are none.
Value AttentionEmitter::queryWord(Value row, Value column, int64_t channel) {
  if (channel >= dim)
    return k.c(0);
  if (dim % 8)
    return anyFour(row, queryStride, column,
                   k.add(k.shl(quad, 2), k.c(channel)));
  Value at = k.add(column, k.shl(quad, 2));
  if (channel + 16 <= dim)
    return k.load(k.at(k.at(row, at), k.c(channel)), k.i32(), 4);
  // Half of the quad has channels there.
  Value isThere = k.less(quad, k.c(2));
  Value from = k.select(isThere, k.c(channel), k.c(channel - 8));
  return k.select(isThere, k.load(k.at(k.at(row, at), from), k.i32(), 4),
                  k.c(0));
}

void AttentionEmitter::loadQueries() {
  Value column = k.add(qColumn, headColumn);
  Values rows;
  for (int64_t half = 0; half != 2; ++half) {
    // Rows beyond the end are those of the last token, and not stored.
    Value query = k.min(k.add(row, half * 8), k.sub(askerCount, k.c(1)));
    rows.push_back(
        k.at(askers, k.mulWide(k.add(firstAsker, query), queryStride)));
  }
  Values sums(2, k.c(0));
  for (int64_t step = 0; step != width / 32; ++step) {
    Values fragment;
    for (int64_t part = 0; part != 4; ++part) {
      auto half = size_t(part % 2);
      Value word = queryWord(rows[half], column, step * 32 + part / 2 * 16);
      sums[half] = k.sumBytes(word, sums[half]);
      fragment.push_back(word);
    }
    queries.push_back(fragment);
  }
  for (Value sum : sums)
    queryTerms.push_back(k.mul(zk, k.sub(k.c(0), overQuad(sum, true))));
}

} // namespace quern::nvptx
