//===- Attention.cpp - Integer attention on tensor cores ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A warp has 16 queries; keys come in chunks of 32, as four tiles of 8. mma
// leaves scores of two neighbouring columns of a tile in a thread, and wants
// four neighbouring keys of the probabilities in a register. A sum over keys
// may be taken in any order, so the rows of K are dealt to the tiles such that
// both are true: column 2 t + e of tile i is key
//
//   16 (i / 2) + 4 t + 2 (i % 2) + e
//
// Channels of V are dealt like the columns of Gemm.cpp: a thread ends with
// eight neighbours. K, and V transposed, lie in shared memory in the order in
// which ldmatrix reads them; score codes lie in words that their thread alone
// writes and reads.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Attention.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static constexpr int64_t kWarps = 4, kThreads = kWarps * 32;
static constexpr int64_t kQueries = kAttentionQueries;
static_assert(kQueries == kWarps * 16, "16 queries to a warp");
/// Bytes of the table of exponentials.
static constexpr int64_t kTableBytes = 256 * 4;

Error checkAttention(const AttentionForm &form) {
  if (form.headDim != 32 && form.headDim != 64)
    return Error::make("attention: heads of ", form.headDim,
                       " channels, expected 32 or 64");
  return Error::success();
}

std::string getAttentionName(const AttentionForm &form) {
  return (form.firstQuery ? "attention_first_" : "attention_") +
         std::to_string(form.headDim) + "_" + storageName(form.context).str();
}

AttentionLaunch getAttentionLaunch(const AttentionForm &form, int64_t sequences,
                                   int64_t heads, int64_t longest) {
  AttentionLaunch launch;
  launch.gridX = form.firstQuery ? 1 : (longest + kQueries - 1) / kQueries;
  launch.gridY = sequences * heads;
  launch.threads = kThreads;
  launch.keys = (longest + 31) / 32 * 32;
  // K, V, score codes and terms of the keys.
  launch.sharedBytes =
      kTableBytes + launch.keys * (2 * form.headDim + kQueries + 4);
  return launch;
}

namespace {
class AttentionEmitter {
public:
  AttentionEmitter(DeviceBuilder &k, const AttentionForm &form)
      : k(k), form(form), dim(form.headDim) {}

  void emit();

private:
  void takeParams();
  void place();
  void head();
  void fillTable();
  void copyKeys();
  void copyValues();
  void sumKeys();
  void loadQueries();
  void scoreChunk(Value chunk, Values &tops);
  Values scores();
  /// The exponentials of the eight keys of each row of a chunk, 0 for those
  /// that are not there.
  SmallVector<Values> exponentials(Value chunk, ArrayRef<Value> tops);
  Values totals(ArrayRef<Value> tops);
  void context(ArrayRef<Value> tops, ArrayRef<Value> sums);
  void storeContext(ArrayRef<Value> acc, ArrayRef<Value> probSums);

  Value constant(int64_t i) {
    return k.load(k.at(params, k.c(4 * i)), k.f32(), 4);
  }
  /// Place of a 16-byte piece in rows of `bytes` (32 or 64), such that eight
  /// rows on end lie in different banks.
  Value piece(Value row, Value which, int64_t bytes) {
    int64_t shift = bytes == 64 ? 1 : 2, mask = bytes / 16 - 1;
    Value key = k.bitAnd(k.shr(row, shift), mask);
    return k.add(k.mul(row, bytes), k.shl(k.bitXor(which, key), 4));
  }
  /// The largest, or the sum, of the four lanes that share a row.
  Value overQuad(Value v, bool sum) {
    for (int64_t mask : {1, 2}) {
      Value other = k.shuffleXor(v, mask);
      v = sum ? k.add(v, other) : k.max(v, other);
    }
    return v;
  }
  /// First key of four neighbours: those of tiles 2 pair and 2 pair + 1.
  Value keyOf(Value chunk, int64_t pair) {
    return k.add(k.add(k.shl(chunk, 5), k.shl(quad, 2)), pair * 16);
  }
  Value codesAt(Value chunk, int64_t word) {
    Value index = k.add(k.shl(chunk, 2), word);
    return k.at(codes, k.shl(k.add(k.mul(index, kThreads), thread), 2));
  }

