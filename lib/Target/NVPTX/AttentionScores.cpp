//===- AttentionScores.cpp - Codes of scores ------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

/// Products of the queries with the four tiles of a chunk of keys.
Values AttentionEmitter::multiplyKeys(Value chunk) {
  Value start = k.mul(chunk, layout.keyBytes * 32);
  Value part = k.div(lane, 8);
  Values acc(16, k.c(0));
  // A load takes two steps of 32 channels of one tile, or, of the last step of
  // an odd number, one of two tiles.
  int64_t steps = width / 32;
  for (int64_t step = 0; step < steps; step += 2) {
    bool twoTiles = step + 1 == steps;
    for (int64_t i = 0; i != 4; i += twoTiles ? 2 : 1) {
      Value tile = twoTiles ? k.div(part, 2) : k.c(0);
      Value which = k.add(twoTiles ? k.rem(part, 2) : part, step * 2);
      Value at = k.add(k.add(k.rem(lane, 8), i * 8), k.mul(tile, 8));
      Values words = k.loadMatrices(
          k.at(keyRows, k.add(start, piece(at, which, layout.keyBytes))));
      for (int64_t m = 0; m != 2; ++m) {
        auto sums = acc.begin() + (twoTiles ? i + m : i) * 4;
        llvm::copy(k.multiply(queries[size_t(twoTiles ? step : step + m)],
                              {words[size_t(m) * 2], words[size_t(m) * 2 + 1]},
                              Values(sums, sums + 4), DeviceBuilder::U8xU8),
                   sums);
      }
    }
  }
  return acc;
}

Value AttentionEmitter::scoreCode(Value sum) {
  if (form.fixed)
    return fixedCode(k, sum, fixedScore, k.c(0), scoreHi);
  Value v = k.addF(k.mulF(k.toFloat(sum), scoreMultiplier()), constant(33));
  return k.round(k.minF(k.maxF(v, k.f(0.0f)), scoreHi));
}

/// Score codes of a chunk into their words; the largest of each half so far.
void AttentionEmitter::scoreChunk(Value chunk, Values &tops) {
  Values acc = multiplyKeys(chunk);
  for (int64_t pair = 0; pair != 2; ++pair) {
    Value key = keyOf(chunk, pair);
    Values four = k.loadMany(k.at(terms, k.shl(key, 2)), k.i32(), 4);
    for (int64_t half = 0; half != 2; ++half) {
      Value word;
      for (int64_t e = 0; e != 4; ++e) {
        Value sum = acc[size_t((pair * 2 + e / 2) * 4 + half * 2 + e % 2)];
        sum = k.add(k.add(sum, four[size_t(e)]), queryTerms[size_t(half)]);
        Value v = scoreCode(sum);
        Value there = k.less(k.add(key, e), keysLeft);
        tops[size_t(half)] =
            k.max(tops[size_t(half)], k.select(there, v, k.c(0)));
        word = e ? k.bitOr(word, k.shl(v, 8 * e)) : v;
      }
      k.store(word, codesAt(chunk, pair * 2 + half), 4);
    }
  }
}

Values AttentionEmitter::scoreChunks(ArrayRef<Value> tops) {
  return k.loop(k.c(0), chunks, 1, tops,
                [&](Value chunk, ArrayRef<Value> carried) {
                  Values now(carried.begin(), carried.end());
                  scoreChunk(chunk, now);
                  return now;
                });
}

} // namespace quern::nvptx
