//===- TokenRows.cpp - Codes with a range of their own in each row --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The least and largest of numbers have no order, so lanes find them apart.
// quant_math.h has the formulas.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/TokenRows.h"

#include "quern/quant_math.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

Error checkTokens(const TokenForm &form) {
  if (form.bits < 2 || form.bits > 8)
    return Error::make("ranges of tokens: codes of ", form.bits,
                       " bits, expected 2 to 8");
  return Error::success();
}

std::string getTokensName(const TokenForm &form) {
  if (form.dequantize)
    return "dequantize_tokens";
  return "quantize_tokens_u" + std::to_string(form.bits) +
         (form.centred ? "_centred" : "");
}

namespace {
class TokenEmitter {
public:
  TokenEmitter(DeviceBuilder &k, const TokenForm &form)
      : k(k), form(form), top(float((1 << form.bits) - 1)) {}

  void emit();

private:
  /// Runs `body` for every column of a lane, carrying values.
  Values forColumns(ArrayRef<Value> init,
                    function_ref<Values(Value, ArrayRef<Value>)> body) {
    Value lane = k.rem(k.thread(), 32);
    return k.loop(lane, d, 32, init, body);
  }
  Value realAt(Value row, Value column) {
    return elementAt(k, reals, row, realStride, column, Storage::F32);
  }
  Value acrossLanes(Value v, bool largest);
  /// Scale and zero point (i32) of a row.
  std::pair<Value, Value> findRange(Value row);
  void quantize(Value row);
  void dequantize(Value row);

  DeviceBuilder &k;
  const TokenForm &form;
  float top;
  Value reals, codes, m, d, realStride, rangeAt;
};
} // namespace

Value TokenEmitter::acrossLanes(Value v, bool largest) {
  for (int64_t mask = 16; mask; mask /= 2) {
    Value other = k.bits(k.shuffleXor(k.bits(v, k.i32()), mask), k.f32());
    v = largest ? k.maxF(v, other) : k.minF(v, other);
  }
  return v;
}

std::pair<Value, Value> TokenEmitter::findRange(Value row) {
  Value none = k.f(0.0f);
  Values ends =
      forColumns({none, none}, [&](Value column, ArrayRef<Value> now) {
        Value v = k.load(realAt(row, column), k.f32(), 4);
        return Values{k.minF(now[0], v), k.maxF(now[1], v)};
      });
  Value lo = acrossLanes(ends[0], false), hi = acrossLanes(ends[1], true);
  Value scale = k.divF(k.subF(hi, lo), k.f(top));
  Value below = k.subF(none, lo), isCentred;
  if (form.centred) {
    isCentred = k.lessF(lo, none);
    float half = float((1 << (form.bits - 1)) - 1);
    Value wide = k.divF(k.maxF(below, hi), k.f(half));
    scale = k.select(isCentred, wide, scale);
  }
  scale = k.maxF(scale, k.f(QM_LEAST_SCALE));
  Value zero = k.divF(below, scale);
  zero = k.round(k.minF(k.maxF(zero, none), k.f(top)));
  if (form.centred)
    zero = k.select(isCentred, k.c(1 << (form.bits - 1)), zero);
  return {scale, zero};
}

void TokenEmitter::quantize(Value row) {
  auto found = findRange(row);
  Value scale = found.first, zero = found.second;
  Value inverse = k.divF(k.f(1.0f), scale), zeroF = k.toFloat(zero);
  Value least = k.subF(k.f(0.0f), zeroF), most = k.subF(k.f(top), zeroF);
  Value to = k.at(codes, k.mulWide(row, k.add(rangeAt, 64)));
  forColumns({}, [&](Value column, ArrayRef<Value>) {
    Value v = k.mulF(k.load(realAt(row, column), k.f32(), 4), inverse);
    v = k.round(k.minF(k.maxF(v, least), most));
    k.store(k.narrow(k.add(v, zero), k.i8()), k.at(to, column), 1);
    return Values();
  });
  Value range = k.at(to, rangeAt);
  k.ifThen(k.equal(k.rem(k.thread(), 32), k.c(0)), [&] {
    k.store(scale, range, 4);
    k.store(zero, k.at(range, k.c(4)), 4);
  });
}

void TokenEmitter::dequantize(Value row) {
  Value from = k.at(codes, k.mulWide(row, k.add(rangeAt, 64)));
  Value range = k.at(from, rangeAt);
  Value scale = k.load(range, k.f32(), 4);
  Value zero = k.load(k.at(range, k.c(4)), k.i32(), 4);
  forColumns({}, [&](Value column, ArrayRef<Value>) {
    Value code = k.zeroExtend(k.load(k.at(from, column), k.i8(), 1));
    Value v = k.mulF(k.toFloat(k.sub(code, zero)), scale);
    k.store(v, realAt(row, column), 4);
    return Values();
  });
}

void TokenEmitter::emit() {
  Value first = k.param(), second = k.param();
  reals = form.dequantize ? second : first;
  codes = form.dequantize ? first : second;
  for (Value *each : {&m, &d, &realStride})
    *each = k.param();
  rangeAt = k.bitAnd(k.add(d, 63), -64);
  forEachWarpRow(k, m, [&](Value row) {
    form.dequantize ? dequantize(row) : quantize(row);
  });
}

void buildTokens(ModuleOp module, const TokenForm &form) {
  DeviceBuilder k(
      module, getTokensName(form),
      {Param::Input, Param::Output, Param::I32, Param::I32, Param::I32},
      kRowsPerBlock * 32);
  TokenEmitter(k, form).emit();
  k.finish();
}

void buildShiftGelu(ModuleOp module) {
  DeviceBuilder k(module, "shift_gelu",
                  {Param::Input, Param::Input, Param::Output, Param::I32,
                   Param::I32, Param::I32, Param::I32},
                  kRowsPerBlock * 32);
  Value x = k.param(), tables = k.param(), out = k.param(), m = k.param();
  Value d = k.param(), xStride = k.param(), outStride = k.param();
  forEachWarpRow(k, m, [&](Value row) {
    Value lane = k.rem(k.thread(), 32);
    auto codeAt = [&](Value column) {
      return k.zeroExtend(k.load(
          elementAt(k, x, row, xStride, column, Storage::U8), k.i8(), 1));
    };
    Value top =
        k.loop(lane, d, 32, {k.c(0)}, [&](Value column, ArrayRef<Value> now) {
          return Values{k.max(now[0], codeAt(column))};
        })[0];
    Value table = k.at(tables, k.shl(k.warpMax(top), 8));
    k.loop(lane, d, 32, {}, [&](Value column, ArrayRef<Value>) {
      Value code = k.load(k.at(table, codeAt(column)), k.i8(), 1);
      k.store(code, elementAt(k, out, row, outStride, column, Storage::U8), 1);
      return Values();
    });
  });
  k.finish();
}

} // namespace quern::nvptx
