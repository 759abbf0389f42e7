//===- RealAttention.cpp - Attention in f32 on GPUs -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A warp has up to four queries, whose scores lie in shared memory. Scoring,
// a lane has a key out of every 32; adding up exponentials, a column out of
// every 16, in both halves of the warp; normalizing, its own keys again; making
// the context, a channel out of every 32. Between these stand barriers of the
// block, as all of its warps take the same steps.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/RealAttention.h"

#include "lib/Target/NVPTX/AttentionTaps.h"
#include "lib/Target/NVPTX/CodeNorm.h"
#include "lib/Target/NVPTX/RealNorm.h"
#include "quern/quant_math.h"

#include <limits>

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static constexpr int64_t kMostChannels = 256;

/// Warps of a block, and queries of a warp.
static int64_t warpsOf(const RealAttentionForm &form) {
  return form.firstQuery || form.alone ? 1 : 4;
}
static int64_t rowsOf(const RealAttentionForm &form) { return warpsOf(form); }

Error checkRealAttention(const RealAttentionForm &form) {
  if (form.headDim <= 0 || form.headDim > kMostChannels)
    return Error::make("attention in f32: heads of ", form.headDim,
                       " channels, expected 1 to ", kMostChannels);
  return Error::success();
}

std::string getRealAttentionName(const RealAttentionForm &form) {
  std::string name =
      form.firstQuery ? "attention_f32_first_" : "attention_f32_";
  name += std::to_string(form.headDim);
  if (form.quantizeScores || form.quantizeProbs)
    name += std::string("_") + (form.quantizeScores ? "s" : "") +
            (form.quantizeProbs ? "p" : "");
  if (form.alone && !form.firstQuery)
    name += "_alone";
  return name;
}

int64_t getRealAttentionQueries(const RealAttentionForm &form) {
  return warpsOf(form) * rowsOf(form);
}

AttentionLaunch getRealAttentionLaunch(const RealAttentionForm &form,
                                       int64_t sequences, int64_t heads,
                                       int64_t longest) {
  int64_t queries = getRealAttentionQueries(form);
  AttentionLaunch launch;
  launch.gridX = form.firstQuery ? 1 : (longest + queries - 1) / queries;
  launch.gridY = sequences * heads;
  launch.threads = warpsOf(form) * 32;
  launch.keys = (longest + 31) / 32 * 32;
  launch.sharedBytes = launch.keys * queries * 4;
  return launch;
}

namespace {
class RealAttentionEmitter {
public:
  RealAttentionEmitter(DeviceBuilder &k, const RealAttentionForm &form)
      : k(k), form(form), rows(rowsOf(form)), step(form.headDim % 4 ? 1 : 4) {}

  void emit();

private:
  void takeParams();
  void head();
  /// The largest score of each query.
  Values score();
  Values scoreKey(Value key);
  void normalize(ArrayRef<Value> tops);
  void context();
  void keep(Value tap, int64_t r, Value key, Value v);

  Value constant(int64_t i) {
    return k.load(k.at(params, k.c(4 * i)), k.f32(), 4);
  }
  Value quantized(Value v, int64_t first);
  Value exponential(Value v);
  /// Of query r of the warp.
  Value askerOf(int64_t r) { return k.add(row, r); }
  Value scoreAt(int64_t r, Value key) {
    Value line = k.mul(k.add(k.mul(k.div(thread, 32), rows), r), keys);
    return k.at(scores, k.shl(k.add(line, key), 2));
  }
  /// Row `i` of q, k or v from the head's channels on.
  Value channelsOf(Value base, Value i, Value stride, Value column) {
    return k.at(base, k.add(k.mulWide(i, k.shl(stride, 2)),
                            k.wide(k.shl(k.add(column, headColumn), 2))));
  }
  Values load(Value pointer) {
    if (step == 1)
      return {k.load(pointer, k.f32(), 4)};
    return k.loadMany(pointer, k.f32(), 4);
  }

  DeviceBuilder &k;
  const RealAttentionForm &form;
  /// Queries of a warp; channels of a load.
  int64_t rows, step;
  Value q, keyRows, values, offsets, params, out, scoreTap, probTap;
  Value heads, keys, queryStride, keyStride, contextStride;
  Value qColumn, kColumn, vColumn, sequences, tapping;
  Value scores, thread, lane, sequence, headIndex, headColumn;
  Value first, length, firstAsker, askerCount, row, base, scale;
};
} // namespace

