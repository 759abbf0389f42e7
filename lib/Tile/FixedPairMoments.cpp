//===- FixedPairMoments.cpp - Mean and deviation of numbers of 16 bits ----===//
//
// 32 numbers at a time, whose products are summed in pairs. The sum of squares
// is known in 64 bits, but where it does not fit 32 each number is cut before
// it is squared, so that one more pass over the row is needed.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedMoments.h"
#include "lib/Tile/PairSums.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

static Value bitOr(KernelBuilder &k, Value a, Value b) {
  return arith::OrIOp::create(k.op(), k.loc(), a, b);
}

Values FixedMoments::overPairs(ArrayRef<Value> initial, PairBody body) {
  auto step = [&](Value i, Value mask, ArrayRef<Value> a) {
    Values next;
    for (int64_t r = 0; r < rows; ++r)
      llvm::append_range(
          next, body(r, k.loadBytes(k.scratch(), placeOf(r, i), 32, k.i16()),
                     mask, a));
    return next;
  };
  int64_t whole = d / 32 * 32;
  Values sums =
      k.loop(k.index(0), k.index(whole), 32, initial,
             [&](Value i, ArrayRef<Value> a) { return step(i, Value(), a); });
  return whole == d ? sums : step(k.index(whole), k.mask(d - whole, 32), sums);
}

/// Numbers of 16 bits, taken less 2^15 as numbers with sign.
std::vector<RowMoments> FixedMoments::putPairs(Codes codes) {
  k.blocks(d, [&](Value i, Value) {
    for (auto [r, code] : llvm::enumerate(codes(i)))
      k.storeBytes(k.trunc(numbersOf(code, i, Value()), k.i16()), k.scratch(),
                   placeOf(int64_t(r), i));
  });
  auto words = k.vec(32, k.i16());
  Values sums =
      overPairs(Values(kPairSums * rows, k.zeros(k.vec(16, k.i32()))),
                [&](int64_t r, Value u, Value mask, ArrayRef<Value> a) {
                  Value v = k.bitXor(u, k.splat(words, -32768));
                  if (mask)
                    v = k.select(mask, v, k.zeros(words));
                  return addPairs(k, v, a.slice(kPairSums * r, kPairSums));
                });
  std::vector<RowMoments> moments;
  for (int64_t r = 0; r < rows; ++r) {
    auto [sum, square] =
        totalsOfPairs(k, ArrayRef<Value>(sums).slice(kPairSums * r, kPairSums));
    RowMoments m = {};
    m.mean = meanOf(k.add(sum, k.i64(d << 15)));
    Value mean = k.sub(k.sext(m.mean, k.i64()), k.i64(1 << 15));
    Value less = k.sub(k.mul(k.i64(d), mean), k.add(sum, sum));
    m.squares = k.add(square, k.mul(mean, less));
    moments.push_back(m);
  }
  cutPairs(moments);
  return moments;
}

/// What numbers have above the mean fits 16 bits once it is cut. Rounding it
/// down moves the root of the squares by less than sqrt(d), so that the first
/// cut that may do is known without them, and the next one does.
void FixedMoments::cutPairs(MutableArrayRef<RowMoments> moments) {
  const int64_t one32 = int64_t(1) << 32;
  int64_t slack = 1;
  while (slack * slack < d)
    ++slack;
  const int64_t most = (65536 + slack) * (65536 + slack);
  Value one = k.i64(1), none = k.i64(0);
  for (RowMoments &m : moments) {
    m.cut = one;
    for (int by = 1; most << (2 * by) <= (d << 30) + d; ++by) {
      Value isBelow = k.less(m.squares, k.i64(most << (2 * by)));
      m.cut = k.add(m.cut, k.select(isBelow, none, one));
    }
    m.cut = k.select(k.less(m.squares, k.i64(one32)), none, m.cut);
  }
  for (int turn = 0; turn < 2; ++turn) {
    // Rows that fit, all of them as a rule, cost no second pass.
    Value open = none;
    Values state;
    for (const RowMoments &m : moments) {
      open = bitOr(k, open, k.shiftRight(m.squares, k.i64(32)));
      state.append({m.squares, m.cut});
    }
    Value turns = k.select(k.equal(open, none), k.index(0), k.index(1));
    state = k.loop(k.index(0), turns, 1, state, [&](Value, ArrayRef<Value> a) {
      Values tried = squaresOfPairs(moments, a), next;
      for (size_t r = 0; r < moments.size(); ++r) {
        Value before = a[2 * r], cut = a[2 * r + 1], now = tried[r];
        Value fitted = k.less(before, k.i64(one32));
        Value fits = k.less(now, k.i64(one32));
        Value open = bitOr(k, fitted, fits);
        next.push_back(k.select(fitted, before, k.select(fits, now, before)));
        next.push_back(k.select(open, cut, k.add(cut, one)));
      }
      return next;
    });
    for (auto [r, m] : llvm::enumerate(moments)) {
      m.squares = state[2 * r];
      m.cut = state[2 * r + 1];
    }
  }
}

/// floor((u - mean) / 2) + 2^15 is the average, rounded up, of u and the
/// complement of the mean; the sum of squares is known modulo 2^32, and to
/// less than half of that from the squares of what was not cut.
Values FixedMoments::squaresOfPairs(ArrayRef<RowMoments> moments,
                                    ArrayRef<Value> state) {
  auto words = k.vec(32, k.i16()), lanes = k.vec(16, k.i32());
  Value one = k.i64(1), ones = k.splat(words, 1);
  Values against, cuts, more;
  for (size_t r = 0; r < moments.size(); ++r) {
    Value mean = k.trunc(moments[r].mean, k.i16());
    against.push_back(k.bitXor(k.broadcast(mean, 32), k.splat(words, -1)));
    Value cut = k.maxUnsigned(state[2 * r + 1], one);
    cuts.push_back(cut);
    more.push_back(k.broadcast(k.trunc(k.sub(cut, one), k.i16()), 32));
  }
  Values sums =
      overPairs(Values(size_t(rows), k.zeros(lanes)),
                [&](int64_t r, Value u, Value mask, ArrayRef<Value> a) {
                  // In this form LLVM finds the instruction for averages.
                  Value below = k.shiftRight(k.bitXor(u, against[r]), ones);
                  Value v = k.sub(bitOr(k, u, against[r]), below);
                  v = k.bitXor(v, k.splat(words, -32768));
                  v = k.shiftRightSigned(v, more[r]);
                  if (mask)
                    v = k.select(mask, v, k.zeros(words));
                  return Values{k.add(a[r], multiplyPairs(k, v, v))};
                });
  Values squares;
  for (size_t r = 0; r < moments.size(); ++r) {
    Value about = k.shiftRight(state[2 * r], k.add(cuts[r], cuts[r]));
    Value rest = k.sub(k.reduceAdd(sums[r]), k.trunc(about, k.i32()));
    squares.push_back(k.add(about, k.sext(rest, k.i64())));
  }
  return squares;
}

} // namespace quern
