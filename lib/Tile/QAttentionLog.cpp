//===- QAttentionLog.cpp - Logarithmic probabilities ----------------------===//
//
// Codes of base 2 or sqrt(2) of eight rows, the planes of bytes that stand for
// them, and the sums of the planes, by log_math.h. Planes of the smallest
// values, which are empty in most rows, are neither made nor summed: that
// changes no bit of the result.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"
#include "lib/Tile/QAttentionEmitter.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// qm_log2 of eight numbers.
Value QAttentionEmitter::logarithm(Value x) {
  auto lanes = k.vec(blockRows, k.i32());
  auto reals = k.vec(blockRows, k.f32());
  Value bits = k.bitcast(x, lanes), mantissa = k.splat(lanes, 23);
  Value n =
      k.shiftRightSigned(k.sub(bits, k.splat(lanes, QM_LOG2_LOW)), mantissa);
  Value m = k.bitcast(k.sub(bits, k.shiftLeft(n, mantissa)), reals);
  Value u = k.sub(m, k.splat(reals, 1));
  Value y = k.splat(reals, qm_log2_table[QM_LOG2_DEGREE]);
  for (int p = QM_LOG2_DEGREE - 1; p >= 0; --p)
    y = k.add(k.mul(y, u), k.splat(reals, qm_log2_table[p]));
  return k.add(k.toFloat(n, k.f32()), k.mul(y, u));
}

/// Codes, in the place of the score codes or, where they are no bytes, as i32
/// in that of the exponentials, then their planes.
void QAttentionEmitter::logCodes(ArrayRef<Value> tops, Value total) {
  auto lanes = k.vec(16, k.i32());
  Value x =
      k.mul(k.unsignedToFloat(total), k.broadcast(probMultiplier, blockRows));
  Value bases = k.mul(logarithm(x),
                      k.splat(k.vec(blockRows, k.f32()), shape.log.per_octave));
  Value zero = k.splat(lanes, qm_log_zero(shape.log));
  CodeRange range{0, float(qm_log_zero(shape.log))};
  int64_t planes = qm_log_planes(shape.log);
  Value most = k.zeros(lanes);
  for (int64_t r = 0; r != blockRows; ++r) {
    Value base = k.broadcast(k.lane(bases, r));
    auto body = [&](Value i, Value mask, ArrayRef<Value> a) {
      Value s = k.loadCodes(scratch, k.add(i, codeRow(r)));
      Value d = k.toFloat(k.sub(tops[r], s), k.f32());
      Value code = k.round(k.add(k.mul(d, probStep), base), range);
      if (mask)
        code = k.select(mask, code, zero);
      Value at = k.add(k.mul(i, 4), layout.exps + r * layout.expStride);
      if (hasByteCodes())
        k.storeCodes(code, scratch, k.add(i, codeRow(r)));
      else
        k.storeBytes(code, scratch, at);
      if (planes == 1)
        return Values();
      Value seen = k.select(k.equal(code, zero), k.zeros(lanes), code);
      return Values{k.maxUnsigned(a[0], seen)};
    };
    Values carried;
    if (planes > 1)
      carried.push_back(most);
    carried = k.blocks(c.length, carried, body);
    if (planes > 1)
      most = carried[0];
  }
  packPlanes(most);
}

void QAttentionEmitter::packPlanes(Value most) {
  if (!makesPlanes)
    return;
  if (seen) {
    seen = most;
    return;
  }
  usedPlanes = planesIn(most);
  if (qm_log_planes(shape.log) == 1)
    return packPlane(k.index(0));
  k.loop(k.index(0), usedPlanes, 1, [&](Value plane) { packPlane(plane); });
}

/// How many planes are not empty.
Value QAttentionEmitter::planesIn(Value most) {
  if (qm_log_planes(shape.log) == 1)
    return k.index(1);
  int64_t perPlane = qm_log_octaves(shape.log) * shape.log.per_octave;
  Value last = k.toIndex(k.reduceMaxUnsigned(most));
  return k.add(k.div(last, k.index(perPlane)), 1);
}

