//===- FixedMoments.cpp - Mean and deviation of rows of codes -------------===//
//
// Numbers of a row lie in scratch memory: 16 or, with factors, 32 bits each, or
// the bytes that they are shifted up from. The sum of (u - mean)^2 is that of
// u^2 less 2 mean times that of u, plus d mean^2: all are integers. Where it
// does not fit 32 bits it is summed again, cut by one bit more, until it does.
// The square root goes bit by bit, which needs no division and is as exact as
// Newton's.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedMoments.h"

#include "lib/Tile/FixedChannels.h"
#include "lib/Tile/FixedPoint.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

FixedMoments::FixedMoments(KernelBuilder &k, int64_t d, int64_t rows,
                           CodeRange sum, bool byChannel, Value channels)
    : k(k), d(d), rows(rows), bits(qi_bits(uint64_t(sum.hi))),
      byChannel(byChannel), channels(channels) {
  if (byChannel)
    zero = k.broadcast(k.trunc(channelHead(k, channels, 2), k.i32()));
}

int64_t FixedMoments::scratchBytes(int64_t d, int64_t rows) {
  return rows * rowStride(d) * 4;
}

Value FixedMoments::numbersOf(Value codes, Value column, Value mask) {
  auto lanes = k.vec(16, k.i32());
  int all = qi_sum_shift(bits, 0);
  if (byChannel) {
    Value at = k.add(channelsAt(k, column), kChannelPowers);
    // A product: SSE has no shift of each lane by its own number, and LLVM
    // makes one of floats.
    Value powers = k.loadBytes(channels, at, 16, k.i32());
    codes = k.mul(k.sub(codes, zero), powers);
  } else if (all) {
    codes = k.shiftLeft(codes, k.splat(lanes, all));
  }
  return mask ? k.select(mask, codes, k.zeros(lanes)) : codes;
}

Value FixedMoments::placeOf(int64_t row, Value column) {
  int64_t bytes = hasBytes() ? 1 : hasPairs() ? 2 : 4;
  return k.add(k.mul(column, bytes), row * rowStride(d) * bytes);
}

Value FixedMoments::loadNumbers(int64_t row, Value column) {
  Value at = placeOf(row, column);
  if (hasBytes())
    return numbersOf(k.loadCodes(k.scratch(), at), column, Value());
  if (hasPairs())
    return k.zext(k.loadBytes(k.scratch(), at, 16, k.i16()), k.i32());
  return k.loadBytes(k.scratch(), at, 16, k.i32());
}

static WideLanes squared(KernelBuilder &k, Value v) {
  WideLanes wide = widen(k, v);
  return {k.mul(wide.even, wide.even), k.mul(wide.odd, wide.odd)};
}

/// Codes as bytes, then their sums and those of their squares by products of
/// bytes: c (c - 128), as one side has a sign.
std::vector<RowMoments> FixedMoments::putBytes(Codes codes) {
  k.blocks(d, [&](Value i, Value) {
    for (auto [r, code] : llvm::enumerate(codes(i)))
      k.storeCodes(code, k.scratch(), placeOf(int64_t(r), i));
  });
  auto bytes = k.vec(64, k.i8());
  Value ones = k.splat(bytes, 1), top = k.splat(bytes, -128);
  auto add = [&](Value i, Value mask, ArrayRef<Value> a) {
    Values next;
    for (int64_t r = 0; r < rows; ++r) {
      Value c = k.loadVector(k.scratch(), placeOf(r, i), 64);
      if (mask)
        c = k.select(mask, c, k.zeros(bytes));
      next.push_back(k.dot4(a[2 * r], c, ones));
      next.push_back(k.dot4(a[2 * r + 1], c, k.bitXor(c, top)));
    }
    return next;
  };
  int64_t whole = d / 64 * 64;
  Values sums =
      k.loop(k.index(0), k.index(whole), 64,
             Values(2 * rows, k.zeros(k.vec(16, k.i32()))),
             [&](Value i, ArrayRef<Value> a) { return add(i, Value(), a); });
  if (whole != d)
    sums = add(k.index(whole), k.mask(d - whole, 64), sums);
  std::vector<RowMoments> moments;
  for (int64_t r = 0; r < rows; ++r) {
    auto total = [&](Value lanes) {
      return k.sext(k.reduceAdd(lanes), k.i64());
    };
    Value sum = total(sums[2 * r]), centred = total(sums[2 * r + 1]);
    moments.push_back(
        momentsOfBytes(sum, k.add(centred, k.mul(sum, k.i64(128)))));
  }
  return moments;
}

