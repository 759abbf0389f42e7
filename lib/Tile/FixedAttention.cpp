//===- FixedAttention.cpp - Constants and softmax of fixed attention ------===//
//
// The constants: two blocks of packFixed, eight numbers (i64), four planes of
// 256 bytes, the lowest first, and of logarithmic codes 16 limits, each a
// mantissa and a shift (i64), and LogSteps. CPUs do not read the limits.
//
// 64 bytes become 64 numbers of 32 bits by interleaving planes within blocks of
// 16 bytes. That leaves them in an order of their own, which packing undoes.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"

#include "lib/Tile/AttentionParts.h"
#include "lib/Tile/LogSteps.h"

#include <algorithm>
#include <cassert>
#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

static constexpr int64_t kContextAt = kFixedBlockBytes;
static constexpr int64_t kNumbersAt = 2 * kFixedBlockBytes;
static constexpr int64_t kPlanesAt = kNumbersAt + 64;
static constexpr int64_t kLimitsAt = kPlanesAt + 4 * 256;
static constexpr int64_t kStepsAt = kLimitsAt + (1 << QI_LOG_BITS) * 16;

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
                                       const qi_log_probs &probs,
                                       int64_t maxLength, int64_t zq,
                                       int64_t zk, int64_t zv) {
  const int64_t numbers[] = {0, 0, 0, 0, zq, zk, zv};
  std::vector<int8_t> bytes = pack(score, context, numbers, probs.exps);
  bytes.resize(kStepsAt);
  for (int64_t c = 0; c < 1 << probs.bits && !probs.published; ++c) {
    const int64_t limit[] = {probs.limits[c].mantissa, probs.limits[c].shift};
    std::memcpy(bytes.data() + kLimitsAt + 16 * c, limit, sizeof(limit));
  }
  auto steps = packLogSteps(makeLogSteps(probs, maxLength), kStepsAt);
  bytes.insert(bytes.end(), steps.begin(), steps.end());
  return bytes;
}

FixedAttentionParams::FixedAttentionParams(KernelBuilder &k, Value params)
    : k(k), params(params) {}

FixedLanes FixedAttentionParams::score(const AttentionShape &shape) const {
  return loadFixed(k, params, k.index(0), shape.narrow);
}
FixedLanes FixedAttentionParams::context(const AttentionShape &shape) const {
  static_assert(kContextAt == kFixedBlockBytes, "the second block");
  return loadFixed(k, params, k.index(16), shape.narrow);
}

Value FixedAttentionParams::i64At(int64_t byte) const {
  return k.lane(k.loadBytes(params, k.index(byte), 1, k.i64()), 0);
}
Value FixedAttentionParams::number(int64_t at) const {
  return i64At(kNumbersAt + 8 * at);
}
Value FixedAttentionParams::zero(int64_t which) const {
  return k.trunc(number(kZeros + which), k.i32());
}

/// The largest code of the row, as i8.
Value FixedAttentionParams::rowMaximum(Value codes, Value length) const {
  auto bytes = k.vec(64, k.i8());
  Values top = forEach64(
      k, length, {k.zeros(bytes)}, [&](Value i, Value mask, ArrayRef<Value> a) {
        Value s = k.loadVector(k.scratch(), k.add(codes, i), 64);
        if (mask)
          s = k.select(mask, s, k.zeros(bytes));
        return Values{k.maxUnsigned(a[0], s)};
      });
  return k.reduceMaxUnsigned(top[0]);
}

/// Interleaves lanes of the low or the high halves of blocks of 16 bytes.
static Value interleave(KernelBuilder &k, Value a, Value b, bool high) {
  int64_t lanes = cast<VectorType>(a.getType()).getNumElements();
  int64_t block = lanes / 4, half = block / 2;
  SmallVector<int64_t> pattern;
  for (int64_t at = high ? half : 0; at < lanes; at += block)
    for (int64_t i = at; i < at + half; ++i)
      pattern.append({i, lanes + i});
  return k.shuffle(a, b, pattern);
}

