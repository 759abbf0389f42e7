//===- GroupNorm.cpp - Residual sum and LayerNorm of grouped codes --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The f64 steps are those of lib/Tile/GroupNorm.cpp: shares of the groups are
// added in ascending order. A result in another order is gathered: a lane makes
// the codes of the channels that its columns have, once more.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/GroupNorm.h"

#include "lib/Target/NVPTX/ResidualSum.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// Bytes of groupNormParams before the groups, and of each group.
static constexpr int64_t kHeaderBytes = 16, kGroupBytes = 40;

Error checkGroupNorm(const GroupNormForm &form) {
  if (form.grouped && form.norm.sum != Storage::U8)
    return Error::make("groups of a residual's sum: found ",
                       storageName(form.norm.sum).str(), ", expected u8");
  return checkAddNorm(form.norm);
}

std::string getGroupNormName(const GroupNormForm &form) {
  return getAddNormName(form.norm) + (form.grouped ? "_groups" : "") +
         (form.each ? "_each" : "") + (form.ordered ? "_ordered" : "");
}

namespace {
class GroupNormEmitter {
public:
  GroupNormEmitter(DeviceBuilder &k, const GroupNormForm &form)
      : k(k), form(form), columns(k, form.norm.d) {
    sum.aStorage = form.norm.a;
    sum.bStorage = form.norm.b;
    sum.storage = form.norm.sum;
    result.storage = form.norm.out;
    result.second = SecondRows(form.norm.second);
  }

  void emit();

private:
  void takeParams();
  void emitRow(Value row);
  /// The code of one channel of the row.
  Value codeAt(Value row, Value channel);
  std::pair<Value, Value> statistics(ArrayRef<Value> codes, Value row);
  /// Adds a group's share to both sums, from the sums of its codes (i64).
  Values addShare(ArrayRef<Value> sums, Value group, Value first, Value second);
  Value normalized(Value code, Value zero, Value scale, Value gamma,
                   Value beta);
  Value real(Value vector, Value channel) {
    return k.load(k.at(vector, k.shl(channel, 2)), k.f32(), 4);
  }
  Value number(Value at, int64_t offset, Type type) {
    return k.load(k.at(at, k.c(offset)), type, 8);
  }

  DeviceBuilder &k;
  const GroupNormForm &form;
  WarpRow columns;
  ResidualSum sum;
  Value gamma, beta, norm, masks, zeros, scales, order;
  Value m, maskStride, groups, mean, rs;
  RowResult result;
};
} // namespace

void GroupNormEmitter::takeParams() {
  for (Value *pointer :
       {&sum.a, &sum.b, &sum.ma, &sum.mb, &sum.mo, &gamma, &beta, &norm})
    *pointer = k.param();
  if (form.grouped)
    for (Value *pointer : {&masks, &zeros, &scales})
      *pointer = k.param();
  if (form.ordered)
    order = k.param();
  for (Value *each : {&result.out, &sum.tap, &m, &sum.aStride, &sum.bStride,
                      &result.stride, &sum.tapStride})
    *each = k.param();
  if (form.grouped)
    for (Value *each : {&maskStride, &groups})
      *each = k.param();
  for (Value *each : {&sum.tapping, &sum.lo, &sum.hi, &result.lo, &result.hi})
    *each = k.param();
  result.second.takeParams(k);
}

Value GroupNormEmitter::codeAt(Value row, Value channel) {
  auto load = [&](Value from, Value stride, Storage storage) {
    Value at = elementAt(k, from, row, stride, channel, storage);
    if (storage == Storage::F32)
      return k.load(at, k.f32(), 4);
    Type type = storage == Storage::U8 ? k.i8() : k.i16();
    return k.zeroExtend(k.load(at, type, storageBytes(storage)));
  };
  Value x = load(sum.a, sum.aStride, form.norm.a);
  Value y = load(sum.b, sum.bStride, form.norm.b);
  return sum.code(k, x, y, real(sum.ma, channel), real(sum.mb, channel),
                  real(sum.mo, channel));
}