void RealAttentionEmitter::takeParams() {
  for (Value *each :
       {&q, &keyRows, &values, &offsets, &params, &out, &scoreTap, &probTap,
        &heads, &keys, &queryStride, &keyStride, &contextStride, &qColumn,
        &kColumn, &vColumn, &sequences, &tapping})
    *each = k.param();
}

/// tq.quantize and tq.dequantize with the constants at `first`.
Value RealAttentionEmitter::quantized(Value v, int64_t first) {
  v = k.mulF(v, constant(first));
  v = k.minF(k.maxF(v, constant(first + 1)), constant(first + 2));
  return k.mulF(k.toFloat(k.round(v)), constant(first + 3));
}

/// qm_exp
Value RealAttentionEmitter::exponential(Value x) {
  x = k.minF(k.maxF(x, k.f(QM_EXP_LOW)), k.f(QM_EXP_HIGH));
  Value magic = k.f(QM_EXP_MAGIC);
  Value m = k.addF(k.mulF(x, k.f(QM_EXP_LOG2E)), magic);
  Value n = k.subF(m, magic);
  Value r = k.subF(x, k.mulF(n, k.f(QM_EXP_LN2_HI)));
  r = k.subF(r, k.mulF(n, k.f(QM_EXP_LN2_LO)));
  Value y = k.f(qm_exp_table[QM_EXP_DEGREE]);
  for (int p = QM_EXP_DEGREE - 1; p >= 0; --p)
    y = k.addF(k.mulF(y, r), k.f(qm_exp_table[p]));
  y = k.mulF(y, k.mulF(r, r));
  y = k.addF(k.addF(y, r), k.f(1.0f));
  Value power = k.shl(k.add(k.bits(m, k.i32()), 127), 23);
  return k.mulF(y, k.bits(power, k.f32()));
}

void RealAttentionEmitter::keep(Value tap, int64_t r, Value key, Value v) {
  Value asks = k.less(askerOf(r), askerCount);
  k.ifThen(k.select(asks, k.less(k.c(0), tapping), asks), [&] {
    Value at = k.add(base, k.add(k.mulWide(askerOf(r), length), k.wide(key)));
    k.store(v, k.at(tap, k.mul(at, k.c64(4))), 4);
  });
}

Values RealAttentionEmitter::scoreKey(Value key) {
  // Of keys and queries that are not there, some that are.
  Value token = k.add(first, k.min(key, k.sub(length, k.c(1))));
  Value keyAt = channelsOf(keyRows, token, keyStride, kColumn);
  Values queries;
  for (int64_t r = 0; r != rows; ++r) {
    Value asker = k.min(askerOf(r), k.sub(askerCount, k.c(1)));
    queries.push_back(
        channelsOf(q, k.add(firstAsker, asker), queryStride, qColumn));
  }
  return k.loop(k.c(0), k.c(form.headDim), step, Values(rows, k.f(0.0f)),
                [&](Value channel, ArrayRef<Value> carried) {
                  Value bytes = k.shl(channel, 2);
                  Values now(carried.begin(), carried.end());
                  Values b = load(k.at(keyAt, bytes));
                  for (int64_t r = 0; r != rows; ++r) {
                    Values a = load(k.at(queries[size_t(r)], bytes));
                    for (size_t e = 0; e != size_t(step); ++e)
                      now[size_t(r)] =
                          k.addF(now[size_t(r)], k.mulF(a[e], b[e]));
                  }
                  return now;
                });
}

Values RealAttentionEmitter::score() {
  Value lowest = k.f(-std::numeric_limits<float>::infinity());
  Values tops = k.loop(k.c(0), length, 32, Values(rows, lowest),
                       [&](Value chunk, ArrayRef<Value> carried) {
                         Value key = k.add(chunk, lane);
                         Values sums = scoreKey(key),
                                now(carried.begin(), carried.end());
                         Value there = k.less(key, length);
                         for (int64_t r = 0; r != rows; ++r) {
                           Value v = sums[size_t(r)];
                           k.ifThen(there, [&] { keep(scoreTap, r, key, v); });
                           if (form.quantizeScores)
                             v = quantized(v, 1);
                           k.store(v, scoreAt(r, key), 4);
                           Value &top = now[size_t(r)];
                           top = k.select(there, k.maxF(top, v), top);
                         }
                         return now;
                       });
  for (Value &top : tops)
    for (int64_t mask = 16; mask; mask /= 2)
      top = k.maxF(top,
                   k.bits(k.shuffleXor(k.bits(top, k.i32()), mask), k.f32()));
  return tops;
}

