//===- RowLaunches.cpp - Launches of what is left of a model --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/LaunchBuilder.h"

#include "lib/Target/NVPTX/Elements.h"
#include "lib/Target/NVPTX/Lookup.h"
#include "lib/Target/NVPTX/TokenRows.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern::nvptx {

/// index, table, out, [scales].
Error launchLookup(LaunchBuilder &l, KernelForm &form) {
  LookupForm shape;
  shape.bits = form.number("table_bits");
  shape.rowScales = form.number("row_scales");
  if (Error error = checkLookup(shape))
    return error;
  l.rowKernel(getLookupName(shape),
              [&](ModuleOp to) { buildLookup(to, shape); });
  l.pointers(0, l.operandCount());
  l.now.gridX = {CountOf::Tokens, kRowsPerBlock, 1};
  l.param(DeviceParam::Tokens);
  l.integers({int64_t(llvm::alignTo(form.number("d"), 4)),
              form.number("row_bytes"), form.number("out_stride")});
  return Error::success();
}

/// x, out.
static Error launchTokens(LaunchBuilder &l, KernelForm &form, bool dequantize) {
  TokenForm shape;
  shape.dequantize = dequantize;
  shape.bits = form.number("code_bits");
  shape.centred = form.number("centred");
  if (Error error = checkTokens(shape))
    return error;
  l.rowKernel(getTokensName(shape),
              [&](ModuleOp to) { buildTokens(to, shape); });
  l.pointers(0, 2);
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers({form.number("d"), form.number("real_stride")});
  return Error::success();
}

Error launchQuantizeTokens(LaunchBuilder &l, KernelForm &form) {
  return launchTokens(l, form, /*dequantize=*/false);
}
Error launchDequantizeTokens(LaunchBuilder &l, KernelForm &form) {
  return launchTokens(l, form, /*dequantize=*/true);
}

/// x, tables, out.
Error launchShiftGelu(LaunchBuilder &l, KernelForm &form) {
  l.rowKernel("shift_gelu", [&](ModuleOp to) { buildShiftGelu(to); });
  l.pointers(0, 3);
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers(
      {form.number("d"), form.number("x_stride"), form.number("out_stride")});
  return Error::success();
}

/// x, [offsets], params, out.
Error launchElements(LaunchBuilder &l, KernelForm &form) {
  auto function = parseElementFunction(form.text("kind"));
  if (!function)
    return function.takeError();
  ElementForm shape;
  shape.function = *function;
  shape.in = form.storage("in");
  shape.out = form.storage("out");
  if (shape.pools())
    shape.offset = form.number("offset");
  if (Error error = checkElements(shape))
    return error;
  l.rowKernel(getElementsName(shape),
              [&](ModuleOp to) { buildElements(to, shape); });
  l.pointers(0, l.operandCount());
  if (shape.pools()) {
    l.now.gridX = {CountOf::Sequences, kRowsPerBlock, 1};
    l.param(DeviceParam::Sequences);
  } else {
    l.rows(form, l.now.gridX, kRowsPerBlock);
  }
  int64_t d = form.number("d");
  if (shape.function != ElementFunction::Normalize)
    d = int64_t(llvm::alignTo(d, 4));
  l.integers({d, form.number("x_stride"), form.number("out_stride")});
  return Error::success();
}

} // namespace quern::nvptx
