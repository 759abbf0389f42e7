//===- ShiftGelu.cpp - GELU by shifts over rows of codes ------------------===//
//
// Two passes over a row: its largest code, then the look-ups.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/ShiftGelu.h"

#include "quern/integer_gelu.h"

#include <algorithm>
#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

std::vector<int8_t> packShiftGelu(const ShiftGeluParams &params) {
  std::vector<int8_t> tables(256 * 256);
  for (int32_t top = 0; top < 256; ++top)
    for (int32_t code = 0; code <= top; ++code) {
      // A row of two: the code, and the largest beside it.
      const int32_t row[2] = {code - int32_t(params.zero),
                              top - int32_t(params.zero)};
      int32_t values[2];
      qi_shift_gelu(row, 2, int32_t(params.unit), values);
      tables[256 * top + code] =
          int8_t(qi_code(values[0], &params.post, params.lo, params.hi));
    }
  return tables;
}

/// The largest of the d codes from `from` on, as an index.
static Value largestCode(KernelBuilder &k, int64_t d, Value from) {
  auto bytes = k.vec(64, k.i8());
  int64_t whole = d / 64 * 64;
  Value top = k.loop(k.index(0), k.index(whole), 64, {k.zeros(bytes)},
                     [&](Value i, ArrayRef<Value> a) {
                       Value x = k.loadVector(k.buffer(0), k.add(from, i), 64);
                       return Values{k.maxUnsigned(a[0], x)};
                     })[0];
  if (whole < d) {
    Value x = k.loadVector(k.buffer(0), k.add(from, whole), 64);
    x = k.select(k.mask(d - whole, 64), x, k.zeros(bytes));
    top = k.maxUnsigned(top, x);
  }
  return k.toIndex(k.zext(k.reduceMaxUnsigned(top), k.i32()));
}

func::FuncOp buildShiftGelu(ModuleOp module, StringRef name,
                            const RowShape &shape) {
  assert(shape.in == Storage::U8 && shape.out == Storage::U8 &&
         shape.inStride % 64 == 0 && shape.outStride % 64 == 0 &&
         "rows of bytes are visited in whole blocks");
  Type i8 = Builder(module.getContext()).getI8Type();
  KernelBuilder k(module, name, {i8, i8, i8});
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.inStride), to = k.mul(row, shape.outStride);
    Value table = k.mul(largestCode(k, shape.d, from), 256);
    k.loop(k.index(0), k.index(shape.d), 64, [&](Value i) {
      Value x = k.loadVector(k.buffer(0), k.add(from, i), 64);
      k.storeVector(k.lut256(x, k.buffer(1), table), k.buffer(2), k.add(to, i));
    });
  });
  return k.finish();
}

} // namespace quern
