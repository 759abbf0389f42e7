//===- ResidualSum.cpp - Codes of a residual's sum ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/ResidualSum.h"

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

Values ResidualSum::codes(WarpRow &columns, Value row) const {
  DeviceBuilder &k = columns.k;
  Values codes;
  for (int64_t i = 0; i != columns.steps(); ++i) {
    auto load = [&](Value from, Value stride, Storage of) {
      return loadCodes(
          k, elementAt(k, from, row, stride, columns.column(i), of), of, 4);
    };
    Values x = load(a, aStride, aStorage), y = load(b, bStride, bStorage);
    Values scaleX = columns.reals(ma, i), scaleY = columns.reals(mb, i);
    Values offset = columns.reals(mo, i);
    for (size_t e = 0; e != 4; ++e)
      codes.push_back(code(k, x[e], y[e], scaleX[e], scaleY[e], offset[e]));
  }
  return codes;
}

void ResidualSum::keep(WarpRow &columns, ArrayRef<Value> codes,
                       Value row) const {
  keepCodes(columns, codes, tapping, tap, row, tapStride, storage);
}

} // namespace quern::nvptx