/// With numbers u = c 2^s, floor((u - mean) / 2^cut) is c 2^(s - cut) less
/// ceil(mean / 2^cut) for any cut up to s, so that no column is summed again.
/// At s the squares of bytes fit 32 bits.
RowMoments FixedMoments::momentsOfBytes(Value sum, Value squares) {
  static_assert(QI_MOST_COLUMNS * INT64_C(255) * 255 <= INT64_C(0xffffffff),
                "the squares of a row of bytes fit 32 bits");
  const int up = qi_sum_shift(bits, 0);
  RowMoments m;
  m.mean = meanOf(k.shiftLeft(sum, k.i64(up)));
  Value below = k.sub(k.i64(0), k.sext(m.mean, k.i64()));
  for (int cut = up; cut >= 0; --cut) {
    // Of c 2^left - k, with -k:
    int64_t left = int64_t(1) << (up - cut);
    Value minus = k.shiftRightSigned(below, k.i64(cut));
    Value twice = k.mul(k.mul(sum, minus), k.i64(2 * left));
    Value all = k.add(k.mul(squares, k.i64(left * left)), twice);
    all = k.add(all, k.mul(k.mul(minus, minus), k.i64(d)));
    Value by = k.i64(cut);
    if (cut == up) {
      m.squares = all;
      m.cut = by;
      continue;
    }
    Value fits = k.less(all, k.i64(int64_t(1) << 32));
    m.squares = k.select(fits, all, m.squares);
    m.cut = k.select(fits, by, m.cut);
  }
  return m;
}

std::vector<RowMoments> FixedMoments::putNumbers(Codes codes) {
  // Of each row: 16 lanes of sums, twice 8 of squares. 4096 numbers of 16 bits
  // in a lane stay below 2^31.
  Value none = k.zeros(k.vec(8, k.i64()));
  Values initial;
  for (int64_t r = 0; r < rows; ++r)
    initial.append({k.zeros(k.vec(16, k.i32())), none, none});
  Values sums =
      k.blocks(d, initial, [&](Value i, Value mask, ArrayRef<Value> a) {
        Values next;
        for (auto [r, code] : llvm::enumerate(codes(i))) {
          Value u = numbersOf(code, i, mask);
          k.storeBytes(u, k.scratch(), placeOf(int64_t(r), i));
          WideLanes square = squared(k, u);
          next.push_back(k.add(a[3 * r], u));
          next.push_back(k.add(a[3 * r + 1], square.even));
          next.push_back(k.add(a[3 * r + 2], square.odd));
        }
        return next;
      });
  std::vector<RowMoments> moments(size_t(rows), RowMoments{});
  for (auto [r, m] : llvm::enumerate(moments)) {
    Value sum = k.reduceAdd(k.sext(sums[3 * r], k.i64()));
    m.mean = meanOf(sum);
    Value mean = k.sext(m.mean, k.i64());
    Value square = k.reduceAdd(k.add(sums[3 * r + 1], sums[3 * r + 2]));
    Value less = k.sub(k.mul(k.i64(d), mean), k.add(sum, sum));
    m.squares = k.add(square, k.mul(mean, less));
  }
  return moments;
}

/// The mean to the nearest integer, ties to even.
Value FixedMoments::meanOf(Value sum) {
  // Means above zero, for the division; an even number changes no tie.
  const int64_t above = int64_t(1) << 30;
  sum = k.add(sum, k.i64(above * d));
  Value width = k.i64(d), low = k.div(sum, width);
  Value twice = k.mul(k.sub(sum, k.mul(low, width)), k.i64(2));
  Value odd = k.bitAnd(low, k.i64(1));
  // Up if twice > width, or twice == width and low is odd.
  Value up = k.less(width, k.add(twice, odd));
  low = k.sub(low, k.i64(above));
  return k.trunc(k.add(low, k.select(up, k.i64(1), k.i64(0))), k.i32());
}

