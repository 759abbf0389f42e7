//===- Norm.cpp - LayerNorm of one row, and rows in blocks ----------------===//
//
// Statistics over codes are exact integers; byte codes are summed with dot4,
// the squares as u * (u - 128) + 128 u. Statistics of floats follow the fixed
// order of sixteen lanes.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Norm.h"
#include "lib/Tile/PairSums.h"

#include "quern/integer_norm.h"

#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

void forEachRows(KernelBuilder &k, RowsOf rows, int64_t together,
                 function_ref<void(ArrayRef<Value>)> body) {
  Value count = rows == RowsOf::Tokens ? k.tokens() : k.sequences();
  Value first = k.mul(k.begin(), kRowsPerChunk);
  Value last = k.min(k.mul(k.end(), kRowsPerChunk), count);
  k.loop(first, last, together, [&](Value row) {
    Values all = {row};
    for (int64_t r = 1; r < together; ++r)
      all.push_back(k.min(k.add(row, r), k.sub(last, k.index(1))));
    body(all);
  });
}

void forEachRow(KernelBuilder &k, RowsOf rows, function_ref<void(Value)> body) {
  forEachRows(k, rows, 1, [&](ArrayRef<Value> row) { body(row[0]); });
}

CodeNormParams::CodeNormParams(float sumScale, int64_t d, double eps)
    : scale(sumScale), factor(scale * scale / (double(d) * double(d))),
      eps(eps) {}

std::array<int8_t, CodeNormParams::size> CodeNormParams::data() const {
  const double values[] = {scale, factor, eps};
  static_assert(sizeof(values) == size, "three doubles");
  std::array<int8_t, size> bytes;
  std::memcpy(bytes.data(), values, size);
  return bytes;
}

CodeNorm::CodeNorm(KernelBuilder &k, int64_t d, Storage sum, Value norm,
                   Value gamma, Value beta, Value out, CodeRange range)
    : CodeRow(k, d, sum), gamma(gamma), beta(beta), out(out), range(range) {
  auto number = [&](int64_t i) {
    return k.lane(k.loadBytes(norm, k.index(8 * i), 1, k.f64()), 0);
  };
  scale = number(0);
  factor = number(1);
  eps = number(2);
  // putCodes() reaches the end of the last block of 16 only.
  Value zero = k.zeros(k.vec(16, k.i8()));
  for (int64_t c = (d + 15) / 16 * 16; c < rowStride(d); c += 16)
    k.storeVector(zero, k.scratch(), k.index(c));
}

int64_t CodeRow::scratchBytes(int64_t d, Storage sum) {
  return rowStride(d) * storageBytes(sum);
}

void CodeRow::putCodes(Value codes, Value column, Value mask) {
  if (mask)
    codes = k.select(mask, codes, k.zeros(k.vec(16, k.i32())));
  if (sum == Storage::U8)
    return k.storeCodes(codes, k.scratch(), column);
  k.storeBytes(k.trunc(codes, k.i16()), k.scratch(), k.mul(column, 2));
}

Value CodeRow::loadSum(Value column) {
  if (sum == Storage::U8)
    return k.loadCodes(k.scratch(), column);
  return k.zext(k.loadBytes(k.scratch(), k.mul(column, 2), 16, k.i16()),
                k.i32());
}

std::pair<Value, Value> CodeNorm::byteSums() {
  auto bytes = k.vec(64, k.i8());
  Value zero = k.zeros(k.vec(16, k.i32()));
  Values s = k.loop(k.index(0), k.index(d), 64, {zero, zero},
                    [&](Value i, ArrayRef<Value> a) {
                      Value u = k.loadVector(k.scratch(), i, 64);
                      return Values{
                          k.dot4(a[0], u, k.splat(bytes, 1)),
                          k.dot4(a[1], u, k.bitXor(u, k.splat(bytes, -128)))};
                    });
  Value first = k.sext(k.reduceAdd(s[0]), k.i64());
  Value second = k.sext(k.reduceAdd(s[1]), k.i64());
  return {first, k.add(second, k.mul(first, k.i64(128)))};
}

