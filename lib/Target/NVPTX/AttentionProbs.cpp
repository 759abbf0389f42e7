//===- AttentionProbs.cpp - From scores to codes of probabilities ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A table of 256 exponentials, the sum of a row, and one number for the row
// which makes codes of exponentials or of distances: by quant_math.h and
// log_math.h, or, without floats, by integer_probs.h and integer_log_probs.h.
// Codes are not kept: they cost less than a trip through memory.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"

#include "quern/integer_log_probs.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

/// Places behind the two blocks of fixed constants, and of the limits behind
/// the planes of exponentials; see lib/Tile/FixedAttention.cpp.
enum { kNumerator, kMost, kShift, kBelow };
static constexpr int64_t kPlanesAt = 2 * kFixedBytes + 64;
static constexpr int64_t kLimitsAt = kPlanesAt + 4 * 256;

/// exp(-d) of every difference d of codes, as integers.
void AttentionEmitter::fillTable() {
  for (int64_t i = 0; i != 256 / kAttentionThreads; ++i) {
    Value d = k.add(thread, i * kAttentionThreads);
    Value e;
    if (form.fixed) {
      for (int64_t plane = 0; plane != 4; ++plane) {
        Value at = k.at(params, k.add(d, kPlanesAt + plane * 256));
        Value byte = k.shl(k.zeroExtend(k.load(at, k.i8(), 1)), 8 * plane);
        e = plane ? k.bitOr(e, byte) : byte;
      }
    } else {
      Value hi = k.load(k.at(params, k.shl(k.shr(d, 4), 2)), k.f32(), 4);
      Value lo = k.load(k.at(params, k.add(k.shl(k.bitAnd(d, 15), 2), 64)),
                        k.f32(), 4);
      e = k.round(k.mulF(hi, lo));
    }
    k.store(e, k.at(table, k.shl(d, 2)), 4);
  }
}

Value AttentionEmitter::exponential(Value distance) {
  return k.load(k.at(table, k.shl(distance, 2)), k.i32(), 4);
}

void AttentionEmitter::forEachScore(
    Value chunk, function_ref<void(size_t, size_t, Value, Value)> body) {
  for (int64_t pair = 0; pair != 2; ++pair)
    for (int64_t half = 0; half != 2; ++half) {
      int64_t at = pair * 2 + half;
      Value word = k.load(codesAt(chunk, at), k.i32(), 4);
      for (int64_t e = 0; e != 4; ++e) {
        Value code = k.bitAnd(k.shr(word, 8 * e), 255);
        Value there = k.less(k.add(keyOf(chunk, pair), e), keysLeft);
        // Scores of keys that are not there may lie above the top.
        Value d = k.select(there, k.sub(tops[size_t(half)], code), k.c(0));
        body(size_t(at), size_t(e), d, there);
      }
    }
}

/// Sums of exponentials: of 32 bits without a sign, or of 64 if fixed.
Values AttentionEmitter::totals() {
  Value none = form.fixed ? k.c64(0) : k.c(0);
  Values sums = forEachChunk(
      {none, none}, /*withValues=*/false,
      [&](Value chunk, ArrayRef<Value> carried) {
        Values sums(carried.begin(), carried.end());
        forEachScore(chunk, [&](size_t word, size_t, Value d, Value there) {
          Value e = k.select(there, exponential(d), k.c(0));
          Value &sum = sums[word % 2];
          sum = k.add(sum, form.fixed ? k.wideUnsigned(e) : e);
        });
        return sums;
      });
  for (Value &sum : sums)
    sum = overQuad(sum, true);
  return sums;
}

/// qm_log2 of a positive number.
static Value logarithm(DeviceBuilder &k, Value x) {
  Value bits = k.bits(x, k.i32());
  Value n = k.shrSigned(k.sub(bits, k.c(QM_LOG2_LOW)), 23);
  Value u = k.bits(k.sub(bits, k.shl(n, 23)), k.f32());
  u = k.subF(u, k.f(1.0f));
  Value y = k.f(qm_log2_table[QM_LOG2_DEGREE]);
  for (int p = QM_LOG2_DEGREE - 1; p >= 0; --p)
    y = k.addF(k.mulF(y, u), k.f(qm_log2_table[p]));
  return k.addF(k.toFloat(n), k.mulF(y, u));
}

