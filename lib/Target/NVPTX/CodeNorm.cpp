//===- CodeNorm.cpp - LayerNorm over codes, one warp to a row -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/CodeNorm.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

Error checkRow(int64_t d) {
  if (d <= 0 || d % 4 || d > kWidestRow)
    return Error::make("rows of ", d, " columns, expected a multiple of 4, at ",
                       "most ", kWidestRow);
  return Error::success();
}

WarpRow::WarpRow(DeviceBuilder &k, int64_t d)
    : k(k), d(d), lane(k.rem(k.thread(), 32)) {}

Value WarpRow::column(int64_t step) {
  Value column = k.add(k.mul(lane, 4), step * 128);
  return (step + 1) * 128 <= d ? column : k.min(column, k.c(d - 4));
}

Value WarpRow::inside(int64_t step) {
  if ((step + 1) * 128 <= d)
    return Value();
  return k.less(k.add(k.mul(lane, 4), step * 128), k.c(d));
}

Value WarpRow::orZero(int64_t step, Value value) {
  Value there = inside(step);
  return there ? k.select(there, value, k.c(0)) : value;
}

void WarpRow::ifInside(int64_t step, DeviceBuilder::Body body) {
  if (Value there = inside(step))
    return k.ifThen(there, body);
  body();
}

Values WarpRow::reals(Value vector, int64_t step) {
  return k.loadMany(k.at(vector, k.shl(column(step), 2)), k.f32(), 4);
}

void forEachWarpRow(DeviceBuilder &k, Value rows,
                    function_ref<void(Value)> body) {
  Value row = k.add(k.mul(k.block(0), kRowsPerBlock), k.div(k.thread(), 32));
  k.ifThen(k.less(row, rows), [&] { body(row); });
}

void forEachFour(DeviceBuilder &k, Value d, function_ref<void(Value)> body) {
  Value lane = k.rem(k.thread(), 32);
  k.loop(k.shl(lane, 2), d, 128, {}, [&](Value column, ArrayRef<Value>) {
    body(column);
    return Values();
  });
}

Value elementAt(DeviceBuilder &k, Value base, Value row, Value stride,
                Value column, Storage storage) {
  int64_t bytes = storageBytes(storage);
  return k.at(k.at(base, k.mulWide(row, k.mul(stride, bytes))),
              k.mul(column, bytes));
}

void keepCodes(WarpRow &columns, ArrayRef<Value> codes, Value tapping,
               Value tap, Value row, Value stride, Storage storage) {
  DeviceBuilder &k = columns.k;
  k.ifThen(k.less(k.c(0), tapping), [&] {
    for (int64_t i = 0; i != columns.steps(); ++i)
      columns.ifInside(i, [&] {
        storeCodes(k, codes.slice(size_t(i) * 4, 4),
                   elementAt(k, tap, row, stride, columns.column(i), storage),
                   storage);
      });
  });
}

void RowResult::store(WarpRow &columns, int64_t step, ArrayRef<Value> results,
                      Value row) const {
  DeviceBuilder &k = columns.k;
  columns.ifInside(step, [&] {
    Value column = columns.column(step);
    storeCodes(k, results, elementAt(k, out, row, stride, column, storage),
               storage);
    second.store(k, results, row, column);
  });
}

std::pair<Value, Value> codeStatistics(WarpRow &columns, ArrayRef<Value> codes,
                                       Value norm) {
  DeviceBuilder &k = columns.k;
  Value first = k.c(0), second = k.wide(k.c(0));
  for (int64_t i = 0; i != columns.steps(); ++i)
    for (int64_t e = 0; e != 4; ++e) {
      Value u = columns.orZero(i, codes[size_t(i * 4 + e)]);
      first = k.add(first, u);
      second = k.add(second, k.mulWide(u, u));
    }
  first = k.wide(k.warpSum(first));
  second = k.warpSum(second);
  auto number = [&](int64_t i) {
    return k.load(k.at(norm, k.c(8 * i)), k.f64(), 8);
  };
  Value width = k.wide(k.c(columns.d));
  Value n = k.sub(k.mul(second, width), k.mul(first, first));
  Value variance = k.addF(k.mulF(k.toDouble(n), number(1)), number(2));
  Value rs = k.toFloat(k.divF(number(0), k.sqrt(variance)));
  Value mean = k.toFloat(k.divF(k.toDouble(first), k.f64(double(columns.d))));
  return {mean, rs};
}

void normalizeRow(WarpRow &columns, ArrayRef<Value> codes, Value norm,
                  Value gamma, Value beta, Value row, const RowResult &result) {
  DeviceBuilder &k = columns.k;
  auto [mean, rs] = codeStatistics(columns, codes, norm);
  for (int64_t i = 0; i != columns.steps(); ++i) {
    Values scales = columns.reals(gamma, i), offsets = columns.reals(beta, i);
    Values results;
    for (size_t e = 0; e != 4; ++e) {
      Value u = k.toFloat(codes[size_t(i) * 4 + e]);
      Value y = k.mulF(k.subF(u, mean), rs);
      y = k.addF(k.mulF(y, scales[e]), offsets[e]);
      if (result.storage != Storage::F32)
        y = k.round(k.minF(k.maxF(y, result.lo), result.hi));
      results.push_back(y);
    }
    result.store(columns, i, results, row);
  }
}

} // namespace quern::nvptx
