//===- ResidualSum.cpp - Codes of a residual's sum ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/ResidualSum.h"

#include "lib/Target/NVPTX/FixedPoint.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

Value ResidualSum::code(DeviceBuilder &k, Value x, Value y, Value scaleX,
                        Value scaleY, Value offset) const {
  x = aStorage == Storage::F32 ? x : k.toFloat(x);
  y = bStorage == Storage::F32 ? y : k.toFloat(y);
  Value v = k.addF(k.mulF(x, scaleX), k.mulF(y, scaleY));
  return k.round(k.minF(k.maxF(k.addF(v, offset), lo), hi));
}

Values ResidualSum::four(DeviceBuilder &k, Value row, Value column) const {
  auto load = [&](Value from, Value stride, Storage of) {
    return loadCodes(k, elementAt(k, from, row, stride, column, of), of, 4);
  };
  auto reals = [&](Value vector) {
    return k.loadMany(k.at(vector, k.shl(column, 2)), k.f32(), 4);
  };
  Values x = load(a, aStride, aStorage), y = load(b, bStride, bStorage);
  Values scaleX = reals(ma), scaleY = reals(mb), offset = reals(mo), codes;
  for (size_t e = 0; e != 4; ++e)
    codes.push_back(code(k, x[e], y[e], scaleX[e], scaleY[e], offset[e]));
  return codes;
}

Values ResidualSum::codes(WarpRow &columns, Value row) const {
  Values codes;
  for (int64_t i = 0; i != columns.steps(); ++i)
    codes.append(four(columns.k, row, columns.column(i)));
  return codes;
}

void ResidualSum::keep(WarpRow &columns, ArrayRef<Value> codes,
                       Value row) const {
  keepCodes(columns, codes, tapping, tap, row, tapStride, storage);
}

Values FixedResidualSum::four(DeviceBuilder &k, Value row, Value column) const {
  Values parts[2], codes;
  for (size_t t = 0; t != 2; ++t) {
    Value from = elementAt(k, terms[t], row, strides[t], column, storages[t]);
    parts[t] = loadCodes(k, from, storages[t], 4);
    for (int64_t e = 0; e != 4; ++e) {
      Value &v = parts[t][size_t(e)];
      v = fixedAt(k, v, loadFixed(k, scales[t], k.add(column, e)));
    }
  }
  for (size_t e = 0; e != 4; ++e)
    codes.push_back(limitTo32(k, k.add(parts[0][e], parts[1][e]), lo, hi));
  return codes;
}

} // namespace quern::nvptx