/// qm_log_base
Value AttentionEmitter::logBase(Value total) {
  Value x = k.mulF(k.unsignedToFloat(total), constant(34));
  return k.mulF(k.f(float(form.log.per_octave)), logarithm(k, x));
}

/// qi_log_limit
Value AttentionEmitter::logLimit(Value total, int c) {
  Value limit;
  if (form.nearest) {
    auto number = [&](int64_t at) {
      return k.load(k.at(params, k.c(kLimitsAt + 16 * c + at)), k.i64(), 8);
    };
    limit = k.shrBy(k.mul(total, number(0)), number(8));
  } else {
    Value twice = k.sub(k.add(total, total), k.c64(c == 1));
    limit = k.divide(twice, k.c64(qi_log_divisor(c)));
  }
  return k.narrow(k.min(limit, k.c64(INT32_MAX)), k.i32());
}

void AttentionEmitter::normalize(ArrayRef<Value> largest) {
  tops.assign(largest.begin(), largest.end());
  Values sums = totals();
  for (size_t half = 0; half != 2; ++half) {
    if (form.fixed && form.isLog()) {
      for (int c = 0; c < qm_log_zero(form.log); ++c)
        limits[half].push_back(logLimit(sums[half], c));
    } else if (form.fixed) {
      Value most = k.min(sums[half], fixedNumber(kMost));
      Value factor = k.divide(fixedNumber(kNumerator), most);
      scales.push_back(k.narrow(factor, k.i32()));
    } else if (form.isLog()) {
      scales.push_back(logBase(sums[half]));
    } else {
      scales.push_back(k.divF(probMultiplier(), k.unsignedToFloat(sums[half])));
    }
  }
}

Value AttentionEmitter::probCode(size_t half, Value distance) {
  if (form.fixed && form.isLog()) {
    Value e = exponential(distance), code = k.c(qm_log_zero(form.log));
    for (Value limit : limits[half])
      code = k.sub(code, k.zeroExtend(k.less(limit, e)));
    return code;
  }
  if (form.fixed) {
    Value v = k.mulWide(exponential(distance), scales[half]);
    Value shift = fixedNumber(kShift);
    v = form.nearest ? roundShift(k, v, shift, fixedNumber(kBelow))
                     : k.shrBy(v, shift);
    return limitTo32(k, v, k.c(0), probHi);
  }
  if (form.isLog()) {
    Value v = k.mulF(k.toFloat(distance), constant(40));
    v = k.addF(v, scales[half]);
    Value most = k.f(float(qm_log_zero(form.log)));
    return k.round(k.minF(k.maxF(v, k.f(0.0f)), most));
  }
  Value v = k.mulF(k.toFloat(exponential(distance)), scales[half]);
  return k.round(k.minF(k.maxF(v, k.f(0.0f)), probHi));
}

Value AttentionEmitter::usedPlanes() {
  if (qm_log_planes(form.log) == 1)
    return k.c(1);
  Value zero = k.c(qm_log_zero(form.log));
  Values most = forEachChunk(
      {k.c(0)}, /*withValues=*/false,
      [&](Value chunk, ArrayRef<Value> carried) {
        Value most = carried[0];
        forEachScore(chunk, [&](size_t word, size_t, Value d, Value there) {
          Value code = probCode(word % 2, d);
          code = k.select(k.less(code, zero), code, k.c(0));
          most = k.max(most, k.select(there, code, k.c(0)));
        });
        return Values{most};
      });
  int64_t perPlane = qm_log_octaves(form.log) * form.log.per_octave;
  Value all = k.warpMax(most[0]);
  // Parts are entered by all warps or by none.
  if (form.keysAtOnce)
    all = blockMax(all);
  return k.add(k.div(all, perPlane), 1);
}

/// qm_log_weight, 0 for codes of the other parity.
Value AttentionEmitter::planeWeight(Value code, Value plane, int64_t parity) {
  int32_t octaves = qm_log_octaves(form.log);
  Value by = form.log.per_octave == 2 ? k.shr(code, 1) : code;
  // Octaves before the plane wrap around to large ones; no shift may be by 32
  // or more.
  by = k.minUnsigned(k.sub(by, k.mul(plane, octaves)), k.c(31));
  Value weight = k.shrBy(k.c(1 << (octaves - 1)), by);
  if (form.log.per_octave == 1)
    return weight;
  Value isOne = k.equal(k.bitAnd(code, 1), k.c(parity));
  return k.select(isOne, weight, k.c(0));
}

} // namespace quern::nvptx
