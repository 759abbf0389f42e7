//===- QAttention.cpp - Integer attention, fused --------------------------===//
//
// The kernel of tq.qattention: its walk over heads, packed operands, scores.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/QAttentionEmitter.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/FixedAttention.h"

#include <algorithm>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

std::vector<float> QAttentionParams::data() const {
  std::vector<float> d(size);
  std::copy(expHi.begin(), expHi.end(), d.begin());
  std::copy(expLo.begin(), expLo.end(), d.begin() + 16);
  const float rest[] = {scoreMultiplier,   scoreOffset,   probMultiplier,
                        contextMultiplier, contextOffset, float(zq),
                        float(zk),         float(zv),     probStep};
  std::copy(std::begin(rest), std::end(rest), d.begin() + 32);
  d.insert(d.end(), perHead.begin(), perHead.end());
  return d;
}

void QAttentionEmitter::emit() {
  loadConstants();
  forEachHead(k, offsets, shape, [&](const HeadChunk &chunk) { head(chunk); });
}

void QAttentionEmitter::loadConstants() {
  if (shape.fixed) {
    FixedAttentionParams fixed(k, params);
    fixedScore = fixed.score(shape);
    fixedContext = fixed.context(shape);
    zq = fixed.zero(0);
    zk = fixed.zero(1);
    zv = fixed.zero(2);
    return;
  }
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
  if (shape.isLog())
    probStep = k.broadcast(param(40));
}

/// What loadConstants() loaded, where it is the head's own.
void QAttentionEmitter::loadHeadConstants() {
  Value first =
      k.add(k.mul(c.head, QAttentionParams::headSize), QAttentionParams::size);
  auto own = [&](int64_t i) { return k.load(params, k.add(first, i)); };
  scoreMultiplier = k.broadcast(own(0));
  probMultiplier = own(1);
  probLimit = k.broadcast(own(2));
  contextMultiplier = k.broadcast(own(3));
  contextLo = k.broadcast(own(4));
  contextHi = k.broadcast(own(5));
}

void QAttentionEmitter::head(const HeadChunk &chunk) {
  c = chunk;
  if (shape.perHead)
    loadHeadConstants();
  headColumn = k.mul(c.head, shape.headDim);
  queryColumn = k.add(headColumn, shape.qColumn);
  valueStride = k.mul(valueRows(), 16);
  if (!hasLaneAttention(shape))
    return rowHead();
  Value limit =
      k.index(shape.tiles ? leastTileQueries(shape) : shape.maxLength + 1);
  Value asked = k.select(c.tapping, limit, c.queries);
  k.ifThen(k.less(asked, limit), [&] { laneHead(); }, [&] { rowHead(); });
}

/// The head's queries row by row, in vectors or in tile registers.
void QAttentionEmitter::rowHead() {
  packKeys();
  packValues();
  storeTables();
  auto vectorRows = [&] {
    k.loop(k.index(0), c.queries, blockRows, [&](Value row) {
      rowTerms(row);
      scores(row);
      softmax(row);
      contextRows(row);
    });
  };
  if (!shape.tiles)
    return vectorRows();
  k.ifThen(k.less(c.queries, k.index(leastTileQueries(shape))), vectorRows,
           [&] { tileRows(); });
}

Value QAttentionEmitter::valueRows() {
  Value fours = k.roundUp(c.length, 4);
  if (!shape.tiles)
    return fours;
  Value tiles =
      k.select(k.less(k.index(kTileStep), c.length),
               k.roundUp(c.length, kAttentionTileSpan), k.index(kTileStep));
  return k.select(k.less(c.queries, k.index(leastTileQueries(shape))), fours,
                  tiles);
}

void QAttentionEmitter::emitStage(AttentionStage stage) {
  makesPlanes = stage != AttentionStage::Codes;
  loadConstants();
  Value zero = k.index(0);
  c = {zero, zero, k.tokens(), zero, k.tokens(), k.tapping(), zero};
  headColumn = queryColumn = zero;
  valueStride = k.mul(valueRows(), 16);
  auto softmaxOf = [&](Value row) {
    for (int64_t r = 0; r != blockRows; ++r) {
      Value from = k.mul(k.add(row, r), shape.qkvStride);
      k.loop(zero, c.length, 64, [&](Value i) {
        k.storeVector(k.loadVector(qkv, k.add(from, i), 64), scratch,
                      k.add(codeRow(r), i));
      });
    }
    softmax(row);
  };
  storeTables();
  if (stage == AttentionStage::Context) {
    packValues();
    softmaxOf(zero);
  }
  k.loop(zero, c.queries, blockRows, [&](Value row) {
    if (stage == AttentionStage::Context)
      contextRows(row);
    else
      softmaxOf(row);
  });
}