  DeviceBuilder &k;
  const AttentionForm &form;
  int64_t dim;
  Value qkv, offsets, params, out, heads, keys, qkvStride, contextStride;
  Value askers, queryStride;
  Value qColumn, kColumn, vColumn, scoreHi, probHi, contextLo, contextHi;
  Value thread, lane, quad, headColumn, first, length, chunks, row;
  /// Where queries and contexts begin, and how many there are.
  Value firstAsker, askerCount;
  Value table, keyRows, valueRows, codes, terms;
  Value zq, zk, zv;
  /// Of the warp's queries: fragments, and what their sums contribute.
  SmallVector<Values> queries;
  Values queryTerms;
};
} // namespace

void AttentionEmitter::takeParams() {
  for (Value *pointer : {&qkv, &offsets, &params})
    *pointer = k.param();
  askers = form.firstQuery ? k.param() : qkv;
  for (Value *pointer : {&out, &heads, &keys, &qkvStride, &contextStride,
                         &qColumn, &kColumn, &vColumn})
    *pointer = k.param();
  queryStride = form.firstQuery ? k.param() : qkvStride;
  for (Value *pointer : {&scoreHi, &probHi, &contextLo, &contextHi})
    *pointer = k.param();
}

/// Where things lie in shared memory.
void AttentionEmitter::place() {
  table = k.dynamicShared();
  keyRows = k.at(table, k.c(kTableBytes));
  valueRows = k.at(keyRows, k.mul(keys, dim));
  codes = k.at(valueRows, k.mul(keys, dim));
  terms = k.at(codes, k.mul(keys, kQueries));
}

/// exp(-d) of every difference d of codes, as integers.
void AttentionEmitter::fillTable() {
  for (int64_t i = 0; i != 256 / kThreads; ++i) {
    Value d = k.add(thread, i * kThreads);
    Value hi = k.load(k.at(params, k.shl(k.shr(d, 4), 2)), k.f32(), 4);
    Value lo =
        k.load(k.at(params, k.add(k.shl(k.bitAnd(d, 15), 2), 64)), k.f32(), 4);
    k.store(k.round(k.mulF(hi, lo)), k.at(table, k.shl(d, 2)), 4);
  }
}

/// Row 8 i + r of a chunk holds key 16 (i / 2) + 4 (r / 2) + 2 (i % 2) + r % 2.
void AttentionEmitter::copyKeys() {
  int64_t pieces = dim / 16;
  Value column = k.add(kColumn, headColumn);
  k.loop(thread, k.mul(keys, pieces), kThreads, {},
         [&](Value i, ArrayRef<Value>) {
           Value row = k.div(i, pieces), which = k.rem(i, pieces);
           Value tile = k.rem(k.div(row, 8), 4), r = k.rem(row, 8);
           Value key = k.bitAnd(row, -32);
           key = k.add(key, k.mul(k.div(tile, 2), 16));
           key = k.add(key, k.mul(k.div(r, 2), 4));
           key = k.add(key, k.add(k.mul(k.rem(tile, 2), 2), k.rem(r, 2)));
           Value from = k.at(k.at(qkv, k.mulWide(k.add(first, key), qkvStride)),
                             k.add(column, k.shl(which, 4)));
           Value bytes = k.select(k.less(key, length), k.c(16), k.c(0));
           k.copyAsync(k.at(keyRows, piece(row, which, dim)), from, bytes);
           return Values();
         });
  k.commitCopies();
}

/// Four bytes of four words, turned over.
static Values transpose4(DeviceBuilder &k, ArrayRef<Value> w) {
  Value low0 = k.permute(w[0], w[1], 0x5140);
  Value low1 = k.permute(w[2], w[3], 0x5140);
  Value high0 = k.permute(w[0], w[1], 0x7362);
  Value high1 = k.permute(w[2], w[3], 0x7362);
  return {k.permute(low0, low1, 0x5410), k.permute(low0, low1, 0x7632),
          k.permute(high0, high1, 0x5410), k.permute(high0, high1, 0x7632)};
}

