//===- Elements.cpp - Between values and codes, and pooling ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Elements.h"

#include "lib/Target/NVPTX/CodeNorm.h"
#include "lib/Target/NVPTX/RealNorm.h"
#include "lib/Target/NVPTX/SecondForm.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static constexpr ElementFunction kFunctions[] = {
    ElementFunction::Quantize,   ElementFunction::Dequantize,
    ElementFunction::Requantize, ElementFunction::PoolFirst,
    ElementFunction::PoolMean,   ElementFunction::Normalize,
    ElementFunction::Planes,     ElementFunction::Limit};

llvm::StringRef elementFunctionName(ElementFunction function) {
  static const char *const names[] = {"quantize",   "dequantize", "requantize",
                                      "pool_first", "pool_mean",  "normalize",
                                      "planes",     "limit"};
  return names[int(function)];
}

Expected<ElementFunction> parseElementFunction(StringRef name) {
  for (ElementFunction function : kFunctions)
    if (elementFunctionName(function) == name)
      return function;
  return Error::make("function: found '", printable(name.str()),
                     "', expected quantize, dequantize, requantize, "
                     "pool_first, pool_mean, normalize, planes or limit");
}

Error checkElements(const ElementForm &form) {
  bool onReals = form.function == ElementFunction::Normalize;
  bool fromReals = onReals || form.function == ElementFunction::Quantize;
  bool toReals = onReals || form.function == ElementFunction::Dequantize ||
                 form.function == ElementFunction::PoolMean;
  bool isCopy = form.function == ElementFunction::PoolFirst;
  if (form.offset && form.function != ElementFunction::PoolMean)
    return Error::make(elementFunctionName(form.function).str(),
                       ": found a real offset, expected it of pool_mean");
  if (form.function == ElementFunction::Planes &&
      (form.in != Storage::U16 || form.out != Storage::U8))
    return Error::make("planes: found ", storageName(form.in).str(), " to ",
                       storageName(form.out).str(), ", expected u16 to u8");
  if (form.function == ElementFunction::Limit &&
      (form.in != Storage::U8 || form.out != Storage::U8))
    return Error::make("limit: found ", storageName(form.in).str(), " to ",
                       storageName(form.out).str(), ", expected u8 to u8");
  // Pooled are codes or numbers.
  bool agrees =
      isCopy ? form.in == form.out
             : (form.pools() || (form.in == Storage::F32) == fromReals) &&
                   (form.out == Storage::F32) == toReals;
  if (!agrees || (form.offset && form.in == Storage::F32))
    return Error::make(elementFunctionName(form.function).str(), ": found ",
                       storageName(form.in).str(), " to ",
                       storageName(form.out).str(), ", expected ",
                       isCopy      ? "rows to the same"
                       : onReals   ? "f32 to f32"
                       : fromReals ? "f32 to codes"
                       : toReals   ? "codes to f32"
                                   : "codes to codes");
  return Error::success();
}

std::string getElementsName(const ElementForm &form) {
  return (elementFunctionName(form.function) + "_" + storageName(form.in) +
          "_" + storageName(form.out) + (form.offset ? "_offset" : ""))
      .str();
}

namespace {
class ElementEmitter {
public:
  ElementEmitter(DeviceBuilder &k, const ElementForm &form)
      : k(k), form(form) {}

  void emit();

private:
  /// Runs `body` for every fourth column of a lane, and stores what it gives.
  void forColumns(Value row, function_ref<Values(Value column)> body);
  Values load(Value row, Value column) {
    return loadCodes(k, elementAt(k, x, row, xStride, column, form.in), form.in,
                     4);
  }
  Value number(int64_t i) {
    return k.load(k.at(params, k.c(4 * i)), k.f32(), 4);
  }
  Value convert(Value v, ArrayRef<Value> p);
  void pool(Value sequence);
  Values meanOfReals(ArrayRef<Value> start, Value first, Value length,
                     Value column);
  void normalize(Value row);
  void split(Value row);
  void limit(Value row);

  DeviceBuilder &k;
  const ElementForm &form;
  Value x, offsets, params, out, d, xStride, outStride;
};
} // namespace

void ElementEmitter::forColumns(Value row, function_ref<Values(Value)> body) {
  forEachFour(k, d, [&](Value column) {
    Values values = body(column);
    storeCodes(k, values, elementAt(k, out, row, outStride, column, form.out),
               form.out);
  });
}

Value ElementEmitter::convert(Value v, ArrayRef<Value> p) {
  switch (form.function) {
  case ElementFunction::Quantize:
    v = k.minF(k.maxF(k.mulF(v, p[0]), p[1]), p[2]);
    return k.add(k.round(v), k.round(p[3]));
  case ElementFunction::Dequantize:
    return k.mulF(k.toFloat(k.sub(v, k.round(p[1]))), p[0]);
  default:
    return requantized(k, v, p);
  }
}

