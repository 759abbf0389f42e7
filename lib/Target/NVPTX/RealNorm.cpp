//===- RealNorm.cpp - LayerNorm over real numbers on GPUs -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A row is read three times, for its mean, its variance and its result; only
// the first time from far away. Sums are made again each time, not kept: they
// have the same bits.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/RealNorm.h"

#include "lib/Target/NVPTX/CodeNorm.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

Error checkRealNorm(const RealNormForm &form) {
  for (int64_t bits : form.tableBits) {
    if (bits != 32 && bits != 8 && bits != 4 && bits != 2)
      return Error::make("table of ", bits, " bits, expected 32, 8, 4 or 2");
    if (bits != 32 && form.source != RealNormForm::Tables)
      return Error("LayerNorm of rows: found a table, expected none");
  }
  for (size_t t = 0; t != 3; ++t)
    if (form.rowScales[t] && form.tableBits[t] == 32)
      return Error("table of f32 with scales, expected none");
  return Error::success();
}

std::string getRealNormName(const RealNormForm &form) {
  if (form.source == RealNormForm::Row)
    return "norm_f32";
  if (form.source == RealNormForm::Sum)
    return "add_norm_f32";
  std::string name = "embed_f32";
  for (size_t t = 0; t != 3; ++t)
    name += "_w" + std::to_string(form.tableBits[t]) +
            (form.rowScales[t] ? "r" : "");
  return name;
}

Value sumOfColumns(DeviceBuilder &k, Value d,
                   function_ref<Value(Value)> value) {
  Value lane = k.rem(k.thread(), 32);
  Value sum = k.loop(k.rem(lane, 16), d, 16, {k.f(0.0f)},
                     [&](Value column, ArrayRef<Value> carried) {
                       return Values{k.addF(carried[0], value(column))};
                     })[0];
  for (int64_t mask : {8, 4, 2, 1})
    sum =
        k.addF(sum, k.bits(k.shuffleXor(k.bits(sum, k.i32()), mask), k.f32()));
  return sum;
}

/// A root in f64 rounds to the nearest f32: it has more than twice the bits.
Value rootOfReal(DeviceBuilder &k, Value v) {
  return k.toFloat(k.sqrt(k.toDouble(v)));
}

namespace {
class RealNormEmitter {
public:
  RealNormEmitter(DeviceBuilder &k, const RealNormForm &form)
      : k(k), form(form), isTables(form.source == RealNormForm::Tables),
        isRow(form.source == RealNormForm::Row) {}

  void emit();

private:
  void takeParams();
  /// Where the summands of a row begin, and the scales of codes.
  void findRow(Value row);
  /// The summand `t` at a column.
  Value summand(size_t t, Value column);
  Value sumAt(Value column);
  void writeTaps(Value row);
  void normalize(Value row);
  Value number(Value pointer, Value index) {
    return k.load(k.at(pointer, k.shl(index, 2)), k.f32(), 4);
  }
  /// Runs `body` for every column of a lane.
  void forColumns(function_ref<void(Value)> body) {
    k.loop(k.rem(k.thread(), 32), d, 32, {}, [&](Value c, ArrayRef<Value>) {
      body(c);
      return Values();
    });
  }

  DeviceBuilder &k;
  const RealNormForm &form;
  bool isTables, isRow;
  Value indices[3], sources[3], scales[3], strides[3];
  Value gamma, beta, eps, out, taps[2], m, d, outStride, tapStride, tapping;
  /// Of the row at hand.
  Value begins[3], rowScales[3];
};
} // namespace

void RealNormEmitter::takeParams() {
  size_t count = isTables ? 3 : isRow ? 1 : 2;
  for (size_t t = 0; isTables && t != 3; ++t)
    indices[t] = k.param();
  for (size_t t = 0; t != count; ++t)
    sources[t] = k.param();
  for (Value *each : {&gamma, &beta, &eps})
    *each = k.param();
  for (size_t t = 0; form.hasCodes() && t != 3; ++t)
    scales[t] = k.param();
  out = k.param();
  for (size_t i = 0; i + 1 < count; ++i)
    taps[i] = k.param();
  m = k.param();
  d = k.param();
  for (size_t t = 0; t != (isTables ? 1 : count); ++t)
    strides[t] = k.param();
  outStride = k.param();
  if (isRow)
    return;
  tapStride = k.param();
  tapping = k.param();
}