Values GroupNormEmitter::addShare(ArrayRef<Value> sums, Value group,
                                  Value first, Value second) {
  Value at = k.at(norm, k.add(k.mul(group, kGroupBytes), kHeaderBytes));
  Value share = k.toDouble(k.sub(first, number(at, 16, k.i64())));
  share = k.mulF(number(at, 0, k.f64()), share);
  second = k.sub(second, k.mul(number(at, 24, k.i64()), first));
  second = k.add(second, number(at, 32, k.i64()));
  Value squares = k.mulF(number(at, 8, k.f64()), k.toDouble(second));
  return {k.addF(sums[0], share), k.addF(sums[1], squares)};
}

/// The mean of the values, and the reciprocal of their deviation, in f32.
std::pair<Value, Value> GroupNormEmitter::statistics(ArrayRef<Value> codes,
                                                     Value row) {
  if (!form.grouped)
    return codeStatistics(columns, codes, norm);
  Value none = k.f64(0.0);
  Values sums =
      k.loop(k.c(0), groups, 1, {none, none},
             [&](Value group, ArrayRef<Value> carried) {
               if (form.each) {
                 // The order is that of the channels: each lane makes all
                 // codes.
                 Value u = k.wide(codeAt(row, group));
                 return addShare(carried, group, u, k.mul(u, u));
               }
               Value first = k.c(0), second = k.c(0);
               Value mask = k.at(masks, k.mul(group, maskStride));
               for (int64_t i = 0; i != columns.steps(); ++i) {
                 Value word = k.load(k.at(mask, columns.column(i)), k.i32(), 4);
                 word = columns.orZero(i, word);
                 for (int64_t e = 0; e != 4; ++e) {
                   Value isIn = k.bitAnd(k.shr(word, 8 * e), 1);
                   Value u = k.mul(codes[size_t(i * 4 + e)], isIn);
                   first = k.add(first, u);
                   second = k.add(second, k.mul(u, u));
                 }
               }
               return addShare(carried, group, k.wide(k.warpSum(first)),
                               k.wide(k.warpSum(second)));
             });
  Value width = number(norm, 8, k.f64());
  Value middle = k.divF(sums[0], width);
  Value spread = k.subF(k.divF(sums[1], width), k.mulF(middle, middle));
  spread = k.select(k.lessF(spread, none), none, spread);
  Value variance = k.addF(spread, number(norm, 0, k.f64()));
  return {k.toFloat(middle), k.toFloat(k.divF(k.f64(1.0), k.sqrt(variance)))};
}

Value GroupNormEmitter::normalized(Value code, Value zero, Value scale,
                                   Value gamma, Value beta) {
  Value v = k.toFloat(code);
  if (form.grouped)
    v = k.mulF(k.subF(v, zero), scale);
  v = k.mulF(k.subF(v, mean), rs);
  v = k.addF(k.mulF(v, gamma), beta);
  if (result.storage != Storage::F32)
    v = k.round(k.minF(k.maxF(v, result.lo), result.hi));
  return v;
}

void GroupNormEmitter::emitRow(Value row) {
  Values codes = sum.codes(columns, row);
  sum.keep(columns, codes, row);
  std::tie(mean, rs) = statistics(codes, row);
  for (int64_t i = 0; i != columns.steps(); ++i) {
    Values channels, results;
    if (form.ordered)
      channels =
          k.loadMany(k.at(order, k.shl(columns.column(i), 2)), k.i32(), 4);
    for (int64_t e = 0; e != 4; ++e) {
      Value channel =
          form.ordered ? channels[size_t(e)] : k.add(columns.column(i), e);
      Value code =
          form.ordered ? codeAt(row, channel) : codes[size_t(i * 4 + e)];
      Value zero, scale;
      if (form.grouped) {
        zero = real(zeros, channel);
        scale = real(scales, channel);
      }
      results.push_back(normalized(code, zero, scale, real(gamma, channel),
                                   real(beta, channel)));
    }
    result.store(columns, i, results, row);
  }
}

void GroupNormEmitter::emit() {
  takeParams();
  forEachWarpRow(k, m, [&](Value row) { emitRow(row); });
}

void buildGroupNorm(ModuleOp module, const GroupNormForm &form) {
  SmallVector<Param> params(8 + (form.grouped ? 3 : 0) + form.ordered,
                            Param::Input);
  params.append(2, Param::Output);
  params.append(form.grouped ? 8 : 6, Param::I32);
  params.append(4, Param::F32);
  SecondRows(form.norm.second).addParams(params);
  DeviceBuilder k(module, getGroupNormName(form), params, kRowsPerBlock * 32);
  GroupNormEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
