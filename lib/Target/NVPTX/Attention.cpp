//===- Attention.cpp - Integer attention on tensor cores ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The kernel's frame; see AttentionEmitter.h for its parts.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// Bytes of the table of exponentials.
static constexpr int64_t kTableBytes = 256 * 4;
/// Bytes in which warps tell each other a number, where keys come in parts.
static constexpr int64_t kWarpBytes = 16;
/// Constants of all heads, then those of each; QAttentionParams::size and
/// headSize of lib/Tile/Attention.h.
static constexpr int64_t kFirstHeadConstant = 64, kHeadConstants = 6;

Error checkAttention(const AttentionForm &form) {
  if (form.headDim <= 0 || form.headDim > 128)
    return Error::make("attention: heads of ", form.headDim,
                       " channels, expected 1 to 128");
  bool isTwo = form.log.per_octave == 1;
  if (form.isLog() && (form.log.bits < 3 || form.log.bits > 8 ||
                       !(isTwo || form.log.per_octave == 2)))
    return Error::make("attention: logarithmic codes of ", form.log.bits,
                       " bits, ", form.log.per_octave,
                       " an octave, expected 3 to 8 bits and 1 or 2");
  if (form.fixed && form.isLog() && (form.log.bits > 4 || !isTwo))
    return Error("attention: logarithmic codes without floats, expected 3 or 4 "
                 "bits of base 2");
  if (form.fixed && form.context == Storage::F32)
    return Error("attention: an f32 result without floats, expected codes");
  if (form.keysAtOnce % 32 || form.keysAtOnce < 0 ||
      form.keysAtOnce > kMostKeysAtOnce)
    return Error::make("attention: ", form.keysAtOnce,
                       " keys at once, expected multiples of 32 up to ",
                       kMostKeysAtOnce, ", or 0 for all");
  if (form.perHead && (form.fixed || form.isLog()))
    return Error("attention: constants of heads with logarithmic codes or "
                 "without floats, expected neither");
  return Error::success();
}

std::string getAttentionName(const AttentionForm &form) {
  std::string name = form.firstQuery ? "attention_first_" : "attention_";
  name += std::to_string(form.headDim);
  if (form.isLog())
    name += (form.log.per_octave == 1 ? "_log2x" : "_logsqrt2x") +
            std::to_string(form.log.bits);
  if (form.fixed)
    name += form.nearest ? "_fixed" : "_fixed_down";
  if (form.perHead)
    name += "_heads";
  if (form.keysAtOnce)
    name += "_by" + std::to_string(form.keysAtOnce);
  return name + "_" + storageName(form.context).str();
}

AttentionLaunch getAttentionLaunch(const AttentionForm &form, int64_t sequences,
                                   int64_t heads, int64_t longest) {
  AttentionLaunch launch;
  launch.gridX = form.firstQuery
                     ? 1
                     : (longest + kAttentionQueries - 1) / kAttentionQueries;
  launch.gridY = sequences * heads;
  launch.threads = kAttentionThreads;
  launch.keys = (longest + 31) / 32 * 32;
  AttentionLayout layout(form.headDim);
  launch.sharedBytes = kTableBytes + launch.keys * layout.bytesPerKey();
  if (form.keysAtOnce)
    launch.sharedBytes =
        kTableBytes + kWarpBytes + form.keysAtOnce * layout.bytesPerKey();
  return launch;
}

void AttentionEmitter::takeParams() {
  for (Value *pointer : {&qkv, &offsets, &params})
    *pointer = k.param();
  askers = form.firstQuery ? k.param() : qkv;
  for (Value *each : {&out, &scoreTap, &probTap, &heads, &keys, &qkvStride,
                      &contextStride, &qColumn, &kColumn, &vColumn})
    *each = k.param();
  queryStride = form.firstQuery ? k.param() : qkvStride;
  for (Value *each :
       {&sequences, &tapping, &scoreHi, &probHi, &contextLo, &contextHi})
    *each = k.param();
}

/// Where things lie in shared memory.
void AttentionEmitter::place() {
  table = k.dynamicShared();
  warpNumbers = k.at(table, k.c(kTableBytes));
  keyRows = warpNumbers;
  if (form.keysAtOnce) {
    keyRows = k.at(warpNumbers, k.c(kWarpBytes));
    keys = k.c(form.keysAtOnce);
  }
  Value behind = k.at(keyRows, k.mul(keys, layout.keyBytes));
  valueRows = layout.overlaid ? keyRows : behind;
  codes = layout.overlaid ? behind : k.at(valueRows, k.mul(keys, width));
  terms = k.at(codes, k.mul(keys, kAttentionQueries));
}

void AttentionEmitter::loadConstants() {
  if (form.fixed) {
    fixedScore = loadFixed(k, params);
    fixedContext = loadFixed(k, k.at(params, k.c(kFixedBytes)));
    zq = k.narrow(fixedNumber(4), k.i32());
    zk = k.narrow(fixedNumber(5), k.i32());
    zv = k.narrow(fixedNumber(6), k.i32());
    return;
  }
  zq = k.round(constant(37));
  zk = k.round(constant(38));
  zv = k.round(constant(39));
  if (!form.perHead)
    return;
  headParams = k.at(params, k.add(k.mul(headIndex, kHeadConstants * 4),
                                  kFirstHeadConstant * 4));
  probHi = headConstant(2);
  contextLo = headConstant(4);
  contextHi = headConstant(5);
}

void AttentionEmitter::head() {
  fillTable();
  loadQueries();
  normalize(scores());
  k.ifThen(k.less(k.c(0), tapping), [&] { writeTaps(); });
  context();
}

void AttentionEmitter::emit() {
  takeParams();
  place();
  thread = k.thread();
  lane = k.rem(thread, 32);
  quad = k.rem(lane, 4);
  Value which = k.block(1);
  sequence = k.divide(which, heads);
  headIndex = k.sub(which, k.mul(sequence, heads));
  headColumn = k.mul(headIndex, dim);
  Value at = k.at(offsets, k.wide(k.shl(sequence, 2)));
  first = k.load(at, k.i32(), 4);
  length = k.sub(k.load(k.at(at, k.c(4)), k.i32(), 4), first);
  firstAsker = form.firstQuery ? sequence : first;
  askerCount = form.firstQuery ? k.min(length, k.c(1)) : length;
  loadConstants();
  Value start = k.mul(k.block(0), kAttentionQueries);
  row = k.add(k.add(start, k.mul(k.div(thread, 32), 16)), k.div(lane, 4));
  // Of all the block's threads, or of none.
  k.ifThen(k.less(start, askerCount), [&] { head(); });
}

void buildAttention(ModuleOp module, const AttentionForm &form) {
  SmallVector<Param> params(form.firstQuery ? 4 : 3, Param::Input);
  params.append(3, Param::Output);
  params.append(form.firstQuery ? 10 : 9, Param::I32);
  params.append(4, form.fixed ? Param::I32 : Param::F32);
  DeviceBuilder k(module, getAttentionName(form), params, kAttentionThreads);
  AttentionEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
