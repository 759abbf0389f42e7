//===- QAttentionLanes.cpp - Integer attention with queries in lanes ------===//
//
// 16 queries are the lanes of every vector, and keys, tokens of values and
// channels follow one another: the largest score of a query and the sums of its
// row need no step across lanes, no lane has to be masked, and a sequence of T
// tokens costs T, not the next multiple of 32. Values are packed as for rows in
// vectors, whose dwords are what a lane form takes, keys are kept as they lie.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/QAttentionEmitter.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

bool hasLaneAttention(const AttentionShape &shape) {
  return !shape.firstQuery && !shape.smallTile && !shape.fixed &&
         !shape.isLog() && shape.context == Storage::U8 &&
         (shape.headDim == 32 || shape.headDim % 64 == 0);
}

void QAttentionEmitter::laneHead() {
  packLaneKeys();
  packValues();
  k.loop(k.index(0), c.queries, 16, [&](Value row) {
    Value rowTerm = packQueries(row);
    Value top = laneScores(rowTerm);
    laneContext(row, laneProbabilities(laneExponentials(top)));
  });
}

/// k - 128 of the sequence, row by row, and -zq sum (k - 128) of each. Up to
/// three rows follow that repeat the last one: their scores are not larger.
void QAttentionEmitter::packLaneKeys() {
  auto bytes = k.vec(64, k.i8());
  Value column = k.add(headColumn, shape.kColumn);
  Value factor = k.broadcast(k.sub(k.i32(0), zq));
  Value ones = k.splat(bytes, 1), none = k.zeros(k.vec(16, k.i32()));
  int64_t width = shape.headDim == 32 ? 4 : 8;
  auto keep = [&](Value row, Value at) {
    Value kept = k.bitXor(row, k.splat(bytes, -128));
    k.storeVector(kept, scratch, at);
    return kept;
  };
  k.loop(k.index(0), c.length, 16, [&](Value token) {
    Value from = k.add(k.mul(k.add(c.first, token), shape.qkvStride), column);
    Value to = laneKey(token, 0);
    Values sums;
    for (int64_t r = 0; r != 16 && shape.headDim == 32; r += 2) {
      Value rows =
          k.join(k.loadVector(qkv, k.add(from, r * shape.qkvStride), 32),
                 k.loadVector(qkv, k.add(from, (r + 1) * shape.qkvStride), 32));
      sums.push_back(k.dot4(none, ones, keep(rows, k.add(to, r * 32))));
    }
    for (int64_t r = 0; r != 16 && shape.headDim != 32; ++r) {
      sums.push_back(none);
      for (int64_t d = 0; d != shape.headDim; d += 64) {
        Value row = k.loadVector(qkv, k.add(from, r * shape.qkvStride + d), 64);
        Value kept = keep(row, k.add(to, r * shape.headDim + d));
        sums.back() = k.dot4(sums.back(), ones, kept);
      }
    }
    k.storeBytes(k.mul(reduceRows(sums, width), factor), scratch,
                 k.add(k.mul(token, 4), layout.keySums));
  });
  Value last = k.sub(c.length, k.index(1));
  k.loop(c.length, laneTokens(), 1, [&](Value token) {
    for (int64_t d = 0; d < shape.headDim; d += 32)
      k.storeVector(k.loadVector(scratch, laneKey(last, d), 32), scratch,
                    laneKey(token, d));
    Value sum =
        k.loadBytes(scratch, k.add(k.mul(last, 4), layout.keySums), 1, k.i32());
    k.storeBytes(sum, scratch, k.add(k.mul(token, 4), layout.keySums));
  });
}