void RealNormEmitter::findRow(Value row) {
  if (!isTables) {
    for (size_t t = 0; t != (isRow ? 1 : 2); ++t)
      begins[t] = k.at(sources[t], k.mulWide(row, k.shl(strides[t], 2)));
    return;
  }
  for (size_t t = 0; t != 3; ++t) {
    int64_t bits = form.tableBits[t];
    Value index = k.load(k.at(indices[t], k.wide(k.shl(row, 2))), k.i32(), 4);
    Value bytes = strides[0];
    if (bits == 32)
      bytes = k.shl(bytes, 2);
    else if (bits != 8)
      bytes = k.shl(k.div(k.add(d, 16 * (8 / bits) - 1), 16 * (8 / bits)), 4);
    begins[t] = k.at(sources[t], k.mulWide(index, bytes));
    if (bits != 32)
      rowScales[t] = number(scales[t], form.rowScales[t] ? index : k.c(0));
  }
}

Value RealNormEmitter::summand(size_t t, Value column) {
  int64_t bits = form.tableBits[t];
  if (bits == 32)
    return number(begins[t], column);
  // 16 bytes hold the codes of `group` columns.
  Value at = column, up = k.c(24);
  if (bits != 8) {
    int64_t group = 16 * (8 / bits);
    at = k.add(k.shl(k.div(column, group), 4), k.rem(column, 16));
    Value part = k.div(k.rem(column, group), 16);
    up = k.sub(k.c(32 - bits), k.mul(part, bits));
  }
  Value byte = k.zeroExtend(k.load(k.at(begins[t], at), k.i8(), 1));
  Value code = k.shrSigned(k.shlBy(byte, up), 32 - bits);
  return k.mulF(k.toFloat(code), rowScales[t]);
}

Value RealNormEmitter::sumAt(Value column) {
  Value sum = summand(0, column);
  for (size_t t = 1; t != (isTables ? 3 : isRow ? 1 : 2); ++t)
    sum = k.addF(sum, summand(t, column));
  return sum;
}

void RealNormEmitter::writeTaps(Value row) {
  auto keep = [&](Value tap, Value column, Value v) {
    k.store(v, elementAt(k, tap, row, tapStride, column, Storage::F32), 4);
  };
  forColumns([&](Value column) {
    if (!isTables)
      return keep(taps[0], column, sumAt(column));
    Value first = k.addF(summand(0, column), summand(1, column));
    keep(taps[0], column, first);
    keep(taps[1], column, k.addF(first, summand(2, column)));
  });
}

void RealNormEmitter::normalize(Value row) {
  Value width = k.toFloat(d);
  auto values = [&](Value column) { return sumAt(column); };
  Value mean = k.divF(sumOfColumns(k, d, values), width);
  Value squares = sumOfColumns(k, d, [&](Value column) {
    Value c = k.subF(sumAt(column), mean);
    return k.mulF(c, c);
  });
  Value variance = k.divF(squares, width);
  Value root = rootOfReal(k, k.addF(variance, number(eps, k.c(0))));
  Value rs = k.divF(k.f(1.0f), root);
  forColumns([&](Value column) {
    Value v = k.mulF(k.subF(sumAt(column), mean), rs);
    v = k.addF(k.mulF(v, number(gamma, column)), number(beta, column));
    k.store(v, elementAt(k, out, row, outStride, column, Storage::F32), 4);
  });
}

void RealNormEmitter::emit() {
  takeParams();
  forEachWarpRow(k, m, [&](Value row) {
    findRow(row);
    normalize(row);
    if (!isRow)
      k.ifThen(k.less(k.c(0), tapping), [&] { writeTaps(row); });
  });
}

void buildRealNorm(ModuleOp module, const RealNormForm &form) {
  bool isTables = form.source == RealNormForm::Tables;
  int64_t count = isTables ? 3 : form.source == RealNormForm::Row ? 1 : 2;
  SmallVector<Param> params(isTables ? 6 : count, Param::Input);
  params.append(form.hasCodes() ? 6 : 3, Param::Input);
  params.append(count, Param::Output);
  // Rows, columns, strides, whether there are taps.
  params.append(isTables ? 6 : count == 1 ? 4 : 7, Param::I32);
  DeviceBuilder k(module, getRealNormName(form), params, kRowsPerBlock * 32);
  RealNormEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
