//===- GemmTileWalk.cpp - The way of tile registers over a GEMM -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Rows stay in the nearest cache while the columns of some chunks pass by:
// packed weights lie one after another, as the next cache streams best. Weights
// of fewer bits are unpacked to scratch memory once for all rows of a chunk.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmTileWalk.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/GemmUnpack.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

bool mayHaveTiles(const GemmShape &shape) {
  return !shape.hasZeros && !shape.exact && shape.n > kTileSide &&
         shape.rowsPerChunk % kTileBlock == 0;
}

/// Chunks whose columns are computed together.
static int64_t groupChunks(const GemmShape &shape, const TileWalkSizes &sizes) {
  int64_t most = std::min(shape.tuning.groupPanels,
                          shape.tuning.groupBytes / sizes.panelBytes);
  return std::max<int64_t>(most / sizes.chunkPanels, 1);
}

TileWalkSizes::TileWalkSizes(const GemmShape &shape, int64_t steps)
    : steps(steps), panelBytes(packedGemmBytes(kTileSide, steps * kTileStep)),
      storedBytes(
          packedGemmBytes(kTileSide, steps * kTileStep, shape.weightBits)) {
  GemmPanels cut = getGemmPanels(shape);
  panels = cut.count * cut.width;
  chunkPanels = cut.perChunk * cut.width;
  groupPanels = groupChunks(shape, *this) * chunkPanels;
  unpackedBytes = shape.weightBits == 8 ? 0 : (groupPanels + 1) * panelBytes;
}

//===----------------------------------------------------------------------===//
// The block that waits
//===----------------------------------------------------------------------===//

void TileWalk::keep(const Block &block) {
  Value column = k.mul(block.panel, 16);
  Value at = k.add(k.mul(block.row, shape.outStride), column);
  int64_t place = pendingAt;
  for (Value v : {at, column, block.slot}) {
    Value wide = arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), v);
    k.storeBytes(k.broadcast(wide, 1), k.scratch(), k.index(place));
    place += 8;
  }
}

