//===- Lookup.cpp - Rows of an embedding table ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Lookup.h"

#include "lib/Target/NVPTX/CodeNorm.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

Error checkLookup(const LookupForm &form) {
  if (form.bits != 32 && form.bits != 8 && form.bits != 4 && form.bits != 2)
    return Error::make("table of ", form.bits, " bits, expected 32, 8, 4 or 2");
  if (form.bits == 32 && form.rowScales)
    return Error("table of f32 with scales, expected none");
  return Error::success();
}

std::string getLookupName(const LookupForm &form) {
  if (form.bits == 32)
    return "lookup_f32";
  return "lookup_w" + std::to_string(form.bits) +
         (form.rowScales ? "_rows" : "");
}

Values loadTableCodes(DeviceBuilder &k, Value table, Value row, Value rowBytes,
                      Value column, int64_t bits) {
  Value at = k.at(table, k.mulWide(row, rowBytes)), up = k.c(24);
  if (bits == 8) {
    at = k.at(at, column);
  } else {
    // 16 bytes hold the codes of `group` columns.
    int64_t group = 16 * (8 / bits);
    at = k.at(at, k.add(k.mul(k.div(column, group), 16), k.bitAnd(column, 15)));
    Value part = k.div(k.rem(column, group), 16);
    up = k.sub(k.c(32 - bits), k.mul(part, bits));
  }
  Value word = k.load(at, k.i32(), 4);
  Values codes;
  for (int64_t e = 0; e != 4; ++e) {
    Value byte = k.bitAnd(k.shr(word, 8 * e), 255);
    codes.push_back(k.shrSigned(k.shlBy(byte, up), 32 - bits));
  }
  return codes;
}

void buildLookup(ModuleOp module, const LookupForm &form) {
  bool hasCodes = form.bits != 32;
  SmallVector<Param> params = {Param::Input, Param::Input, Param::Output};
  params.append(hasCodes ? 1 : 0, Param::Input);
  params.append(4, Param::I32);
  DeviceBuilder k(module, getLookupName(form), params, kRowsPerBlock * 32);
  Value index = k.param(), table = k.param(), out = k.param();
  Value scales = hasCodes ? k.param() : Value();
  Value m = k.param(), d = k.param(), rowBytes = k.param();
  Value outStride = k.param();
  forEachWarpRow(k, m, [&](Value row) {
    Value from = k.load(k.at(index, k.wide(k.shl(row, 2))), k.i32(), 4), scale;
    if (hasCodes) {
      Value which = form.rowScales ? from : k.c(0);
      scale = k.load(k.at(scales, k.shl(which, 2)), k.f32(), 4);
    }
    forEachFour(k, d, [&](Value column) {
      Values values;
      if (hasCodes)
        for (Value code :
             loadTableCodes(k, table, from, rowBytes, column, form.bits))
          values.push_back(k.mulF(k.toFloat(code), scale));
      else
        values = k.loadMany(
            k.at(k.at(table, k.mulWide(from, rowBytes)), k.shl(column, 2)),
            k.f32(), 4);
      storeCodes(k, values,
                 elementAt(k, out, row, outStride, column, Storage::F32),
                 Storage::F32);
    });
  });
  k.finish();
}

} // namespace quern::nvptx
