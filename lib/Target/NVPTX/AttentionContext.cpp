//===- AttentionContext.cpp - Values weighted by probabilities ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Codes of probabilities are weights of values; logarithmic ones stand for
// planes of weights, which are summed one after the other and joined by
// log_math.h. Planes that are empty in all rows of a warp are not summed: that
// changes no bit of the result.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/AttentionEmitter.h"
#include "lib/Target/NVPTX/AttentionTaps.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

Values AttentionEmitter::weightedSums(Weight weight, int64_t firstTile,
                                      int64_t tiles) {
  // Sums of the context, then those of the weights of both halves.
  auto sumsAt = size_t(tiles) * 4;
  Values acc(sumsAt + 2, k.c(0));
  acc = forEachChunk(
      acc, /*withValues=*/true, [&](Value chunk, ArrayRef<Value> carried) {
        Values now(carried.begin(), carried.end()), fragment(4);
        forEachScore(chunk, [&](size_t word, size_t e, Value d, Value there) {
          Value w = k.select(there, weight(word % 2, d), k.c(0));
          fragment[word] =
              e ? k.bitOr(fragment[word], k.shl(w, int64_t(e) * 8)) : w;
        });
        for (size_t word = 0; word != 4; ++word) {
          Value &sum = now[sumsAt + word % 2];
          sum = k.sumBytes(fragment[word], sum);
        }
        Value start = k.mul(chunk, width * 32), part = k.div(lane, 8);
        for (int64_t i = 0; i != tiles; i += 2) {
          Value at = k.add(k.add(k.rem(lane, 8), (firstTile + i) * 8),
                           k.mul(k.div(part, 2), 8));
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
  Values terms;
  for (size_t half = 0; half != 2; ++half)
    terms.push_back(k.mul(zv, overQuad(acc[sumsAt + half], true)));
  acc.truncate(sumsAt);
  for (size_t i = 0; i != sumsAt; ++i)
    acc[i] = k.sub(acc[i], terms[i % 4 / 2]);
  return acc;
}

/// What logarithmic codes stand for, in f32, from the last plane to the first.
Values AttentionEmitter::joinedPlanes(int64_t firstTile, int64_t tiles) {
  Value used = usedPlanes();
  float down = 1.0f / float(1 << qm_log_octaves(form.log));
  Values parities[2];
  for (int64_t parity = 0; parity != form.log.per_octave; ++parity) {
    auto addPlane = [&](Value plane, ArrayRef<Value> before) {
      Values sums = weightedSums(
          [&](size_t half, Value d) {
            return planeWeight(probCode(half, d), plane, parity);
          },
          firstTile, tiles);
      for (size_t i = 0; i != sums.size(); ++i) {
        sums[i] = k.toFloat(sums[i]);
        if (!before.empty())
          sums[i] = k.addF(k.mulF(before[i], k.f(down)), sums[i]);
      }
      return sums;
    };
    if (qm_log_planes(form.log) == 1)
      parities[parity] = addPlane(k.c(0), {});
    else
      parities[parity] =
          k.loop(k.c(0), used, 1, Values(size_t(tiles) * 4, k.f(0.0f)),
                 [&](Value i, ArrayRef<Value> before) {
                   return addPlane(k.sub(k.sub(used, k.c(1)), i), before);
                 });
  }
  Values values = parities[0];
  for (size_t i = 0; i != parities[1].size(); ++i)
    values[i] =
        k.addF(values[i], k.mulF(parities[1][i], k.f(float(QM_SQRT_HALF))));
  return values;
}

/// The same in units of the last plane, without floats.
Values AttentionEmitter::joinedFixedPlanes(int64_t firstTile, int64_t tiles) {
  int64_t planes = qm_log_planes(form.log);
  return k.loop(k.c(0), k.c(planes), 1, Values(size_t(tiles) * 4, k.c(0)),
                [&](Value plane, ArrayRef<Value> before) {
                  Values sums = weightedSums(
                      [&](size_t half, Value d) {
                        return planeWeight(probCode(half, d), plane, 0);
                      },
                      firstTile, tiles);
                  Value up = k.mul(k.sub(k.c(planes - 1), plane),
                                   qm_log_octaves(form.log));
                  for (size_t i = 0; i != sums.size(); ++i)
                    sums[i] = k.add(before[i], k.shlBy(sums[i], up));
                  return sums;
                });
}

void AttentionEmitter::context() {
  for (int64_t from = 0; from < width; from += kChannelsAtOnce) {
    int64_t first = from / 8;
    int64_t tiles = std::min(kChannelsAtOnce, width - from) / 8;
    Values sums;
    if (form.isLog())
      sums = form.fixed ? joinedFixedPlanes(first, tiles)
                        : joinedPlanes(first, tiles);
    else
      sums =
          weightedSums([&](size_t half, Value d) { return probCode(half, d); },
                       first, tiles);
    storeContext(sums, first, tiles);
  }
}

Value AttentionEmitter::contextCode(Value sum) {
  if (form.fixed)
    return fixedCode(k, sum, fixedContext, contextLo, contextHi);
  Value v = form.isLog() ? sum : k.toFloat(sum);
  v = k.addF(k.mulF(v, contextMultiplier()), constant(36));
  if (form.context == Storage::F32)
    return v;
  return k.round(k.minF(k.maxF(v, contextLo), contextHi));
}

/// Of heads that begin anywhere: the codes of those of eight channels that the
/// head has, one by one.
void AttentionEmitter::storeEach(ArrayRef<Value> eight, Value to,
                                 Value channel) {
  int64_t bytes = storageBytes(form.context);
  Type type = form.context == Storage::U8    ? Type(k.i8())
              : form.context == Storage::U16 ? Type(k.i16())
                                             : Type();
  for (auto [e, v] : llvm::enumerate(eight)) {
    Value here = k.add(channel, int64_t(e));
    k.ifThen(k.less(here, k.c(dim)), [&, v = v] {
      Value at = k.at(to, k.mul(k.add(headColumn, here), bytes));
      k.store(type ? k.narrow(v, type) : v, at, bytes);
    });
  }
}

void AttentionEmitter::storeContext(ArrayRef<Value> sums, int64_t firstTile,
                                    int64_t tiles) {
  int64_t bytes = storageBytes(form.context);
  for (int64_t half = 0; half != 2; ++half) {
    Value query = k.add(row, half * 8);
    k.ifThen(k.less(query, askerCount), [&] {
      Value to = k.at(out, k.mulWide(k.add(firstAsker, query),
                                     k.mul(contextStride, bytes)));
      for (int64_t span = 0; span != tiles / 4; ++span) {
        Value channel = k.add(k.shl(quad, 3), firstTile * 8 + span * 32);
        auto storeSpan = [&] {
          Values eight;
          for (int64_t e = 0; e != 8; ++e)
            eight.push_back(contextCode(
                sums[size_t((span * 4 + e / 2) * 4 + half * 2 + e % 2)]));
          if (dim % 8)
            return storeEach(eight, to, channel);
          Value column = k.add(headColumn, channel);
          storeCodes(k, eight, k.at(to, k.mul(column, bytes)), form.context);
        };
        // The next head's channels are its own.
        if (firstTile * 8 + (span + 1) * 32 > dim)
          k.ifThen(k.less(channel, k.c(dim)), storeSpan);
        else
          storeSpan();
      }
    });
  }
}

void AttentionEmitter::writeTaps() {
  Value base = tapBase(
      k, {offsets, sequences, sequence, headIndex, first, form.firstQuery},
      sequences);
  Type probType = form.probStorage() == Storage::U16 ? k.i16() : k.i8();
  int64_t bytes = storageBytes(form.probStorage());
  forEachChunk({}, /*withValues=*/false, [&](Value chunk, ArrayRef<Value>) {
    forEachScore(chunk, [&](size_t word, size_t e, Value d, Value there) {
      Value query = k.add(row, int64_t(word % 2) * 8);
      Value asks = k.less(query, askerCount);
      k.ifThen(k.select(there, asks, there), [&] {
        Value key = k.add(keyOf(chunk, int64_t(word / 2)), int64_t(e));
        if (partStart)
          key = k.add(key, partStart);
        Value at = k.add(base, k.add(k.mulWide(query, length), k.wide(key)));
        Value score = k.sub(tops[word % 2], d);
        k.store(k.narrow(score, k.i8()), k.at(scoreTap, at), 1);
        Value prob = k.narrow(probCode(word % 2, d), probType);
        k.store(prob, k.at(probTap, k.mul(at, k.c64(bytes))), bytes);
      });
    });
    return Values();
  });
}

} // namespace quern::nvptx
