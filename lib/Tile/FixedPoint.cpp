//===- FixedPoint.cpp - Requantization and activations without floats -----===//
//
// Half to even: half of a step is added before a shift down; where nothing is
// left below it the number was a tie, and the result loses its lowest bit.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedPoint.h"

#include "quern/integer_activation.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace quern {

std::vector<int8_t> packFixed(ArrayRef<qi_affine> columns) {
  size_t blocks = (columns.size() + 15) / 16;
  std::vector<int8_t> bytes(blocks * kFixedBlockBytes);
  for (size_t i = 0; i < blocks * 16; ++i) {
    qi_affine affine = {0, 1, 0};
    if (i < columns.size())
      affine = columns[i];
    int8_t *block = bytes.data() + i / 16 * kFixedBlockBytes;
    const int64_t wide[] = {
        affine.shift, (int64_t(1) << (affine.shift - 1)) - 1, affine.offset};
    std::memcpy(block + i % 16 * 4, &affine.mantissa, 4);
    for (size_t j = 0; j < 3; ++j)
      std::memcpy(block + 64 + j * 128 + i % 16 * 8, &wide[j], 8);
  }
  return bytes;
}

std::vector<int8_t> packFixed(const qi_affine &all) {
  return packFixed(std::vector<qi_affine>(16, all));
}

bool isNarrow(ArrayRef<qi_affine> all, double most) {
  return llvm::all_of(all, [&](const qi_affine &a) {
    double size = most * std::abs(double(a.mantissa));
    return std::ldexp(size + std::abs(double(a.offset)), -a.shift) < 0x1p29;
  });
}

Value minSigned(KernelBuilder &k, Value a, Value b) {
  return arith::MinSIOp::create(k.op(), k.loc(), a, b);
}
Value maxSigned(KernelBuilder &k, Value a, Value b) {
  return arith::MaxSIOp::create(k.op(), k.loc(), a, b);
}

static Value splat(KernelBuilder &k, int32_t v) {
  return k.broadcast(k.i32(v));
}
static Value splat8(KernelBuilder &k, int64_t v) {
  return k.broadcast(k.i64(v), 8);
}

WideLanes wideSplat(KernelBuilder &k, Value v) {
  Value all = k.broadcast(v, 8);
  return {all, all};
}

WideLanes eachHalf(function_ref<Value(Value, Value)> f, const WideLanes &a,
                   const WideLanes &b) {
  return {f(a.even, b.even), f(a.odd, b.odd)};
}

WideLanes widen(KernelBuilder &k, Value v) {
  Value pairs = k.bitcast(v, k.vec(8, k.i64())), by = splat8(k, 32);
  return {k.shiftRightSigned(k.shiftLeft(pairs, by), by),
          k.shiftRightSigned(pairs, by)};
}

/// The lower (0) or upper (1) halves of all 16 numbers.
static Value joinHalves(KernelBuilder &k, const WideLanes &v, int64_t half) {
  auto lanes = k.vec(16, k.i32());
  SmallVector<int64_t> pattern;
  for (int64_t i = half; i < 16; i += 2)
    pattern.append({i, 16 + i});
  return k.shuffle(k.bitcast(v.even, lanes), k.bitcast(v.odd, lanes), pattern);
}

Value join(KernelBuilder &k, const WideLanes &v) { return joinHalves(k, v, 0); }

Value joinUpper(KernelBuilder &k, const WideLanes &v) {
  return joinHalves(k, v, 1);
}

WideLanes loadWide(KernelBuilder &k, Value buffer, Value offset) {
  auto half = [&](int64_t at) {
    return k.loadBytes(buffer, k.add(offset, at), 8, k.i64());
  };
  Value low = half(0), high = half(64);
  return {k.shuffle(low, high, {0, 2, 4, 6, 8, 10, 12, 14}),
          k.shuffle(low, high, {1, 3, 5, 7, 9, 11, 13, 15})};
}

FixedLanes loadFixed(KernelBuilder &k, Value buffer, Value column,
                     bool narrow) {
  Value at = k.mul(k.div(column, k.index(16)), kFixedBlockBytes);
  WideLanes below = loadWide(k, buffer, k.add(at, 192));
  WideLanes offset = loadWide(k, buffer, k.add(at, 320));
  Value one = splat8(k, 1);
  auto plus = [&](Value a, Value b) { return k.add(k.add(a, b), one); };
  return {widen(k, k.loadBytes(buffer, at, 16, k.i32())),
          loadWide(k, buffer, k.add(at, 64)), eachHalf(plus, offset, below),
          eachHalf(plus, below, below), narrow};
}

FixedLanes broadcastFixed(KernelBuilder &k, Value mantissa, Value shift) {
  Value wide = k.zext(shift, k.i64()), one = k.i64(1);
  Value step = k.shiftLeft(one, wide);
  return {wideSplat(k, k.sext(mantissa, k.i64())), wideSplat(k, wide),
          wideSplat(k, k.shiftRight(step, one)), wideSplat(k, k.sub(step, one)),
          /*narrow=*/false};
}

static Value roundShift(KernelBuilder &k, Value v, Value shift, Value rest) {
  Value rounded = k.shiftRightSigned(v, shift);
  Value isTie = k.equal(k.bitAnd(v, rest), splat8(k, 0));
  return k.select(isTie, k.bitAnd(rounded, splat8(k, -2)), rounded);
}

WideLanes roundShift(KernelBuilder &k, const WideLanes &v,
                     const WideLanes &shift, const WideLanes &rest) {
  return {roundShift(k, v.even, shift.even, rest.even),
          roundShift(k, v.odd, shift.odd, rest.odd)};
}

