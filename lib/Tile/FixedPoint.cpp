//===- FixedPoint.cpp - Requantization and activations without floats -----===//
//
// Half to even: below half of a step and, for odd results, half of a step are
// rounded up by adding 2^(shift - 1) - 1 and the lowest bit of the result.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedPoint.h"

#include "quern/integer_activation.h"

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

FixedLanes loadFixed(KernelBuilder &k, Value buffer, Value column) {
  Value at = k.mul(k.div(column, k.index(16)), kFixedBlockBytes);
  auto wide = [&](int64_t offset) {
    return k.loadBytes(buffer, k.add(at, offset), 16, k.i64());
  };
  return {k.loadBytes(buffer, at, 16, k.i32()), wide(64), wide(192), wide(320)};
}

FixedLanes broadcastFixed(KernelBuilder &k, Value mantissa, Value shift) {
  Value wide = k.zext(shift, k.i64());
  Value half = k.shiftLeft(k.i64(1), k.sub(wide, k.i64(1)));
  return {k.broadcast(mantissa), k.broadcast(wide),
          k.broadcast(k.sub(half, k.i64(1))), Value()};
}

Value minSigned(KernelBuilder &k, Value a, Value b) {
  return arith::MinSIOp::create(k.op(), k.loc(), a, b);
}
Value maxSigned(KernelBuilder &k, Value a, Value b) {
  return arith::MaxSIOp::create(k.op(), k.loc(), a, b);
}

static Value wideSplat(KernelBuilder &k, int64_t v) {
  return k.broadcast(k.i64(v));
}
static Value splat(KernelBuilder &k, int32_t v) {
  return k.broadcast(k.i32(v));
}

Value roundShift(KernelBuilder &k, Value v, Value shift, Value below) {
  Value odd = k.bitAnd(k.shiftRight(v, shift), wideSplat(k, 1));
  return k.shiftRightSigned(k.add(k.add(v, below), odd), shift);
}

Value limitTo32(KernelBuilder &k, Value v, int64_t lo, int64_t hi) {
  v = minSigned(k, maxSigned(k, v, wideSplat(k, lo)), wideSplat(k, hi));
  return k.trunc(v, k.i32());
}

Value fixedAt(KernelBuilder &k, Value q, const FixedLanes &lanes) {
  Value v = k.mul(k.sext(q, k.i64()), k.sext(lanes.mantissa, k.i64()));
  if (lanes.offset)
    v = k.add(v, lanes.offset);
  return roundShift(k, v, lanes.shift, lanes.below);
}

Value fixedCode(KernelBuilder &k, Value q, const FixedLanes &lanes, int64_t lo,
                int64_t hi) {
  return limitTo32(k, fixedAt(k, q, lanes), lo, hi);
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
  Value product = k.mul(k.sext(t, k.i64()), k.sext(sum, k.i64()));
  return k.trunc(k.shiftRightSigned(product, wideSplat(k, QI_I_GELU_CUT)),
                 k.i32());
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
