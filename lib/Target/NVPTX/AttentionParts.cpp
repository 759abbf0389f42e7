//===- AttentionParts.cpp - Keys of long sequences, part by part ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Sums over keys are sums over parts: of exponentials, of weighted values, and
// the largest score. Each needs what the one before found for the whole row, so
// each goes through all parts, whose keys are copied and scored anew. Where a
// sequence is one part, it stays in shared memory from the first to the last.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

void AttentionEmitter::enter(Value part) {
  firstKey = first;
  keysLeft = length;
  Value here = length;
  if (form.keysAtOnce) {
    partStart = k.mul(part, form.keysAtOnce);
    firstKey = k.add(first, partStart);
    keysLeft = k.sub(length, partStart);
    here = k.min(keysLeft, k.c(form.keysAtOnce));
  }
  chunks = k.shr(k.add(here, 31), 5);
  ownKeys = k.shl(chunks, 5);
}

Values AttentionEmitter::scorePart(bool withValues, ArrayRef<Value> tops) {
  // All warps are done with the part before.
  if (form.keysAtOnce)
    k.barrier();
  copyKeys();
  if (withValues && !layout.overlaid)
    copyValues();
  k.waitForCopies(0);
  k.barrier();
  sumKeys();
  k.barrier();
  Values now = scoreChunks(tops);
  if (withValues && layout.overlaid)
    replaceKeys();
  return now;
}

void AttentionEmitter::replaceKeys() {
  // All warps are done with the keys.
  k.barrier();
  copyValues();
  k.barrier();
}

Values AttentionEmitter::scores() {
  Values tops(2, k.c(0));
  enter(k.c(0));
  if (form.keysAtOnce) {
    parts = k.div(k.add(length, form.keysAtOnce - 1), form.keysAtOnce);
    tops = k.loop(k.c(0), parts, 1, tops,
                  [&](Value part, ArrayRef<Value> carried) {
                    enter(part);
                    return scorePart(false, carried);
                  });
    enter(k.c(0));
    k.ifThen(k.less(parts, k.c(2)), [&] { replaceKeys(); });
  } else {
    tops = scorePart(true, tops);
  }
  for (Value &top : tops)
    top = overQuad(top, false);
  return tops;
}

Values AttentionEmitter::forEachChunk(ArrayRef<Value> init, bool withValues,
                                      Chunk body) {
  if (!form.keysAtOnce)
    return k.loop(k.c(0), chunks, 1, init, body);
  return k.loop(k.c(0), parts, 1, init,
                [&](Value part, ArrayRef<Value> carried) {
                  enter(part);
                  k.ifThen(k.less(k.c(1), parts),
                           [&] { scorePart(withValues, Values(2, k.c(0))); });
                  return k.loop(k.c(0), chunks, 1, carried, body);
                });
}

Value AttentionEmitter::blockMax(Value x) {
  // All warps have read what was there before.
  k.barrier();
  k.ifThen(k.equal(lane, k.c(0)), [&] {
    k.store(x, k.at(warpNumbers, k.shl(k.div(thread, 32), 2)), 4);
  });
  k.barrier();
  Values all = k.loadMany(warpNumbers, k.i32(), kAttentionThreads / 32);
  for (Value other : all)
    x = k.max(x, other);
  return x;
}

} // namespace quern::nvptx