/// A chunk is [dim][32 keys]; row 32 s + 8 i + r of it holds channel
/// 32 s + 8 (r / 2) + 2 i + r % 2. Four keys times four channels at a time.
void AttentionEmitter::copyValues() {
  int64_t across = dim / 4;
  Value column = k.add(vColumn, headColumn);
  k.loop(thread, k.mul(k.shr(keys, 2), across), kThreads, {},
         [&](Value i, ArrayRef<Value>) {
           Value key = k.mul(k.div(i, across), 4);
           Value channel = k.mul(k.rem(i, across), 4);
           Values words;
           for (int64_t e = 0; e != 4; ++e) {
             Value here = k.add(key, e);
             // Of keys that are not there, one that is; its weight is 0.
             Value token = k.add(first, k.min(here, k.sub(length, k.c(1))));
             words.push_back(k.load(k.at(k.at(qkv, k.mulWide(token, qkvStride)),
                                         k.add(column, channel)),
                                    k.i32(), 4));
           }
           Value chunk = k.mul(k.shr(key, 5), dim * 32);
           Value within = k.rem(key, 32);
           Values turned = transpose4(k, words);
           for (int64_t e = 0; e != 4; ++e) {
             Value c = k.add(channel, e);
             Value inSpan = k.rem(c, 32);
             Value r = k.add(k.mul(k.div(inSpan, 8), 2), k.rem(c, 2));
             Value tile = k.rem(k.div(inSpan, 2), 4);
             Value row = k.add(k.bitAnd(c, -32), k.add(k.mul(tile, 8), r));
             Value at =
                 k.add(piece(row, k.div(within, 16), 32), k.rem(within, 16));
             k.store(turned[size_t(e)], k.at(valueRows, k.add(chunk, at)), 4);
           }
           return Values();
         });
}

/// zq (zk dim - sum of the key), for each key in its place.
void AttentionEmitter::sumKeys() {
  k.loop(thread, keys, kThreads, {}, [&](Value key, ArrayRef<Value>) {
    Value inChunk = k.rem(key, 32);
    Value tile = k.add(k.mul(k.div(inChunk, 16), 2), k.rem(k.div(key, 2), 2));
    Value r = k.add(k.mul(k.rem(k.div(inChunk, 4), 4), 2), k.rem(key, 2));
    Value row = k.add(k.bitAnd(key, -32), k.add(k.mul(tile, 8), r));
    Value sum = k.c(0);
    for (int64_t p = 0; p != dim / 16; ++p)
      for (Value word :
           k.loadMany(k.at(keyRows, piece(row, k.c(p), dim)), k.i32(), 4))
        sum = k.sumBytes(word, sum);
    Value term = k.mul(zq, k.sub(k.mul(zk, dim), sum));
    k.store(term, k.at(terms, k.shl(key, 2)), 4);
    return Values();
  });
}

void AttentionEmitter::loadQueries() {
  Value column = k.add(k.add(qColumn, headColumn), k.shl(quad, 2));
  Values rows;
  for (int64_t half = 0; half != 2; ++half) {
    // Rows beyond the end are those of the last token, and not stored.
    Value query = k.min(k.add(row, half * 8), k.sub(askerCount, k.c(1)));
    rows.push_back(
        k.at(k.at(askers, k.mulWide(k.add(firstAsker, query), queryStride)),
             column));
  }
  Values sums(2, k.c(0));
  for (int64_t step = 0; step != dim / 32; ++step) {
    Values fragment;
    for (int64_t part = 0; part != 4; ++part) {
      int64_t half = part % 2;
      Value word = k.load(
          k.at(rows[size_t(half)], k.c(step * 32 + part / 2 * 16)), k.i32(), 4);
      sums[size_t(half)] = k.sumBytes(word, sums[size_t(half)]);
      fragment.push_back(word);
    }
    queries.push_back(fragment);
  }
  for (Value sum : sums)
    queryTerms.push_back(k.mul(zk, k.sub(k.c(0), overQuad(sum, true))));
}

