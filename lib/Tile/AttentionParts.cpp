//===- AttentionParts.cpp - What both attention kernels share -------------===//
//
// The walk over chunks, the place of a head's taps, and the transposition that
// packs keys.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AttentionParts.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Where the taps of (sequence, head) begin: head * R + base. The lengths are
/// only added up if the taps are on.
static Value tapBase(KernelBuilder &k, Value offsets, Value sequence,
                     Value head, Value tapping) {
  Value zero = k.index(0);
  Value limit = k.select(tapping, k.sequences(), zero);
  Values sums =
      k.loop(zero, limit, 1, {zero, zero}, [&](Value s, ArrayRef<Value> c) {
        Value from = k.toIndex(k.load(offsets, s));
        Value to = k.toIndex(k.load(offsets, k.add(s, 1)));
        Value length = k.sub(to, from);
        Value square = k.mul(length, length);
        Value counted = k.select(k.less(s, sequence), square, zero);
        return Values{k.add(c[0], square), k.add(c[1], counted)};
      });
  return k.add(k.mul(head, sums[0]), sums[1]);
}

void forEachHead(KernelBuilder &k, Value offsets, const AttentionShape &shape,
                 function_ref<void(const HeadChunk &)> body) {
  k.loop(k.begin(), k.end(), 1, [&](Value chunk) {
    Value heads = k.index(shape.heads);
    Value sequence = k.div(chunk, heads);
    HeadChunk c;
    c.head = k.rem(chunk, heads);
    c.first = k.toIndex(k.load(offsets, sequence));
    Value last = k.toIndex(k.load(offsets, k.add(sequence, 1)));
    c.length = k.sub(last, c.first);
    c.tapping = k.tapping();
    c.firstQuery = shape.firstQuery ? sequence : c.first;
    c.queries = shape.firstQuery ? k.index(1) : c.length;
    c.tapBase = shape.firstQuery
                    ? k.add(k.mul(c.head, k.tokens()), c.first)
                    : tapBase(k, offsets, sequence, c.head, c.tapping);
    body(c);
  });
}

Values forEach64(KernelBuilder &k, Value length, ArrayRef<Value> initial,
                 KernelBuilder::BlockBody body) {
  Value whole = k.mul(k.div(length, k.index(64)), 64);
  Values carried =
      k.loop(k.index(0), whole, 64, initial,
             [&](Value i, ArrayRef<Value> a) { return body(i, Value(), a); });
  return k.loop(whole, length, 64, carried, [&](Value i, ArrayRef<Value> a) {
    return body(i, k.mask(k.sub(length, i), 64), a);
  });
}

/// Interleaves 32-bit pairs (width 2) or 64-bit pairs (width 4) of the low or
/// high halves of each 128-bit block, or picks even or odd blocks (width 8).
static SmallVector<int64_t> pattern(int64_t width, bool high) {
  SmallVector<int64_t> p;
  for (int64_t l = 0; l != 16; ++l) {
    int64_t block = l / 4, in = l % 4;
    if (width == 2)
      p.push_back(block * 4 + (high ? 2 : 0) + in / 2 + (in % 2) * 16);
    else if (width == 4)
      p.push_back(block * 4 + (high ? 2 : 0) + in % 2 + (in / 2) * 16);
    else
      p.push_back((block % 2) * 8 + (high ? 4 : 0) + in + (block / 2) * 16);
  }
  return p;
}

/// Both vectors that a pattern makes of a and b.
static std::pair<Value, Value> exchange(KernelBuilder &k, int64_t width,
                                        Value a, Value b) {
  return {k.shuffle(a, b, pattern(width, false)),
          k.shuffle(a, b, pattern(width, true))};
}

Values transposeQuads(KernelBuilder &k, ArrayRef<Value> rows) {
  auto [a, b] = exchange(k, 2, rows[0], rows[1]);
  auto [c, d] = exchange(k, 2, rows[2], rows[3]);
  auto [first, second] = exchange(k, 4, a, c);
  auto [third, fourth] = exchange(k, 4, b, d);
  return {first, second, third, fourth};
}

Values transposeHalves(KernelBuilder &k, ArrayRef<Value> pairs) {
  Values low = transposeQuads(k, pairs.take_front(4));
  Values high = transposeQuads(k, pairs.drop_front(4));
  Values columns(8);
  for (int j = 0; j != 4; ++j)
    std::tie(columns[j], columns[4 + j]) = exchange(k, 8, low[j], high[j]);
  return columns;
}

Values transpose16(KernelBuilder &k, ArrayRef<Value> rows) {
  // quads[g][j]: block b holds column 4b + j of the rows 4g .. 4g+3.
  Values quads[4];
  for (int g = 0; g != 4; ++g)
    quads[g] = transposeQuads(k, rows.slice(4 * g, 4));
  Values columns(16);
  for (int j = 0; j != 4; ++j) {
    auto [a, b] = exchange(k, 8, quads[0][j], quads[1][j]);
    auto [c, d] = exchange(k, 8, quads[2][j], quads[3][j]);
    std::tie(columns[j], columns[8 + j]) = exchange(k, 8, a, c);
    std::tie(columns[4 + j], columns[12 + j]) = exchange(k, 8, b, d);
  }
  return columns;
}

} // namespace quern