/// Panels [head_dim / 4][16][4] of the queries of a block; returns (128 - zk)
/// (sum q - zq dh) of each.
Value QAttentionEmitter::packQueries(Value row) {
  auto bytes = k.vec(64, k.i8());
  auto lanes = k.vec(16, k.i32());
  Value sums = k.zeros(lanes), ones = k.splat(bytes, 1);
  auto load = [&](int64_t r, int64_t d, int64_t count) {
    return k.loadVector(queries, k.add(queryRow(row, r), d), count);
  };
  for (int64_t d = 0; d < shape.headDim; d += 64) {
    Values columns;
    if (shape.headDim == 32) {
      Values halves;
      for (int64_t r : {0, 1, 2, 3, 8, 9, 10, 11})
        halves.push_back(
            k.bitcast(k.join(load(r, 0, 32), load(r + 4, 0, 32)), lanes));
      columns = transposeHalves(k, halves);
    } else {
      Values rows;
      for (int64_t r = 0; r != 16; ++r)
        rows.push_back(k.bitcast(load(r, d, 64), lanes));
      columns = transpose16(k, rows);
    }
    for (auto [step, column] : llvm::enumerate(columns)) {
      Value panel = k.bitcast(column, bytes);
      sums = k.dot4(sums, panel, ones);
      k.storeVector(panel, scratch,
                    k.index(layout.laneQueries + d * 16 + int64_t(step) * 64));
    }
  }
  Value constant = k.mul(zq, k.i32(shape.headDim));
  Value factor = k.sub(k.i32(128), zk);
  return k.mul(k.sub(sums, k.broadcast(constant)), k.broadcast(factor));
}

/// Stores the score codes, i32 [tokens][16]; returns the largest of each lane.
Value QAttentionEmitter::laneScores(Value rowTerm) {
  auto block = [&](Value token, int64_t count, Value top) {
    Value sumsAt = k.add(k.mul(token, 4), layout.keySums);
    Values acc;
    for (int64_t i = 0; i != count; ++i) {
      Value term = k.loadBytes(scratch, k.add(sumsAt, 4 * i), 1, k.i32());
      acc.push_back(k.add(rowTerm, k.broadcast(k.lane(term, 0))));
    }
    Value key = laneKey(token, 0);
    acc = k.loop(k.index(0), k.index(shape.headDim / 4), 1, acc,
                 [&](Value step, ArrayRef<Value> a) {
                   Value q = k.loadVector(
                       scratch, k.add(k.mul(step, 64), layout.laneQueries), 64);
                   Value from = k.add(key, k.mul(step, 4));
                   Values next;
                   for (int64_t i = 0; i != count; ++i) {
                     Value own =
                         k.broadcast4(scratch, k.add(from, i * shape.headDim));
                     next.push_back(k.dot4(a[i], q, own));
                   }
                   return next;
                 });
    for (int64_t i = 0; i != count; ++i) {
      Value codes =
          k.requant(acc[i], scoreMultiplier, scoreOffset, shape.scoreRange);
      k.storeBytes(codes, scratch, laneRow(token, i));
      top = k.maxUnsigned(top, codes);
    }
    return Values{top};
  };
  Value whole = k.mul(k.div(laneTokens(), k.index(16)), 16);
  Values top =
      k.loop(k.index(0), whole, 16, {k.zeros(k.vec(16, k.i32()))},
             [&](Value i, ArrayRef<Value> a) { return block(i, 16, a[0]); });
  return k.loop(whole, laneTokens(), 4, top, [&](Value i, ArrayRef<Value> a) {
    return block(i, 4, a[0]);
  })[0];
}

/// Replaces the score codes by exponentials with the magic number, of nothing
/// for tokens that are not there; returns what makes probability codes of them.
Value QAttentionEmitter::laneExponentials(Value top) {
  auto lanes = k.vec(16, k.i32());
  Value magic = k.splat(k.vec(16, k.f32()), kRoundMagic);
  auto exponential = [&](Value token, int64_t r, Value sum) {
    Value codes = k.loadBytes(scratch, laneRow(token, r), 16, k.i32());
    Value e = exponentialOf(top, codes);
    k.storeBytes(e, scratch, laneRow(token, r));
    return k.add(sum, k.bitcast(e, lanes));
  };
  Value fours = k.mul(k.div(c.length, k.index(4)), 4);
  Values sum = k.loop(k.index(0), fours, 4, {k.zeros(lanes)},
                      [&](Value token, ArrayRef<Value> a) {
                        Value next = a[0];
                        for (int64_t i = 0; i != 4; ++i)
                          next = exponential(token, i, next);
                        return Values{next};
                      });
  sum = k.loop(fours, c.length, 1, sum, [&](Value token, ArrayRef<Value> a) {
    return Values{exponential(token, 0, a[0])};
  });
  k.loop(c.length, laneTokens(), 1,
         [&](Value token) { k.storeBytes(magic, scratch, laneRow(token, 0)); });
  return k.div(k.broadcast(probMultiplier),
               k.unsignedToFloat(withoutMagic(sum[0], c.length)));
}

