//===- GemmRowSums.cpp - Sums of a row's codes ----------------------------===//
//
// Dot products with ones, 64 codes at a time.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmRowSums.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

Values sumRows(KernelBuilder &k, const GemmInputs &inputs, Value start,
               int64_t rows, int64_t columns) {
  Value ones = k.splat(k.vec(64, k.i8()), 1);
  Values sums(rows, k.zeros(k.vec(16, k.i32())));
  int64_t whole = columns / 64 * 64;
  if (whole)
    sums = k.loop(
        k.index(0), k.index(whole), 64, sums,
        [&](Value column, ArrayRef<Value> carried) {
          Values now(carried.begin(), carried.end());
          Value at = k.add(start, column);
          for (int64_t i = 0; i < rows; ++i)
            now[i] = k.dot4(
                now[i],
                k.loadVector(inputs.x, k.add(at, i * inputs.xStride), 64),
                ones);
          return now;
        });
  for (int64_t column = whole; column < columns; column += 16)
    for (int64_t i = 0; i < rows; ++i) {
      Value codes =
          k.loadCodes(inputs.x, k.add(start, i * inputs.xStride + column));
      if (columns - column < 16)
        codes = k.select(k.mask(columns - column), codes,
                         k.zeros(k.vec(16, k.i32())));
      sums[i] = k.add(sums[i], codes);
    }
  for (Value &sum : sums)
    sum = k.broadcast(k.reduceAdd(sum));
  return sums;
}

} // namespace quern
