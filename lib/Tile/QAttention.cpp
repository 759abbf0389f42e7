//===- QAttention.cpp - Integer attention, fused --------------------------===//
//
// The kernel of tq.qattention. With k' = k - 128 and v' = v - 128 (s8):
//
//   sum (q - zq)(k - zk) = q.k' + (128 - zk) sum q - zq (sum k' + (128 - zk)
//   dh) sum p (v - zv)       = p.v' + (128 - zv) sum p
//
// K' is packed as panels of 16 tokens [head_dim / 4][16][4], V' as panels of
// 16 channels [T / 4][16][4]. Then, for eight rows at a time: scores by pairs
// of panels, softmax row by row, context by pairs of panels.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AttentionParts.h"

#include <algorithm>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Rows of one block: 8 rows by 2 panels leave registers for operands.
static constexpr int64_t kRows = 8;

/// 2^23: adding it to v in [0, 2^23) leaves rne(v) in the low bits of the sum.
static constexpr float kMagic = 8388608.0f;
static constexpr int32_t kMagicBits = 0x4b000000;

std::array<float, QAttentionParams::size> QAttentionParams::data() const {
  std::array<float, size> d{};
  std::copy(expHi.begin(), expHi.end(), d.begin());
  std::copy(expLo.begin(), expLo.end(), d.begin() + 16);
  const float rest[] = {scoreMultiplier,   scoreOffset,   probMultiplier,
                        contextMultiplier, contextOffset, float(zq),
                        float(zk),         float(zv)};
  std::copy(std::begin(rest), std::end(rest), d.begin() + 32);
  return d;
}

namespace {

/// Byte offsets in the scratch memory.
struct Layout {
  explicit Layout(const AttentionShape &s) {
    int64_t tokens = (s.maxLength + 31) / 32 * 32;
    keySteps = (s.headDim + 3) / 4;
    valuePanels = (s.headDim + 15) / 16;
    // One line more than the codes, so that rows do not share cache sets.
    codeStride = (s.maxLength + 63) / 64 * 64 + 64;
    keys = 0;
    keySums = keys + tokens * keySteps * 4;
    values = keySums + tokens * 4;
    codes = values + tokens * valuePanels * 16;
    exps = codes + kRows * codeStride;
    expStride = tokens * 4 + 64;
    terms = exps + kRows * expStride;
    size = terms + 2 * 64;
  }
  int64_t keySteps, valuePanels, codeStride, expStride;
  int64_t keys, keySums, values, codes, exps, terms, size;
};

/// Emits the body for one head; the members are run-time values of it.
class Emitter {
public:
  Emitter(KernelBuilder &k, const AttentionShape &shape)
      : k(k), shape(shape), layout(shape), qkv(k.buffer(0)),
        offsets(k.buffer(1)), params(k.buffer(2)), context(k.buffer(3)),
        scoreTap(k.buffer(4)), probTap(k.buffer(5)), scratch(k.scratch()) {}

  void emit();

private:
  Value param(int64_t i) { return k.load(params, k.index(i)); }
  Value integerParam(int64_t i) { return k.toInt(param(i)); }
  void head(const HeadChunk &chunk);
  void packKeys();
  void packValues();
  void rowTerms(Value row);
  void scores(Value row);
  void scorePair(Value row, Value pair);
  void softmax(Value row);
  void tapRows(Value row, Value tap);
  Values rowMaxima();
  Values exponentials(ArrayRef<Value> tops);
  Values probabilities(Value ratios);
  Value reduceRows(Values v);
  void contextPanels(Value row, int64_t first, int64_t count);
  void storeContext(Value row, int64_t first, int64_t count, Values values);

  /// Address of row `r` (a constant) of a block of q, or of the codes.
  Value queryRow(Value row, int64_t r) {
    return k.add(k.mul(k.add(c.first, row), shape.qkvStride),
                 k.add(queryColumn, r * shape.qkvStride));
  }
  Value codeRow(int64_t r) {
    return k.index(layout.codes + r * layout.codeStride);
  }

