//===- GemmTiles.cpp - Linear layers by tile registers --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Blocks of 32 x 32 sums: four tiles of sums, and each of the four tiles loaded
// in a step of 64 k serves two products. Sums of tile registers reach the
// vector unit through memory only, and their epilogue would leave the tile unit
// idle. So the sums of a block wait in scratch memory, and the steps of the
// next block finish some of them each: the two units work side by side. For
// that the pieces of the epilogue have to lie between the single tile
// operations: behind the eight of a step they would wait for them, as there is
// little room for tiles in flight. The
// first block of a call finds no sums there: what it finishes is its own place,
// which is written again later.
//
// The rows of a block must fit the nearest cache, so k is cut into spans;
// between them the sums of all columns of a group wait in scratch memory. Spans
// are unrolled: a loop's exit, mispredicted, drains the tile unit. Two planes
// of bytes are two parts of the work like spans of k, whose sums stay apart.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmTiles.h"

#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/GemmTileWalk.h"
#include "lib/Tile/GemmWide.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Vectors that go through the epilogue together; they share a column.
static constexpr int64_t kTogether = 2;
/// Tile operations of a step.
static constexpr int64_t kTileOps = 8;

static int64_t stepsOf(const GemmShape &shape) {
  return llvm::divideCeil(shape.k, kTileStep);
}
static int64_t spansOf(const GemmShape &shape) {
  return llvm::divideCeil(stepsOf(shape), shape.tuning.spanSteps);
}
/// Blocks of sums that lie in scratch memory together.
static int64_t slotsOf(const GemmShape &shape, int64_t planes) {
  if (spansOf(shape) * planes == 1)
    return 1;
  TileWalkSizes sizes(shape, stepsOf(shape));
  return llvm::divideCeil(sizes.groupPanels, 2) * planes;
}

bool hasTileGemm(const GemmShape &shape) { return mayHaveTiles(shape); }

int64_t getTileGemmScratchBytes(const GemmShape &shape, int64_t planes) {
  if (!hasTileGemm(shape))
    return 0;
  return slotsOf(shape, planes) * kTileBlockBytes + kTilePendingBytes +
         TileWalkSizes(shape, stepsOf(shape)).unpackedBytes;
}

namespace {

using Block = TileWalk::Block;
using Group = TileWalk::Group;

class TileGemm {
public:
  TileGemm(KernelBuilder &k, const GemmShape &shape, int64_t planes)
      : k(k), shape(shape), planes(planes),
        epilogue(k, shape, resultOperands(k, shape, 3),
                 planes == 1 ? GemmSums::Integer : GemmSums::Real, kTileBlock,
                 /*late=*/false),
        steps(stepsOf(shape)), spans(spansOf(shape)),
        columns(TileWalkSizes(shape, steps).panels * 16),
        walk(k, shape, steps, slotsOf(shape, planes) * kTileBlockBytes,
             slotsOf(shape, planes) * kTileBlockBytes + kTilePendingBytes) {}

  void build() {
    walk.run(
        k.index(0),
        [&](const Group &group, Value number) { rows(group, number); },
        [&] {
          Pending pending = loadPending();
          for (int64_t group = 0; group < kGroups; ++group)
            finish(pending, group);
        });
  }

private:
  struct Pending : TileWalk::Pending {
    GemmEpilogue::Constants constants[2];
    Value corrections[2][2];
  };
  Pending loadPending();
  void finish(const Pending &pending, int64_t group);
  static constexpr int64_t kGroups = kTileBlock * kTileBlock / 16 / kTogether;

  void rows(const Group &group, Value number);
  void span(int64_t number, const Group &group, const Block &block,
            bool finishing);
  Value sumsAt(const Block &block, int64_t plane, int64_t i, int64_t j) {
    return k.add(block.slot, plane * kTileBlockBytes +
                                 (j * kTileBlock + i * kTileSide) * 64);
  }

  KernelBuilder &k;
  const GemmShape &shape;
  /// Bytes of a code of x.
  int64_t planes;
  GemmEpilogue epilogue;
  int64_t steps, spans, columns;
  TileWalk walk;
};

} // namespace

//===----------------------------------------------------------------------===//
// The epilogue
//===----------------------------------------------------------------------===//

TileGemm::Pending TileGemm::loadPending() {
  Pending pending = {walk.loadPending(), {}, {}};
  for (int64_t j = 0; j < 2; ++j) {
    Value column = k.add(pending.column, 16 * j);
    pending.constants[j] = epilogue.constantsAt(column);
    for (int64_t plane = 0; plane < planes; ++plane)
      pending.corrections[j][plane] =
          k.loadVector(k.buffer(2), k.add(column, plane * columns));
  }
  return pending;
}

