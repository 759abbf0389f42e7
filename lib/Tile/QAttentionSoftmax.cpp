//===- QAttentionSoftmax.cpp - Probabilities of integer attention ---------===//
//
// Row maxima, table exponentials and probability codes of eight rows.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"
#include "lib/Tile/QAttentionEmitter.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

void QAttentionEmitter::softmax(Value row) {
  if (shape.fixed)
    fixedSoftmax(row);
  else
    realSoftmax(row);
}

/// Eight rows side by side, so that the latencies of one hide in the others.
/// Rows past the end of the sequence hold anything and are not used.
void QAttentionEmitter::realSoftmax(Value row) {
  tapRows(row, scoreTap);
  Values tops = rowMaxima();
  Values sums = exponentials(tops);
  Value counted =
      k.mul(k.toI32(k.roundUp(c.length, 16)), k.i32(kRoundMagicBits));
  excess = k.broadcast(counted, blockRows);
  Value total = k.sub(reduceRows(sums), excess);
  if (shape.isLog()) {
    logCodes(tops, total);
    tapLogCodes(row);
    return;
  }
  uniformCodes(total);
  tapRows(row, probTap);
}

/// Row by row, those of the sequence only: what rows past its end hold is not
/// used.
void QAttentionEmitter::fixedSoftmax(Value row) {
  tapRows(row, scoreTap);
  if (shape.isLog()) {
    fixedLogCodes();
    tapLogCodes(row);
    return;
  }
  FixedAttentionParams fixed(k, params);
  Value factor = k.sub(k.i32(128), zv);
  eachFixedRow(rowsLeft(row), [&](Value r, Value codes, Value exps, Value sum) {
    fixed.probabilities(shape, codes, exps, sum, c.length, [&](Value total) {
      k.storeBytes(k.broadcast(k.mul(total, factor), 1), scratch,
                   k.add(k.mul(r, 4), termsAt(1)));
    });
  });
  tapRows(row, probTap);
}

/// Exponentials of all rows come first, so that no row waits for the division
/// of the one before.
void QAttentionEmitter::eachFixedRow(Value rows, RowStep body) {
  FixedAttentionParams fixed(k, params);
  auto codesOf = [&](Value r) {
    return k.add(k.mul(r, layout.codeStride), codeRow(0));
  };
  auto expsOf = [&](Value r) {
    return k.add(k.mul(r, layout.expStride), layout.exps);
  };
  auto sumAt = [&](Value r) { return k.add(k.mul(r, 8), layout.sums); };
  k.loop(k.index(0), rows, 1, [&](Value r) {
    Value sum = fixed.exponentials(shape, codesOf(r), expsOf(r), c.length);
    k.storeBytes(k.broadcast(sum, 1), scratch, sumAt(r));
  });
  k.loop(k.index(0), rows, 1, [&](Value r) {
    Value sum = k.lane(k.loadBytes(scratch, sumAt(r), 1, k.i64()), 0);
    body(r, codesOf(r), expsOf(r), sum);
  });
}

void QAttentionEmitter::uniformCodes(Value total) {
  Value ratios =
      k.div(k.broadcast(probMultiplier, blockRows), k.unsignedToFloat(total));
  Value sum = k.sub(reduceRows(probabilities(ratios)), excess);
  storeTerm(sum, termsAt(1));
}

void QAttentionEmitter::storeTerm(Value sums, Value at) {
  Value factor = k.broadcast(k.sub(k.i32(128), zv), blockRows);
  k.storeBytes(k.mul(sums, factor), scratch, at);
}

/// Copies the codes of the rows of the sequence to a tap.
void QAttentionEmitter::tapRows(Value row, Value tap) {
  k.ifThen(c.tapping, [&] {
    Value rows = rowsLeft(row);
    k.loop(k.index(0), rows, 1, [&](Value r) {
      Value from = k.add(k.mul(r, layout.codeStride), codeRow(0));
      Value to = k.add(c.tapBase, k.mul(k.add(row, r), c.length));
      k.copyRow(scratch, from, tap, to, c.length);
    });
  });
}

/// The largest score code of each row, in 16 lanes of i32.
Values QAttentionEmitter::rowMaxima() {
  auto bytes = k.vec(64, k.i8());
  auto larger = [&](ArrayRef<Value> m, Value at, Value mask) {
    Values next;
    for (int64_t r = 0; r != blockRows; ++r) {
      Value s = k.loadVector(scratch, k.add(at, codeRow(r)), 64);
      if (mask)
        s = k.select(mask, s, k.zeros(bytes));
      next.push_back(k.maxUnsigned(m[r], s));
    }
    return next;
  };
  Value whole = k.mul(k.div(c.length, k.index(64)), 64);
  Values m(blockRows, k.zeros(bytes));
  m = k.loop(k.index(0), whole, 64, m,
             [&](Value i, ArrayRef<Value> a) { return larger(a, i, Value()); });
  m = k.loop(whole, c.length, 64, m, [&](Value i, ArrayRef<Value> a) {
    return larger(a, i, k.mask(k.sub(c.length, i), 64));
  });
  for (Value &v : m)
    v = k.broadcast(k.zext(k.reduceMaxUnsigned(v), k.i32()));
  return m;
}

