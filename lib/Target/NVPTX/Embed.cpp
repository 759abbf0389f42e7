//===- Embed.cpp - Embeddings and LayerNorm of their sum ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Embed.h"

#include "lib/Target/NVPTX/FixedNorm.h"
#include "lib/Target/NVPTX/Lookup.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static const char *const kTables[] = {"word", "type", "position"};

Error checkEmbed(const EmbedForm &form) {
  for (Storage storage : {form.e1, form.e2})
    if (storage == Storage::F32)
      return Error("sums of embeddings in f32, expected u8 or u16");
  if (form.fixed && form.out == Storage::F32)
    return Error("embeddings without floats with f32 results, expected u8 or "
                 "u16");
  if (form.factors && !form.fixed)
    return Error("embeddings with factors of channels, expected them without "
                 "floats alone");
  for (size_t t = 0; t != 3; ++t)
    if (form.tableBits[t] != 8 && form.tableBits[t] != 4 &&
        form.tableBits[t] != 2)
      return Error::make("table ", kTables[t], " of ", form.tableBits[t],
                         " bits, expected 8, 4 or 2");
  return checkRow(form.d);
}

std::string getEmbedName(const EmbedForm &form) {
  std::string name = "embed_" + std::to_string(form.d);
  for (int i = 0; i != 3; ++i) {
    if (form.rowScales[i])
      name += std::string("_") + kTables[i];
    if (form.tableBits[i] != 8)
      name +=
          std::string("_") + kTables[i][0] + std::to_string(form.tableBits[i]);
  }
  for (Storage storage : {form.e1, form.e2, form.out})
    name += "_" + storageName(storage).str();
  if (form.fixed)
    name += form.factors ? "_fixed_factors" : "_fixed";
  return name;
}

namespace {
class EmbedEmitter {
public:
  EmbedEmitter(DeviceBuilder &k, const EmbedForm &form)
      : k(k), form(form), columns(k, form.d) {}

  void emit();

private:
  void takeParams();
  /// Four codes of a row of table `t`, i32.
  Values loadTable(size_t t, Value row, Value column);
  void row(Value token);
  /// Both sums of the codes of three tables, i32.
  void sumReals(ArrayRef<Values> codes, ArrayRef<Value> rowScales);
  void sumFixed(ArrayRef<Values> codes, ArrayRef<FixedScale> rowScales,
                Value column);
  Value codeOf(Value v, Value lo, Value hi) {
    return k.round(k.minF(k.maxF(v, lo), hi));
  }

  DeviceBuilder &k;
  const EmbedForm &form;
  WarpRow columns;
  Value numbers[3], tables[3], scales[3];
  Value constants, gamma, beta, norm, factors;
  Value firstTap, secondTap, m, tableStride, tapStride, tapping;
  Value up, e1Zero, e2Zero, e1Lo, e1Hi, e2Lo, e2Hi;
  RowResult result;
  Values c, first, second;
  FixedScale firstScale;
};
} // namespace

void EmbedEmitter::takeParams() {
  result.storage = form.out;
  for (auto *group : {&numbers, &tables, &scales})
    for (Value &each : *group)
      each = k.param();
  constants = k.param();
  if (!form.fixed) {
    gamma = k.param();
    beta = k.param();
  }
  norm = k.param();
  if (form.factors)
    factors = k.param();
  for (Value *each : {&result.out, &firstTap, &secondTap, &m, &tableStride,
                      &result.stride, &tapStride, &tapping})
    *each = k.param();
  if (form.fixed)
    for (Value *each : {&up, &e1Zero, &e2Zero})
      *each = k.param();
  for (Value *each : {&e1Lo, &e1Hi, &e2Lo, &e2Hi, &result.lo, &result.hi})
    *each = k.param();
}

Values EmbedEmitter::loadTable(size_t t, Value row, Value column) {
  int64_t bits = form.tableBits[t], group = 16 * (8 / bits);
  Value rowBytes =
      bits == 8 ? tableStride : k.c((form.d + group - 1) / group * 16);
  return loadTableCodes(k, tables[t], row, rowBytes, column, bits);
}

