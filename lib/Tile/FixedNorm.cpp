//===- FixedNorm.cpp - LayerNorm of one row of codes, without floats ------===//
//
// Numbers of a row lie in scratch memory in 16 bits: sums of up to QI_SUM_BITS
// with a sign, wider ones without. Squares whose sum does not fit 32 bits are
// summed again, cut by one bit more, until it does. The square root goes bit by
// bit, which needs no division and is as exact as Newton's.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedNorm.h"

#include "lib/Tile/FixedPoint.h"

#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Bytes before the first channels, and of 16 channels.
static constexpr int64_t kHeadBytes = 64, kFactorsAt = 64 + 128,
                         kChannelBytes = kFactorsAt + 64;

/// No row of 16-bit codes, of at most QI_MOST_COLUMNS, is cut by more.
static constexpr int64_t kMostCut = 9;

std::vector<int8_t> packChannels(ArrayRef<qi_channel> channels, int shift,
                                 ArrayRef<uint8_t> factors, int32_t zero) {
  int64_t blocks = (int64_t(channels.size()) + 15) / 16;
  std::vector<int8_t> bytes(kHeadBytes + blocks * kChannelBytes);
  const int64_t head[] = {shift, (int64_t(1) << (shift - 1)) - 1, zero};
  std::memcpy(bytes.data(), head, sizeof(head));
  for (size_t i = 0; i < channels.size(); ++i) {
    int8_t *block = bytes.data() + kHeadBytes + i / 16 * kChannelBytes;
    std::memcpy(block + i % 16 * 4, &channels[i].gain, 4);
    std::memcpy(block + 64 + i % 16 * 8, &channels[i].bias, 8);
    int32_t factor = int32_t(1) << factors[i];
    std::memcpy(block + kFactorsAt + i % 16 * 4, &factor, 4);
  }
  return bytes;
}

FixedNorm::FixedNorm(KernelBuilder &k, int64_t d, CodeRange sum, bool byChannel,
                     Value channels, Value out, CodeRange range)
    : k(k), d(d), bits(qi_bits(uint64_t(sum.hi))), byChannel(byChannel),
      channels(channels), out(out), range(range) {
  auto number = [&](int64_t i) {
    return k.broadcast(
        k.lane(k.loadBytes(channels, k.index(8 * i), 1, k.i64()), 0));
  };
  shift = number(0);
  below = number(1);
  if (byChannel)
    zero = k.trunc(number(2), k.i32());
}

int64_t FixedNorm::scratchBytes(int64_t d) { return rowStride(d) * 2; }

Value FixedNorm::channelsAt(Value column) {
  return k.add(k.mul(k.div(column, k.index(16)), kChannelBytes), kHeadBytes);
}

void FixedNorm::putSums(Value codes, Value column, Value mask) {
  auto lanes = k.vec(16, k.i32());
  int all = qi_sum_shift(bits, 0);
  if (byChannel) {
    Value at = k.add(channelsAt(column), kFactorsAt);
    // A product: SSE has no shift of each lane by its own number, and LLVM
    // makes one of floats.
    Value powers = k.loadBytes(channels, at, 16, k.i32());
    codes = k.mul(k.sub(codes, zero), powers);
  } else if (all) {
    codes = k.shiftLeft(codes, k.splat(lanes, all));
  }
  if (mask)
    codes = k.select(mask, codes, k.zeros(lanes));
  k.storeBytes(k.trunc(codes, k.i16()), k.scratch(), k.mul(column, 2));
}

Value FixedNorm::loadSum(Value column) {
  Value v = k.loadBytes(k.scratch(), k.mul(column, 2), 16, k.i16());
  return bits > QI_SUM_BITS ? k.zext(v, k.i32()) : k.sext(v, k.i32());
}

Value FixedNorm::centred(Value column, Value mask, Value mean) {
  Value y = k.sub(loadSum(column), mean);
  return mask ? k.select(mask, y, k.zeros(k.vec(16, k.i32()))) : y;
}

