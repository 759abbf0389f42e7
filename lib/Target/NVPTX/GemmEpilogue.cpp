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
  params.append(form.grouped ? 6 : 5, Param::I32);
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

Value GemmEpilogue::takeParams(Value m, Value n) {
  this->m = m;
  this->n = n;
  yStride = k.param();
  Value groups = form.grouped ? k.param() : Value();
  if (form.result != Storage::F32) {
    lo = k.param();
    hi = k.param();
  }
  return groups;
}

/// Eight neighbours of 4 bytes.
static Values loadEight(DeviceBuilder &k, Value from, Value index, Type type) {
  Values all;
  for (int64_t i = 0; i != 2; ++i)
    all.append(
        k.loadMany(k.at(from, k.wide(k.shl(k.add(index, 4 * i), 2))), type, 4));
  return all;
}

void GemmEpilogue::loadGroup(Value group, Value column) {
  Value index = k.add(k.mul(group, n), k.min(column, k.sub(n, k.c(8))));
  corrections = loadEight(k, correction, index, k.i32());
  multipliers = loadEight(k, multiplier, index, k.f32());
}

Value GemmEpilogue::scaled(Value sum, int64_t which) {
  return k.mulF(k.toFloat(k.add(sum, corrections[size_t(which)])),
                multipliers[size_t(which)]);
}

Value GemmEpilogue::joined(Value high, Value low, int64_t which) {
  high = k.add(high, corrections[size_t(which)]);
  low = k.add(low, lowCorrections[size_t(which)]);
  return k.add(k.mulWide(high, k.c(256)), k.wide(low));
}

void GemmEpilogue::prepare(Value shared, Value thread, int64_t threads) {
  tables = shared;
  copyTables(k, form.activation, shared, thread, threads);
}

void GemmEpilogue::columns(Value column, DeviceBuilder::Body body) {
  this->column = column;
  k.ifThen(k.less(column, n), [&] {
    auto eight = [&](Value from, Type type) {
      return loadEight(k, from, column, type);
    };
    if (!form.grouped) {
      corrections = eight(correction, k.i32());
      multipliers = eight(multiplier, k.f32());
    }
    if (form.hasZeros)
      zeroPoints = eight(zeros, k.i32());
    if (form.wide)
      lowCorrections = loadEight(k, correction, k.add(column, n), k.i32());
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
      Value v = sums[i];
      if (!form.grouped) {
        Value sum = form.wide ? v : k.add(v, corrections[i]);
        if (form.hasZeros)
          sum = k.sub(sum, k.mul(zeroPoints[i], codes));
        v = k.mulF(k.toFloat(sum), multipliers[i]);
      }
      v = k.addF(v, offsets[i]);
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
