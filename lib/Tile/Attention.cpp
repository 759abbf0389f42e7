//===- Attention.cpp - Attention in f32, fused ----------------------------===//
//
// tq.scores, tq.softmax and tq.context in one kernel, with the same bytes as
// the three apart. Keys are packed as panels of 16 tokens [head_dim][16];
// values are read where they are. Eight rows at a time, two panels each.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AttentionParts.h"

#include <algorithm>
#include <limits>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

static constexpr int64_t kRows = 8;

namespace {

/// Byte offsets in the scratch memory; the row stride counts floats.
struct Layout {
  explicit Layout(const AttentionShape &s) {
    int64_t tokens = (s.maxLength + 31) / 32 * 32;
    rowStride = tokens + 16;
    scores = tokens * s.headDim * 4;
    size = scores + kRows * rowStride * 4;
  }
  int64_t rowStride, scores, size;
};

/// Emits the body for one head; the members are run-time values of it.
class Emitter {
public:
  Emitter(KernelBuilder &k, const AttentionShape &shape)
      : k(k), shape(shape), layout(shape), queries(k.buffer(0)),
        keys(k.buffer(1)), values(k.buffer(2)), params(k.buffer(4)),
        context(k.buffer(5)), scratch(k.scratch()) {}

  void emit();

private:
  void head();
  void packKeys();
  void scorePair(Value row, Value pair);
  void softmaxRow(Value row, Value r);
  void contextPanels(Value row, int64_t first, int64_t count);
  void storeRow(const Values &acc, Value at, int64_t r, int64_t first,
                int64_t count);
  void tapRow(Value tap, Value row, Value r);
  void quantizeRow(Value r, int64_t first);
  Value reduceMax(Value v);

  Value number(Value offset) {
    return k.lane(k.loadBytes(scratch, offset, 1, k.f32()), 0);
  }
  Value scoresAt(Value r, Value column) {
    return k.add(k.mul(k.add(k.mul(r, layout.rowStride), column), 4),
                 layout.scores);
  }
  Value multiplyAdd(Value acc, Value a, Value b) {
    return k.add(acc, k.mul(a, b));
  }