/// The mean to the nearest integer, ties to even.
Value FixedNorm::meanOf() {
  // 4096 numbers of 16 bits in a lane stay below 2^31.
  Values sums = k.blocks(d, {k.zeros(k.vec(16, k.i32()))},
                         [&](Value i, Value mask, ArrayRef<Value> a) {
                           Value u = loadSum(i);
                           if (mask)
                             u = k.select(mask, u, k.zeros(k.vec(16, k.i32())));
                           return Values{k.add(a[0], u)};
                         });
  Value sum = k.reduceAdd(k.sext(sums[0], k.i64()));
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

/// The sum of squares over the first `columns` columns, cut by so many bits.
Value FixedNorm::squares(Value mean, Value cut, Value columns) {
  Value lanes = k.broadcast(mean);
  Values sums = k.blocks(columns, {k.zeros(k.vec(16, k.i64()))},
                         [&](Value i, Value mask, ArrayRef<Value> a) {
                           // Below 2^16 in size, and the square below 2^32.
                           Value y = centred(i, mask, lanes);
                           y = k.shiftRightSigned(y, cut);
                           Value square = k.zext(k.mul(y, y), k.i64());
                           return Values{k.add(a[0], square)};
                         });
  return k.reduceAdd(sums[0]);
}

/// floor(sqrt(n)) of an i64 below 2^32.
static Value squareRoot(KernelBuilder &k, Value n) {
  Values found =
      k.loop(k.index(0), k.index(16), 1, {n, k.i64(0), k.i64(1 << 30)},
             [&](Value, ArrayRef<Value> a) {
               Value left = a[0], root = a[1], bit = a[2];
               Value trial = k.add(root, bit);
               Value isMore = k.less(left, trial);
               Value half = k.shiftRight(root, k.i64(1));
               return Values{k.select(isMore, left, k.sub(left, trial)),
                             k.select(isMore, half, k.add(half, bit)),
                             k.shiftRight(bit, k.i64(2))};
             });
  return found[1];
}

std::pair<Value, Value> FixedNorm::moments() {
  Value mean = meanOf(), columns = k.index(d);
  Value none = k.broadcast(k.i32(0));
  Value sum = squares(mean, none, columns);
  Values cut =
      k.loop(k.index(1), k.index(kMostCut + 1), 1, {sum, k.i64(0)},
             [&](Value bits, ArrayRef<Value> a) {
               // Once it fits, no column is summed again.
               Value tooLarge = k.less(k.i64(UINT32_MAX), a[0]);
               Value again = squares(mean, k.broadcast(k.toI32(bits)),
                                     k.select(tooLarge, columns, k.index(0)));
               Value wide =
                   arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), bits);
               return Values{k.select(tooLarge, again, a[0]),
                             k.select(tooLarge, wide, a[1])};
             });
  return {mean, k.shiftLeft(squareRoot(k, cut[0]), cut[1])};
}

void FixedNorm::finish(Value outOffset) {
  auto [middle, deviation] = moments();
  Value isFlat = k.equal(deviation, k.i64(0));
  Value divisor = k.select(isFlat, k.i64(1), deviation);
  Value reciprocal =
      k.select(isFlat, k.i64(0), k.div(k.i64(int64_t(1) << 31), divisor));
  reciprocal = k.broadcast(reciprocal);
  Value mean = k.broadcast(middle), one = k.broadcast(k.i64(1));
  k.blocks(d, [&](Value i, Value) {
    Value y = k.sext(centred(i, Value(), mean), k.i64());
    // At most 2^30 (1 + 2^-14) in size.
    Value normal =
        k.trunc(k.shiftRightSigned(k.mul(y, reciprocal), one), k.i32());
    Value at = channelsAt(i);
    Value gain = k.loadBytes(channels, at, 16, k.i32());
    Value bias = k.loadBytes(channels, k.add(at, 64), 16, k.i64());
    Value v =
        k.add(k.mul(k.sext(normal, k.i64()), k.sext(gain, k.i64())), bias);
    v = limitTo32(k, roundShift(k, v, shift, below), int64_t(range.lo),
                  int64_t(range.hi));
    k.storeCodes(v, out, k.add(outOffset, i));
  });
}

/// The element type of codes.
static Type storedType(Builder b, Storage s) {
  return b.getIntegerType(8 * storageBytes(s));
}

int64_t fixedNormScratch(int64_t d) { return FixedNorm::scratchBytes(d); }

