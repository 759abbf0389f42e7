//===- FixedAttention.cpp - Constants and softmax of fixed attention ------===//
//
// The constants: two blocks of packFixed, eight numbers (i64), four planes of
// 256 bytes, the lowest first, and of logarithmic codes 16 limits, each a
// mantissa and a shift (i64).
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"

#include <algorithm>
#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

static constexpr int64_t kContextAt = kFixedBlockBytes;
static constexpr int64_t kNumbersAt = 2 * kFixedBlockBytes;
static constexpr int64_t kPlanesAt = kNumbersAt + 64;
static constexpr int64_t kLimitsAt = kPlanesAt + 4 * 256;

/// Places among the numbers.
enum { kNumerator, kMost, kShift, kBelow, kZeros };

int64_t exponentialBytes(ArrayRef<int32_t> exps) {
  uint32_t all = 0;
  for (int32_t e : exps)
    all |= uint32_t(e);
  return std::max(1, (qi_bits(all) + 7) / 8);
}

/// All but the limits.
static std::vector<int8_t> pack(const qi_affine &score,
                                const qi_affine &context,
                                ArrayRef<int64_t> numbers,
                                ArrayRef<int32_t> exps) {
  std::vector<int8_t> bytes = packFixed(score), second = packFixed(context);
  bytes.insert(bytes.end(), second.begin(), second.end());
  bytes.resize(kLimitsAt);
  std::memcpy(bytes.data() + kNumbersAt, numbers.data(),
              numbers.size() * sizeof(int64_t));
  for (int64_t plane = 0; plane < 4; ++plane)
    for (int64_t d = 0; d < 256; ++d)
      bytes[kPlanesAt + plane * 256 + d] =
          int8_t(uint32_t(exps[d]) >> (8 * plane));
  return bytes;
}

std::vector<int8_t> packFixedAttention(const qi_affine &score,
                                       const qi_affine &context,
                                       const qi_probs &probs, int64_t zq,
                                       int64_t zk, int64_t zv) {
  const int64_t numbers[] = {
      probs.numerator,
      probs.most,
      probs.shift,
      probs.nearest ? (int64_t(1) << (probs.shift - 1)) - 1 : 0,
      zq,
      zk,
      zv};
  return pack(score, context, numbers, probs.exps);
}

std::vector<int8_t> packFixedAttention(const qi_affine &score,
                                       const qi_affine &context,
                                       const qi_log_probs &probs, int64_t zq,
                                       int64_t zk, int64_t zv) {
  const int64_t numbers[] = {0, 0, 0, 0, zq, zk, zv};
  std::vector<int8_t> bytes = pack(score, context, numbers, probs.exps);
  bytes.resize(kLimitsAt + (1 << QI_LOG_BITS) * 16);
  for (int64_t c = 0; c < 1 << probs.bits && !probs.published; ++c) {
    const int64_t limit[] = {probs.limits[c].mantissa, probs.limits[c].shift};
    std::memcpy(bytes.data() + kLimitsAt + 16 * c, limit, sizeof(limit));
  }
  return bytes;
}

FixedAttentionParams::FixedAttentionParams(KernelBuilder &k, Value params)
    : k(k), params(params) {}

FixedLanes FixedAttentionParams::score() const {
  return loadFixed(k, params, k.index(0));
}
FixedLanes FixedAttentionParams::context() const {
  static_assert(kContextAt == kFixedBlockBytes, "the second block");
  return loadFixed(k, params, k.index(16));
}

Value FixedAttentionParams::number(int64_t at) const {
  return k.lane(k.loadBytes(params, k.index(kNumbersAt + 8 * at), 1, k.i64()),
                0);
}
Value FixedAttentionParams::zero(int64_t which) const {
  return k.trunc(number(kZeros + which), k.i32());
}

/// The largest code of the row, as i8.
Value FixedAttentionParams::rowMaximum(Value codes, Value length) const {
  auto bytes = k.vec(64, k.i8());
  Values top =
      k.loop(k.index(0), length, 64, {k.zeros(bytes)},
             [&](Value i, ArrayRef<Value> a) {
               Value s = k.loadVector(k.scratch(), k.add(codes, i), 64);
               s = k.select(k.mask(k.sub(length, i), 64), s, k.zeros(bytes));
               return Values{k.maxUnsigned(a[0], s)};
             });
  return k.reduceMaxUnsigned(top[0]);
}

