//===- GemmUnpack.cpp - Weights of few bits as bytes ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See GemmUnpack.h. Panels lie one after another, packed and unpacked, so the
// work is a run of packed vectors, whatever panels they belong to.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmUnpack.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Bytes of a vector.
static constexpr int64_t kVector = 64;

static int64_t slotBytes(const GemmShape &shape, const GemmStream &stream) {
  return getGemmPanels(shape).width * stream.panelElements * 8 /
         shape.weightBits;
}

int64_t unpackedBytes(const GemmShape &shape, const GemmStream &stream) {
  return shape.weightBits == 8 ? 0 : 2 * slotBytes(shape, stream);
}

/// Unpacks packed vector `i` of those from byte `from` on.
static void unpackVector(KernelBuilder &k, const GemmInputs &inputs, Value from,
                         Value to, Value i) {
  int64_t codes = 8 / inputs.weightBits;
  Value packed = k.loadVector(inputs.w, k.add(from, k.mul(i, kVector)), 64);
  Value at = k.add(to, k.mul(i, kVector * codes));
  for (int64_t part = 0; part < codes; ++part)
    k.storeVector(k.unpack(packed, inputs.weightBits, part), k.scratch(),
                  k.add(at, part * kVector));
}

void unpackPanels(KernelBuilder &k, const GemmStream &stream, int64_t width,
                  const GemmInputs &inputs, Value panel, Value to) {
  Value from = k.mul(panel, stream.panelElements);
  int64_t vectors = width * stream.panelElements / kVector;
  // Panels have whole steps of tiles, so a multiple of four vectors.
  k.loop(k.index(0), k.index(vectors), 4, [&](Value i) {
    for (int64_t next = 0; next < 4; ++next)
      unpackVector(k, inputs, from, to, k.add(i, next));
  });
}

void forEachUnpackedGroup(
    KernelBuilder &k, const GemmShape &shape, const GemmStream &stream,
    const GemmInputs &inputs,
    function_ref<void(const PanelGroup &, Value, const GemmAhead &)> body) {
  int64_t width = getGemmPanels(shape).width, slot = slotBytes(shape, stream);
  Value both = k.index(2 * inputs.unpackedAt + slot);
  Value none = k.index(0);
  forEachPanelGroup(
      k, shape, {k.index(inputs.unpackedAt)},
      [&](const PanelGroup &group, ArrayRef<Value> carried) {
        Value at = carried[0], other = k.sub(both, at);
        GemmAhead ahead;
        ahead.from = k.mul(group.next, stream.panelElements);
        ahead.to = other;
        ahead.end =
            k.select(group.hasNext,
                     k.index(width * stream.panelElements / kVector), none);
        k.ifThen(
            k.less(k.index(shape.tuning.packedRows), group.rows),
            [&] {
              k.ifThen(group.isFirst, [&] {
                unpackPanels(k, stream, width, inputs, group.panel, at);
              });
              body(group, at, ahead);
            },
            [&] { body(group, Value(), GemmAhead()); });
        return Values{other};
      });
}

GemmAhead shareAhead(KernelBuilder &k, const GemmStream &stream,
                     const GemmAhead &all, Value i, Value tiles) {
  auto ceilDiv = [&](Value a, Value b) {
    return k.div(k.add(a, k.sub(b, k.index(1))), b);
  };
  GemmAhead share = all;
  Value each = ceilDiv(all.end, tiles);
  share.perTurn = ceilDiv(each, k.index(stream.steps));
  share.first = k.mul(i, each);
  share.end = k.min(k.add(share.first, each), all.end);
  return share;
}

void unpackAhead(KernelBuilder &k, const GemmInputs &inputs,
                 const GemmAhead &share, Value turn, int64_t count) {
  Value first = k.add(share.first, k.mul(turn, share.perTurn));
  Value end = k.min(k.add(first, k.mul(share.perTurn, count)), share.end);
  k.loop(first, end, 1,
         [&](Value i) { unpackVector(k, inputs, share.from, share.to, i); });
}

} // namespace quern
