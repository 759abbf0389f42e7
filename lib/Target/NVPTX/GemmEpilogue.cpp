//===- GemmEpilogue.cpp - From sums to what is stored ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/GemmEpilogue.h"

#include "lib/Target/NVPTX/Activations.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static bool hasPost(const GemmForm &form) {
  return form.activation != Activation::None && form.result != Storage::F32;
}

void GemmEpilogue::addParams(const GemmForm &form,
                             SmallVectorImpl<Param> &params) {
  params.append(1 + form.hasZeros + 2 + nvptx::hasPost(form), Param::Input);
  params.push_back(Param::Output);
  params.append(5, Param::I32);
  if (form.result != Storage::F32)
    params.append(2, Param::F32);
}

GemmEpilogue::GemmEpilogue(DeviceBuilder &k, const GemmForm &form)
    : k(k), form(form) {
  correction = k.param();
  if (form.hasZeros)
    zeros = k.param();
  multiplier = k.param();
  offset = k.param();
  if (nvptx::hasPost(form))
    post = k.param();
  y = k.param();
}

void GemmEpilogue::takeParams(Value m, Value n) {
  this->m = m;
  this->n = n;
  yStride = k.param();
  if (form.result == Storage::F32)
    return;
  lo = k.param();
  hi = k.param();
}

void GemmEpilogue::prepare(Value shared, Value thread, int64_t threads) {
  tables = shared;
  copyTables(k, form.activation, shared, thread, threads);
}

void GemmEpilogue::columns(Value column, DeviceBuilder::Body body) {
  this->column = column;
  k.ifThen(k.less(column, n), [&] {
    auto eight = [&](Value from, Type type) {
      Values all;
      for (int64_t i = 0; i != 2; ++i)
        all.append(k.loadMany(
            k.at(from, k.wide(k.shl(k.add(column, 4 * i), 2))), type, 4));
      return all;
    };
    corrections = eight(correction, k.i32());
    if (form.hasZeros)
      zeroPoints = eight(zeros, k.i32());
    multipliers = eight(multiplier, k.f32());
    offsets = eight(offset, k.f32());
    if (nvptx::hasPost(form)) {
      Values two = k.loadMany(post, k.f32(), 2);
      postScale = two[0];
      postOffset = two[1];
    }
    body();
  });
}

void GemmEpilogue::finish(Value row, ArrayRef<Value> sums, Value codes) {
  k.ifThen(k.less(row, m), [&] {
    Values values;
    for (size_t i = 0; i != sums.size(); ++i) {
      Value sum = k.add(sums[i], corrections[i]);
      if (form.hasZeros)
        sum = k.sub(sum, k.mul(zeroPoints[i], codes));
      Value v = k.addF(k.mulF(k.toFloat(sum), multipliers[i]), offsets[i]);
      v = activate(k, form.activation, v, tables);
      if (nvptx::hasPost(form))
        v = k.addF(k.mulF(v, postScale), postOffset);
      if (form.result != Storage::F32)
        v = k.round(k.minF(k.maxF(v, lo), hi));
      values.push_back(v);
    }
    int64_t bytes = storageBytes(form.result);
    storeCodes(k, values,
               k.at(y, k.add(k.mulWide(row, k.mul(yStride, bytes)),
                             k.wide(k.mul(column, bytes)))),
               form.result);
  });
}

} // namespace quern::nvptx
