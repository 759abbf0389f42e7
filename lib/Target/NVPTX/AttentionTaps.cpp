//===- AttentionTaps.cpp - Where a block writes its taps ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionTaps.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

Value tapBase(DeviceBuilder &k, const TapBlock &block, Value counted) {
  auto offsetOf = [&](Value s) {
    return k.at(block.offsets, k.wide(k.shl(s, 2)));
  };
  if (block.firstQuery) {
    Value tokens = k.load(offsetOf(block.sequences), k.i32(), 4);
    return k.add(k.mulWide(block.headIndex, tokens), k.wide(block.first));
  }
  Values squares = k.loop(
      k.c(0), counted, 1, {k.c64(0), k.c64(0)},
      [&](Value s, ArrayRef<Value> carried) {
        Value at = offsetOf(s);
        Value begin = k.load(at, k.i32(), 4);
        Value tokens = k.sub(k.load(k.at(at, k.c(4)), k.i32(), 4), begin);
        Value square = k.mulWide(tokens, tokens);
        Value before = k.select(k.less(s, block.sequence), square, k.c64(0));
        return Values{k.add(carried[0], square), k.add(carried[1], before)};
      });
  return k.add(k.mul(k.wide(block.headIndex), squares[0]), squares[1]);
}

} // namespace quern::nvptx
