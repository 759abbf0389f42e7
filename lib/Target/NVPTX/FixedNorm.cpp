//===- FixedNorm.cpp - LayerNorm over codes, without floats ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Squares whose sum does not fit 32 bits are summed again, cut by one bit more,
// until it does. The square root goes bit by bit.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/FixedNorm.h"

#include "lib/Target/NVPTX/ResidualSum.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// Bytes before the first channels, of 16 channels, and where their powers are.
static constexpr int64_t kHeadBytes = 64, kChannelBytes = 256, kPowersAt = 192;
/// No row of 16-bit codes is cut by more bits.
static constexpr int64_t kMostCut = 9;

namespace {
class FixedRow {
public:
  FixedRow(WarpRow &columns, Value channels)
      : k(columns.k), columns(columns), channels(channels) {}

  void emit(ArrayRef<Value> codes, Value up, Value row,
            const RowResult &result);

private:
  /// The constants of the four channels of a step.
  Value at(int64_t step, int64_t part, int64_t bytes) {
    Value column = columns.column(step);
    Value block =
        k.add(k.mul(k.shr(column, 4), kChannelBytes), kHeadBytes + part);
    return k.at(channels, k.add(block, k.mul(k.bitAnd(column, 15), bytes)));
  }
  Value head(int64_t i) {
    return k.load(k.at(channels, k.c(8 * i)), k.i64(), 8);
  }
  Value meanOf();
  Value squares(Value mean, Value cut);
  Value squareRoot(Value n);
  Value deviationOf(Value mean);

  DeviceBuilder &k;
  WarpRow &columns;
  Value channels;
  Values numbers;
};
} // namespace

/// The mean to the nearest integer, ties to even; i32.
Value FixedRow::meanOf() {
  Value sum = k.c(0);
  for (size_t i = 0; i != numbers.size(); ++i)
    sum = k.add(sum, columns.orZero(int64_t(i / 4), numbers[i]));
  // Means above zero, for the division; an even number changes no tie.
  const int64_t above = int64_t(1) << 30;
  Value width = k.c64(columns.d);
  Value all = k.add(k.wide(k.warpSum(sum)), k.c64(above * columns.d));
  Value low = k.divide(all, width);
  Value rest = k.sub(all, k.mul(low, width));
  Value odd = k.bitAnd(low, k.c64(1));
  // Up if twice the rest is more, or as much and low is odd.
  Value up = k.less(width, k.add(k.add(rest, rest), odd));
  low = k.sub(low, k.c64(above));
  return k.narrow(k.add(low, k.select(up, k.c64(1), k.c64(0))), k.i32());
}

/// The sum of the squares of what is cut by so many bits; i64.
Value FixedRow::squares(Value mean, Value cut) {
  Value sum = k.c64(0);
  for (size_t i = 0; i != numbers.size(); ++i) {
    Value y = columns.orZero(int64_t(i / 4), k.sub(numbers[i], mean));
    y = k.shrSignedBy(y, cut);
    // Below 2^16 in size, and the square below 2^32.
    sum = k.add(sum, k.wideUnsigned(k.mul(y, y)));
  }
  return k.warpSum(sum);
}

/// floor(sqrt(n)) of an i64 below 2^32.
Value FixedRow::squareRoot(Value n) {
  return k.loop(k.c(0), k.c(16), 1, {n, k.c64(0), k.c64(1 << 30)},
                [&](Value, ArrayRef<Value> now) {
                  Value left = now[0], root = now[1], bit = now[2];
                  Value trial = k.add(root, bit), one = k.c64(1);
                  Value isMore = k.less(left, trial);
                  Value half = k.shrBy(root, one);
                  return Values{k.select(isMore, left, k.sub(left, trial)),
                                k.select(isMore, half, k.add(half, bit)),
                                k.shrBy(bit, k.c64(2))};
                })[1];
}

Value FixedRow::deviationOf(Value mean) {
  Value limit = k.c64(UINT32_MAX), sum = squares(mean, k.c(0));
  Value tries = k.select(k.less(limit, sum), k.c(kMostCut), k.c(0));
  Values cut = k.loop(
      k.c(0), tries, 1, {sum, k.c64(0)}, [&](Value i, ArrayRef<Value> now) {
        Value bits = k.add(i, 1), tooLarge = k.less(limit, now[0]);
        Value again = squares(mean, bits);
        return Values{k.select(tooLarge, again, now[0]),
                      k.select(tooLarge, k.wide(bits), now[1])};
      });
  return k.shlBy(squareRoot(cut[0]), cut[1]);
}