/// The numbers whose bytes are in up to four planes of 64, lowest first.
static Values numbersOf(KernelBuilder &k, Values planes) {
  planes.resize(4, k.zeros(k.vec(64, k.i8())));
  Values numbers;
  for (bool high : {false, true}) {
    auto words = [&](size_t plane) {
      Value both = interleave(k, planes[plane], planes[plane + 1], high);
      return k.bitcast(both, k.vec(32, k.i16()));
    };
    Value low = words(0), up = words(2);
    for (bool highWords : {false, true})
      numbers.push_back(
          k.bitcast(interleave(k, low, up, highWords), k.vec(16, k.i32())));
  }
  return numbers;
}

/// The lowest bytes of numbers in that order; above them are zeros.
static Value bytesOf(KernelBuilder &k, ArrayRef<Value> numbers) {
  auto pack = [&](Value a, Value b, VectorType parts) {
    int64_t lanes = parts.getNumElements(), block = lanes / 4;
    SmallVector<int64_t> pattern;
    for (int64_t at = 0; at < lanes; at += block)
      for (int64_t from : {at, lanes + at})
        for (int64_t i = 0; i < block; i += 2)
          pattern.push_back(from + i);
    return k.shuffle(k.bitcast(a, parts), k.bitcast(b, parts), pattern);
  };
  auto words = k.vec(32, k.i16()), bytes = k.vec(64, k.i8());
  return pack(pack(numbers[0], numbers[1], words),
              pack(numbers[2], numbers[3], words), bytes);
}

/// The sum of numbers by the lane sums of their planes of bytes: i64.
static Value totalOfPlanes(KernelBuilder &k, ArrayRef<Value> sums) {
  Value total = k.i64(0), byte = k.splat(k.vec(16, k.i32()), 8);
  for (size_t p = 0; p < sums.size(); p += 2) {
    Value both = sums[p];
    if (p + 1 < sums.size())
      both = k.add(both, k.shiftLeft(sums[p + 1], byte));
    both = k.zext(k.reduceAdd(both), k.i64());
    total = k.add(total, k.shiftLeft(both, k.i64(8 * int64_t(p))));
  }
  return total;
}

/// Stores the exponential of each code, 0 beyond the row, and gives their sum
/// as i64.
Value FixedAttentionParams::exponentials(const AttentionShape &shape,
                                         Value codes, Value exps,
                                         Value length) const {
  auto bytes = k.vec(64, k.i8());
  Value top = k.broadcast(rowMaximum(codes, length), 64);
  // Of up to three bytes numbers are added: 4096 scores are 256 in a lane. Of
  // four, and in longer rows, their planes, of which 65536 bytes are 24 bits.
  bool byPlanes = shape.expBytes == 4 || shape.maxLength > 4096;
  assert(shape.maxLength <= 65536 && "sums of planes fit 32 bits");
  Value none = k.zeros(k.vec(16, k.i32())), ones = k.splat(bytes, 1);
  Values sums = forEach64(
      k, length, Values(byPlanes ? shape.expBytes : 1, none),
      [&](Value i, Value mask, ArrayRef<Value> a) {
        Value below =
            k.sub(top, k.loadVector(k.scratch(), k.add(codes, i), 64));
        Values planes, next(a.begin(), a.end());
        for (int64_t p = 0; p < shape.expBytes; ++p) {
          Value plane = k.lut256(below, params, k.index(kPlanesAt + p * 256));
          if (mask)
            plane = k.select(mask, plane, k.zeros(bytes));
          planes.push_back(plane);
          if (byPlanes)
            next[p] = k.dot4(a[p], plane, ones);
        }
        for (auto [part, e] : llvm::enumerate(numbersOf(k, planes))) {
          Value at = k.add(k.add(exps, k.mul(i, 4)), int64_t(part) * 64);
          k.storeBytes(e, k.scratch(), at);
          if (!byPlanes)
            next[0] = k.add(next[0], e);
        }
        return next;
      });
  if (!byPlanes)
    return k.reduceAdd(k.zext(sums[0], k.i64()));
  return totalOfPlanes(k, sums);
}

