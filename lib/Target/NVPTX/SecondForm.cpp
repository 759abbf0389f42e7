//===- SecondForm.cpp - Codes stored in two forms at once -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/SecondForm.h"

#include "lib/Target/NVPTX/CodeNorm.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

std::string SecondForm::suffix() const {
  if (kind == None)
    return "";
  return kind == Planes ? "_planes" : ("_and_" + storageName(storage)).str();
}

Value requantized(DeviceBuilder &k, Value v, ArrayRef<Value> p) {
  v = k.addF(k.mulF(k.toFloat(v), p[0]), p[1]);
  return k.round(k.minF(k.maxF(v, p[2]), p[3]));
}

void SecondRows::addParams(SmallVectorImpl<Param> &list) const {
  if (form.kind == SecondForm::None)
    return;
  list.push_back(Param::Output);
  if (form.kind == SecondForm::Requantized)
    list.push_back(Param::Input);
  list.push_back(Param::I32);
}

void SecondRows::takeParams(DeviceBuilder &k) {
  if (form.kind == SecondForm::None)
    return;
  out = k.param();
  if (form.kind == SecondForm::Requantized)
    params = k.param();
  stride = k.param();
}

void SecondRows::store(DeviceBuilder &k, ArrayRef<Value> codes, Value row,
                       Value column) const {
  if (form.kind == SecondForm::None)
    return;
  if (form.kind == SecondForm::Planes)
    return storePlanes(k, codes, out, row, stride, column);
  Values p = k.loadMany(params, k.f32(), 4), other;
  for (Value code : codes)
    other.push_back(requantized(k, code, p));
  storeCodes(k, other, elementAt(k, out, row, stride, column, form.storage),
             form.storage);
}

void storePlanes(DeviceBuilder &k, ArrayRef<Value> codes, Value out, Value row,
                 Value stride, Value column) {
  for (int64_t plane = 0; plane != 2; ++plane) {
    Values bytes;
    for (Value code : codes)
      bytes.push_back(plane ? k.bitAnd(code, 0xff) : k.shr(code, 8));
    Value at = k.add(k.shl(row, 1), plane);
    storeCodes(k, bytes, elementAt(k, out, at, stride, column, Storage::U8),
               Storage::U8);
  }
}

} // namespace quern::nvptx