Value limitTo32(KernelBuilder &k, const WideLanes &v, int64_t lo, int64_t hi,
                bool narrow) {
  if (narrow) {
    Value all = maxSigned(k, join(k, v), splat(k, int32_t(lo)));
    return minSigned(k, all, splat(k, int32_t(hi)));
  }
  auto limit = [&](Value half) {
    return minSigned(k, maxSigned(k, half, splat8(k, lo)), splat8(k, hi));
  };
  return join(k, {limit(v.even), limit(v.odd)});
}

WideLanes fixedAt(KernelBuilder &k, Value q, const FixedLanes &lanes) {
  WideLanes v = eachHalf([&](Value a, Value b) { return k.mul(a, b); },
                         widen(k, q), lanes.mantissa);
  v = eachHalf([&](Value a, Value b) { return k.add(a, b); }, v, lanes.offset);
  return roundShift(k, v, lanes.shift, lanes.rest);
}

Value fixedCode(KernelBuilder &k, Value q, const FixedLanes &lanes, int64_t lo,
                int64_t hi) {
  return limitTo32(k, fixedAt(k, q, lanes), lo, hi, lanes.narrow);
}

Value fixedCode(KernelBuilder &k, Value q, const FixedLanes &lanes,
                CodeRange range) {
  return fixedCode(k, q, lanes, int64_t(range.lo), int64_t(range.hi));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static Value positivePart(KernelBuilder &k, Value t) {
  return maxSigned(k, t, k.zeros(k.vec(16, k.i32())));
}
static Value negative(KernelBuilder &k, Value t) {
  return k.sub(k.zeros(k.vec(16, k.i32())), t);
}
static Value magnitude(KernelBuilder &k, Value t) {
  return maxSigned(k, t, negative(k, t));
}
static Value isBelowZero(KernelBuilder &k, Value t) {
  return arith::CmpIOp::create(k.op(), k.loc(), arith::CmpIPredicate::slt, t,
                               k.zeros(k.vec(16, k.i32())));
}

/// Row p of a table in integers, as the floats whose bits they are: tk.lut16
/// moves lanes and does nothing else.
static Value coefficients(KernelBuilder &k, const float (*table)[16], int p,
                          double units) {
  SmallVector<APFloat> row;
  for (int i = 0; i < 16; ++i) {
    uint32_t bits = uint32_t(qi_coefficient(table[p][i], units));
    row.push_back(APFloat(APFloat::IEEEsingle(), APInt(32, bits)));
  }
  return arith::ConstantOp::create(
      k.op(), k.loc(), DenseElementsAttr::get(k.vec(16, k.f32()), row));
}

/// qi_segments
static Value segments(KernelBuilder &k, Value t, const float (*table)[16],
                      double units) {
  auto lanes = k.vec(16, k.i32());
  Value bits = splat(k, QI_SEGMENT_BITS);
  t = minSigned(k, t, splat(k, QI_SEGMENT_LIMIT));
  Value i = k.shiftRight(k.add(t, splat(k, 1 << (QI_SEGMENT_BITS - 1))), bits);
  Value u = k.sub(t, k.shiftLeft(i, bits));
  auto look = [&](int p) {
    return k.bitcast(k.lut16(i, coefficients(k, table, p, units)), lanes);
  };
  Value y = look(QI_SEGMENT_DEGREE);
  for (int p = QI_SEGMENT_DEGREE - 1; p >= 0; --p)
    y = k.add(k.shiftRightSigned(k.mul(y, u), bits), look(p));
  return y;
}

static Value gelu(KernelBuilder &k, Value t, const float (*table)[16]) {
  return k.sub(k.shiftLeft(positivePart(k, t), splat(k, 4)),
               segments(k, magnitude(k, t), table, QI_GELU_OUT));
}

/// qi_i_gelu
static Value iGelu(KernelBuilder &k, Value t) {
  const qi_gelu g = qi_i_gelu_constants();
  Value flat = splat(k, g.flat);
  Value near = k.sub(minSigned(k, magnitude(k, t), flat), flat);
  Value erf = k.sub(k.mul(near, near), splat(k, g.c));
  erf = k.select(isBelowZero(k, t), negative(k, erf), erf);
  Value zero = k.zeros(k.vec(16, k.i32()));
  erf = k.select(k.equal(t, zero), zero, erf);
  erf = k.shiftRightSigned(erf, splat(k, QI_GELU_CUT));
  Value sum = k.add(erf, splat(k, g.one));
  Value cut = splat8(k, QI_I_GELU_CUT);
  return join(
      k, eachHalf([&](Value a,
                      Value b) { return k.shiftRightSigned(k.mul(a, b), cut); },
                  widen(k, t), widen(k, sum)));
}

Value fixedActivate(KernelBuilder &k, GemmActivation activation, Value t) {
  switch (activation) {
  case GemmActivation::None:
    break;
  case GemmActivation::Gelu:
    return gelu(k, t, qm_gelu_table);
  case GemmActivation::GeluTanh:
    return gelu(k, t, qm_gelu_tanh_table);
  case GemmActivation::Relu:
    return positivePart(k, t);
  case GemmActivation::Tanh: {
    Value y = segments(k, magnitude(k, t), qm_tanh_table, QI_TANH_OUT);
    return k.select(isBelowZero(k, t), negative(k, y), y);
  }
  case GemmActivation::IGelu:
    return iGelu(k, t);
  }
  llvm_unreachable("only activations have a function");
}

} // namespace quern
