//===- ShiftGelu.cpp - GELU by shifts over rows of codes ------------------===//
//
// Two passes over a row: its largest code, then the look-ups, beside which goes
// the first pass of the next row.
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

/// The larger of each lane of `top` and of the codes of a row, from `row` on,
/// in its columns from `i` on.
static Value larger(KernelBuilder &k, int64_t d, Value top, Value row,
                    Value i) {
  auto bytes = k.vec(64, k.i8());
  Value x = k.loadVector(k.buffer(0), k.add(row, i), 64);
  if (d % 64)
    x = k.select(k.mask(k.sub(k.index(d), i), 64), x, k.zeros(bytes));
  return k.maxUnsigned(top, x);
}

func::FuncOp buildShiftGelu(ModuleOp module, StringRef name,
                            const RowShape &shape) {
  assert(shape.in == Storage::U8 && shape.out == Storage::U8 &&
         shape.inStride % 64 == 0 && shape.outStride % 64 == 0 &&
         "rows of bytes are visited in whole blocks");
  Type i8 = Builder(module.getContext()).getI8Type();
  KernelBuilder k(module, name, {i8, i8, i8});
  // The largest code of the next row is found beside the look-ups.
  int64_t d = shape.d;
  Value count = shape.rows == RowsOf::Tokens ? k.tokens() : k.sequences();
  Value first = k.mul(k.begin(), kRowsPerChunk);
  Value last = k.min(k.mul(k.end(), kRowsPerChunk), count);
  Value none = k.zeros(k.vec(64, k.i8()));
  Value top = k.loop(
      k.index(0), k.index(d), 64, {none}, [&](Value i, ArrayRef<Value> a) {
        return Values{larger(k, d, a[0], k.mul(first, shape.inStride), i)};
      })[0];
  k.loop(first, last, 1, {top}, [&](Value row, ArrayRef<Value> tops) {
    Value from = k.mul(row, shape.inStride), to = k.mul(row, shape.outStride);
    Value next =
        k.mul(k.min(k.add(row, 1), k.sub(last, k.index(1))), shape.inStride);
    Value largest = k.toIndex(k.zext(k.reduceMaxUnsigned(tops[0]), k.i32()));
    Value table = k.mul(largest, 256);
    return k.loop(k.index(0), k.index(d), 64, {none},
                  [&](Value i, ArrayRef<Value> a) {
                    Value x = k.loadVector(k.buffer(0), k.add(from, i), 64);
                    k.storeVector(k.lut256(x, k.buffer(1), table), k.buffer(2),
                                  k.add(to, i));
                    return Values{larger(k, d, a[0], next, i)};
                  });
  });
  return k.finish();
}

} // namespace quern
