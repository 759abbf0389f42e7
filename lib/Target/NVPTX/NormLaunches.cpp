//===- NormLaunches.cpp - Launches of sums and LayerNorm ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/LaunchBuilder.h"

#include "lib/Target/NVPTX/AddCodes.h"
#include "lib/Target/NVPTX/AddNorm.h"
#include "lib/Target/NVPTX/Embed.h"
#include "lib/Target/NVPTX/FixedNorm.h"
#include "lib/Target/NVPTX/GroupNorm.h"
#include "quern/integer_norm.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern::nvptx {

/// a, b, ma, mb, mo, out; fixed: a, b, their constants, out.
Error launchAddCodes(LaunchBuilder &l, KernelForm &form) {
  AddCodesForm shape;
  shape.a = form.storage("a");
  shape.b = form.storage("b");
  shape.out = form.storage("out");
  shape.fixed = form.number("fixed");
  if (Error error = checkAddCodes(shape))
    return error;
  l.rowKernel(getAddCodesName(shape),
              [&](ModuleOp to) { buildAddCodes(to, shape); });
  l.pointers(0, l.operandCount());
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers({int64_t(llvm::alignTo(form.number("d"), 4)),
              form.number("a_stride"), form.number("b_stride"),
              form.number("out_stride")});
  l.numbers(form, {"lo", "hi"}, shape.fixed);
  return Error::success();
}

/// `out` is the operand that the result is.
static AddNormForm normForm(LaunchBuilder &l, KernelForm &form, size_t out) {
  AddNormForm shape;
  shape.second = l.takeSecond(out);
  shape.d = form.number("d");
  shape.a = form.storage("a");
  shape.b = form.storage("b");
  shape.sum = form.storage("sum");
  shape.out = form.storage("out");
  return shape;
}

/// What follows the pointers of a LayerNorm: rows, strides, `more`, whether
/// there are taps, and the ranges of codes.
static void normNumbers(LaunchBuilder &l, KernelForm &form,
                        std::initializer_list<int64_t> more) {
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers({form.number("a_stride"), form.number("b_stride"),
              form.number("out_stride"), form.number("tap_stride")});
  l.integers(more);
  l.param(DeviceParam::Taps);
  l.reals({form.real("sum_lo"), form.real("sum_hi"), form.real("lo"),
           form.real("hi")});
}

/// a, b, ma, mb, mo, gamma, beta, norm, out, tap.
Error launchAddNorm(LaunchBuilder &l, KernelForm &form) {
  AddNormForm shape = normForm(l, form, 8);
  if (Error error = checkAddNorm(shape))
    return error;
  l.rowKernel(getAddNormName(shape),
              [&](ModuleOp to) { buildAddNorm(to, shape); });
  l.pointers(0, 10);
  normNumbers(l, form, {});
  l.secondParams();
  return Error::success();
}

/// Bits by which codes of a sum are shifted up.
static int64_t sumShift(int64_t highest) {
  return qi_sum_shift(qi_bits(uint64_t(highest)), 0);
}

/// a, b, their constants, channels, out, tap.
Error launchFixedAddNorm(LaunchBuilder &l, KernelForm &form) {
  FixedAddNormForm shape;
  shape.norm = normForm(l, form, 5);
  shape.byChannel = form.number("by_channel");
  if (Error error = checkFixedAddNorm(shape))
    return error;
  l.rowKernel(getFixedAddNormName(shape),
              [&](ModuleOp to) { buildFixedAddNorm(to, shape); });
  l.pointers(0, 7);
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers({form.number("a_stride"), form.number("b_stride"),
              form.number("out_stride"), form.number("tap_stride")});
  l.param(DeviceParam::Taps);
  l.integers({shape.byChannel ? 0 : sumShift(form.number("sum_hi"))});
  l.numbers(form, {"sum_lo", "sum_hi", "lo", "hi"}, /*fixed=*/true);
  l.secondParams();
  return Error::success();
}

/// a, b, ma, mb, mo, gamma, beta, norm, out, [masks, zeros, scales], [order],
/// tap.
Error launchGroupNorm(LaunchBuilder &l, KernelForm &form) {
  GroupNormForm shape;
  shape.norm = normForm(l, form, 8);
  int64_t groups = form.number("groups");
  shape.grouped = groups != 0;
  shape.ordered = form.number("ordered");
  shape.each = form.number("each");
  if (Error error = checkGroupNorm(shape))
    return error;
  l.rowKernel(getGroupNormName(shape),
              [&](ModuleOp to) { buildGroupNorm(to, shape); });
  size_t last = l.operandCount() - 1;
  l.pointers(0, 8);
  l.pointers(9, last);
  l.pointer(8);
  l.pointer(last);
  // Masks are padded like rows of bytes.
  if (shape.grouped)
    normNumbers(l, form, {int64_t(llvm::alignTo(shape.norm.d, 64)), groups});
  else
    normNumbers(l, form, {});
  l.secondParams();
  return Error::success();
}

/// ids, types, positions, tables, scales, params, gamma, beta, norm, out, taps.
/// Fixed: ids, types, positions, tables, scales, first, channels, [factors],
/// out, taps.
Error launchEmbed(LaunchBuilder &l, KernelForm &form) {
  EmbedForm shape;
  shape.d = form.number("d");
  shape.rowScales[0] = form.number("word_scales");
  shape.rowScales[1] = form.number("type_scales");
  shape.rowScales[2] = form.number("position_scales");
  shape.e1 = form.storage("e1");
  shape.e2 = form.storage("e2");
  shape.out = form.storage("out");
  shape.tableBits[0] = form.number("word_bits");
  shape.tableBits[1] = form.number("type_bits");
  shape.tableBits[2] = form.number("position_bits");
  shape.fixed = form.number("fixed");
  shape.factors = form.number("factors");
  if (Error error = checkEmbed(shape))
    return error;
  l.rowKernel(getEmbedName(shape), [&](ModuleOp to) { buildEmbed(to, shape); });
  l.pointers(0, l.operandCount());
  l.now.gridX = {CountOf::Tokens, kRowsPerBlock, 1};
  l.param(DeviceParam::Tokens);
  l.integers({form.number("table_stride"), form.number("out_stride"),
              form.number("tap_stride")});
  l.param(DeviceParam::Taps);
  if (shape.fixed)
    l.integers({shape.factors ? 0 : sumShift(form.number("e2_hi")),
                form.number("e1_zero"), form.number("e2_zero")});
  l.numbers(form, {"e1_lo", "e1_hi", "e2_lo", "e2_hi", "lo", "hi"},
            shape.fixed);
  return Error::success();
}

} // namespace quern::nvptx