void QAttentionEmitter::packKeys() {
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

void QAttentionEmitter::packValues() {
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
  if (!shape.tiles)
    return;
  // Weights beyond the sequence may be anything.
  k.loop(k.roundUp(c.length, 4), valueRows(), 4, [&](Value token) {
    Value to = k.add(k.mul(token, 16), layout.values);
    for (int64_t p = 0; p != layout.valuePanels; ++p)
      k.storeVector(k.zeros(k.vec(64, k.i8())), scratch,
                    k.add(to, k.mul(valueStride, p)));
  });
}

/// Stores (128 - zk)(sum q - zq dh) of each row of the block.
void QAttentionEmitter::rowTerms(Value row) {
  auto bytes = k.vec(64, k.i8());
  Value factor = k.sub(k.i32(128), zk);
  Value constant = k.mul(zq, k.i32(shape.headDim));
  for (int64_t r = 0; r != blockRows; ++r) {
    Value sum = k.zeros(k.vec(16, k.i32()));
    for (int64_t d = 0; d < shape.headDim; d += 64) {
      Value q = k.loadVector(queries, k.add(queryRow(row, r), d), 64);
      int64_t left = shape.headDim - d;
      Value ones = k.splat(bytes, 1);
      if (left < 64)
        ones = k.select(k.mask(left, 64), ones, k.zeros(bytes));
      sum = k.dot4(sum, q, ones);
    }
    Value term = k.mul(k.sub(k.reduceAdd(sum), constant), factor);
    k.storeBytes(k.broadcast(term, 1), scratch, k.add(termsAt(0), 4 * r));
  }
}

void QAttentionEmitter::scores(Value row) {
  k.loop(k.index(0), c.length, 16 * blockPanels,
         [&](Value pair) { scorePair(row, pair); });
}

/// The score codes of a row block and of two panels of keys, or of one. Columns
/// past the end hold anything; softmax masks them.
void QAttentionEmitter::scorePair(Value row, Value pair) {
  Value panelBytes = k.index(layout.keySteps * 64);
  Value panel = k.add(k.mul(pair, layout.keySteps * 4), layout.keys);
  Values acc = scoreTerms(pair);
  Value query = queryRow(row, 0);
  acc = k.loop(
      k.index(0), k.index((shape.headDim + 3) / 4), 1, acc,
      [&](Value step, ArrayRef<Value> a) {
        Value at = k.add(panel, k.mul(step, 64));
        Values b = {k.loadVector(scratch, at, 64)};
        if (blockPanels == 2)
          b.push_back(k.loadVector(scratch, k.add(at, panelBytes), 64));
        Value from = k.add(query, k.mul(step, 4));
        Values next(a.begin(), a.end());
        for (int64_t r = 0; r != blockRows; ++r) {
          Value q = k.broadcast4(queries, k.add(from, r * queryStride()));
          for (int64_t p = 0; p != blockPanels; ++p)
            next[p * blockRows + r] = k.dot4(a[p * blockRows + r], q, b[p]);
        }
        return next;
      });
  storeScores(pair, acc);
}

/// What the sums of eight rows and two panels of keys, or of one, begin with.
Values QAttentionEmitter::scoreTerms(Value pair) {
  Value sums = k.add(k.mul(pair, 4), layout.keySums);
  Values terms;
  for (int64_t p = 0; p != blockPanels; ++p) {
    Value columnTerm = k.loadBytes(scratch, k.add(sums, p * 64), 16, k.i32());
    for (int64_t r = 0; r != blockRows; ++r) {
      Value term = k.loadBytes(scratch, k.add(termsAt(0), 4 * r), 1, k.i32());
      terms.push_back(k.add(columnTerm, k.broadcast(k.lane(term, 0))));
    }
  }
  return terms;
}

void QAttentionEmitter::storeScores(Value pair, ArrayRef<Value> sums) {
  for (int64_t i = 0; i != blockPanels * blockRows; ++i) {
    Value codes = shape.fixed
                      ? fixedCode(k, sums[i], fixedScore, shape.scoreRange)
                      : k.requant(sums[i], scoreMultiplier, scoreOffset,
                                  shape.scoreRange);
    Value at = k.add(k.add(codeRow(i % blockRows), pair), i / blockRows * 16);
    k.storeCodes(codes, scratch, at);
  }
}

static SmallVector<Type> bufferTypes(Builder b, const AttentionShape &shape) {
  Type i8 = b.getI8Type();
  Type stored = shape.context == Storage::F32   ? Type(b.getF32Type())
                : shape.context == Storage::U16 ? Type(b.getI16Type())
                                                : i8;
  Type prob = shape.probStorage() == Storage::U16 ? b.getI16Type() : i8;
  SmallVector<Type> buffers = {i8, b.getI32Type(),
                               shape.fixed ? i8 : Type(b.getF32Type()), stored};
  if (shape.firstQuery)
    buffers.push_back(i8);
  buffers.append({i8, prob});
  return buffers;
}

func::FuncOp buildQAttention(ModuleOp module, StringRef name,
                             const AttentionShape &shape) {
  KernelBuilder k(module, name,
                  bufferTypes(Builder(module.getContext()), shape));
  QAttentionEmitter(k, shape).emit();
  func::FuncOp kernel = k.finish();
  if (shape.smallTile || shape.tiles)
    return kernel;
  auto append = [&](StringRef means, bool AttentionShape::*form) {
    AttentionShape other = shape;
    other.*form = true;
    std::string variant = (name + "." + means).str();
    tk::setVariant(buildQAttention(module, variant, other), name, means);
  };
  append("small", &AttentionShape::smallTile);
  if (hasTileAttention(shape))
    append("tiles", &AttentionShape::tiles);
  return kernel;
}

func::FuncOp buildAttentionStage(ModuleOp module, StringRef name,
                                 const AttentionShape &shape,
                                 AttentionStage stage) {
  KernelBuilder k(module, name,
                  bufferTypes(Builder(module.getContext()), shape));
  QAttentionEmitter(k, shape).emitStage(stage);
  return k.finish();
}

int64_t qattentionScratch(const AttentionShape &shape) {
  AttentionShape tiles = shape;
  tiles.tiles = hasTileAttention(shape);
  return QAttentionLayout(tiles).size;
}

} // namespace quern