/// A sum less the bits of `count` magic numbers.
Value QAttentionEmitter::withoutMagic(Value sum, Value count) {
  Value excess = k.mul(k.toI32(count), k.i32(kRoundMagicBits));
  return k.sub(sum, k.broadcast(excess));
}

/// Probability codes [tokens / 4][16][4]; returns (128 - zv) sum p.
Value QAttentionEmitter::laneProbabilities(Value ratio) {
  auto lanes = k.vec(16, k.i32());
  Value magic = k.splat(lanes, kRoundMagicBits);
  Values sum =
      k.loop(k.index(0), laneTokens(), 4, {k.zeros(lanes)},
             [&](Value token, ArrayRef<Value> a) {
               Value total = a[0];
               Values codes;
               for (int64_t i = 0; i != 4; ++i) {
                 Value e = k.loadBytes(scratch, laneRow(token, i), 16, k.f32());
                 Value p = probabilityOf(e, ratio);
                 total = k.add(total, p);
                 codes.push_back(p);
               }
               codes[0] = k.bitXor(codes[0], magic);
               k.storeBytes(joinBytes(codes), scratch,
                            k.add(k.mul(token, 16), layout.laneProbs));
               return Values{total};
             });
  Value factor = k.sub(k.i32(128), zv);
  return k.mul(withoutMagic(sum[0], laneTokens()), k.broadcast(factor));
}

/// Context codes of the block, 16 channels at a time.
void QAttentionEmitter::laneContext(Value row, Value term) {
  Value left = k.sub(c.queries, row);
  k.loop(k.index(0), k.index(layout.valuePanels), 1, [&](Value panel) {
    Value from = k.add(k.mul(valueStride, panel), layout.values);
    Values sums =
        k.loop(k.index(0), c.length, 4, Values(16, term),
               [&](Value token, ArrayRef<Value> a) {
                 Value at = k.mul(token, 16);
                 Value p =
                     k.loadVector(scratch, k.add(at, layout.laneProbs), 64);
                 Value value = k.add(from, at);
                 Values next;
                 for (int64_t i = 0; i != 16; ++i) {
                   Value own = k.broadcast4(scratch, k.add(value, 4 * i));
                   next.push_back(k.dot4(a[i], p, own));
                 }
                 return next;
               });
    Values fours;
    for (int64_t i = 0; i != 16; i += 4) {
      Values codes;
      for (int64_t j = i; j != i + 4; ++j)
        codes.push_back(contextOf(sums[j]));
      fours.push_back(joinBytes(codes));
    }
    Values quads = transposeQuads(k, fours);
    Value to = k.add(k.mul(k.add(c.firstQuery, row), shape.contextStride),
                     k.add(headColumn, k.mul(panel, 16)));
    auto store = [&](int64_t r) {
      int64_t at = r / 4 * 4;
      Value own =
          k.shuffle(quads[r % 4], quads[r % 4], {at, at + 1, at + 2, at + 3});
      k.storeBytes(own, context, k.add(to, r * shape.contextStride));
    };
    // Rows behind belong to the next sequence.
    k.ifThen(
        k.less(left, k.index(16)),
        [&] {
          for (int64_t r = 0; r != 15; ++r)
            k.ifThen(k.less(k.index(r), left), [&] { store(r); });
        },
        [&] {
          for (int64_t r = 0; r != 16; ++r)
            store(r);
        });
  });
}

/// Four codes of each lane as the bytes of one number; those behind the first
/// may have bits of the magic number above.
Value QAttentionEmitter::joinBytes(ArrayRef<Value> codes) {
  Value joined = codes[0];
  for (int64_t i = 1; i != 4; ++i) {
    Value shift = k.splat(k.vec(16, k.i32()), double(8 * i));
    joined = k.bitXor(joined, k.shiftLeft(codes[i], shift));
  }
  return joined;
}

} // namespace quern
