//===- QAttentionContext.cpp - Sums of values by probabilities ------------===//
//
// The context of eight rows and a pair of panels, to its codes.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/QAttentionEmitter.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Sums over the tokens of weight times value, i32, for `count` panels of 16
/// channels. The weights are those of a plane and a parity, or without a plane
/// uniform codes.
Values QAttentionEmitter::weightedSums(Value plane, int64_t parity, Value first,
                                       int64_t count) {
  Value terms = plane ? planeTerms(plane, parity) : termsAt(1);
  Values acc;
  for (int64_t i = 0; i != count * blockRows; ++i) {
    Value term =
        k.loadBytes(scratch, k.add(terms, 4 * (i % blockRows)), 1, k.i32());
    acc.push_back(k.broadcast(k.lane(term, 0)));
  }
  if (hasTileSums) {
    Values sums = tileSumsOf(planeSums(plane, parity));
    for (auto [sum, term] : llvm::zip_equal(sums, acc))
      sum = k.add(sum, term);
    return sums;
  }
  Value weights = plane ? planeAt(plane, parity) : codeRow(0);
  Value panel = k.add(k.mul(valueStride, first), layout.values);
  return k.loop(
      k.index(0), c.length, 4, acc, [&](Value token, ArrayRef<Value> a) {
        Value at = k.add(panel, k.mul(token, 16));
        Values b;
        for (int64_t p = 0; p != count; ++p)
          b.push_back(
              k.loadVector(scratch, k.add(at, k.mul(valueStride, p)), 64));
        Value from = k.add(weights, token);
        Values next(a.begin(), a.end());
        for (int64_t r = 0; r != blockRows; ++r) {
          Value q = k.broadcast4(scratch, k.add(from, r * layout.codeStride));
          for (int64_t p = 0; p != count; ++p)
            next[p * blockRows + r] = k.dot4(a[p * blockRows + r], q, b[p]);
        }
        return next;
      });
}

void QAttentionEmitter::contextRows(Value row) {
  if (shape.smallTile && shape.headDim % 16 == 0) {
    k.loop(k.index(0), k.index(layout.valuePanels), 1,
           [&](Value panel) { contextPanels(row, panel, 1, 16); });
    return;
  }
  for (int64_t p = 0; p < layout.valuePanels; p += blockPanels)
    contextPanels(row, k.index(p),
                  std::min<int64_t>(blockPanels, layout.valuePanels - p),
                  shape.headDim - p * 16);
}

/// Context codes of a row block for `count` panels of 16 channels, of which
/// `channels` or more are the head's.
void QAttentionEmitter::contextPanels(Value row, Value first, int64_t count,
                                      int64_t channels) {
  Values sums = shape.isLog() && shape.fixed ? joinedFixedPlanes(first, count)
                : shape.isLog() ? joinedPlanes(first, count)
                                : weightedSums(Value(), 0, first, count);
  for (Value &v : sums)
    v = contextOf(v);
  storeContext(row, first, count, channels, sums);
}

Value QAttentionEmitter::contextOf(Value sums) {
  if (shape.fixed)
    return fixedCode(k, sums, fixedContext, shape.contextRange);
  bool isReal = shape.context == Storage::F32;
  if (!isReal && !shape.isLog() && !shape.perHead)
    return k.requant(sums, contextMultiplier, contextOffset,
                     shape.contextRange);
  Value v = shape.isLog() ? sums : k.toFloat(sums, k.f32());
  v = k.add(k.mul(v, contextMultiplier), contextOffset);
  if (isReal)
    return v;
  if (shape.perHead)
    v = k.minReal(contextHi, k.maxReal(contextLo, v));
  return k.round(v, shape.contextRange);
}

/// Writes only rows of the sequence and channels of the head: the others
/// belong to other chunks.
void QAttentionEmitter::storeContext(Value row, Value first, int64_t count,
                                     int64_t channels, Values values) {
  Value base = k.add(k.mul(k.add(c.firstQuery, row), shape.contextStride),
                     k.add(headColumn, k.mul(first, 16)));
  auto storeRow = [&](int64_t r) {
    for (int64_t p = 0; p != count; ++p) {
      Value v = values[p * blockRows + r];
      Value at = k.add(base, r * shape.contextStride + p * 16);
      int64_t left = channels - p * 16;
      bool real = shape.context == Storage::F32;
      if (left >= 16 && real)
        k.storeVector(v, context, at);
      else if (left >= 16)
        k.storeCodes(v, context, at);
      else if (real)
        k.storeMasked(v, context, at, k.mask(left));
      else if (left == 1)
        // LLVM 22 makes a truncating masked store of one lane a store of all
        // bytes of the lane, over codes of the next head.
        k.store(k.lane(k.trunc(v, k.element(shape.context)), 0), context, at);
      else
        k.storeMasked(k.trunc(v, k.element(shape.context)), context, at,
                      k.mask(left));
    }
  };
  Value rows = k.sub(c.queries, row);
  auto storeRowsLeft = [&] {
    for (int64_t r = 0; r != blockRows; ++r)
      k.ifThen(k.less(k.index(r), rows), [&] { storeRow(r); });
  };
  if (shape.smallTile)
    return storeRowsLeft();
  k.ifThen(k.less(rows, k.index(blockRows)), storeRowsLeft, [&] {
    for (int64_t r = 0; r != blockRows; ++r)
      storeRow(r);
  });
}

} // namespace quern