void FixedRow::emit(ArrayRef<Value> codes, Value up, Value row,
                    const RowResult &result) {
  Value zero = k.narrow(head(2), k.i32());
  for (int64_t i = 0; i != columns.steps(); ++i) {
    Values powers;
    if (!up)
      powers = k.loadMany(at(i, kPowersAt, 4), k.i32(), 4);
    for (size_t e = 0; e != 4; ++e) {
      Value code = codes[size_t(i) * 4 + e];
      numbers.push_back(up ? k.shlBy(code, up)
                           : k.mul(k.sub(code, zero), powers[e]));
    }
  }
  Value mean = meanOf(), deviation = deviationOf(mean);
  Value isFlat = k.equal(deviation, k.c64(0));
  Value divisor = k.select(isFlat, k.c64(1), deviation);
  Value reciprocal = k.divide(k.c64(int64_t(1) << 31), divisor);
  reciprocal = k.select(isFlat, k.c64(0), reciprocal);
  Value shift = head(0), below = head(1);
  for (int64_t i = 0; i != columns.steps(); ++i) {
    Values gains = k.loadMany(at(i, 0, 4), k.i32(), 4), results;
    Value biases = at(i, 64, 8);
    for (size_t e = 0; e != 4; ++e) {
      Value y = k.wide(k.sub(numbers[size_t(i) * 4 + e], mean));
      // At most 2^30 (1 + 2^-14) in size.
      Value normal =
          k.narrow(k.shrSignedBy(k.mul(y, reciprocal), k.c64(1)), k.i32());
      Value bias = k.load(k.at(biases, k.c(int64_t(e) * 8)), k.i64(), 8);
      Value v = k.add(k.mulWide(normal, gains[e]), bias);
      results.push_back(
          limitTo32(k, roundShift(k, v, shift, below), result.lo, result.hi));
    }
    result.store(columns, i, results, row);
  }
}

void normalizeFixedRow(WarpRow &columns, ArrayRef<Value> codes, Value channels,
                       Value up, Value row, const RowResult &result) {
  FixedRow(columns, channels).emit(codes, up, row, result);
}

Error checkFixedAddNorm(const FixedAddNormForm &form) {
  if (form.norm.out == Storage::F32)
    return Error("a LayerNorm without floats with f32 results, expected u8 or "
                 "u16");
  if (form.norm.a == Storage::F32 || form.norm.b == Storage::F32)
    return Error("a LayerNorm without floats of f32 operands, expected u8 or "
                 "u16");
  if (form.norm.d > kWidestFixedRow)
    return Error::make("a LayerNorm without floats of ", form.norm.d,
                       " columns, expected at most ", kWidestFixedRow);
  return checkAddNorm(form.norm);
}

std::string getFixedAddNormName(const FixedAddNormForm &form) {
  return getAddNormName(form.norm) +
         (form.byChannel ? "_fixed_factors" : "_fixed");
}

void buildFixedAddNorm(ModuleOp module, const FixedAddNormForm &form) {
  SmallVector<Param> params(5, Param::Input);
  params.append(2, Param::Output);
  params.append(11, Param::I32);
  SecondRows(form.norm.second).addParams(params);
  DeviceBuilder k(module, getFixedAddNormName(form), params,
                  kRowsPerBlock * 32);
  FixedResidualSum sum;
  sum.storages[0] = form.norm.a;
  sum.storages[1] = form.norm.b;
  RowResult result;
  result.storage = form.norm.out;
  result.second = SecondRows(form.norm.second);
  Value channels, tap, m, tapStride, tapping, up;
  for (Value *each :
       {&sum.terms[0], &sum.terms[1], &sum.scales[0], &sum.scales[1], &channels,
        &result.out, &tap, &m, &sum.strides[0], &sum.strides[1], &result.stride,
        &tapStride, &tapping, &up, &sum.lo, &sum.hi, &result.lo, &result.hi})
    *each = k.param();
  result.second.takeParams(k);
  WarpRow columns(k, form.norm.d);
  forEachWarpRow(k, m, [&](Value row) {
    Values codes;
    for (int64_t i = 0; i != columns.steps(); ++i)
      codes.append(sum.four(k, row, columns.column(i)));
    keepCodes(columns, codes, tapping, tap, row, tapStride, form.norm.sum);
    normalizeFixedRow(columns, codes, channels, form.byChannel ? Value() : up,
                      row, result);
  });
  k.finish();
}

} // namespace quern::nvptx
