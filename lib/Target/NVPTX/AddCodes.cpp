//===- AddCodes.cpp - Residual sums that several ops read -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AddCodes.h"

#include "lib/Target/NVPTX/ResidualSum.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

Error checkAddCodes(const AddCodesForm &form) {
  if (form.out == Storage::F32)
    return Error("the sum of a residual in f32, expected u8 or u16");
  if (form.fixed && (form.a == Storage::F32 || form.b == Storage::F32))
    return Error("a sum without floats of f32 operands, expected u8 or u16");
  return Error::success();
}

std::string getAddCodesName(const AddCodesForm &form) {
  std::string name = "add";
  for (Storage storage : {form.a, form.b, form.out})
    name += "_" + storageName(storage).str();
  return name + (form.fixed ? "_fixed" : "");
}

void buildAddCodes(ModuleOp module, const AddCodesForm &form) {
  SmallVector<Param> params(form.fixed ? 4 : 5, Param::Input);
  params.push_back(Param::Output);
  params.append(5, Param::I32);
  params.append(2, form.fixed ? Param::I32 : Param::F32);
  DeviceBuilder k(module, getAddCodesName(form), params, kRowsPerBlock * 32);
  ResidualSum real;
  FixedResidualSum fixed;
  real.aStorage = fixed.storages[0] = form.a;
  real.bStorage = fixed.storages[1] = form.b;
  real.a = fixed.terms[0] = k.param();
  real.b = fixed.terms[1] = k.param();
  if (form.fixed) {
    fixed.scales[0] = k.param();
    fixed.scales[1] = k.param();
  } else {
    for (Value *each : {&real.ma, &real.mb, &real.mo})
      *each = k.param();
  }
  Value out = k.param(), m = k.param(), d = k.param();
  real.aStride = fixed.strides[0] = k.param();
  real.bStride = fixed.strides[1] = k.param();
  Value outStride = k.param();
  real.lo = fixed.lo = k.param();
  real.hi = fixed.hi = k.param();
  forEachWarpRow(k, m, [&](Value row) {
    forEachFour(k, d, [&](Value column) {
      Values codes =
          form.fixed ? fixed.four(k, row, column) : real.four(k, row, column);
      storeCodes(k, codes, elementAt(k, out, row, outStride, column, form.out),
                 form.out);
    });
  });
  k.finish();
}

} // namespace quern::nvptx