/// Score codes of a chunk into their words; the largest of each row so far.
void AttentionEmitter::scoreChunk(Value chunk, Values &tops) {
  Value start = k.mul(chunk, dim * 32);
  Values acc(16, k.c(0));
  // A load takes two steps of 32 channels of one tile, or one of two tiles.
  int64_t tilesAtOnce = 64 / dim;
  for (int64_t i = 0; i != 4; i += tilesAtOnce) {
    Value part = k.div(lane, 8);
    Value tile = tilesAtOnce == 2 ? k.div(part, 2) : k.c(0);
    Value which = tilesAtOnce == 2 ? k.rem(part, 2) : part;
    Value at = k.add(k.add(k.rem(lane, 8), i * 8), k.mul(tile, 8));
    Values words =
        k.loadMatrices(k.at(keyRows, k.add(start, piece(at, which, dim))));
    for (int64_t m = 0; m != 2; ++m) {
      int64_t which = tilesAtOnce == 2 ? i + m : i;
      int64_t step = tilesAtOnce == 2 ? 0 : m;
      auto sums = acc.begin() + which * 4;
      llvm::copy(k.multiply(queries[size_t(step)],
                            {words[size_t(m) * 2], words[size_t(m) * 2 + 1]},
                            Values(sums, sums + 4), DeviceBuilder::U8xU8),
                 sums);
    }
  }
  Value multiplier = constant(32), offset = constant(33);
  for (int64_t pair = 0; pair != 2; ++pair) {
    Value key = keyOf(chunk, pair);
    Values four = k.loadMany(k.at(terms, k.shl(key, 2)), k.i32(), 4);
    for (int64_t half = 0; half != 2; ++half) {
      Values row;
      for (int64_t e = 0; e != 4; ++e) {
        Value sum = acc[size_t((pair * 2 + e / 2) * 4 + half * 2 + e % 2)];
        sum = k.add(k.add(sum, four[size_t(e)]), queryTerms[size_t(half)]);
        Value v = k.addF(k.mulF(k.toFloat(sum), multiplier), offset);
        v = k.round(k.minF(k.maxF(v, k.f(0.0f)), scoreHi));
        Value there = k.less(k.add(key, e), length);
        tops[size_t(half)] =
            k.max(tops[size_t(half)], k.select(there, v, k.c(0)));
        row.push_back(v);
      }
      Value word = row[0];
      for (int64_t e = 1; e != 4; ++e)
        word = k.bitOr(word, k.shl(row[size_t(e)], 8 * e));
      k.store(word, codesAt(chunk, pair * 2 + half), 4);
    }
  }
}

Values AttentionEmitter::scores() {
  Values tops = k.loop(k.c(0), chunks, 1, {k.c(0), k.c(0)},
                       [&](Value chunk, ArrayRef<Value> carried) {
                         Values tops(carried.begin(), carried.end());
                         scoreChunk(chunk, tops);
                         return tops;
                       });
  for (Value &top : tops)
    top = overQuad(top, false);
  return tops;
}

/// By word of codes: pair 0 of both rows, pair 1 of both rows.
SmallVector<Values> AttentionEmitter::exponentials(Value chunk,
                                                   ArrayRef<Value> tops) {
  SmallVector<Values> all;
  for (int64_t pair = 0; pair != 2; ++pair)
    for (int64_t half = 0; half != 2; ++half) {
      Value word = k.load(codesAt(chunk, pair * 2 + half), k.i32(), 4);
      Values four;
      for (int64_t e = 0; e != 4; ++e) {
        Value code = k.bitAnd(k.shr(word, 8 * e), 255);
        Value there = k.less(k.add(keyOf(chunk, pair), e), length);
        // Scores of keys that are not there may lie above the top.
        Value d = k.select(there, k.sub(tops[size_t(half)], code), k.c(0));
        Value v = k.load(k.at(table, k.shl(d, 2)), k.i32(), 4);
        four.push_back(k.select(there, v, k.c(0)));
      }
      all.push_back(four);
    }
  return all;
}

Values AttentionEmitter::totals(ArrayRef<Value> tops) {
  Values sums = k.loop(k.c(0), chunks, 1, {k.c(0), k.c(0)},
                       [&](Value chunk, ArrayRef<Value> carried) {
                         Values sums(carried.begin(), carried.end());
                         SmallVector<Values> all = exponentials(chunk, tops);
                         for (size_t word = 0; word != 4; ++word)
                           for (Value v : all[word])
                             sums[word % 2] = k.add(sums[word % 2], v);
                         return sums;
                       });
  for (Value &sum : sums)
    sum = overQuad(sum, true);
  return sums;
}

