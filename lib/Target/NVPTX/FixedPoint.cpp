//===- FixedPoint.cpp - Requantization without floats ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/FixedPoint.h"

using namespace mlir;

namespace quern::nvptx {

FixedScale loadFixed(DeviceBuilder &k, Value pointer, Value column) {
  Value narrow = pointer, wide = k.at(pointer, k.c(64));
  if (column) {
    Value block = k.mul(k.shr(column, 4), kFixedBytes);
    Value within = k.bitAnd(column, 15);
    narrow = k.at(pointer, k.add(block, k.shl(within, 2)));
    wide = k.at(pointer, k.add(k.add(block, k.shl(within, 3)), 64));
  }
  auto number = [&](int64_t at) {
    return k.load(k.at(wide, k.c(at)), k.i64(), 8);
  };
  return {k.load(narrow, k.i32(), 4), number(0), number(128), number(256)};
}

FixedScale makeFixed(DeviceBuilder &k, Value mantissa, Value shift) {
  Value wide = k.wide(shift), one = k.c64(1);
  Value half = k.shlBy(one, k.sub(wide, one));
  return {mantissa, wide, k.sub(half, one), Value()};
}

Value roundShift(DeviceBuilder &k, Value v, Value shift, Value below) {
  Value odd = k.bitAnd(k.shrBy(v, shift), k.c64(1));
  return k.shrSignedBy(k.add(k.add(v, below), odd), shift);
}

Value limitTo32(DeviceBuilder &k, Value v, Value lo, Value hi) {
  return k.narrow(k.min(k.max(v, k.wide(lo)), k.wide(hi)), k.i32());
}

Value fixedAt(DeviceBuilder &k, Value q, const FixedScale &scale) {
  Value v = k.mulWide(q, scale.mantissa);
  if (scale.offset)
    v = k.add(v, scale.offset);
  return roundShift(k, v, scale.shift, scale.below);
}

Value fixedCode(DeviceBuilder &k, Value q, const FixedScale &scale, Value lo,
                Value hi) {
  return limitTo32(k, fixedAt(k, q, scale), lo, hi);
}

} // namespace quern::nvptx
