//===- AttentionLaunches.cpp - Launches of attention ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/LaunchBuilder.h"

#include "lib/Target/NVPTX/Attention.h"

using namespace mlir;

namespace quern::nvptx {

/// qkv, offsets, params, context, [queries], taps of scores and probabilities.
Error launchAttention(LaunchBuilder &l, KernelForm &form) {
  AttentionForm shape;
  shape.headDim = form.number("head_dim");
  shape.context = form.storage("out");
  shape.firstQuery = form.number("first");
  shape.log = {int32_t(form.number("log_bits")),
               int32_t(form.number("per_octave"))};
  shape.fixed = form.number("fixed");
  shape.nearest = form.number("nearest");
  shape.perHead = form.number("per_head");
  if (l.longestSequence() > kMostKeysAtOnce)
    shape.keysAtOnce = kKeysAtOnce;
  if (Error error = checkAttention(shape))
    return error;
  if (Error error = l.checkLength(kLongestSequence))
    return error;
  int64_t heads = form.number("heads");
  AttentionLaunch none = getAttentionLaunch(shape, 1, heads, 0);
  AttentionLaunch some = getAttentionLaunch(shape, 1, heads, 32);
  l.kernel(getAttentionName(shape), some.threads, none.sharedBytes,
           (some.sharedBytes - none.sharedBytes) / 32,
           [&](ModuleOp to) { buildAttention(to, shape); });
  l.pointers(0, 3);
  if (shape.firstQuery)
    l.pointer(4);
  l.pointer(3);
  size_t operands = l.operandCount();
  l.pointers(operands - 2, operands);
  if (!shape.firstQuery)
    l.now.gridX = {CountOf::Longest, kAttentionQueries, 1};
  l.now.gridY = {CountOf::Sequences, 1, heads};
  l.integers({heads});
  l.param(DeviceParam::Keys);
  l.integers({form.number("qkv_stride"), form.number("context_stride"),
              form.number("q_column"), form.number("k_column"),
              form.number("v_column")});
  if (shape.firstQuery)
    l.integers({form.number("query_stride")});
  l.param(DeviceParam::Sequences);
  l.param(DeviceParam::Taps);
  l.numbers(form, {"score_hi", "prob_hi", "lo", "hi"}, shape.fixed);
  return Error::success();
}

} // namespace quern::nvptx