/// Of d codes of 16 bits at the start of scratch memory, taken less 2^15 as
/// numbers with sign.
static std::pair<Value, Value> pairSums(KernelBuilder &k, int64_t d) {
  auto words = k.vec(32, k.i16());
  Value first = k.i64(d << 15), second = k.i64(d << 30);
  for (int64_t from = 0; from < d; from += QI_MOST_COLUMNS) {
    int64_t to = std::min<int64_t>(d, from + QI_MOST_COLUMNS);
    auto step = [&](Value i, Value mask, ArrayRef<Value> a) {
      Value u = k.loadBytes(k.scratch(), k.mul(i, 2), 32, k.i16());
      Value v = k.bitXor(u, k.splat(words, -32768));
      if (mask)
        v = k.select(mask, v, k.zeros(words));
      return addPairs(k, v, a);
    };
    int64_t whole = to / 32 * 32;
    Values sums =
        k.loop(k.index(from), k.index(whole), 32,
               Values(kPairSums, k.zeros(k.vec(16, k.i32()))),
               [&](Value i, ArrayRef<Value> a) { return step(i, Value(), a); });
    if (whole != to)
      sums = step(k.index(whole), k.mask(to - whole, 32), sums);
    auto [sum, squares] = totalsOfPairs(k, sums);
    first = k.add(first, sum);
    second = k.add(second, k.add(squares, k.shiftLeft(sum, k.i64(16))));
  }
  return {first, second};
}

std::pair<Value, Value> CodeNorm::sums() {
  return sum == Storage::U8 ? byteSums() : pairSums(k, d);
}

void CodeNorm::finish(Value outOffset) {
  forEachResult([&](Value i, Value y) {
    k.storeReal(y, out, k.add(outOffset, i), range);
  });
}

void CodeNorm::forEachResult(function_ref<void(Value, Value)> body) {
  auto [first, second] = sums();
  Value n = k.sub(k.mul(second, k.i64(d)), k.mul(first, first));
  Value variance = k.add(k.mul(k.toFloat(n, k.f64()), factor), eps);
  Value rs = k.truncateFloat(k.div(scale, k.sqrt(variance)));
  Value width = k.toFloat(k.i64(d), k.f64());
  Value mean = k.truncateFloat(k.div(k.toFloat(first, k.f64()), width));
  rs = k.broadcast(rs);
  mean = k.broadcast(mean);
  k.blocks(d, [&](Value i, Value) {
    Value u = k.toFloat(loadSum(i), k.f32());
    Value y = k.mul(k.sub(u, mean), rs);
    y = k.mul(y, k.loadVector(gamma, i));
    y = k.add(y, k.loadVector(beta, i));
    body(i, y);
  });
}

Value sumColumns(KernelBuilder &k, int64_t d,
                 function_ref<Value(Value)> value) {
  Value zero = k.zeros(k.vec(16, k.f32()));
  Values s = k.blocks(d, {zero}, [&](Value i, Value mask, ArrayRef<Value> a) {
    Value next = k.add(a[0], value(i));
    return Values{mask ? k.select(mask, next, a[0]) : next};
  });
  return k.sumTree(s[0]);
}

void emitRealNorm(KernelBuilder &k, int64_t d, Value offset, Value gamma,
                  Value beta, Value eps, Value out, Value outOffset) {
  auto x = [&](Value i) {
    return k.loadBytes(k.scratch(), k.add(offset, k.mul(i, 4)), 16, k.f32());
  };
  Value width = k.f32(float(d));
  Value mean = k.broadcast(k.div(sumColumns(k, d, x), width));
  Value squares = sumColumns(k, d, [&](Value i) {
    Value c = k.sub(x(i), mean);
    return k.mul(c, c);
  });
  Value variance = k.div(squares, width);
  Value rs = k.div(k.f32(1.0f), k.sqrt(k.add(variance, eps)));
  rs = k.broadcast(rs);
  k.blocks(d, [&](Value i, Value) {
    Value y = k.mul(k.sub(x(i), mean), rs);
    y = k.mul(y, k.loadVector(gamma, i));
    y = k.add(y, k.loadVector(beta, i));
    k.storeVector(y, out, k.add(outOffset, i));
  });
}

} // namespace quern