func::FuncOp buildFixedAddNorm(ModuleOp module, StringRef name,
                               const AddNormShape &shape, bool byChannel) {
  Builder b(module.getContext());
  Type i8 = b.getI8Type();
  KernelBuilder k(module, name,
                  {storedType(b, shape.a), storedType(b, shape.b), i8, i8, i8,
                   storedType(b, shape.out), storedType(b, shape.sum)});
  FixedNorm norm(k, shape.d, shape.sumRange, byChannel, k.buffer(4),
                 k.buffer(5), shape.outRange);
  Value tapping = k.tapping();
  forEachRow(k, shape.rows, [&](Value row) {
    Value aRow = k.mul(row, shape.aStride), bRow = k.mul(row, shape.bStride);
    auto sumCodes = [&](Value i) {
      auto term = [&](unsigned of, Value from) {
        return fixedAt(k, k.loadCodes(k.buffer(of), k.add(from, i)),
                       loadFixed(k, k.buffer(of + 2), i));
      };
      return limitTo32(k, k.add(term(0, aRow), term(1, bRow)),
                       int64_t(shape.sumRange.lo), int64_t(shape.sumRange.hi));
    };
    k.blocks(shape.d,
             [&](Value i, Value mask) { norm.putSums(sumCodes(i), i, mask); });
    k.ifThen(tapping, [&] {
      Value to = k.mul(row, shape.tapStride);
      k.blocks(shape.d, [&](Value i, Value) {
        k.storeCodes(sumCodes(i), k.buffer(6), k.add(to, i));
      });
    });
    norm.finish(k.mul(row, shape.outStride));
  });
  return k.finish();
}

func::FuncOp buildFixedEmbed(ModuleOp module, StringRef name,
                             const EmbedShape &shape) {
  Builder b(module.getContext());
  Type i8 = b.getI8Type(), i32 = b.getI32Type();
  KernelBuilder k(module, name,
                  {i32, i32, i32, i8, i8, i8, i32, i32, i32, i8, i8,
                   storedType(b, shape.out), storedType(b, shape.e1),
                   storedType(b, shape.e2)});
  FixedNorm norm(k, shape.d, shape.e2Range, /*byChannel=*/false, k.buffer(10),
                 k.buffer(11), shape.outRange);
  FixedLanes first = loadFixed(k, k.buffer(9), k.index(0));
  const bool perRow[] = {shape.wordScales, shape.typeScales,
                         shape.positionScales};
  Value tapping = k.tapping();
  forEachRow(k, RowsOf::Tokens, [&](Value token) {
    Value rows[3];
    FixedLanes scales[3];
    for (unsigned t = 0; t != 3; ++t) {
      Value number = embeddingRow(k, t, token);
      int64_t bits = shape.tableBits[t];
      rows[t] = k.mul(number, bits == 8 ? shape.tableStride
                                        : tableRowBytes(shape.d, bits));
      Value at = perRow[t] ? k.mul(number, 2) : k.index(0);
      scales[t] = broadcastFixed(k, k.load(k.buffer(6 + t), at),
                                 k.load(k.buffer(6 + t), k.add(at, 1)));
    }
    auto term = [&](unsigned t, Value i) {
      return fixedAt(
          k, loadTableCodes(k, k.buffer(3 + t), rows[t], i, shape.tableBits[t]),
          scales[t]);
    };
    auto total = [&](Value x, Value y, int64_t zero, CodeRange range) {
      Value v = k.add(k.add(x, y), k.broadcast(k.i64(zero)));
      return limitTo32(k, v, int64_t(range.lo), int64_t(range.hi));
    };
    auto firstSum = [&](Value i) {
      return total(term(0, i), term(1, i), shape.e1Zero, shape.e1Range);
    };
    auto secondSum = [&](Value e1, Value i) {
      Value above = k.sub(e1, k.broadcast(k.i32(int32_t(shape.e1Zero))));
      return total(fixedAt(k, above, first), term(2, i), shape.e2Zero,
                   shape.e2Range);
    };
    k.blocks(shape.d, [&](Value i, Value mask) {
      norm.putSums(secondSum(firstSum(i), i), i, mask);
    });
    k.ifThen(tapping, [&] {
      Value to = k.mul(token, shape.tapStride);
      k.blocks(shape.d, [&](Value i, Value) {
        Value e1 = firstSum(i);
        k.storeCodes(e1, k.buffer(12), k.add(to, i));
        k.storeCodes(secondSum(e1, i), k.buffer(13), k.add(to, i));
      });
    });
    norm.finish(k.mul(token, shape.outStride));
  });
  return k.finish();
}

} // namespace quern
