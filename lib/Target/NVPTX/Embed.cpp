//===- Embed.cpp - Embedding tables, sums and LayerNorm on codes ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Embed.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static const char *const kTables[] = {"word", "type", "position"};

Error checkEmbed(const EmbedForm &form) {
  for (Storage storage : {form.e1, form.e2})
    if (storage == Storage::F32)
      return Error("sums of embeddings in f32, expected u8 or u16");
  return checkRow(form.d);
}

std::string getEmbedName(const EmbedForm &form) {
  std::string name = "embed_" + std::to_string(form.d);
  for (int i = 0; i != 3; ++i)
    if (form.rowScales[i])
      name += std::string("_") + kTables[i];
  for (Storage storage : {form.e1, form.e2, form.out})
    name += "_" + storageName(storage).str();
  return name;
}

/// Four signed bytes as f32.
static Values loadSigned(DeviceBuilder &k, Value pointer) {
  Value word = k.load(pointer, k.i32(), 4);
  Values reals;
  for (int64_t i = 0; i != 4; ++i)
    reals.push_back(
        k.toFloat(k.signExtend(k.narrow(k.shr(word, 8 * i), k.i8()))));
  return reals;
}

void buildEmbed(ModuleOp module, const EmbedForm &form) {
  SmallVector<Param> params(13, Param::Input);
  params.push_back(Param::Output);
  params.append(3, Param::I32);
  params.append(6, Param::F32);
  DeviceBuilder k(module, getEmbedName(form), params, kRowsPerBlock * 32);
  Values numbers, tables, scales;
  for (Values *group : {&numbers, &tables, &scales})
    for (int i = 0; i != 3; ++i)
      group->push_back(k.param());
  Value constants = k.param(), gamma = k.param(), beta = k.param();
  Value norm = k.param();
  RowResult result;
  result.out = k.param();
  Value m = k.param(), tableStride = k.param();
  result.stride = k.param();
  result.storage = form.out;
  Value e1Lo = k.param(), e1Hi = k.param(), e2Lo = k.param(), e2Hi = k.param();
  result.lo = k.param();
  result.hi = k.param();

  Values c;
  for (int64_t i = 0; i != 5; ++i)
    c.push_back(k.load(k.at(constants, k.c(4 * i)), k.f32(), 4));
  WarpRow columns(k, form.d);
  forEachWarpRow(k, m, [&](Value token) {
    Values rows, rowScales;
    for (size_t t = 0; t != 3; ++t) {
      Value row = k.load(k.at(numbers[t], k.wide(k.shl(token, 2))), k.i32(), 4);
      rows.push_back(row);
      Value which = form.rowScales[t] ? k.shl(row, 2) : k.c(0);
      rowScales.push_back(k.load(k.at(scales[t], which), k.f32(), 4));
    }
    auto codeOf = [&](Value v, Value lo, Value hi) {
      return k.round(k.minF(k.maxF(v, lo), hi));
    };
    Values codes;
    for (int64_t i = 0; i != columns.steps(); ++i) {
      Values parts[3];
      for (size_t t = 0; t != 3; ++t)
        for (Value v :
             loadSigned(k, elementAt(k, tables[t], rows[t], tableStride,
                                     columns.column(i), Storage::U8)))
          parts[t].push_back(k.mulF(v, rowScales[t]));
      for (size_t e = 0; e != 4; ++e) {
        Value v = k.addF(parts[0][e], parts[1][e]);
        Value e1 = codeOf(k.addF(k.mulF(v, c[0]), c[1]), e1Lo, e1Hi);
        v = k.subF(k.toFloat(e1), c[1]);
        v = k.addF(k.mulF(v, c[2]), parts[2][e]);
        codes.push_back(codeOf(k.addF(k.mulF(v, c[3]), c[4]), e2Lo, e2Hi));
      }
    }
    normalizeRow(columns, codes, norm, gamma, beta, token, result);
  });
  k.finish();
}

} // namespace quern::nvptx
