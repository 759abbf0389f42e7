//===- QAttentionTiles.cpp - Products of attention by tile registers ------===//
//
// Blocks of 32 rows by two panels: four tiles of sums, which reach the vector
// unit through scratch memory, as in GemmTiles.cpp. What is done with the sums,
// and softmax, is that of vectors, for eight rows at a time. Rows behind the
// last of a sequence are computed with the others and not used.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/QAttentionEmitter.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

int64_t leastTileQueries(const AttentionShape &shape) {
  return hasLaneAttention(shape) ? 4096 / shape.headDim + 1 : 17;
}

bool hasTileAttention(const AttentionShape &shape) {
  return !shape.firstQuery && shape.headDim % 32 == 0 &&
         shape.maxLength >= leastTileQueries(shape) &&
         (!shape.isLog() || qm_log_zero(shape.log) <= 255);
}

void QAttentionEmitter::tileRows() {
  k.loop(k.index(0), c.queries, layout.rows, [&](Value row) {
    eachEight(row, [&](Value first) { rowTerms(first); });
    tileScores(row);
    tileSoftmax(row);
    tileContext(row);
  });
}

/// Runs `body` for every eight rows of the block that are there, with their
/// first row.
void QAttentionEmitter::eachEight(Value row, function_ref<void(Value)> body) {
  k.loop(k.index(0), eights(row), 1, [&](Value number) {
    eight = number;
    body(k.add(row, k.mul(number, kAttentionRows)));
    eight = Value();
  });
}

Value QAttentionEmitter::eights(Value row) {
  Value left = k.min(k.sub(c.queries, row), k.index(layout.rows));
  return k.div(k.roundUp(left, kAttentionRows), k.index(kAttentionRows));
}

/// The score codes of the block. Keys past the end of the sequence have some,
/// too; softmax masks them.
void QAttentionEmitter::tileScores(Value row) {
  Value query = queryRow(row, 0), sums = k.index(layout.tileSums);
  k.loop(k.index(0), c.length, 2 * kTileSide, [&](Value pair) {
    Value panel = k.add(k.mul(pair, layout.keySteps * 4), layout.keys);
    multiplyTiles(
        sums, /*begins=*/true, layout.keySteps / 16,
        [&](int64_t i, int64_t step) {
          Value at =
              k.add(query, i * kTileSide * queryStride() + step * kTileStep);
          return k.tileLoad(queries, at, queryStride());
        },
        [&](int64_t j, int64_t step) {
          Value at = k.add(panel, j * layout.keySteps * 64 + step * kTileBytes);
          return k.tileLoad(scratch, at, 64);
        });
    eachEight(row, [&](Value) {
      Values all = tileSumsOf(sums);
      for (auto [sum, term] : llvm::zip_equal(all, scoreTerms(pair)))
        sum = k.add(sum, term);
      storeScores(pair, all);
    });
  });
}

/// Adds `steps` products of 64 to the four tiles of sums at `at`, or begins
/// them: the rows' tile i of two, and the panels' tile j of two.
void QAttentionEmitter::multiplyTiles(Value at, bool begins, int64_t steps,
                                      TileSource rowsAt, TileSource panelAt) {
  auto place = [&](int64_t i, int64_t j) {
    return k.add(at, (j * kTileBlock + i * kTileSide) * 64);
  };
  Values sums;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      sums.push_back(begins ? k.tileZeros()
                            : k.tileLoadSums(scratch, place(i, j), 64));
  for (int64_t step = 0; step < steps; ++step) {
    Value a[2] = {rowsAt(0, step), rowsAt(1, step)};
    Value b[2] = {panelAt(0, step), panelAt(1, step)};
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 2; ++j)
        sums[2 * i + j] = k.tileDot(sums[2 * i + j], a[i], b[j]);
  }
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      k.tileStore(sums[2 * i + j], scratch, place(i, j), 64);
}

/// The sums of the eight rows at hand and of both panels.
Values QAttentionEmitter::tileSumsOf(Value block) {
  Value from = k.add(block, k.mul(eight, kAttentionRows * 64));
  Values sums;
  for (int64_t p = 0; p != 2; ++p)
    for (int64_t r = 0; r != kAttentionRows; ++r)
      sums.push_back(k.loadBytes(
          scratch, k.add(from, (p * kTileBlock + r) * 64), 16, k.i32()));
  return sums;
}

/// Probability codes and their planes: as many of every row as any of them
/// needs.
void QAttentionEmitter::tileSoftmax(Value row) {
  if (!shape.isLog())
    return eachEight(row, [&](Value first) { softmax(first); });
  seen.emplace();
  Values most;
  if (qm_log_planes(shape.log) > 1)
    most.push_back(
        k.zeros(shape.fixed ? k.vec(64, k.i8()) : k.vec(16, k.i32())));
  most = k.loop(k.index(0), eights(row), 1, most,
                [&](Value number, ArrayRef<Value> before) {
                  eight = number;
                  softmax(k.add(row, k.mul(number, kAttentionRows)));
                  eight = Value();
                  return before.empty()
                             ? Values()
                             : Values{k.maxUnsigned(before[0], *seen)};
                });
  seen.reset();
  usedPlanes = planesIn(most.empty() ? Value() : most[0]);
  eachEight(row, [&](Value) {
    k.loop(k.index(0), usedPlanes, 1, [&](Value plane) { packPlane(plane); });
  });
}

/// The context codes of the block.
void QAttentionEmitter::tileContext(Value row) {
  k.loop(k.index(0), k.index(layout.valuePanels), 2, [&](Value first) {
    if (shape.isLog())
      k.loop(k.index(0), usedPlanes, 1, [&](Value plane) {
        for (int64_t p = 0; p != shape.log.per_octave; ++p)
          tileWeights(plane, p, first);
      });
    else
      tileWeights(Value(), 0, first);
    hasTileSums = true;
    eachEight(row, [&](Value eightRow) {
      contextPanels(eightRow, first, 2, 2 * kTileSide);
    });
    hasTileSums = false;
  });
}

/// The sums of one matrix of weights, for the two panels from `first` on.
void QAttentionEmitter::tileWeights(Value plane, int64_t parity, Value first) {
  Value weights = plane ? planeAt(plane, parity) : codeRow(0);
  Value panel = k.add(k.mul(valueStride, first), layout.values);
  auto span = [&](Value token, int64_t steps, bool begins) {
    multiplyTiles(
        planeSums(plane, parity), begins, steps,
        [&](int64_t i, int64_t step) {
          Value at =
              k.add(k.add(weights, token),
                    i * kTileSide * layout.codeStride + step * kTileStep);
          return k.tileLoad(scratch, at, layout.codeStride);
        },
        [&](int64_t j, int64_t step) {
          Value at = k.add(panel, k.mul(k.add(token, step * kTileStep), 16));
          return k.tileLoad(scratch, k.add(at, k.mul(valueStride, j)), 64);
        });
  };
  Value zero = k.index(0), one = k.index(kAttentionTileSpan);
  k.ifThen(
      k.less(k.index(kTileStep), c.length),
      [&] {
        span(zero, 2, /*begins=*/true);
        k.loop(one, c.length, kAttentionTileSpan,
               [&](Value token) { span(token, 2, /*begins=*/false); });
      },
      [&] { span(zero, 1, /*begins=*/true); });
}

} // namespace quern