/// As logCodes, without floats. Rows past the end of the sequence have codes
/// too, so that their planes are made of what codes may be.
void QAttentionEmitter::fixedLogCodes() {
  FixedAttentionParams fixed(k, params);
  auto codesOf = [&](Value r) {
    return k.add(k.mul(r, layout.codeStride), codeRow(0));
  };
  auto sumAt = [&](Value r) { return k.add(k.mul(r, 8), layout.sums); };
  Value rows = k.index(blockRows);
  k.loop(k.index(0), rows, 1, [&](Value r) {
    Value sum = fixed.sumExponentials(shape, codesOf(r), c.length);
    k.storeBytes(k.broadcast(sum, 1), scratch, sumAt(r));
  });
  auto load = [&](Value r) {
    return k.lane(k.loadBytes(scratch, sumAt(r), 1, k.i64()), 0);
  };
  Values sums;
  for (int64_t r = 0; r != blockRows; ++r)
    sums.push_back(load(k.index(r)));
  for (auto [r, step] : llvm::enumerate(fixed.findSteps(sums))) {
    step = arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), step);
    k.storeBytes(k.broadcast(step, 1), scratch, sumAt(k.index(int64_t(r))));
  }
  Value most = k.loop(k.index(0), rows, 1, {k.zeros(k.vec(64, k.i8()))},
                      [&](Value r, ArrayRef<Value> a) {
                        return Values{fixed.logarithms(
                            shape, codesOf(r), load(r), c.length, a[0])};
                      })[0];
  packPlanes(most);
}

/// Stores the weights of all codes in every plane, by which codes become
/// planes.
void QAttentionEmitter::storeTables() {
  if (!shape.isLog() || !hasByteCodes())
    return;
  int64_t parities = shape.log.per_octave;
  for (int64_t table = 0; table < layout.planeCount; ++table)
    for (int64_t part = 0; part < 4; ++part) {
      SmallVector<int8_t> weights;
      for (int64_t code = part * 64; code < part * 64 + 64; ++code) {
        bool isOther = code % parities != table % parities;
        bool isZero = isOther || code >= qm_log_zero(shape.log);
        weights.push_back(int8_t(
            isZero ? 0
                   : qm_log_weight(int32_t(code), int32_t(table / parities),
                                   shape.log)));
      }
      Value row = arith::ConstantOp::create(
          k.op(), k.loc(),
          DenseElementsAttr::get(k.vec(64, k.i8()), ArrayRef(weights)));
      k.storeVector(row, scratch,
                    k.index(layout.tables + table * 256 + part * 64));
    }
}

void QAttentionEmitter::packPlaneOfBytes(Value plane) {
  auto lanes = k.vec(16, k.i32()), bytes = k.vec(64, k.i8());
  int64_t parities = shape.log.per_octave;
  Value table = k.add(k.mul(plane, parities * 256), layout.tables);
  Value ones = k.splat(bytes, 1);
  Values sums[2];
  for (int64_t r = 0; r != blockRows; ++r) {
    Values total = forEach64(
        k, c.length, Values(parities, k.zeros(lanes)),
        [&](Value i, Value mask, ArrayRef<Value> a) {
          Value codes = k.loadVector(scratch, k.add(i, codeRow(r)), 64);
          Values next;
          for (int64_t p = 0; p != parities; ++p) {
            Value weights = k.lut256(codes, scratch, k.add(table, p * 256));
            if (mask)
              weights = k.select(mask, weights, k.zeros(bytes));
            k.storeVector(
                weights, scratch,
                k.add(k.add(planeAt(plane, p), i), r * layout.codeStride));
            next.push_back(k.dot4(a[p], weights, ones));
          }
          return next;
        });
    for (int64_t p = 0; p != parities; ++p)
      sums[p].push_back(total[p]);
  }
  for (int64_t p = 0; p != parities; ++p)
    storeTerm(reduceRows(sums[p]), planeTerms(plane, p));
}