void AttentionEmitter::context(ArrayRef<Value> tops, ArrayRef<Value> sums) {
  Values ratios;
  for (Value sum : sums)
    ratios.push_back(k.divF(constant(34), k.unsignedToFloat(sum)));
  int64_t tiles = dim / 8;
  // Sums of the context, then those of the probabilities of both rows.
  Values acc(size_t(tiles) * 4 + 2, k.c(0));
  acc =
      k.loop(k.c(0), chunks, 1, acc, [&](Value chunk, ArrayRef<Value> carried) {
        Values now(carried.begin(), carried.end());
        Values fragment;
        SmallVector<Values> all = exponentials(chunk, tops);
        for (size_t word = 0; word != 4; ++word) {
          size_t half = word % 2;
          Value packed;
          for (size_t e = 0; e != 4; ++e) {
            Value v = k.mulF(k.toFloat(all[word][e]), ratios[half]);
            v = k.round(k.minF(k.maxF(v, k.f(0.0f)), probHi));
            packed = e ? k.bitOr(packed, k.shl(v, int64_t(e) * 8)) : v;
          }
          Value &probSum = now[size_t(tiles) * 4 + half];
          probSum = k.sumBytes(packed, probSum);
          fragment.push_back(packed);
        }
        Value start = k.mul(chunk, dim * 32);
        for (int64_t i = 0; i != tiles; i += 2) {
          Value part = k.div(lane, 8);
          Value at =
              k.add(k.add(k.rem(lane, 8), i * 8), k.mul(k.div(part, 2), 8));
          Values words = k.loadMatrices(
              k.at(valueRows, k.add(start, piece(at, k.rem(part, 2), 32))));
          for (int64_t m = 0; m != 2; ++m) {
            auto sums = now.begin() + (i + m) * 4;
            llvm::copy(
                k.multiply(fragment,
                           {words[size_t(m) * 2], words[size_t(m) * 2 + 1]},
                           Values(sums, sums + 4), DeviceBuilder::U8xU8),
                sums);
          }
        }
        return now;
      });
  Values probSums;
  for (size_t half = 0; half != 2; ++half)
    probSums.push_back(
        k.mul(zv, overQuad(acc[size_t(tiles) * 4 + half], true)));
  storeContext(acc, probSums);
}

void AttentionEmitter::storeContext(ArrayRef<Value> acc,
                                    ArrayRef<Value> probSums) {
  Value multiplier = constant(35), offset = constant(36);
  for (int64_t half = 0; half != 2; ++half) {
    Value query = k.add(row, half * 8);
    k.ifThen(k.less(query, askerCount), [&] {
      int64_t bytes = storageBytes(form.context);
      Value to = k.at(out, k.mulWide(k.add(firstAsker, query),
                                     k.mul(contextStride, bytes)));
      for (int64_t span = 0; span != dim / 32; ++span) {
        Values eight;
        for (int64_t e = 0; e != 8; ++e) {
          Value sum = acc[size_t((span * 4 + e / 2) * 4 + half * 2 + e % 2)];
          Value v = k.toFloat(k.sub(sum, probSums[size_t(half)]));
          v = k.addF(k.mulF(v, multiplier), offset);
          if (form.context != Storage::F32)
            v = k.round(k.minF(k.maxF(v, contextLo), contextHi));
          eight.push_back(v);
        }
        Value column = k.add(k.add(headColumn, k.shl(quad, 3)), span * 32);
        storeCodes(k, eight, k.at(to, k.mul(column, bytes)), form.context);
      }
    });
  }
}

void AttentionEmitter::head() {
  fillTable();
  copyKeys();
  copyValues();
  k.waitForCopies(0);
  k.barrier();
  sumKeys();
  k.barrier();
  loadQueries();
  Values tops = scores();
  context(tops, totals(tops));
}

void AttentionEmitter::emit() {
  takeParams();
  place();
  thread = k.thread();
  lane = k.rem(thread, 32);
  quad = k.rem(lane, 4);
  Value which = k.block(1);
  Value sequence = k.divide(which, heads);
  headColumn = k.mul(k.sub(which, k.mul(sequence, heads)), dim);
  Value at = k.at(offsets, k.wide(k.shl(sequence, 2)));
  first = k.load(at, k.i32(), 4);
  length = k.sub(k.load(k.at(at, k.c(4)), k.i32(), 4), first);
  firstAsker = form.firstQuery ? sequence : first;
  askerCount = form.firstQuery ? k.min(length, k.c(1)) : length;
  chunks = k.shr(k.add(length, 31), 5);
  zq = k.round(constant(37));
  zk = k.round(constant(38));
  zv = k.round(constant(39));
  Value start = k.mul(k.block(0), kQueries);
  row = k.add(k.add(start, k.mul(k.div(thread, 32), 16)), k.div(lane, 4));
  // Of all the block's threads, or of none.
  k.ifThen(k.less(start, askerCount), [&] { head(); });
}

void buildAttention(ModuleOp module, const AttentionForm &form) {
  SmallVector<Param> params(form.firstQuery ? 4 : 3, Param::Input);
  params.push_back(Param::Output);
  params.append(form.firstQuery ? 8 : 7, Param::I32);
  params.append(4, Param::F32);
  DeviceBuilder k(module, getAttentionName(form), params, kThreads);
  AttentionEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