/// Gives the sum of the bytes, of which some are beyond the row.
Value FixedAttentionParams::mapExponentials(
    Value codes, Value exps, Value length,
    function_ref<Value(Value)> codeOf) const {
  Value ones = k.splat(k.vec(64, k.i8()), 1);
  Values sums = k.loop(
      k.index(0), length, 64, {k.zeros(k.vec(16, k.i32()))},
      [&](Value i, ArrayRef<Value> a) {
        Values numbers;
        for (int64_t part = 0; part < 4; ++part) {
          Value at = k.add(k.add(exps, k.mul(i, 4)), part * 64);
          numbers.push_back(codeOf(k.loadBytes(k.scratch(), at, 16, k.i32())));
        }
        Value all = bytesOf(k, numbers);
        k.storeVector(all, k.scratch(), k.add(codes, i));
        return Values{k.dot4(a[0], all, ones)};
      });
  return k.reduceAdd(sums[0]);
}

/// Even and odd lanes of numbers without a sign.
static WideLanes widenUnsigned(KernelBuilder &k, Value v) {
  Value pairs = k.bitcast(v, k.vec(8, k.i64()));
  return {k.bitAnd(pairs, k.broadcast(k.i64(UINT32_MAX), 8)),
          k.shiftRight(pairs, k.broadcast(k.i64(32), 8))};
}

void FixedAttentionParams::probabilities(const AttentionShape &shape,
                                         Value codes, Value exps, Value sum,
                                         Value length,
                                         function_ref<void(Value)> done) const {
  Value factor = k.div(number(kNumerator), k.min(sum, number(kMost)));
  // Below 2^31, which the products make use of.
  factor = k.zext(k.trunc(factor, k.i32()), k.i64());
  WideLanes factors = wideSplat(k, factor);
  Value by = number(kShift), below = number(kBelow), one = k.i64(1);
  Value half = k.add(below, one), rest = k.add(below, half);
  Value limit = k.broadcast(k.i32(int32_t(shape.probRange.hi)));
  using Convert = function_ref<Value(const WideLanes &product)>;
  auto convert = [&](Convert codeOf) {
    done(mapExponentials(codes, exps, length, [&](Value e) {
      // Exponentials are at most their sum, so codes are of 32 bits.
      WideLanes product =
          eachHalf([&](Value a, Value b) { return k.mul(a, b); },
                   widenUnsigned(k, e), factors);
      return k.min(codeOf(product), limit);
    }));
  };
  WideLanes shift = wideSplat(k, by);
  if (!shape.roundProbs)
    return convert([&](const WideLanes &v) {
      return join(k,
                  eachHalf([&](Value a, Value b) { return k.shiftRight(a, b); },
                           v, shift));
    });
  // A tie is an odd number of halves. An exponential, at most 2^24, has up to
  // 24 zeros at its end; the factor has to have the others. Without ties, the
  // upper 32 bits are enough where half of a code is a number of them.
  Value zeros = k.shiftRight(rest, k.i64(25)), upper = k.i64(32);
  Value isPlain = k.select(k.equal(k.bitAnd(factor, zeros), k.i64(0)), k.i64(0),
                           k.shiftRight(half, upper));
  k.ifThen(
      k.equal(isPlain, k.i64(0)),
      [&] {
        WideLanes halves = wideSplat(k, half), rests = wideSplat(k, rest);
        convert([&](const WideLanes &v) {
          WideLanes sum = eachHalf(
              [&](Value a, Value b) { return k.add(a, b); }, v, halves);
          return join(k, roundShift(k, sum, shift, rests));
        });
      },
      [&] {
        Value above = k.broadcast(k.trunc(k.sub(by, upper), k.i32()));
        Value more = k.broadcast(k.trunc(k.shiftRight(half, upper), k.i32()));
        convert([&](const WideLanes &v) {
          return k.shiftRight(k.add(joinUpper(k, v), more), above);
        });
      });
}

