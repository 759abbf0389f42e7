//===- PairSums.cpp - Sums of numbers of 16 bits and of squares -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Squares summed in pairs are at most 2^31, of which their sums modulo 2^32
// and the sums of their upper halves give the sum in 64 bits.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/PairSums.h"

#include "quern/integer_norm.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

static_assert(QI_MOST_COLUMNS / 2 * INT64_C(65535) <= INT64_C(0xffffffff),
              "the lower halves of the sums of a row fit 32 bits");

static Value upperHalf(KernelBuilder &k) {
  return k.splat(k.vec(16, k.i32()), 16);
}

Value multiplyPairs(KernelBuilder &k, Value a, Value b) {
  Value all = k.mul(k.sext(a, k.i32()), k.sext(b, k.i32()));
  SmallVector<int64_t> even, odd;
  for (int64_t i = 0; i < 32; i += 2) {
    even.push_back(i);
    odd.push_back(i + 1);
  }
  return k.add(k.shuffle(all, all, even), k.shuffle(all, all, odd));
}

Values addPairs(KernelBuilder &k, Value numbers, ArrayRef<Value> sums) {
  Value squares = multiplyPairs(k, numbers, numbers);
  Value ones = k.splat(k.vec(32, k.i16()), 1);
  return {k.add(sums[0], multiplyPairs(k, numbers, ones)),
          k.add(sums[1], squares),
          k.add(sums[2], k.shiftRight(squares, upperHalf(k)))};
}

std::pair<Value, Value> totalsOfPairs(KernelBuilder &k, ArrayRef<Value> sums) {
  auto total = [&](Value v) { return k.zext(k.reduceAdd(v), k.i64()); };
  Value lower = k.sub(sums[1], k.shiftLeft(sums[2], upperHalf(k)));
  return {k.sext(k.reduceAdd(sums[0]), k.i64()),
          k.add(total(lower), k.shiftLeft(total(sums[2]), k.i64(16)))};
}

} // namespace quern
