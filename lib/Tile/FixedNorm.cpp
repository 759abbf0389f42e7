//===- FixedNorm.cpp - LayerNorm of one row of codes, without floats ------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedNorm.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

FixedNorm::FixedNorm(KernelBuilder &k, int64_t d, int64_t rows, CodeRange sum,
                     FixedNormForm form, Value channels, Value out,
                     CodeRange range)
    : k(k), d(d), count(rows), form(form), channels(channels), out(out),
      range(range), rows(k, d, rows, sum, form.byChannel, channels) {
  Value by = channelHead(k, channels, 0), below = channelHead(k, channels, 1);
  shift = wideSplat(k, by);
  rest = wideSplat(k, k.add(k.add(below, below), k.i64(1)));
  if (form.plain)
    shiftAbove = k.broadcast(k.trunc(k.sub(by, k.i64(32)), k.i32()));
}

Value FixedNorm::factorAt(int64_t row) {
  return k.index(FixedMoments::scratchBytes(d, count) + row * 64);
}

Value FixedNorm::codesOf(const WideLanes &numbers) {
  int64_t lo = int64_t(range.lo), hi = int64_t(range.hi);
  if (!form.plain)
    return limitTo32(k, roundShift(k, numbers, shift, rest), lo, hi,
                     form.narrow);
  auto limit = [&](int64_t v) { return k.broadcast(k.i32(int32_t(v))); };
  Value codes = k.shiftRightSigned(joinUpper(k, numbers), shiftAbove);
  return minSigned(k, maxSigned(k, codes, limit(lo)), limit(hi));
}

void FixedNorm::putCodes(ArrayRef<RowMoments> moments,
                         ArrayRef<Value> outOffsets) {
  // floor(y R / 2), R = floor(2^31 / deviation), with a factor below 2^31: for
  // a deviation of 1 it is 2^30, and nothing is shifted. Bytes that are shifted
  // up deviate by more. Factors are loaded again for every product, where LLVM
  // sees that they have 32 bits: else it multiplies all 64.
  struct Row {
    Value mean, by;
  };
  std::vector<Row> scaled;
  Value one = k.i64(1), none = k.i64(0);
  for (auto [r, m] : llvm::enumerate(moments)) {
    Value isFlat = k.equal(m.deviation, none),
          isOne = k.equal(m.deviation, one);
    Value divisor = k.select(isFlat, one, m.deviation);
    Value factor = k.div(k.i64(int64_t(1) << 31), divisor);
    factor = k.select(isOne, k.i64(int64_t(1) << 30), factor);
    factor = k.trunc(k.select(isFlat, none, factor), k.i32());
    k.storeBytes(k.broadcast(factor), k.scratch(), factorAt(int64_t(r)));
    Value by = rows.mayBeOne() ? k.select(isOne, none, one) : one;
    scaled.push_back({k.broadcast(m.mean), k.broadcast(by, 8)});
  }
  auto times = [&](Value a, Value b) { return k.mul(a, b); };
  auto plus = [&](Value a, Value b) { return k.add(a, b); };
  WideLanes half =
      eachHalf([&](Value a, Value b) { return k.sub(a, k.shiftRight(a, b)); },
               rest, wideSplat(k, one));
  k.blocks(d, [&](Value i, Value) {
    Value at = channelsAt(k, i);
    WideLanes gain = widen(k, k.loadBytes(channels, at, 16, k.i32()));
    WideLanes bias =
        eachHalf(plus, loadWide(k, channels, k.add(at, kChannelBiases)), half);
    for (size_t r = 0; r < scaled.size(); ++r) {
      const Row &row = scaled[r];
      WideLanes y = widen(k, k.sub(rows.loadNumbers(int64_t(r), i), row.mean));
      Value all = k.loadBytes(k.scratch(), factorAt(int64_t(r)), 16, k.i32());
      Value factor = widen(k, all).even;
      // At most 2^30 (1 + 2^-14) in size: the lower half has all of it.
      auto normal = [&](Value a, Value b) {
        Value v = k.shiftRightSigned(k.mul(a, b), row.by);
        return widen(k, k.bitcast(v, k.vec(16, k.i32()))).even;
      };
      WideLanes v =
          eachHalf(times, eachHalf(normal, y, {factor, factor}), gain);
      k.storeCodes(codesOf(eachHalf(plus, v, bias)), out,
                   k.add(outOffsets[r], i));
    }
  });
}

void FixedNorm::normalize(FixedMoments::Codes codes,
                          ArrayRef<Value> outOffsets) {
  putCodes(rows.take(codes), outOffsets);
}

int64_t fixedNormScratch(int64_t d) {
  return FixedMoments::scratchBytes(d, kNormRows) + kNormRows * 64;
}

} // namespace quern