Value FixedAttentionParams::sumExponentials(const AttentionShape &shape,
                                            Value codes, Value length) const {
  auto bytes = k.vec(64, k.i8());
  Value top = k.broadcast(rowMaximum(codes, length), 64);
  Value ones = k.splat(bytes, 1);
  assert(shape.maxLength <= 65536 && "sums of planes fit 32 bits");
  Values sums =
      forEach64(k, length, Values(shape.expBytes, k.zeros(k.vec(16, k.i32()))),
                [&](Value i, Value mask, ArrayRef<Value> a) {
                  Value at = k.add(codes, i);
                  Value below = k.sub(top, k.loadVector(k.scratch(), at, 64));
                  k.storeVector(below, k.scratch(), at);
                  Values next;
                  for (int64_t p = 0; p < shape.expBytes; ++p) {
                    Value plane =
                        k.lut256(below, params, k.index(kPlanesAt + p * 256));
                    if (mask)
                      plane = k.select(mask, plane, k.zeros(bytes));
                    next.push_back(k.dot4(a[p], plane, ones));
                  }
                  return next;
                });
  return totalOfPlanes(k, sums);
}

/// Halves the distance in step for all rows, so that no row waits for the loads
/// of another.
Values FixedAttentionParams::findSteps(ArrayRef<Value> sums) const {
  Values initial(sums.size() + 1, k.index(0));
  initial[0] = k.toIndex(i64At(kStepsAt));
  Value rounds = k.toIndex(i64At(kStepsAt + 8));
  Values found =
      k.loop(k.index(0), rounds, 1, initial, [&](Value, ArrayRef<Value> a) {
        Value half = a[0];
        Values next = {k.div(half, k.index(2))};
        for (auto [sum, place] : llvm::zip_equal(sums, a.drop_front())) {
          Value middle = k.add(place, half);
          Value at = k.add(k.mul(middle, 8), kStepsAt + 64 - 8);
          Value there = k.lane(k.loadBytes(params, at, 1, k.i64()), 0);
          next.push_back(k.select(k.less(sum, there), place, middle));
        }
        return next;
      });
  return Values(found.begin() + 1, found.end());
}

Value FixedAttentionParams::logarithms(const AttentionShape &shape, Value codes,
                                       Value step, Value length,
                                       Value most) const {
  auto bytes = k.vec(64, k.i8());
  Value shift = i64At(kStepsAt + 16);
  Value run = k.shiftRight(step, shift);
  Value r = k.sub(step, k.shiftLeft(run, shift));
  Value reached = k.broadcast(k.trunc(r, k.i8()), 64);
  Value bases = k.add(i64At(kStepsAt + 24), k.mul(run, k.i64(512)));
  bases = k.toIndex(bases);
  Value ranks = k.add(bases, 256);
  Value zero = k.splat(bytes, qm_log_zero(shape.log)), none = k.zeros(bytes);
  return forEach64(
      k, length, {most}, [&](Value i, Value mask, ArrayRef<Value> a) {
        Value at = k.add(codes, i);
        Value below = k.loadVector(k.scratch(), at, 64);
        Value grown = k.less(k.lut256(below, params, ranks), reached);
        Value code =
            k.add(k.lut256(below, params, bases), k.zext(grown, k.i8()));
        if (mask)
          code = k.select(mask, code, zero);
        k.storeVector(code, k.scratch(), at);
        Value seen = k.select(k.equal(code, zero), none, code);
        return Values{k.maxUnsigned(a[0], seen)};
      })[0];
}

} // namespace quern