TileWalk::Pending TileWalk::loadPending() {
  auto load = [&](int64_t i) {
    Value at = k.index(pendingAt + 8 * i);
    return k.toIndex(k.lane(k.loadBytes(k.scratch(), at, 1, k.i64()), 0));
  };
  return {load(0), load(1), load(2)};
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Value TileWalk::weights(const Group &group, const Block &block, int64_t j,
                        Value at) {
  bool unpacks = shape.weightBits != 8;
  Value first = block.panel;
  if (unpacks)
    first = k.sub(first, firstUnpacked(group.first));
  Value panel = k.add(k.mul(first, sizes.panelBytes),
                      j * sizes.panelBytes + (unpacks ? unpackedAt : 0));
  return k.tileLoad(unpacks ? k.scratch() : k.buffer(1), k.add(panel, at), 64,
                    /*streamed=*/true);
}

/// Codes of few bits become bytes, for all rows of the group.
void TileWalk::unpack(const Group &group) {
  Value origin = firstUnpacked(group.first);
  GemmInputs inputs{k.buffer(0), shape.xStride, k.buffer(1), shape.weightBits};
  GemmStream stream{/*lineElements=*/64, sizes.storedBytes,
                    sizes.steps * kTileSide / kGemmUnroll};
  k.loop(origin, group.last, 1, [&](Value panel) {
    Value to = k.add(k.mul(k.sub(panel, origin), sizes.panelBytes), unpackedAt);
    unpackPanels(k, stream, /*width=*/1, inputs, panel, to);
  });
}

/// Bytes of the next group's weights that a step prefetches, so that the blocks
/// of 128 rows prefetch all. A call does no more chunks after it than before.
int64_t TileWalk::stepBytes() const {
  int64_t blocks = shape.rowsPerChunk / kTileBlock;
  return 2 * sizes.storedBytes / blocks / sizes.steps;
}

void TileWalk::prefetchLine(Value at) {
  memref::PrefetchOp::create(k.op(), k.loc(), k.buffer(1), ValueRange(at),
                             /*isWrite=*/false,
                             localityOf(shape.tuning.tileCache),
                             /*isDataCache=*/true);
}

void TileWalk::prefetch(const Block &block, Value step) {
  if (!shape.tuning.tileCache)
    return;
  Value from = k.add(block.next, k.mul(step, stepBytes()));
  for (int64_t at = 0; at < stepBytes(); at += 64)
    prefetchLine(k.add(from, at));
}

/// What the steps of fewer rows leave is prefetched here.
void TileWalk::prefetchRest(const Group &group) {
  if (!shape.tuning.tileCache)
    return;
  Value missing =
      k.sub(k.index(shape.rowsPerChunk / kTileBlock), group.rowBlocks);
  Value width = k.sub(group.last, group.first);
  Value bytes = k.mul(missing, k.mul(width, sizes.steps * stepBytes() / 2));
  Value end = k.mul(k.add(group.last, width), sizes.storedBytes);
  k.loop(k.sub(end, bytes), end, 64, [&](Value at) { prefetchLine(at); });
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

TileWalk::Block TileWalk::blockAt(const Group &group, Value number, Value panel,
                                  Value slot) {
  Block block;
  block.row = k.add(group.firstRow, k.mul(number, kTileBlock));
  block.slot = slot;
  block.panel = k.min(panel, k.index(sizes.panels - 2));
  // The rows before have prefetched the first parts of all columns.
  Value place = k.add(k.mul(number, k.sub(group.last, group.first)),
                      k.sub(block.panel, group.first));
  block.next = k.add(k.mul(group.last, sizes.storedBytes),
                     k.mul(place, sizes.steps * stepBytes() / 2));
  return block;
}

/// Chunks of one call that lie side by side are computed together.
void TileWalk::forEachGroup(function_ref<void(const Group &)> body) {
  int64_t columns = getGemmChunks(shape).multiply;
  Value allRows = shape.rows == RowsOf::Tokens ? k.tokens() : k.sequences();
  Value lastRows = k.div(k.add(k.end(), columns - 1), k.index(columns));
  k.loop(k.div(k.begin(), k.index(columns)), lastRows, 1, [&](Value rowChunk) {
    Value before = k.mul(rowChunk, columns);
    Value from = k.sub(k.maxUnsigned(k.begin(), before), before);
    Value to = k.sub(k.min(k.end(), k.add(before, columns)), before);
    Group group;
    group.firstRow = k.mul(rowChunk, shape.rowsPerChunk);
    Value rows =
        k.min(k.sub(allRows, group.firstRow), k.index(shape.rowsPerChunk));
    group.rowBlocks = k.div(k.add(rows, kTileBlock - 1), k.index(kTileBlock));
    int64_t together = groupChunks(shape, sizes);
    k.loop(from, to, together, [&](Value chunk) {
      Value behind = k.min(k.add(chunk, together), to);
      group.first = k.mul(chunk, sizes.chunkPanels);
      group.last =
          k.min(k.mul(behind, sizes.chunkPanels), k.index(sizes.panels));
      body(group);
    });
  });
}

void TileWalk::run(Value slot, function_ref<void(const Group &, Value)> rows,
                   function_ref<void()> last) {
  // The place of the first block, for its first steps to finish.
  Value columnChunks = k.index(getGemmChunks(shape).multiply);
  Block start;
  start.row = k.mul(k.div(k.begin(), columnChunks), shape.rowsPerChunk);
  start.panel = k.min(k.mul(k.rem(k.begin(), columnChunks), sizes.chunkPanels),
                      k.index(sizes.panels - 2));
  start.slot = slot;
  keep(start);
  forEachGroup([&](const Group &group) {
    prefetchRest(group);
    if (shape.weightBits != 8)
      unpack(group);
    k.loop(k.index(0), group.rowBlocks, 1,
           [&](Value number) { rows(group, number); });
  });
  k.ifThen(k.less(k.begin(), k.end()), last);
}

func::FuncOp buildTileVariant(ModuleOp module, StringRef name,
                              const GemmShape &shape, ArrayRef<Type> elements,
                              function_ref<void(KernelBuilder &)> few,
                              function_ref<void(KernelBuilder &)> tiles) {
  KernelBuilder k(module, (name + ".tiles").str(), elements);
  Value rows = shape.rows == RowsOf::Tokens ? k.tokens() : k.sequences();
  k.ifThen(
      k.less(rows, k.index(shape.tuning.leastTileRows)), [&] { few(k); },
      [&] { tiles(k); });
  func::FuncOp variant = k.finish();
  tk::setVariant(variant, name, "tiles");
  return variant;
}

} // namespace quern