  KernelBuilder &k;
  const AttentionShape &shape;
  Layout layout;
  Value qkv, offsets, params, context, scoreTap, probTap, scratch;
  // Of the layer.
  Value expHi, expLo, scoreMultiplier, scoreOffset, probMultiplier;
  Value contextMultiplier, contextOffset, zq, zk, zv;
  // Of the head.
  HeadChunk c;
  Value queryColumn, valueStride, headColumn, excess;
};

void Emitter::emit() {
  expHi = k.loadVector(params, k.index(0));
  expLo = k.loadVector(params, k.index(16));
  scoreMultiplier = k.broadcast(param(32));
  scoreOffset = k.broadcast(param(33));
  probMultiplier = param(34);
  contextMultiplier = k.broadcast(param(35));
  contextOffset = k.broadcast(param(36));
  zq = integerParam(37);
  zk = integerParam(38);
  zv = integerParam(39);
  forEachHead(k, offsets, shape, [&](const HeadChunk &chunk) { head(chunk); });
}

void Emitter::head(const HeadChunk &chunk) {
  c = chunk;
  headColumn = k.mul(c.head, shape.headDim);
  queryColumn = k.add(headColumn, shape.qColumn);
  valueStride = k.mul(k.roundUp(c.length, 4), 16);
  packKeys();
  packValues();
  k.loop(k.index(0), c.length, kRows, [&](Value row) {
    rowTerms(row);
    scores(row);
    softmax(row);
    for (int64_t p = 0; p < layout.valuePanels; p += 2)
      contextPanels(row, p, std::min<int64_t>(2, layout.valuePanels - p));
  });
}

void Emitter::packKeys() {
  auto bytes = k.vec(64, k.i8());
  auto lanes = k.vec(16, k.i32());
  Value column = k.add(headColumn, shape.kColumn);
  k.loop(k.index(0), c.length, 16, [&](Value token) {
    Value panel = k.add(k.mul(token, layout.keySteps * 4), layout.keys);
    Value first = k.add(k.mul(k.add(c.first, token), shape.qkvStride), column);
    Value sums = k.zeros(lanes);
    for (int64_t step = 0; step < layout.keySteps; step += 16) {
      int64_t left = shape.headDim - step * 4;
      Values rows;
      for (int64_t r = 0; r != 16; ++r) {
        Value at = k.add(first, r * shape.qkvStride + step * 4);
        Value row = k.bitXor(k.loadVector(qkv, at, 64), k.splat(bytes, -128));
        // Channels of the next head must not count.
        if (left < 64)
          row = k.select(k.mask(left, 64), row, k.zeros(bytes));
        rows.push_back(k.bitcast(row, lanes));
      }
      Values columns = transpose16(k, rows);
      for (int64_t s = 0; s != 16 && step + s < layout.keySteps; ++s) {
        Value packed = k.bitcast(columns[s], bytes);
        sums = k.dot4(sums, k.splat(bytes, 1), packed);
        k.storeVector(packed, scratch, k.add(panel, (step + s) * 64));
      }
    }
    Value minusZq = k.sub(k.i32(0), zq);
    Value term = k.mul(sums, k.broadcast(minusZq));
    k.storeBytes(term, scratch, k.add(k.mul(token, 4), layout.keySums));
  });
}

void Emitter::packValues() {
  auto bytes = k.vec(16, k.i8());
  Value column = k.add(headColumn, shape.vColumn);
  auto interleave = [&](Value a, Value b) {
    int64_t n = cast<VectorType>(a.getType()).getNumElements();
    SmallVector<int64_t> pattern;
    for (int64_t i = 0; i != n; ++i)
      pattern.append({i, n + i});
    return k.shuffle(a, b, pattern);
  };
  k.loop(k.index(0), c.length, 4, [&](Value token) {
    Value first = k.add(k.mul(k.add(c.first, token), shape.qkvStride), column);
    Value to = k.add(k.mul(token, 16), layout.values);
    for (int64_t p = 0; p != layout.valuePanels; ++p) {
      Value r[4];
      for (int64_t i = 0; i != 4; ++i) {
        Value at = k.add(first, i * shape.qkvStride + p * 16);
        r[i] = k.bitXor(k.loadVector(qkv, at, 16), k.splat(bytes, -128));
      }
      Value packed = interleave(interleave(r[0], r[2]), interleave(r[1], r[3]));
      k.storeVector(packed, scratch, k.add(to, k.mul(valueStride, p)));
    }
  });
}

/// Stores (128 - zk)(sum q - zq dh) of each row of the block.
void Emitter::rowTerms(Value row) {
  auto bytes = k.vec(64, k.i8());
  Value factor = k.sub(k.i32(128), zk);
  Value constant = k.mul(zq, k.i32(shape.headDim));
  for (int64_t r = 0; r != kRows; ++r) {
    Value sum = k.zeros(k.vec(16, k.i32()));
    for (int64_t d = 0; d < shape.headDim; d += 64) {
      Value q = k.loadVector(qkv, k.add(queryRow(row, r), d), 64);
      int64_t left = shape.headDim - d;
      Value ones = k.splat(bytes, 1);
      if (left < 64)
        ones = k.select(k.mask(left, 64), ones, k.zeros(bytes));
      sum = k.dot4(sum, q, ones);
    }
    Value term = k.mul(k.sub(k.reduceAdd(sum), constant), factor);
    k.storeBytes(k.broadcast(term, 1), scratch, k.index(layout.terms + 4 * r));
  }
}

void Emitter::scores(Value row) {
  k.loop(k.index(0), c.length, 32, [&](Value pair) { scorePair(row, pair); });
}

/// The 8 x 32 score codes of a row block and two panels of keys. Columns past
/// the end hold anything; softmax masks them.
void Emitter::scorePair(Value row, Value pair) {
  Value panelBytes = k.index(layout.keySteps * 64);
  Value panel = k.add(k.mul(pair, layout.keySteps * 4), layout.keys);
  Value sums = k.add(k.mul(pair, 4), layout.keySums);
  Values acc;
  for (int64_t p = 0; p != 2; ++p) {
    Value columnTerm = k.loadBytes(scratch, k.add(sums, p * 64), 16, k.i32());
    for (int64_t r = 0; r != kRows; ++r) {
      Value term =
          k.loadBytes(scratch, k.index(layout.terms + 4 * r), 1, k.i32());
      acc.push_back(k.add(columnTerm, k.broadcast(k.lane(term, 0))));
    }
  }
  Value queries = queryRow(row, 0);
  acc = k.loop(k.index(0), k.index(layout.keySteps), 1, acc,
               [&](Value step, ArrayRef<Value> a) {
                 Value at = k.add(panel, k.mul(step, 64));
                 Value b0 = k.loadVector(scratch, at, 64);
                 Value b1 = k.loadVector(scratch, k.add(at, panelBytes), 64);
                 Value from = k.add(queries, k.mul(step, 4));
                 Values next(a.begin(), a.end());
                 for (int64_t r = 0; r != kRows; ++r) {
                   Value q =
                       k.broadcast4(qkv, k.add(from, r * shape.qkvStride));
                   next[r] = k.dot4(a[r], q, b0);
                   next[kRows + r] = k.dot4(a[kRows + r], q, b1);
                 }
                 return next;
               });
  for (int64_t i = 0; i != 2 * kRows; ++i) {
    Value codes =
        k.requant(acc[i], scoreMultiplier, scoreOffset, shape.scoreRange);
    Value at = k.add(k.add(codeRow(i % kRows), pair), i / kRows * 16);
    k.storeCodes(codes, scratch, at);
  }
}

/// Eight rows side by side, so that the latencies of one hide in the others.
/// Rows past the end of the sequence hold anything and are not used.
void Emitter::softmax(Value row) {
  tapRows(row, scoreTap);
  Values tops = rowMaxima();
  Values sums = exponentials(tops);
  Value counted = k.mul(k.toI32(k.roundUp(c.length, 16)), k.i32(kMagicBits));
  excess = k.broadcast(counted, kRows);
  Value total = k.sub(reduceRows(sums), excess);
  Value ratios =
      k.div(k.broadcast(probMultiplier, kRows), k.unsignedToFloat(total));
  Value sum = k.sub(reduceRows(probabilities(ratios)), excess);
  Value factor = k.broadcast(k.sub(k.i32(128), zv), kRows);
  k.storeBytes(k.mul(sum, factor), scratch, k.index(layout.terms + 64));
  tapRows(row, probTap);
}

/// Copies the codes of the rows of the sequence to a tap.
void Emitter::tapRows(Value row, Value tap) {
  k.ifThen(c.tapping, [&] {
    Value rows = k.min(k.sub(c.length, row), k.index(kRows));
    k.loop(k.index(0), rows, 1, [&](Value r) {
      Value from = k.add(k.mul(r, layout.codeStride), layout.codes);
      Value to = k.add(c.tapBase, k.mul(k.add(row, r), c.length));
      k.copyRow(scratch, from, tap, to, c.length);
    });
  });
}

/// The largest score code of each row, in 16 lanes of i32.
Values Emitter::rowMaxima() {
  auto bytes = k.vec(64, k.i8());
  auto larger = [&](ArrayRef<Value> m, Value at, Value mask) {
    Values next;
    for (int64_t r = 0; r != kRows; ++r) {
      Value s = k.loadVector(scratch, k.add(at, codeRow(r)), 64);
      if (mask)
        s = k.select(mask, s, k.zeros(bytes));
      next.push_back(k.maxUnsigned(m[r], s));
    }
    return next;
  };
  Value whole = k.mul(k.div(c.length, k.index(64)), 64);
  Values m(kRows, k.zeros(bytes));
  m = k.loop(k.index(0), whole, 64, m,
             [&](Value i, ArrayRef<Value> a) { return larger(a, i, Value()); });
  m = k.loop(whole, c.length, 64, m, [&](Value i, ArrayRef<Value> a) {
    return larger(a, i, k.mask(k.sub(c.length, i), 64));
  });
  for (Value &v : m)
    v = k.broadcast(k.zext(k.reduceMaxUnsigned(v), k.i32()));
  return m;
}

/// Stores e of each score, plus the magic number, which rounds it. Returns
/// the lane sums of the bits of what is stored: each lane of each block has
/// added the bits of the magic number.
Values Emitter::exponentials(ArrayRef<Value> tops) {
  auto lanes = k.vec(16, k.i32());
  Value magic = k.splat(k.vec(16, k.f32()), kMagic);
  return k.blocks(
      c.length, Values(kRows, k.zeros(lanes)),
      [&](Value i, Value mask, ArrayRef<Value> a) {
        Values next;
        Value to = k.mul(i, 4);
        for (int64_t r = 0; r != kRows; ++r) {
          Value codes = k.loadCodes(scratch, k.add(i, codeRow(r)));
          Value d = k.sub(tops[r], codes);
          Value high = k.lut16(k.shiftRight(d, k.splat(lanes, 4)), expHi);
          Value e = k.add(k.mul(high, k.lut16(d, expLo)), magic);
          if (mask)
            e = k.select(mask, e, magic);
          k.storeBytes(e, scratch,
                       k.add(to, layout.exps + r * layout.expStride));
          next.push_back(k.add(a[r], k.bitcast(e, lanes)));
        }
        return next;
      });
}

/// Probability codes in the place of the score codes, and their lane sums
/// with the bits of the magic number as above.
Values Emitter::probabilities(Value ratios) {
  auto lanes = k.vec(16, k.i32());
  auto reals = k.vec(16, k.f32());
  Value magic = k.splat(reals, kMagic),
        limit = k.splat(reals, shape.probRange.hi);
  Values ratio;
  for (int64_t r = 0; r != kRows; ++r)
    ratio.push_back(k.broadcast(k.lane(ratios, r)));
  return k.blocks(c.length, Values(kRows, k.zeros(lanes)),
                  [&](Value i, Value, ArrayRef<Value> a) {
                    Values next;
                    Value from = k.mul(i, 4);
                    for (int64_t r = 0; r != kRows; ++r) {
                      Value e = k.loadBytes(
                          scratch,
                          k.add(from, layout.exps + r * layout.expStride), 16,
                          k.f32());
                      Value p = k.mul(k.sub(e, magic), ratio[r]);
                      // p >= 0, so the lower limit holds.
                      p = k.bitcast(k.add(k.minReal(limit, p), magic), lanes);
                      k.storeCodes(p, scratch, k.add(i, codeRow(r)));
                      next.push_back(k.add(a[r], p));
                    }
                    return next;
                  });
}

/// The sum of the lanes of each of eight vectors, as one vector<8xi32>.
Value Emitter::reduceRows(Values v) {
  for (int64_t width = 8; width; width /= 2) {
    // Groups of `width` lanes stay in order; a group's halves are added.
    Values next;
    for (size_t i = 0; i < v.size(); i += 2) {
      bool last = v.size() == 1;
      Value a = v[i], b = last ? a : v[i + 1];
      SmallVector<int64_t> low, high;
      for (int64_t l = 0; l != (last ? 8 : 16); ++l) {
        int64_t from = l / width * 2 * width + l % width;
        low.push_back(from);
        high.push_back(from + width);
      }
      next.push_back(k.add(k.shuffle(a, b, low), k.shuffle(a, b, high)));
    }
    v = next;
  }
  return v[0];
}

/// Context codes of a row block for `count` panels of 16 channels.
void Emitter::contextPanels(Value row, int64_t first, int64_t count) {
  Values acc;
  for (int64_t i = 0; i != count * kRows; ++i) {
    Value term = k.loadBytes(
        scratch, k.index(layout.terms + 64 + 4 * (i % kRows)), 1, k.i32());
    acc.push_back(k.broadcast(k.lane(term, 0)));
  }
  Value panel = k.add(k.mul(valueStride, first), layout.values);
  acc =
      k.loop(k.index(0), c.length, 4, acc, [&](Value token, ArrayRef<Value> a) {
        Value at = k.add(panel, k.mul(token, 16));
        Values b;
        for (int64_t p = 0; p != count; ++p)
          b.push_back(
              k.loadVector(scratch, k.add(at, k.mul(valueStride, p)), 64));
        Values next(a.begin(), a.end());
        for (int64_t r = 0; r != kRows; ++r) {
          Value q = k.broadcast4(scratch, k.add(codeRow(r), token));
          for (int64_t p = 0; p != count; ++p)
            next[p * kRows + r] = k.dot4(a[p * kRows + r], q, b[p]);
        }
        return next;
      });
  for (Value &v : acc) {
    if (shape.context == Storage::F32)
      v = k.add(k.mul(k.toFloat(v, k.f32()), contextMultiplier), contextOffset);
    else
      v = k.requant(v, contextMultiplier, contextOffset, shape.contextRange);
  }
  storeContext(row, first, count, acc);
}

/// Writes only rows of the sequence and channels of the head: the others
/// belong to other chunks.
void Emitter::storeContext(Value row, int64_t first, int64_t count,
                           Values values) {
  Value base = k.add(k.mul(k.add(c.first, row), shape.contextStride),
                     k.add(headColumn, first * 16));
  auto storeRow = [&](int64_t r) {
    for (int64_t p = 0; p != count; ++p) {
      Value v = values[p * kRows + r];
      Value at = k.add(base, r * shape.contextStride + p * 16);
      int64_t left = shape.headDim - (first + p) * 16;
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
  Value rows = k.sub(c.length, row);
  k.ifThen(
      k.less(rows, k.index(kRows)),
      [&] {
        for (int64_t r = 0; r != kRows; ++r)
          k.ifThen(k.less(k.index(r), rows), [&] { storeRow(r); });
      },
      [&] {
        for (int64_t r = 0; r != kRows; ++r)
          storeRow(r);
      });
}

} // namespace

func::FuncOp buildQAttention(ModuleOp module, StringRef name,
                             const AttentionShape &shape) {
  Builder b(module.getContext());
  Type i8 = b.getI8Type();
  Type stored = shape.context == Storage::F32   ? Type(b.getF32Type())
                : shape.context == Storage::U16 ? Type(b.getI16Type())
                                                : i8;
  KernelBuilder k(module, name,
                  {i8, b.getI32Type(), b.getF32Type(), stored, i8, i8});
  Emitter(k, shape).emit();
  return k.finish();
}

int64_t qattentionScratch(const AttentionShape &shape) {
  return Layout(shape).size;
}

} // namespace quern
