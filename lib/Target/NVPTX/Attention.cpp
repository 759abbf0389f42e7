//===- Attention.cpp - Integer attention on tensor cores ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A head on its way into shared memory and registers; see AttentionEmitter.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// Bytes of the table of exponentials.
static constexpr int64_t kTableBytes = 256 * 4;
/// Constants of all heads, then those of each; QAttentionParams::size and
/// headSize of lib/Tile/Attention.h.
static constexpr int64_t kFirstHeadConstant = 64, kHeadConstants = 6;

Error checkAttention(const AttentionForm &form) {
  if (form.headDim <= 0 || form.headDim % 8 || form.headDim > 128)
    return Error::make("attention: heads of ", form.headDim,
                       " channels, expected a multiple of 8, at most 128");
  bool isTwo = form.log.per_octave == 1;
  if (form.isLog() && (form.log.bits < 3 || form.log.bits > 8 ||
                       !(isTwo || form.log.per_octave == 2)))
    return Error::make("attention: logarithmic codes of ", form.log.bits,
                       " bits, ", form.log.per_octave,
                       " an octave, expected 3 to 8 bits and 1 or 2");
  if (form.fixed && form.isLog() && (form.log.bits > 4 || !isTwo))
    return Error("attention: logarithmic codes without floats, expected 3 or 4 "
                 "bits of base 2");
  if (form.fixed && form.context == Storage::F32)
    return Error("attention: an f32 result without floats, expected codes");
  if (form.perHead && (form.fixed || form.isLog()))
    return Error("attention: constants of heads with logarithmic codes or "
                 "without floats, expected neither");
  return Error::success();
}

std::string getAttentionName(const AttentionForm &form) {
  std::string name = form.firstQuery ? "attention_first_" : "attention_";
  name += std::to_string(form.headDim);
  if (form.isLog())
    name += (form.log.per_octave == 1 ? "_log2x" : "_logsqrt2x") +
            std::to_string(form.log.bits);
  if (form.fixed)
    name += form.nearest ? "_fixed" : "_fixed_down";
  if (form.perHead)
    name += "_heads";
  return name + "_" + storageName(form.context).str();
}

AttentionLaunch getAttentionLaunch(const AttentionForm &form, int64_t sequences,
                                   int64_t heads, int64_t longest) {
  AttentionLaunch launch;
  launch.gridX = form.firstQuery
                     ? 1
                     : (longest + kAttentionQueries - 1) / kAttentionQueries;
  launch.gridY = sequences * heads;
  launch.threads = kAttentionThreads;
  launch.keys = (longest + 31) / 32 * 32;
  launch.sharedBytes =
      kTableBytes + launch.keys * AttentionLayout(form.headDim).bytesPerKey();
  return launch;
}

void AttentionEmitter::takeParams() {
  for (Value *pointer : {&qkv, &offsets, &params})
    *pointer = k.param();
  askers = form.firstQuery ? k.param() : qkv;
  for (Value *each : {&out, &scoreTap, &probTap, &heads, &keys, &qkvStride,
                      &contextStride, &qColumn, &kColumn, &vColumn})
    *each = k.param();
  queryStride = form.firstQuery ? k.param() : qkvStride;
  for (Value *each :
       {&sequences, &tapping, &scoreHi, &probHi, &contextLo, &contextHi})
    *each = k.param();
}

/// Where things lie in shared memory.
void AttentionEmitter::place() {
  table = k.dynamicShared();
  keyRows = k.at(table, k.c(kTableBytes));
  Value behind = k.at(keyRows, k.mul(keys, layout.keyBytes));
  valueRows = layout.overlaid ? keyRows : behind;
  codes = layout.overlaid ? behind : k.at(valueRows, k.mul(keys, width));
  terms = k.at(codes, k.mul(keys, kAttentionQueries));
}