/// Starts from the first row, not from 0, as CPUs do: that keeps the sign of a
/// zero.
Values ElementEmitter::meanOfReals(ArrayRef<Value> start, Value first,
                                   Value length, Value column) {
  Values sums = k.loop(k.c(1), length, 1, start,
                       [&](Value token, ArrayRef<Value> carried) {
                         Values row = load(k.add(first, token), column);
                         for (size_t e = 0; e != 4; ++e)
                           row[e] = k.addF(carried[e], row[e]);
                         return row;
                       });
  for (Value &sum : sums)
    sum = k.divF(sum, k.toFloat(length));
  return sums;
}

/// A sequence of no tokens gives the zero point, or 0.
void ElementEmitter::pool(Value sequence) {
  Value at = k.at(offsets, k.wide(k.shl(sequence, 2)));
  Value first = k.load(at, k.i32(), 4);
  Value length = k.sub(k.load(k.at(at, k.c(4)), k.i32(), 4), first);
  bool isReal = form.in == Storage::F32;
  Value zero = isReal ? k.f(0.0f) : k.round(number(1));
  if (isReal || form.function == ElementFunction::PoolFirst) {
    k.ifThen(k.less(k.c(0), length), [&] {
      forColumns(sequence, [&](Value column) {
        Values row = load(first, column);
        return form.function == ElementFunction::PoolMean
                   ? meanOfReals(row, first, length, column)
                   : row;
      });
    });
    k.ifThen(k.equal(length, k.c(0)), [&] {
      forColumns(sequence, [&](Value) { return Values(4, zero); });
    });
    return;
  }
  Value factor = k.divF(number(0), k.toFloat(length));
  // 1 / 0 times 0 is not a number.
  Value isEmpty = k.equal(length, k.c(0));
  factor = k.select(isEmpty, k.f(0.0f), factor);
  Value offset =
      form.offset ? k.select(isEmpty, k.f(0.0f), number(2)) : Value();
  Value zeros = k.mul(length, zero);
  forColumns(sequence, [&](Value column) {
    Values sums = k.loop(k.c(0), length, 1, Values(4, k.c(0)),
                         [&](Value token, ArrayRef<Value> carried) {
                           Values now(carried.begin(), carried.end());
                           Values codes = load(k.add(first, token), column);
                           for (size_t i = 0; i != 4; ++i)
                             now[i] = k.add(now[i], codes[i]);
                           return now;
                         });
    for (Value &sum : sums) {
      sum = k.mulF(k.toFloat(k.sub(sum, zeros)), factor);
      if (offset)
        sum = k.addF(sum, offset);
    }
    return sums;
  });
}

void ElementEmitter::normalize(Value row) {
  Value lane = k.rem(k.thread(), 32);
  auto at = [&](Value column) {
    return k.load(elementAt(k, x, row, xStride, column, Storage::F32), k.f32(),
                  4);
  };
  Value sum = sumOfColumns(k, d, [&](Value column) {
    Value v = at(column);
    return k.mulF(v, v);
  });
  Value length = k.maxF(rootOfReal(k, sum), number(0));
  k.loop(lane, d, 32, {}, [&](Value column, ArrayRef<Value>) {
    k.store(k.divF(at(column), length),
            elementAt(k, out, row, outStride, column, Storage::F32), 4);
    return Values();
  });
}

void ElementEmitter::split(Value row) {
  forEachFour(k, d, [&](Value column) {
    storePlanes(k, load(row, column), out, row, outStride, column);
  });
}

void ElementEmitter::limit(Value row) {
  // rowStride of lib/Tile/KernelBuilder.h
  Value leastCodes = k.at(params, k.bitAnd(k.add(d, 63), -64));
  forColumns(row, [&](Value column) {
    Values codes = load(row, column);
    Values most = loadCodes(k, k.at(params, column), Storage::U8, 4);
    Values least = loadCodes(k, k.at(leastCodes, column), Storage::U8, 4);
    for (size_t e = 0; e != 4; ++e)
      codes[e] = k.max(k.min(codes[e], most[e]), least[e]);
    return codes;
  });
}

void ElementEmitter::emit() {
  x = k.param();
  if (form.pools())
    offsets = k.param();
  bool isPlanes = form.function == ElementFunction::Planes;
  if (!isPlanes)
    params = k.param();
  out = k.param();
  Value m = k.param();
  d = k.param();
  xStride = k.param();
  outStride = k.param();
  int64_t count = form.function == ElementFunction::Dequantize ? 2 : 4;
  forEachWarpRow(k, m, [&](Value row) {
    if (form.pools())
      return pool(row);
    if (form.function == ElementFunction::Normalize)
      return normalize(row);
    if (isPlanes)
      return split(row);
    if (form.function == ElementFunction::Limit)
      return limit(row);
    Values p;
    for (int64_t i = 0; i != count; ++i)
      p.push_back(number(i));
    forColumns(row, [&](Value column) {
      Values values = load(row, column);
      for (Value &v : values)
        v = convert(v, p);
      return values;
    });
  });
}

void buildElements(ModuleOp module, const ElementForm &form) {
  bool isPlanes = form.function == ElementFunction::Planes;
  SmallVector<Param> params(form.pools() ? 3 : isPlanes ? 1 : 2, Param::Input);
  params.push_back(Param::Output);
  params.append(4, Param::I32);
  DeviceBuilder k(module, getElementsName(form), params, kRowsPerBlock * 32);
  ElementEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
