//===- AddNorm.cpp - Residual sum and LayerNorm on codes ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AddNorm.h"

#include "lib/Target/NVPTX/ResidualSum.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

Error checkAddNorm(const AddNormForm &form) {
  if (form.sum == Storage::F32)
    return Error("the sum of a residual in f32, expected u8 or u16");
  bool isPlanes = form.second.kind == SecondForm::Planes;
  if (form.second.kind != SecondForm::None &&
      (form.out == Storage::F32 || form.second.storage == Storage::F32 ||
       (isPlanes && form.out != Storage::U16)))
    return Error::make("a second form of ", storageName(form.out).str(),
                       ", expected one of codes, planes of u16");
  return checkRow(form.d);
}

std::string getAddNormName(const AddNormForm &form) {
  std::string name = "add_norm_" + std::to_string(form.d);
  for (Storage storage : {form.a, form.b, form.sum, form.out})
    name += "_" + storageName(storage).str();
  return name + form.second.suffix();
}

void buildAddNorm(ModuleOp module, const AddNormForm &form) {
  SmallVector<Param> params(8, Param::Input);
  params.append(2, Param::Output);
  params.append(6, Param::I32);
  params.append(4, Param::F32);
  SecondRows(form.second).addParams(params);
  DeviceBuilder k(module, getAddNormName(form), params, kRowsPerBlock * 32);
  ResidualSum sum;
  sum.aStorage = form.a;
  sum.bStorage = form.b;
  sum.storage = form.sum;
  RowResult result;
  result.storage = form.out;
  result.second = SecondRows(form.second);
  Value gamma, beta, norm, m;
  for (Value *each : {&sum.a,
                      &sum.b,
                      &sum.ma,
                      &sum.mb,
                      &sum.mo,
                      &gamma,
                      &beta,
                      &norm,
                      &result.out,
                      &sum.tap,
                      &m,
                      &sum.aStride,
                      &sum.bStride,
                      &result.stride,
                      &sum.tapStride,
                      &sum.tapping,
                      &sum.lo,
                      &sum.hi,
                      &result.lo,
                      &result.hi})
    *each = k.param();
  result.second.takeParams(k);

  WarpRow columns(k, form.d);
  forEachWarpRow(k, m, [&](Value row) {
    Values codes = sum.codes(columns, row);
    sum.keep(columns, codes, row);
    normalizeRow(columns, codes, norm, gamma, beta, row, result);
  });
  k.finish();
}

} // namespace quern::nvptx