void AttentionEmitter::loadConstants() {
  if (form.fixed) {
    fixedScore = loadFixed(k, params);
    fixedContext = loadFixed(k, k.at(params, k.c(kFixedBytes)));
    zq = k.narrow(fixedNumber(4), k.i32());
    zk = k.narrow(fixedNumber(5), k.i32());
    zv = k.narrow(fixedNumber(6), k.i32());
    return;
  }
  zq = k.round(constant(37));
  zk = k.round(constant(38));
  zv = k.round(constant(39));
  if (!form.perHead)
    return;
  headParams = k.at(params, k.add(k.mul(headIndex, kHeadConstants * 4),
                                  kFirstHeadConstant * 4));
  probHi = headConstant(2);
  contextLo = headConstant(4);
  contextHi = headConstant(5);
}

/// Of heads whose rows lie at multiples of 8: 16 bytes of a key from `channel`
/// on, zeros where it has none.
void AttentionEmitter::copyHalves(Value key, Value channel, Value to) {
  Value token = k.add(first, k.min(key, k.sub(length, k.c(1))));
  Value from =
      k.at(k.at(qkv, k.mulWide(token, qkvStride)), k.add(kColumn, headColumn));
  Values words;
  for (int64_t half = 0; half != 2; ++half) {
    Value here = k.add(channel, half * 8);
    Value isThere = k.bitAnd(k.less(key, length), k.less(here, k.c(dim)));
    here = k.min(here, k.c(dim - 8));
    for (Value word : k.loadMany(k.at(from, here), k.i32(), 2))
      words.push_back(k.select(isThere, word, k.c(0)));
  }
  k.storeMany(words, to);
}