void RealAttentionEmitter::normalize(ArrayRef<Value> tops) {
  auto exponentialAt = [&](int64_t r, Value key) {
    Value s = k.load(scoreAt(r, key), k.f32(), 4);
    return exponential(k.mulF(k.subF(s, tops[size_t(r)]), scale));
  };
  Values totals;
  for (int64_t r = 0; r != rows; ++r)
    totals.push_back(sumOfColumns(
        k, length, [&](Value key) { return exponentialAt(r, key); }));
  k.barrier();
  k.loop(lane, length, 32, {}, [&](Value key, ArrayRef<Value>) {
    for (int64_t r = 0; r != rows; ++r) {
      Value p = k.divF(exponentialAt(r, key), totals[size_t(r)]);
      keep(probTap, r, key, p);
      if (form.quantizeProbs)
        p = quantized(p, 5);
      k.store(p, scoreAt(r, key), 4);
    }
    return Values();
  });
}

void RealAttentionEmitter::context() {
  int64_t all = (form.headDim + 31) / 32;
  // Sums of four queries times four channels at once.
  for (int64_t begin = 0; begin < all; begin += 4) {
    int64_t count = std::min<int64_t>(4, all - begin);
    Values places;
    for (int64_t i = 0; i != count; ++i)
      places.push_back(k.add(lane, (begin + i) * 32));
    Values sums =
        k.loop(k.c(0), length, 1, Values(rows * count, k.f(0.0f)),
               [&](Value key, ArrayRef<Value> carried) {
                 Value from =
                     channelsOf(values, k.add(first, key), keyStride, vColumn);
                 Values now(carried.begin(), carried.end()), probs;
                 for (int64_t r = 0; r != rows; ++r)
                   probs.push_back(k.load(scoreAt(r, key), k.f32(), 4));
                 for (int64_t i = 0; i != count; ++i) {
                   // Of channels that are not there, one that is.
                   Value channel =
                       k.min(places[size_t(i)], k.c(form.headDim - 1));
                   Value v = k.load(k.at(from, k.shl(channel, 2)), k.f32(), 4);
                   for (int64_t r = 0; r != rows; ++r) {
                     Value &sum = now[size_t(r * count + i)];
                     sum = k.addF(sum, k.mulF(probs[size_t(r)], v));
                   }
                 }
                 return now;
               });
    for (int64_t r = 0; r != rows; ++r)
      k.ifThen(k.less(askerOf(r), askerCount), [&] {
        Value to = channelsOf(out, k.add(firstAsker, askerOf(r)), contextStride,
                              k.c(0));
        for (int64_t i = 0; i != count; ++i)
          k.ifThen(k.less(places[size_t(i)], k.c(form.headDim)), [&] {
            k.store(sums[size_t(r * count + i)],
                    k.at(to, k.shl(places[size_t(i)], 2)), 4);
          });
      });
  }
}

void RealAttentionEmitter::head() {
  scale = constant(0);
  // Added up only if somebody wants to know.
  base = tapBase(
      k, {offsets, sequences, sequence, headIndex, first, form.firstQuery},
      k.select(k.less(k.c(0), tapping), sequences, k.c(0)));
  Values tops = score();
  k.barrier();
  normalize(tops);
  k.barrier();
  context();
}

void RealAttentionEmitter::emit() {
  takeParams();
  scores = k.dynamicShared();
  thread = k.thread();
  lane = k.rem(thread, 32);
  Value which = k.block(1);
  sequence = k.divide(which, heads);
  headIndex = k.sub(which, k.mul(sequence, heads));
  headColumn = k.mul(headIndex, form.headDim);
  Value at = k.at(offsets, k.wide(k.shl(sequence, 2)));
  first = k.load(at, k.i32(), 4);
  length = k.sub(k.load(k.at(at, k.c(4)), k.i32(), 4), first);
  firstAsker = form.firstQuery ? sequence : first;
  askerCount = form.firstQuery ? k.min(length, k.c(1)) : length;
  Value start = k.mul(k.block(0), getRealAttentionQueries(form));
  row = k.add(start, k.mul(k.div(thread, 32), rows));
  // Of all the block's threads, or of none.
  k.ifThen(k.less(start, askerCount), [&] { head(); });
}

void buildRealAttention(ModuleOp module, const RealAttentionForm &form) {
  SmallVector<Param> params(5, Param::Input);
  params.append(3, Param::Output);
  params.append(10, Param::I32);
  DeviceBuilder k(module, getRealAttentionName(form), params,
                  warpsOf(form) * 32);
  RealAttentionEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
