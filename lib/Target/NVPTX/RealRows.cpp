//===- RealRows.cpp - Functions of real numbers on GPUs -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/RealRows.h"

#include "lib/Target/NVPTX/Activations.h"
#include "lib/Target/NVPTX/CodeNorm.h"
#include "lib/Target/NVPTX/GemmEpilogue.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// None for sums.
static Activation activationOf(RealFunction function) {
  switch (function) {
  case RealFunction::Gelu:
    return Activation::Gelu;
  case RealFunction::GeluTanh:
    return Activation::GeluTanh;
  case RealFunction::Relu:
    return Activation::Relu;
  case RealFunction::Tanh:
    return Activation::Tanh;
  case RealFunction::Add:
    break;
  }
  return Activation::None;
}

std::string getRealFunctionName(RealFunction function) {
  Activation activation = activationOf(function);
  return activation == Activation::None
             ? "add_f32"
             : activationName(activation).str() + "_f32";
}

Expected<RealFunction> parseRealFunction(StringRef name) {
  for (RealFunction function :
       {RealFunction::Gelu, RealFunction::GeluTanh, RealFunction::Relu,
        RealFunction::Tanh, RealFunction::Add})
    if (getRealFunctionName(function) == name)
      return function;
  return Error::make("function: found '", printable(name.str()),
                     "', expected gelu_f32, gelu_tanh_f32, relu_f32, tanh_f32 "
                     "or add_f32");
}

int64_t getRealFunctionSharedBytes(RealFunction function) {
  return function == RealFunction::Add ? 0 : kEpilogueSharedBytes;
}

void buildRealFunction(ModuleOp module, RealFunction function) {
  bool isSum = function == RealFunction::Add;
  Activation activation = activationOf(function);
  SmallVector<Param> params(isSum ? 2 : 1, Param::Input);
  params.push_back(Param::Output);
  params.append(5, Param::I32);
  DeviceBuilder k(module, getRealFunctionName(function), params,
                  kRowsPerBlock * 32);
  Value x = k.param(), other = isSum ? k.param() : Value(), out = k.param();
  Value m = k.param(), d = k.param(), xStride = k.param();
  Value bStride = k.param(), outStride = k.param(), tables;
  if (!isSum) {
    tables = k.dynamicShared();
    copyTables(k, activation, /*fixed=*/false, tables, k.thread(),
               kRowsPerBlock * 32);
    k.barrier();
  }
  forEachWarpRow(k, m, [&](Value row) {
    auto load = [&](Value from, Value stride, Value column) {
      return loadCodes(k, elementAt(k, from, row, stride, column, Storage::F32),
                       Storage::F32, 4);
    };
    forEachFour(k, d, [&](Value column) {
      Values four = load(x, xStride, column);
      Values more = isSum ? load(other, bStride, column) : Values();
      for (size_t e = 0; e != 4; ++e)
        four[e] = isSum ? k.addF(four[e], more[e])
                        : activate(k, activation, four[e], tables);
      storeCodes(k, four,
                 elementAt(k, out, row, outStride, column, Storage::F32),
                 Storage::F32);
    });
  });
  k.finish();
}

} // namespace quern::nvptx
