//===- GemmEpilogue.cpp - From sums to what is stored ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/GemmEpilogue.h"

#include "lib/Target/NVPTX/Activations.h"
#include "quern/integer_activation.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static bool hasPost(const GemmForm &form) {
  return form.activation != Activation::None && form.result != Storage::F32;
}

void GemmEpilogue::addParams(const GemmForm &form,
                             SmallVectorImpl<Param> &params) {
  int64_t scales = form.fixed ? 1 : 2;
  params.append(1 + form.hasZeros + scales + nvptx::hasPost(form),
                Param::Input);
  params.push_back(Param::Output);
  params.append(form.grouped || form.hasZeros ? 6 : 5, Param::I32);
  if (form.result != Storage::F32)
    params.append(2, form.fixed ? Param::I32 : Param::F32);
}

GemmEpilogue::GemmEpilogue(DeviceBuilder &k, const GemmForm &form)
    : k(k), form(form) {
  correction = k.param();
  if (form.hasZeros)
    zeros = k.param();
  multiplier = k.param();
  if (!form.fixed)
    offset = k.param();
  if (nvptx::hasPost(form))
    post = k.param();
  y = k.param();
}

Value GemmEpilogue::takeParams(Value m, Value n) {
  this->m = m;
  this->n = n;
  yStride = k.param();
  Value more = form.grouped || form.hasZeros ? k.param() : Value();
  if (form.result != Storage::F32) {
    lo = k.param();
    hi = k.param();
  }
  return more;
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

void GemmEpilogue::addGroup(Value group, Value column, int64_t tilesM,
                            int64_t spans, ArrayRef<Value> sums,
                            MutableArrayRef<Value> before) {
  for (int64_t j = 0; j != spans; ++j) {
    loadGroup(group, k.add(column, j * 32));
    for (int64_t i = 0; i != tilesM; ++i)
      for (int64_t e = 0; e != 16; ++e) {
        // Two neighbours in each of two rows of a tile.
        auto at = size_t((i * spans + j) * 16 + e);
        Value v = scaled(sums[at], e / 4 * 2 + e % 2);
        Value sum = k.addF(before[at], v);
        before[at] = k.select(k.equal(group, k.c(0)), v, sum);
      }
  }
}

Value GemmEpilogue::joined(Value high, Value low, int64_t which) {
  high = k.add(high, corrections[size_t(which)]);
  low = k.add(low, lowCorrections[size_t(which)]);
  return k.add(k.mulWide(high, k.c(256)), k.wide(low));
}

void GemmEpilogue::prepare(Value shared, Value thread, int64_t threads) {
  tables = shared;
  copyTables(k, form.activation, form.fixed, shared, thread, threads);
}

void GemmEpilogue::columns(Value column, DeviceBuilder::Body body) {
  this->column = column;
  k.ifThen(k.less(column, n), [&] {
    auto eight = [&](Value from, Type type) {
      return loadEight(k, from, column, type);
    };
    if (!form.grouped)
      corrections = eight(correction, k.i32());
    if (form.fixed) {
      outputs.clear();
      for (int64_t i = 0; i != 8; ++i)
        outputs.push_back(loadFixed(k, multiplier, k.add(column, i)));
      if (nvptx::hasPost(form))
        fixedPost = loadFixed(k, post);
    } else if (!form.grouped) {
      multipliers = eight(multiplier, k.f32());
    }
    if (form.hasZeros)
      zeroPoints = eight(zeros, k.i32());
    if (form.wide)
      lowCorrections = loadEight(k, correction, k.add(column, n), k.i32());
    if (!form.fixed)
      offsets = eight(offset, k.f32());
    if (nvptx::hasPost(form) && !form.fixed) {
      Values two = k.loadMany(post, k.f32(), 2);
      postScale = two[0];
      postOffset = two[1];
    }
    body();
  });
}

Value GemmEpilogue::fixedResult(Value sum, size_t which) {
  if (form.activation == Activation::None)
    return fixedCode(k, sum, outputs[which], lo, hi);
  Value t = fixedCode(k, sum, outputs[which], k.c(-QI_ACTIVATION_LIMIT),
                      k.c(QI_ACTIVATION_LIMIT));
  t = activateFixed(k, form.activation, t, tables);
  return fixedCode(k, t, fixedPost, lo, hi);
}

void GemmEpilogue::finish(Value row, ArrayRef<Value> sums, Value codes) {
  k.ifThen(k.less(row, m), [&] {
    Values values;
    Value rowScale, rowZero;
    if (form.tokens) {
      Value range = k.at(ranges, k.mulWide(row, rangeStride));
      rowScale = k.load(range, k.f32(), 4);
      rowZero = k.load(k.at(range, k.c(4)), k.i32(), 4);
    }
    for (size_t i = 0; i != sums.size(); ++i) {
      Value v = sums[i];
      if (form.tokens) {
        v = k.toFloat(k.add(v, k.mul(rowZero, corrections[i])));
        v = k.mulF(v, k.mulF(rowScale, multipliers[i]));
      } else if (!form.grouped) {
        Value sum = form.wide ? v : k.add(v, corrections[i]);
        if (form.hasZeros)
          sum = k.sub(sum, k.mul(zeroPoints[i], codes));
        if (form.fixed) {
          values.push_back(fixedResult(sum, i));
          continue;
        }
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

void GemmEpilogue::finishTiles(Value row, Value column, int64_t tilesM,
                               int64_t spans, ArrayRef<Value> sums,
                               ArrayRef<Value> lows) {
  for (int64_t j = 0; j != spans; ++j)
    columns(k.add(column, j * 32), [&] {
      for (int64_t i = 0; i != tilesM; ++i)
        for (int64_t half = 0; half != 2; ++half) {
          Values eight;
          for (int64_t tile = 0; tile != 4; ++tile)
            for (int64_t e = 0; e != 2; ++e) {
              int64_t at = ((i * spans + j) * 4 + tile) * 4 + half * 2 + e;
              eight.push_back(form.wide
                                  ? joined(sums[at], lows[at], tile * 2 + e)
                                  : sums[at]);
            }
          Value codes;
          if (form.hasZeros)
            codes = sums[tilesM * spans * 16 + i * 4 + half * 2];
          finish(k.add(row, i * 16 + half * 8), eight, codes);
        }
    });
}

} // namespace quern::nvptx