/// Stores the exponential of each code, 0 beyond the row, and gives their sum
/// as i64.
Value FixedAttentionParams::exponentials(const AttentionShape &shape,
                                         Value codes, Value exps,
                                         Value length) const {
  auto lanes = k.vec(16, k.i32());
  Value top = k.broadcast(rowMaximum(codes, length), 64);
  Values sums = k.loop(
      k.index(0), length, 64, {k.zeros(k.vec(16, k.i64()))},
      [&](Value i, ArrayRef<Value> a) {
        Value below =
            k.sub(top, k.loadVector(k.scratch(), k.add(codes, i), 64));
        Values planes;
        for (int64_t p = 0; p < shape.expBytes; ++p)
          planes.push_back(
              k.lut256(below, params, k.index(kPlanesAt + p * 256)));
        Value sum = a[0];
        for (int64_t part = 0; part < 4; ++part) {
          SmallVector<int64_t> pattern;
          for (int64_t l = 0; l < 16; ++l)
            pattern.push_back(part * 16 + l);
          Value e;
          for (int64_t p = 0; p < shape.expBytes; ++p) {
            Value byte =
                k.zext(k.shuffle(planes[p], planes[p], pattern), k.i32());
            if (p)
              byte = k.shiftLeft(byte, k.broadcast(k.i32(8 * int32_t(p))));
            e = e ? k.add(e, byte) : byte;
          }
          // Lanes at and beyond the end of the row count nothing.
          Value first = k.add(i, part * 16);
          Value left = k.sub(k.maxUnsigned(length, first), first);
          e = k.select(k.mask(left), e, k.zeros(lanes));
          k.storeBytes(e, k.scratch(), k.add(exps, k.mul(first, 4)));
          sum = k.add(sum, k.zext(e, k.i64()));
        }
        return Values{sum};
      });
  return k.reduceAdd(sums[0]);
}

Value FixedAttentionParams::softmax(const AttentionShape &shape, Value codes,
                                    Value exps, Value length) const {
  Value sum = exponentials(shape, codes, exps, length);
  Value factor = k.div(number(kNumerator), k.min(sum, number(kMost)));
  // Below 2^31, which the products make use of.
  factor = k.zext(k.broadcast(k.trunc(factor, k.i32())), k.i64());
  Value shift = k.broadcast(number(kShift));
  Value below = k.broadcast(number(kBelow));
  int64_t limit = int64_t(shape.probRange.hi);
  Values total = k.loop(k.index(0), length, 16, {k.zeros(k.vec(16, k.i32()))},
                        [&](Value i, ArrayRef<Value> a) {
                          Value e =
                              k.loadBytes(k.scratch(), k.add(exps, k.mul(i, 4)),
                                          16, k.i32());
                          Value v = k.mul(k.zext(e, k.i64()), factor);
                          v = shape.roundProbs ? roundShift(k, v, shift, below)
                                               : k.shiftRight(v, shift);
                          Value p = limitTo32(k, v, 0, limit);
                          k.storeCodes(p, k.scratch(), k.add(codes, i));
                          return Values{k.add(a[0], p)};
                        });
  return k.reduceAdd(total[0]);
}

/// qi_log_limit
Value FixedAttentionParams::logLimit(const AttentionShape &shape, Value sum,
                                     int c) const {
  auto load = [&](int64_t at) {
    return k.lane(k.loadBytes(params, k.index(kLimitsAt + at), 1, k.i64()), 0);
  };
  Value limit;
  if (shape.roundProbs) {
    limit = k.shiftRight(k.mul(sum, load(16 * c)), load(16 * c + 8));
  } else {
    Value twice = k.sub(k.add(sum, sum), k.i64(c == 1));
    limit = k.div(twice, k.i64(qi_log_divisor(c)));
  }
  return k.trunc(k.min(limit, k.i64(INT32_MAX)), k.i32());
}

void FixedAttentionParams::logarithms(const AttentionShape &shape, Value codes,
                                      Value exps, Value length) const {
  auto lanes = k.vec(16, k.i32());
  Value sum = exponentials(shape, codes, exps, length);
  Values limits;
  for (int c = 0; c < qm_log_zero(shape.log); ++c)
    limits.push_back(k.broadcast(logLimit(shape, sum, c)));
  // Beyond the row exponentials are 0, whose code is that of zero.
  k.loop(k.index(0), k.roundUp(length, 64), 16, [&](Value i) {
    Value at = k.add(exps, k.mul(i, 4));
    Value e = k.loadBytes(k.scratch(), at, 16, k.i32());
    Value code = k.splat(lanes, qm_log_zero(shape.log));
    for (Value limit : limits)
      code = k.sub(code, k.zext(k.less(limit, e), k.i32()));
    k.storeBytes(code, k.scratch(), at);
  });
}

} // namespace quern