  KernelBuilder &k;
  const AttentionShape &shape;
  Layout layout;
  Value queries, keys, values, params, context, scratch, scale;
  HeadChunk c;
  Value headColumn;
};

void Emitter::emit() {
  scale = k.broadcast(k.load(params, k.index(0)));
  forEachHead(k, k.buffer(3), shape, [&](const HeadChunk &chunk) {
    c = chunk;
    head();
  });
}

void Emitter::head() {
  headColumn = k.mul(c.head, shape.headDim);
  packKeys();
  k.loop(k.index(0), c.queries, kRows, [&](Value row) {
    k.loop(k.index(0), c.length, 32, [&](Value pair) { scorePair(row, pair); });
    Value rows = k.min(k.sub(c.queries, row), k.index(kRows));
    k.loop(k.index(0), rows, 1, [&](Value r) { softmaxRow(row, r); });
    int64_t panels = (shape.headDim + 15) / 16;
    for (int64_t p = 0; p < panels; p += 2)
      contextPanels(row, p, std::min<int64_t>(2, panels - p));
  });
}

void Emitter::packKeys() {
  auto lanes = k.vec(16, k.i32());
  Value column = k.add(headColumn, shape.kColumn);
  k.loop(k.index(0), c.length, 16, [&](Value token) {
    Value panel = k.mul(token, shape.headDim * 4);
    Value first = k.add(k.mul(k.add(c.first, token), shape.qkvStride), column);
    for (int64_t d = 0; d < shape.headDim; d += 16) {
      Values rows;
      for (int64_t r = 0; r != 16; ++r) {
        Value at = k.add(first, r * shape.qkvStride + d);
        rows.push_back(k.bitcast(k.loadVector(keys, at), lanes));
      }
      Values columns = transpose16(k, rows);
      for (int64_t i = 0; i != 16 && d + i < shape.headDim; ++i)
        k.storeBytes(columns[i], scratch, k.add(panel, (d + i) * 64));
    }
  });
}

void Emitter::scorePair(Value row, Value pair) {
  Value panel = k.mul(pair, shape.headDim * 4);
  int64_t stride = shape.firstQuery ? shape.queryStride : shape.qkvStride;
  Value start = k.add(k.mul(k.add(c.firstQuery, row), stride),
                      k.add(headColumn, shape.qColumn));
  Values acc(2 * kRows, k.zeros(k.vec(16, k.f32())));
  acc = k.loop(k.index(0), k.index(shape.headDim), 1, acc,
               [&](Value d, ArrayRef<Value> a) {
                 Value at = k.add(panel, k.mul(d, 64));
                 Value b0 = k.loadBytes(scratch, at, 16, k.f32());
                 Value b1 = k.loadBytes(scratch, k.add(at, shape.headDim * 64),
                                        16, k.f32());
                 Value from = k.add(start, d);
                 Values next(a.begin(), a.end());
                 for (int64_t r = 0; r != kRows; ++r) {
                   Value q =
                       k.broadcast(k.load(queries, k.add(from, r * stride)));
                   next[r] = multiplyAdd(a[r], q, b0);
                   next[kRows + r] = multiplyAdd(a[kRows + r], q, b1);
                 }
                 return next;
               });
  for (int64_t i = 0; i != 2 * kRows; ++i)
    k.storeBytes(acc[i], scratch,
                 scoresAt(k.index(i % kRows), k.add(pair, i / kRows * 16)));
}

/// The largest lane; which zero of two does not matter to its user.
Value Emitter::reduceMax(Value v) {
  for (int64_t half = 8; half; half /= 2) {
    SmallVector<int64_t> turned;
    for (int64_t l = 0; l != 16; ++l)
      turned.push_back((l + half) % 16);
    v = k.maxReal(v, k.shuffle(v, v, turned));
  }
  return v;
}

void Emitter::tapRow(Value tap, Value row, Value r) {
  Value base = k.add(c.tapBase, k.mul(k.add(row, r), c.length));
  k.ifThen(c.tapping, [&] {
    k.loop(k.index(0), c.length, 1, [&](Value j) {
      k.store(number(scoresAt(r, j)), tap, k.add(base, j));
    });
  });
}

/// Replaces a row by the values of its codes: tq.quantize and tq.dequantize
/// with the constants at `first` of the parameters.
void Emitter::quantizeRow(Value r, int64_t first) {
  auto constant = [&](int64_t i) {
    return k.broadcast(k.load(params, k.index(first + i)));
  };
  Value inverse = constant(0), lo = constant(1), hi = constant(2),
        step = constant(3);
  // The clamp before the rounding is all that bounds the codes.
  constexpr float any = 1 << 22;
  k.blocks(c.length, {}, [&](Value j, Value, ArrayRef<Value>) {
    Value at = scoresAt(r, j);
    Value v = k.mul(k.loadBytes(scratch, at, 16, k.f32()), inverse);
    v = k.minReal(hi, k.maxReal(lo, v));
    Value codes = k.toFloat(k.round(v, {-any, any}), k.f32());
    k.storeBytes(k.mul(codes, step), scratch, at);
    return Values();
  });
}

void Emitter::softmaxRow(Value row, Value r) {
  tapRow(k.buffer(6), row, r);
  if (shape.quantizeScores)
    quantizeRow(r, 1);
  auto reals = k.vec(16, k.f32());
  auto at = [&](Value j) { return scoresAt(r, j); };
  auto load = [&](Value j) { return k.loadBytes(scratch, at(j), 16, k.f32()); };
  Value lowest = k.splat(reals, -std::numeric_limits<double>::infinity());
  Value top =
      k.blocks(c.length, {lowest}, [&](Value j, Value mask, ArrayRef<Value> a) {
        Value s = load(j);
        if (mask)
          s = k.select(mask, s, lowest);
        return Values{k.maxReal(a[0], s)};
      })[0];
  top = reduceMax(top);
  Value sum = k.blocks(
      c.length, {k.zeros(reals)}, [&](Value j, Value mask, ArrayRef<Value> a) {
        Value e = k.exp(k.mul(k.sub(load(j), top), scale));
        k.storeBytes(e, scratch, at(j));
        Value next = k.add(a[0], e);
        return Values{mask ? k.select(mask, next, a[0]) : next};
      })[0];
  Value total = k.broadcast(k.sumTree(sum));
  k.blocks(c.length, {}, [&](Value j, Value, ArrayRef<Value>) {
    k.storeBytes(k.div(load(j), total), scratch, at(j));
    return Values();
  });
  tapRow(k.buffer(7), row, r);
  if (shape.quantizeProbs)
    quantizeRow(r, 5);
}

void Emitter::contextPanels(Value row, int64_t first, int64_t count) {
  Value column = k.add(headColumn, shape.vColumn + first * 16);
  Value from = k.add(k.mul(c.first, shape.qkvStride), column);
  Values acc(count * kRows, k.zeros(k.vec(16, k.f32())));
  acc =
      k.loop(k.index(0), c.length, 1, acc, [&](Value token, ArrayRef<Value> a) {
        Value at = k.add(from, k.mul(token, shape.qkvStride));
        Values b;
        for (int64_t p = 0; p != count; ++p)
          b.push_back(k.loadVector(values, k.add(at, p * 16)));
        Values next(a.begin(), a.end());
        for (int64_t r = 0; r != kRows; ++r) {
          Value prob = k.broadcast(number(scoresAt(k.index(r), token)));
          for (int64_t p = 0; p != count; ++p)
            next[p * kRows + r] = multiplyAdd(a[p * kRows + r], prob, b[p]);
        }
        return next;
      });
  Value rows = k.sub(c.queries, row);
  for (int64_t r = 0; r != kRows; ++r)
    k.ifThen(k.less(k.index(r), rows), [&] {
      Value query = k.add(k.add(c.firstQuery, row), r);
      Value at = k.add(k.mul(query, shape.contextStride),
                       k.add(headColumn, first * 16));
      storeRow(acc, at, r, first, count);
    });
}

/// Writes only channels of the head: the others belong to other chunks.
void Emitter::storeRow(const Values &acc, Value at, int64_t r, int64_t first,
                       int64_t count) {
  for (int64_t p = 0; p != count; ++p) {
    Value to = k.add(at, p * 16);
    int64_t left = shape.headDim - (first + p) * 16;
    if (left >= 16)
      k.storeVector(acc[p * kRows + r], context, to);
    else
      k.storeMasked(acc[p * kRows + r], context, to, k.mask(left));
  }
}

} // namespace

func::FuncOp buildAttention(ModuleOp module, StringRef name,
                            const AttentionShape &shape) {
  Builder b(module.getContext());
  Type f32 = b.getF32Type();
  KernelBuilder k(module, name,
                  {f32, f32, f32, b.getI32Type(), f32, f32, f32, f32});
  Emitter(k, shape).emit();
  return k.finish();
}

int64_t attentionScratch(const AttentionShape &shape) {
  return Layout(shape).size;
}

} // namespace quern