Value FixedMoments::squares(int64_t row, Value mean, Value cut, Value columns) {
  Value none = k.zeros(k.vec(8, k.i64()));
  Value zeros = k.zeros(k.vec(16, k.i32()));
  Values sums = k.blocks(
      columns, {none, none}, [&](Value i, Value mask, ArrayRef<Value> a) {
        Value y = k.sub(loadNumbers(row, i), mean);
        if (mask)
          y = k.select(mask, y, zeros);
        WideLanes square = squared(k, k.shiftRightSigned(y, cut));
        return Values{k.add(a[0], square.even), k.add(a[1], square.odd)};
      });
  return k.reduceAdd(k.add(sums[0], sums[1]));
}

/// Cuts by as few bits as make the squares fit 32 bits. Cuts that leave 2^33 by
/// size alone are not tried: rounding down takes less than sqrt(d) off the
/// root.
void FixedMoments::cutSquares(int64_t row, RowMoments &moments) {
  Value mean = k.broadcast(moments.mean), columns = k.index(d);
  // A bit of cut takes two of the sum; rounding down may cost one more.
  Value free = k.toIndex(
      math::CountLeadingZerosOp::create(k.op(), k.loc(), moments.squares));
  Value last =
      k.add(k.div(k.sub(k.index(33), k.min(free, k.index(32))), k.index(2)), 1);
  Value none = k.i64(0);
  Value fits = k.less(moments.squares, k.i64(int64_t(1) << 32));
  Value tried = k.div(k.sub(k.index(32), k.min(free, k.index(30))), k.index(2));
  Values cut =
      k.loop(tried, k.select(fits, tried, k.add(last, 1)), 1,
             {moments.squares, none}, [&](Value by, ArrayRef<Value> a) {
               // Once it fits, no column is summed again.
               Value tooLarge = k.less(k.i64(UINT32_MAX), a[0]);
               Value again = squares(row, mean, k.broadcast(k.toI32(by)),
                                     k.select(tooLarge, columns, k.index(0)));
               Value wide =
                   arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), by);
               return Values{k.select(tooLarge, again, a[0]),
                             k.select(tooLarge, wide, a[1])};
             });
  moments.squares = cut[0];
  moments.cut = cut[1];
}

/// The deviation is floor(sqrt) of squares below 2^32, of all rows at a time.
void FixedMoments::findDeviations(std::vector<RowMoments> &moments) {
  Values initial = {k.i64(1 << 30)};
  for (auto [r, m] : llvm::enumerate(moments)) {
    if (!hasBytes() && !hasPairs())
      cutSquares(int64_t(r), m);
    initial.append({m.squares, k.i64(0)});
  }
  Values found = k.loop(
      k.index(0), k.index(16), 1, initial, [&](Value, ArrayRef<Value> a) {
        Value bit = a[0];
        Values next = {k.shiftRight(bit, k.i64(2))};
        for (size_t i = 1; i < a.size(); i += 2) {
          Value left = a[i], root = a[i + 1], trial = k.add(root, bit);
          Value isMore = k.less(left, trial);
          Value half = k.shiftRight(root, k.i64(1));
          next.push_back(k.select(isMore, left, k.sub(left, trial)));
          next.push_back(k.select(isMore, half, k.add(half, bit)));
        }
        return next;
      });
  for (auto [r, m] : llvm::enumerate(moments))
    m.deviation = k.shiftLeft(found[2 * r + 2], m.cut);
}

std::vector<RowMoments> FixedMoments::take(Codes codes) {
  std::vector<RowMoments> moments = hasBytes()   ? putBytes(codes)
                                    : hasPairs() ? putPairs(codes)
                                                 : putNumbers(codes);
  findDeviations(moments);
  return moments;
}

} // namespace quern