/// The weights of one plane of each parity, and the terms of their sums.
void QAttentionEmitter::packPlane(Value plane) {
  if (hasByteCodes())
    return packPlaneOfBytes(plane);
  auto lanes = k.vec(16, k.i32());
  int64_t parities = shape.log.per_octave, n = qm_log_octaves(shape.log);
  bool isOnly = qm_log_planes(shape.log) == 1;
  Value one = k.splat(lanes, 1), top = k.splat(lanes, 1 << (n - 1));
  Value first;
  if (!isOnly)
    first = k.broadcast(k.toI32(k.mul(plane, n)));
  Values sums[2];
  for (int64_t r = 0; r != blockRows; ++r) {
    Values total = k.blocks(
        c.length, Values(parities, k.zeros(lanes)),
        [&](Value i, Value, ArrayRef<Value> a) {
          Value from = k.add(k.mul(i, 4), layout.exps + r * layout.expStride);
          Value code = k.loadBytes(scratch, from, 16, k.i32());
          Value by = parities == 2 ? k.shiftRight(code, one) : code;
          // Octaves before the plane wrap around to large ones; no shift may
          // be by 32 or more.
          if (!isOnly)
            by = k.min(k.sub(by, first), k.splat(lanes, 31));
          Values weights = {k.shiftRight(top, by)};
          if (parities == 2) {
            Value isOdd = k.sub(k.zeros(lanes), k.bitAnd(code, one));
            weights.push_back(k.bitAnd(weights[0], isOdd));
            weights[0] = k.sub(weights[0], weights[1]);
          }
          Values next;
          for (int64_t p = 0; p != parities; ++p) {
            Value to =
                k.add(k.add(planeAt(plane, p), i), r * layout.codeStride);
            k.storeCodes(weights[p], scratch, to);
            next.push_back(k.add(a[p], weights[p]));
          }
          return next;
        });
    for (int64_t p = 0; p != parities; ++p)
      sums[p].push_back(total[p]);
  }
  for (int64_t p = 0; p != parities; ++p)
    storeTerm(reduceRows(sums[p]), planeTerms(plane, p));
}

/// What the planes of `count` panels stand for, in f32, from the last plane to
/// the first.
Values QAttentionEmitter::joinedPlanes(Value first, int64_t count) {
  auto reals = k.vec(16, k.f32());
  int64_t parities = shape.log.per_octave, panels = count * blockRows;
  Value down = k.splat(reals, 1.0 / double(1 << qm_log_octaves(shape.log)));
  auto addPlane = [&](Value plane, ArrayRef<Value> before) {
    Values values;
    for (int64_t p = 0; p != parities; ++p) {
      for (Value sum : weightedSums(plane, p, first, count)) {
        Value value = k.toFloat(sum, k.f32());
        if (!before.empty())
          value = k.add(k.mul(before[values.size()], down), value);
        values.push_back(value);
      }
    }
    return values;
  };
  Values values;
  if (qm_log_planes(shape.log) == 1)
    values = addPlane(k.index(0), {});
  else
    values = k.loop(k.index(0), usedPlanes, 1,
                    Values(parities * panels, k.zeros(reals)),
                    [&](Value i, ArrayRef<Value> before) {
                      Value plane = k.sub(k.sub(usedPlanes, k.index(1)), i);
                      return addPlane(plane, before);
                    });
  if (parities == 1)
    return values;
  Value root = k.splat(reals, QM_SQRT_HALF);
  Values joined;
  for (int64_t i = 0; i != panels; ++i)
    joined.push_back(k.add(values[i], k.mul(values[panels + i], root)));
  return joined;
}

/// What the planes of `count` panels stand for in units of the last, i32.
Values QAttentionEmitter::joinedFixedPlanes(Value first, int64_t count) {
  auto lanes = k.vec(16, k.i32());
  int64_t planes = qm_log_planes(shape.log);
  if (planes == 1)
    return weightedSums(k.index(0), 0, first, count);
  return k.loop(
      k.index(0), usedPlanes, 1, Values(count * blockRows, k.zeros(lanes)),
      [&](Value plane, ArrayRef<Value> before) {
        Values sums = weightedSums(plane, 0, first, count);
        Value behind = k.sub(k.index(planes - 1), plane);
        Value up =
            k.broadcast(k.toI32(k.mul(behind, qm_log_octaves(shape.log))));
        for (auto [sum, all] : llvm::zip_equal(sums, before))
          sum = k.add(all, k.shiftLeft(sum, up));
        return sums;
      });
}

/// Copies the codes of the rows of the sequence to their tap.
void QAttentionEmitter::tapLogCodes(Value row) {
  if (hasByteCodes())
    return tapRows(row, probTap);
  Type element = k.element(shape.probStorage());
  k.ifThen(c.tapping, [&] {
    Value rows = rowsLeft(row);
    k.loop(k.index(0), rows, 1, [&](Value r) {
      Value from = k.add(k.mul(r, layout.expStride), layout.exps);
      Value to = k.add(c.tapBase, k.mul(k.add(row, r), c.length));
      k.loop(k.index(0), c.length, 1, [&](Value j) {
        Value code = k.loadBytes(scratch, k.add(from, k.mul(j, 4)), 1, k.i32());
        k.store(k.trunc(k.lane(code, 0), element), probTap, k.add(to, j));
      });
    });
  });
}

} // namespace quern