/// Row 8 i + r of a chunk holds key 16 (i / 2) + 4 (r / 2) + 2 (i % 2) + r % 2.
void AttentionEmitter::copyKeys() {
  int64_t pieces = width / 16;
  Value column = k.add(kColumn, headColumn);
  k.loop(thread, k.mul(ownKeys, pieces), kAttentionThreads, {},
         [&](Value i, ArrayRef<Value>) {
           Value row = k.div(i, pieces), which = k.rem(i, pieces);
           Value tile = k.rem(k.div(row, 8), 4), r = k.rem(row, 8);
           Value key = k.bitAnd(row, -32);
           key = k.add(key, k.mul(k.div(tile, 2), 16));
           key = k.add(key, k.mul(k.div(r, 2), 4));
           key = k.add(key, k.add(k.mul(k.rem(tile, 2), 2), k.rem(r, 2)));
           Value to = k.at(keyRows, piece(row, which, layout.keyBytes));
           if (dim % 16) {
             copyHalves(key, k.shl(which, 4), to);
             return Values();
           }
           Value from = k.at(k.at(qkv, k.mulWide(k.add(first, key), qkvStride)),
                             k.add(column, k.shl(which, 4)));
           Value bytes = k.select(k.less(key, length), k.c(16), k.c(0));
           // Channels of the next head must not count.
           if (width != dim)
             bytes = k.select(k.less(which, k.c(dim / 16)), bytes, k.c(0));
           k.copyAsync(to, from, bytes);
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

/// A chunk is [width][32 keys]; row 32 s + 8 i + r of it holds channel
/// 32 s + 8 (r / 2) + 2 i + r % 2. Four keys times four channels at a time.
void AttentionEmitter::copyValues() {
  int64_t across = width / 4;
  Value column = k.add(vColumn, headColumn);
  k.loop(thread, k.mul(k.shr(ownKeys, 2), across), kAttentionThreads, {},
         [&](Value i, ArrayRef<Value>) {
           Value key = k.mul(k.div(i, across), 4);
           Value channel = k.mul(k.rem(i, across), 4);
           // Of channels that are not there, some that are.
           Value source = width == dim ? channel : k.min(channel, k.c(dim - 4));
           Values words;
           for (int64_t e = 0; e != 4; ++e) {
             Value here = k.add(key, e);
             // Of keys that are not there, one that is; its weight is 0.
             Value token = k.add(first, k.min(here, k.sub(length, k.c(1))));
             words.push_back(k.load(k.at(k.at(qkv, k.mulWide(token, qkvStride)),
                                         k.add(column, source)),
                                    k.i32(), 4));
           }
           Value chunk = k.mul(k.shr(key, 5), width * 32);
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
  k.loop(
      thread, ownKeys, kAttentionThreads, {}, [&](Value key, ArrayRef<Value>) {
        Value inChunk = k.rem(key, 32);
        Value tile =
            k.add(k.mul(k.div(inChunk, 16), 2), k.rem(k.div(key, 2), 2));
        Value r = k.add(k.mul(k.rem(k.div(inChunk, 4), 4), 2), k.rem(key, 2));
        Value row = k.add(k.bitAnd(key, -32), k.add(k.mul(tile, 8), r));
        Value sum = k.c(0);
        for (int64_t p = 0; p != (dim + 15) / 16; ++p)
          for (Value word :
               k.loadMany(k.at(keyRows, piece(row, k.c(p), layout.keyBytes)),
                          k.i32(), 4))
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
  for (int64_t step = 0; step != width / 32; ++step) {
    Values fragment;
    for (int64_t part = 0; part != 4; ++part) {
      int64_t half = part % 2, channel = step * 32 + part / 2 * 16;
      if (channel >= dim) {
        fragment.push_back(k.c(0));
        continue;
      }
      Value at = k.c(channel), isThere;
      if (channel + 16 > dim) {
        // Half of the quad has channels there.
        isThere = k.less(quad, k.c(2));
        at = k.select(isThere, at, k.c(channel - 8));
      }
      Value word = k.load(k.at(rows[size_t(half)], at), k.i32(), 4);
      if (isThere)
        word = k.select(isThere, word, k.c(0));
      sums[size_t(half)] = k.sumBytes(word, sums[size_t(half)]);
      fragment.push_back(word);
    }
    queries.push_back(fragment);
  }
  for (Value sum : sums)
    queryTerms.push_back(k.mul(zk, k.sub(k.c(0), overQuad(sum, true))));
}

void AttentionEmitter::head() {
  fillTable();
  copyKeys();
  if (!layout.overlaid)
    copyValues();
  k.waitForCopies(0);
  k.barrier();
  sumKeys();
  k.barrier();
  loadQueries();
  Values largest = scores();
  if (layout.overlaid) {
    // All warps are done with the keys.
    k.barrier();
    copyValues();
    k.barrier();
  }
  normalize(largest);
  k.ifThen(k.less(k.c(0), tapping), [&] { writeTaps(); });
  context();
}

void AttentionEmitter::emit() {
  takeParams();
  place();
  thread = k.thread();
  lane = k.rem(thread, 32);
  quad = k.rem(lane, 4);
  Value which = k.block(1);
  sequence = k.divide(which, heads);
  headIndex = k.sub(which, k.mul(sequence, heads));
  headColumn = k.mul(headIndex, dim);
  Value at = k.at(offsets, k.wide(k.shl(sequence, 2)));
  first = k.load(at, k.i32(), 4);
  length = k.sub(k.load(k.at(at, k.c(4)), k.i32(), 4), first);
  firstAsker = form.firstQuery ? sequence : first;
  askerCount = form.firstQuery ? k.min(length, k.c(1)) : length;
  chunks = k.shr(k.add(length, 31), 5);
  ownKeys = k.shl(chunks, 5);
  loadConstants();
  Value start = k.mul(k.block(0), kAttentionQueries);
  row = k.add(k.add(start, k.mul(k.div(thread, 32), 16)), k.div(lane, 4));
  // Of all the block's threads, or of none.
  k.ifThen(k.less(start, askerCount), [&] { head(); });
}

void buildAttention(ModuleOp module, const AttentionForm &form) {
  SmallVector<Param> params(form.firstQuery ? 4 : 3, Param::Input);
  params.append(3, Param::Output);
  params.append(form.firstQuery ? 10 : 9, Param::I32);
  params.append(4, form.fixed ? Param::I32 : Param::F32);
  DeviceBuilder k(module, getAttentionName(form), params, kAttentionThreads);
  AttentionEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