/// e of score codes below the largest, plus the magic number.
Value QAttentionEmitter::exponentialOf(Value top, Value codes) {
  Value d = k.sub(top, codes);
  Value four = k.splat(k.vec(16, k.i32()), 4);
  Value high = k.lut16(k.shiftRight(d, four), expHi);
  Value magic = k.splat(k.vec(16, k.f32()), kRoundMagic);
  return k.add(k.mul(high, k.lut16(d, expLo)), magic);
}

/// Stores e of each score, plus the magic number, which rounds it; logarithmic
/// codes need the sum only. Returns the lane sums of the bits of what is
/// stored: each lane of each block has added the bits of the magic number.
Values QAttentionEmitter::exponentials(ArrayRef<Value> tops) {
  auto lanes = k.vec(16, k.i32());
  Value magic = k.splat(k.vec(16, k.f32()), kRoundMagic);
  return k.blocks(c.length, Values(blockRows, k.zeros(lanes)),
                  [&](Value i, Value mask, ArrayRef<Value> a) {
                    Values next;
                    Value to = k.mul(i, 4);
                    for (int64_t r = 0; r != blockRows; ++r) {
                      Value codes = k.loadCodes(scratch, k.add(i, codeRow(r)));
                      Value e = exponentialOf(tops[r], codes);
                      if (mask)
                        e = k.select(mask, e, magic);
                      if (!shape.isLog())
                        k.storeBytes(
                            e, scratch,
                            k.add(to, layout.exps + r * layout.expStride));
                      next.push_back(k.add(a[r], k.bitcast(e, lanes)));
                    }
                    return next;
                  });
}

/// The probability codes of what exponentialOf() gave, with the bits of the
/// magic number.
Value QAttentionEmitter::probabilityOf(Value e, Value ratio) {
  auto reals = k.vec(16, k.f32());
  Value magic = k.splat(reals, kRoundMagic);
  Value limit = shape.perHead ? probLimit : k.splat(reals, shape.probRange.hi);
  Value p = k.mul(k.sub(e, magic), ratio);
  // p >= 0, so the lower limit holds.
  return k.bitcast(k.add(k.minReal(limit, p), magic), k.vec(16, k.i32()));
}

/// Probability codes in the place of the score codes, and their lane sums
/// with the bits of the magic number as above.
Values QAttentionEmitter::probabilities(Value ratios) {
  auto lanes = k.vec(16, k.i32());
  Values ratio;
  for (int64_t r = 0; r != blockRows; ++r)
    ratio.push_back(k.broadcast(k.lane(ratios, r)));
  return k.blocks(c.length, Values(blockRows, k.zeros(lanes)),
                  [&](Value i, Value, ArrayRef<Value> a) {
                    Values next;
                    Value from = k.mul(i, 4);
                    for (int64_t r = 0; r != blockRows; ++r) {
                      Value e = k.loadBytes(
                          scratch,
                          k.add(from, layout.exps + r * layout.expStride), 16,
                          k.f32());
                      Value p = probabilityOf(e, ratio[r]);
                      k.storeCodes(p, scratch, k.add(i, codeRow(r)));
                      next.push_back(k.add(a[r], p));
                    }
                    return next;
                  });
}

/// The sum of the lanes of each of the block's vectors, as the lanes of one.
Value QAttentionEmitter::reduceRows(Values v, int64_t width) {
  for (; width; width /= 2) {
    // Groups of `width` lanes stay in order; a group's halves are added.
    Values next;
    for (size_t i = 0; i < v.size(); i += 2) {
      bool alone = v.size() == 1;
      Value a = v[i], b = alone ? a : v[i + 1];
      int64_t lanes = cast<VectorType>(a.getType()).getNumElements();
      SmallVector<int64_t> low, high;
      for (int64_t l = 0; l != (alone ? lanes / 2 : lanes); ++l) {
        int64_t from = l / width * 2 * width + l % width;
        low.push_back(from);
        high.push_back(from + width);
      }
      next.push_back(k.add(k.shuffle(a, b, low), k.shuffle(a, b, high)));
    }
    v = next;
  }
  return v[0];
}

} // namespace quern
