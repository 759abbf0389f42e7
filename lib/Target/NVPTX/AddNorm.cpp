//===- AddNorm.cpp - Residual sum and LayerNorm on codes ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AddNorm.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

Error checkAddNorm(const AddNormForm &form) {
  for (Storage storage : {form.a, form.b, form.sum})
    if (storage == Storage::F32)
      return Error("operands and sum of a residual in f32, expected u8 or u16");
  return checkRow(form.d);
}

std::string getAddNormName(const AddNormForm &form) {
  std::string name = "add_norm_" + std::to_string(form.d);
  for (Storage storage : {form.a, form.b, form.sum, form.out})
    name += "_" + storageName(storage).str();
  return name;
}

void buildAddNorm(ModuleOp module, const AddNormForm &form) {
  SmallVector<Param> params(8, Param::Input);
  params.append(2, Param::Output);
  params.append(6, Param::I32);
  params.append(4, Param::F32);
  DeviceBuilder k(module, getAddNormName(form), params, kRowsPerBlock * 32);
  Value a = k.param(), b = k.param(), ma = k.param(), mb = k.param();
  Value mo = k.param(), gamma = k.param(), beta = k.param(), norm = k.param();
  RowResult result;
  result.out = k.param();
  Value tap = k.param(), m = k.param(), aStride = k.param();
  Value bStride = k.param();
  result.stride = k.param();
  result.storage = form.out;
  Value tapStride = k.param(), tapping = k.param();
  Value sumLo = k.param(), sumHi = k.param();
  result.lo = k.param();
  result.hi = k.param();

  WarpRow columns(k, form.d);
  forEachWarpRow(k, m, [&](Value row) {
    Values codes;
    for (int64_t i = 0; i != columns.steps(); ++i) {
      auto load = [&](Value from, Value stride, Storage storage) {
        return loadCodes(
            k, elementAt(k, from, row, stride, columns.column(i), storage),
            storage, 4);
      };
      Values x = load(a, aStride, form.a), y = load(b, bStride, form.b);
      Values scaleX = columns.reals(ma, i), scaleY = columns.reals(mb, i);
      Values offset = columns.reals(mo, i);
      for (size_t e = 0; e != 4; ++e) {
        Value v = k.addF(k.mulF(k.toFloat(x[e]), scaleX[e]),
                         k.mulF(k.toFloat(y[e]), scaleY[e]));
        v = k.addF(v, offset[e]);
        codes.push_back(k.round(k.minF(k.maxF(v, sumLo), sumHi)));
      }
    }
    k.ifThen(k.less(k.c(0), tapping), [&] {
      for (int64_t i = 0; i != columns.steps(); ++i)
        columns.ifInside(i, [&] {
          storeCodes(
              k, ArrayRef(codes).slice(size_t(i) * 4, 4),
              elementAt(k, tap, row, tapStride, columns.column(i), form.sum),
              form.sum);
        });
    });
    normalizeRow(columns, codes, norm, gamma, beta, row, result);
  });
  k.finish();
}

} // namespace quern::nvptx