void TileGemm::finish(const Pending &pending, int64_t group) {
  int64_t perColumn = kGroups / 2;
  int64_t j = group / perColumn, row = group % perColumn * kTogether;
  Values sums;
  for (int64_t r = row; r < row + kTogether; ++r) {
    Values parts;
    for (int64_t plane = 0; plane < planes; ++plane) {
      Value at = k.add(pending.slot,
                       plane * kTileBlockBytes + (j * kTileBlock + r) * 64);
      parts.push_back(k.add(k.loadBytes(k.scratch(), at, 16, k.i32()),
                            pending.corrections[j][plane]));
    }
    sums.push_back(planes == 1 ? parts[0]
                               : combinePlanes(k, parts[0], parts[1]));
  }
  epilogue.convert(sums, pending.constants[j]);
  for (int64_t r = 0; r < kTogether; ++r)
    epilogue.store(sums[r],
                   k.add(pending.at, (row + r) * shape.outStride + 16 * j));
}

//===----------------------------------------------------------------------===//
// The products
//===----------------------------------------------------------------------===//

void TileGemm::span(int64_t number, const Group &group, const Block &block,
                    bool finishing) {
  int64_t plane = number / spans, piece = number % spans;
  int64_t begin = steps * piece / spans, end = steps * (piece + 1) / spans;
  Pending pending;
  if (finishing)
    pending = loadPending();
  Values sums;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      sums.push_back(
          piece ? k.tileLoadSums(k.scratch(), sumsAt(block, plane, i, j), 64)
                : k.tileZeros());
  int64_t xStride = planes * shape.xStride;
  Value x = k.add(k.mul(block.row, xStride), plane * shape.xStride);
  // The share of a tile operation in the epilogue.
  int64_t done = 0, all = (end - begin) * kTileOps;
  auto finishSome = [&] {
    if (finishing)
      for (int64_t i = kGroups * done / all; i < kGroups * (done + 1) / all;
           ++i)
        finish(pending, i);
    ++done;
  };
  for (int64_t step = begin; step < end; ++step) {
    auto rowsAt = [&](int64_t i) {
      Value at = k.add(x, i * kTileSide * xStride + step * kTileStep);
      Value tile = k.tileLoad(k.buffer(0), at, xStride);
      finishSome();
      return tile;
    };
    auto weightsAt = [&](int64_t j) {
      Value tile = walk.weights(group, block, j, k.index(step * kTileBytes));
      finishSome();
      return tile;
    };
    auto multiply = [&](int64_t i, int64_t j, Value a, Value b) {
      sums[2 * i + j] = k.tileDot(sums[2 * i + j], a, b);
      finishSome();
    };
    // Products begin as early as they can, and loads come between them.
    Value a0 = rowsAt(0), b0 = weightsAt(0);
    multiply(0, 0, a0, b0);
    Value b1 = weightsAt(1);
    multiply(0, 1, a0, b1);
    Value a1 = rowsAt(1);
    multiply(1, 0, a1, b0);
    multiply(1, 1, a1, b1);
    // The other plane has the same weights.
    if (plane == 0)
      walk.prefetch(block, k.index(step));
  }
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      k.tileStore(sums[2 * i + j], k.scratch(), sumsAt(block, plane, i, j), 64);
  if (number + 1 == spans * planes)
    walk.keep(block);
}

/// A block of rows, all columns of a group.
void TileGemm::rows(const Group &group, Value number) {
  int64_t parts = spans * planes;
  auto blockAt = [&](Value panel) {
    Value slot = parts == 1 ? k.index(0)
                            : k.mul(k.sub(panel, group.first),
                                    kTileBlockBytes / 2 * planes);
    return walk.blockAt(group, number, panel, slot);
  };
  for (int64_t i = 0; i < parts; ++i) {
    bool first = i == 0, last = i + 1 == parts;
    // Sums wait from the last part of a block to the next block that is begun:
    // of the columns before in the last part, of the rows before in the first.
    if (parts == 1) {
      k.loop(group.first, group.last, 2,
             [&](Value panel) { span(i, group, blockAt(panel), true); });
      continue;
    }
    span(i, group, blockAt(group.first), /*finishing=*/first);
    k.loop(k.add(group.first, 2), group.last, 2, [&](Value panel) {
      span(i, group, blockAt(panel), /*finishing=*/last);
    });
  }
}

func::FuncOp buildTileGemm(ModuleOp module, StringRef name,
                           const GemmShape &shape,
                           function_ref<void(KernelBuilder &)> few,
                           int64_t planes) {
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type()};
  addResultElements(b, shape, elements);
  return buildTileVariant(
      module, name, shape, elements, few,
      [&](KernelBuilder &k) { TileGemm(k, shape, planes).build(); });
}

} // namespace quern
