//===- RealLaunches.cpp - Launches of what keeps real numbers -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/LaunchBuilder.h"

#include "lib/Target/NVPTX/CodeNorm.h"
#include "lib/Target/NVPTX/RealAttention.h"
#include "lib/Target/NVPTX/RealGemm.h"
#include "lib/Target/NVPTX/RealNorm.h"
#include "lib/Target/NVPTX/RealRows.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern::nvptx {

/// x, w, [scales], bias, y.
Error launchRealLinear(LaunchBuilder &l, KernelForm &form) {
  RealGemmForm gemm;
  gemm.bits = form.number("bits");
  auto activation = parseActivation(form.text("activation"));
  if (!activation)
    return activation.takeError();
  gemm.activation = *activation;
  if (Error error = checkRealGemm(gemm))
    return error;
  auto n = int64_t(llvm::alignTo(form.number("n"), kGemmColumns));
  GemmLaunch launch = getRealGemmLaunch(1, n);
  l.kernel(getRealGemmName(gemm), launch.threads, launch.sharedBytes, 0,
           [&](ModuleOp to) { buildRealGemm(to, gemm); });
  l.now.gridX.multiply = launch.gridX;
  l.pointers(0, l.operandCount());
  l.rows(form, l.now.gridY, kRealGemmRows);
  l.integers({n, form.number("k"), form.number("x_stride"),
              form.number("out_stride")});
  return Error::success();
}

/// q, k, v, offsets, params, context, taps of scores and probabilities.
Error launchRealAttention(LaunchBuilder &l, KernelForm &form) {
  RealAttentionForm shape;
  shape.headDim = form.number("head_dim");
  shape.firstQuery = form.number("first");
  shape.quantizeScores = form.number("quantize_scores");
  shape.quantizeProbs = form.number("quantize_probs");
  shape.alone = l.longestSequence() > kMostRealKeys;
  if (Error error = checkRealAttention(shape))
    return error;
  if (Error error = l.checkLength(kLongestRealSequence))
    return error;
  int64_t heads = form.number("heads");
  AttentionLaunch launch = getRealAttentionLaunch(shape, 1, heads, 32);
  l.kernel(getRealAttentionName(shape), launch.threads, 0,
           launch.sharedBytes / 32,
           [&](ModuleOp to) { buildRealAttention(to, shape); });
  l.pointers(0, l.operandCount());
  if (!shape.firstQuery)
    l.now.gridX = {CountOf::Longest, getRealAttentionQueries(shape), 1};
  l.now.gridY = {CountOf::Sequences, 1, heads};
  l.integers({heads});
  l.param(DeviceParam::Keys);
  l.integers({form.number("query_stride"), form.number("qkv_stride"),
              form.number("context_stride"), form.number("q_column"),
              form.number("k_column"), form.number("v_column")});
  l.param(DeviceParam::Sequences);
  l.param(DeviceParam::Taps);
  return Error::success();
}

/// x, gamma, beta, eps, out; with two operands a tap behind them.
Error launchRealNorm(LaunchBuilder &l, KernelForm &form) {
  RealNormForm shape;
  bool isSum = form.text("kind") == "add_norm_f32";
  if (isSum)
    shape.source = RealNormForm::Sum;
  l.rowKernel(getRealNormName(shape),
              [&](ModuleOp to) { buildRealNorm(to, shape); });
  l.pointers(0, l.operandCount());
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers({form.number("d"), form.number("a_stride")});
  if (isSum)
    l.integers({form.number("b_stride")});
  l.integers({form.number("out_stride")});
  if (isSum) {
    l.integers({form.number("tap_stride")});
    l.param(DeviceParam::Taps);
  }
  return Error::success();
}

/// ids, types, positions, tables, gamma, beta, eps, [scales], out, taps.
Error launchRealEmbed(LaunchBuilder &l, KernelForm &form) {
  RealNormForm shape;
  shape.source = RealNormForm::Tables;
  const char *const names[] = {"word", "type", "position"};
  for (size_t t = 0; t != 3; ++t) {
    shape.tableBits[t] = form.number(std::string(names[t]) + "_bits");
    shape.rowScales[t] = form.number(std::string(names[t]) + "_scales");
  }
  if (Error error = checkRealNorm(shape))
    return error;
  l.rowKernel(getRealNormName(shape),
              [&](ModuleOp to) { buildRealNorm(to, shape); });
  l.pointers(0, l.operandCount());
  l.now.gridX = {CountOf::Tokens, kRowsPerBlock, 1};
  l.param(DeviceParam::Tokens);
  l.integers({form.number("d"), form.number("table_stride"),
              form.number("out_stride"), form.number("tap_stride")});
  l.param(DeviceParam::Taps);
  return Error::success();
}

/// x, [b], out.
Error launchRealFunction(LaunchBuilder &l, KernelForm &form) {
  auto function = parseRealFunction(form.text("kind"));
  if (!function)
    return function.takeError();
  l.kernel(getRealFunctionName(*function), kRowsPerBlock * 32,
           getRealFunctionSharedBytes(*function), 0,
           [&](ModuleOp to) { buildRealFunction(to, *function); });
  l.pointers(0, l.operandCount());
  l.rows(form, l.now.gridX, kRowsPerBlock);
  l.integers({int64_t(llvm::alignTo(form.number("d"), 4)),
              form.number("x_stride"), form.number("b_stride"),
              form.number("out_stride")});
  return Error::success();
}

} // namespace quern::nvptx