void EmbedEmitter::sumReals(ArrayRef<Values> codes, ArrayRef<Value> rowScales) {
  for (size_t e = 0; e != 4; ++e) {
    Value parts[3];
    for (size_t t = 0; t != 3; ++t)
      parts[t] = k.mulF(k.toFloat(codes[t][e]), rowScales[t]);
    Value v = k.addF(parts[0], parts[1]);
    Value e1 = codeOf(k.addF(k.mulF(v, c[0]), c[1]), e1Lo, e1Hi);
    v = k.subF(k.toFloat(e1), c[1]);
    v = k.addF(k.mulF(v, c[2]), parts[2]);
    first.push_back(e1);
    second.push_back(codeOf(k.addF(k.mulF(v, c[3]), c[4]), e2Lo, e2Hi));
  }
}

void EmbedEmitter::sumFixed(ArrayRef<Values> codes,
                            ArrayRef<FixedScale> rowScales, Value column) {
  Values powers;
  if (form.factors)
    powers = k.loadMany(k.at(factors, k.shl(column, 2)), k.i32(), 4);
  // What the factor of a channel makes of a number of its second sum.
  auto raised = [&](Value v, size_t e) {
    return form.factors ? k.mul(v, powers[e]) : v;
  };
  for (size_t e = 0; e != 4; ++e) {
    Value parts[3];
    for (size_t t = 0; t != 3; ++t)
      parts[t] = fixedAt(k, t == 2 ? raised(codes[t][e], e) : codes[t][e],
                         rowScales[t]);
    Value v = k.add(k.add(parts[0], parts[1]), k.wide(e1Zero));
    Value e1 = limitTo32(k, v, e1Lo, e1Hi);
    v = fixedAt(k, raised(k.sub(e1, e1Zero), e), firstScale);
    v = k.add(k.add(v, parts[2]), k.wide(e2Zero));
    first.push_back(e1);
    second.push_back(limitTo32(k, v, e2Lo, e2Hi));
  }
}

void EmbedEmitter::row(Value token) {
  Value rows[3];
  Values rowScales;
  SmallVector<FixedScale> fixedScales;
  for (size_t t = 0; t != 3; ++t) {
    rows[t] = k.load(k.at(numbers[t], k.wide(k.shl(token, 2))), k.i32(), 4);
    Value which = form.rowScales[t] ? rows[t] : k.c(0);
    if (form.fixed) {
      Value at = k.at(scales[t], k.shl(which, 3));
      fixedScales.push_back(makeFixed(k, k.load(at, k.i32(), 4),
                                      k.load(k.at(at, k.c(4)), k.i32(), 4)));
    } else {
      rowScales.push_back(k.load(k.at(scales[t], k.shl(which, 2)), k.f32(), 4));
    }
  }
  for (int64_t i = 0; i != columns.steps(); ++i) {
    SmallVector<Values> codes;
    for (size_t t = 0; t != 3; ++t)
      codes.push_back(loadTable(t, rows[t], columns.column(i)));
    if (form.fixed)
      sumFixed(codes, fixedScales, columns.column(i));
    else
      sumReals(codes, rowScales);
  }
  keepCodes(columns, first, tapping, firstTap, token, tapStride, form.e1);
  keepCodes(columns, second, tapping, secondTap, token, tapStride, form.e2);
  if (form.fixed)
    normalizeFixedRow(columns, second, norm, form.factors ? Value() : up, token,
                      result);
  else
    normalizeRow(columns, second, norm, gamma, beta, token, result);
}

void EmbedEmitter::emit() {
  takeParams();
  if (form.fixed)
    firstScale = loadFixed(k, constants);
  else
    for (int64_t i = 0; i != 5; ++i)
      c.push_back(k.load(k.at(constants, k.c(4 * i)), k.f32(), 4));
  forEachWarpRow(k, m, [&](Value token) { row(token); });
}

void buildEmbed(ModuleOp module, const EmbedForm &form) {
  SmallVector<Param> params(form.fixed ? 11 + form.factors : 13, Param::Input);
  params.append(3, Param::Output);
  params.append(form.fixed ? 8 : 5, Param::I32);
  params.append(6, form.fixed ? Param::I32 : Param::F32);
  DeviceBuilder k(module, getEmbedName(form), params, kRowsPerBlock * 32);
  EmbedEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
