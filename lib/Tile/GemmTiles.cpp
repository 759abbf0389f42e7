//===- GemmTiles.cpp - Linear layers by tile registers --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Blocks of 32 x 32 sums: four tiles of sums, and each of the four tiles loaded
// in a step of 64 k serves two products. Sums of tile registers reach the
// vector unit through memory only, and their epilogue would leave the tile unit
// idle. So the sums of a block wait in scratch memory, and the steps of the
// next block finish some of them each: the two units work side by side. The
// first block of a call finds no sums there: what it finishes is its own place,
// which is written again later.
//
// Rows stay in the nearest cache while the columns of some chunks pass by:
// packed weights lie one after another, as the next cache streams best. The
// rows of a block must fit, so k is cut into spans; between them the sums of
// all these columns wait in scratch memory. Spans are unrolled: a loop's exit,
// mispredicted, drains the tile unit. Weights of fewer bits are unpacked to
// scratch memory once for all rows of a chunk. Two planes of bytes are two
// parts of the work like spans of k, whose sums stay apart.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmTiles.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/GemmWide.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Rows and columns of a tile of sums, and k of a step.
static constexpr int64_t kTile = 16, kStep = 64;
/// Rows and columns of a block, and the bytes of its sums.
static constexpr int64_t kBlock = 32, kSlotBytes = kBlock * kBlock * 4;
/// Steps of a span: rows of 24 KB.
static constexpr int64_t kSpanSteps = 12;
/// Columns that are computed for a block of rows before the next one: rows are
/// loaded from far the seldomer, but the weights have to stay in the next cache
/// until the last rows of the chunk have passed.
static constexpr int64_t kMostPanels = 24, kMostWeights = 320 << 10;
/// With fewer rows dot products of vectors are faster than a block of 32.
static constexpr int64_t kLeastRows = 13;
/// Vectors that go through the epilogue together; they share a column.
static constexpr int64_t kTogether = 4;

static int64_t stepsOf(const GemmShape &shape) {
  return llvm::divideCeil(shape.k, kStep);
}
static int64_t spansOf(const GemmShape &shape) {
  return llvm::divideCeil(stepsOf(shape), kSpanSteps);
}
/// 16-column panels of a chunk.
static int64_t chunkPanels(const GemmShape &shape) {
  GemmPanels panels = getGemmPanels(shape);
  return panels.perChunk * panels.width;
}
/// Chunks whose columns are computed together, if a call has as many.
static int64_t groupChunks(const GemmShape &shape) {
  int64_t panels =
      std::min(kMostPanels, kMostWeights / packedGemmBytes(kTile, shape.k));
  return std::max<int64_t>(panels / chunkPanels(shape), 1);
}
static int64_t groupPanels(const GemmShape &shape) {
  return groupChunks(shape) * chunkPanels(shape);
}
/// Blocks of sums that lie in scratch memory together.
static int64_t slotsOf(const GemmShape &shape, int64_t planes) {
  if (spansOf(shape) * planes == 1)
    return 1;
  return llvm::divideCeil(groupPanels(shape), 2) * planes;
}

/// Where scratch memory holds the weights of a group as bytes, if they are
/// stored in fewer bits.
static int64_t unpackedAt(const GemmShape &shape, int64_t planes) {
  return slotsOf(shape, planes) * kSlotBytes + 64;
}

bool hasTileGemm(const GemmShape &shape) {
  return !shape.hasZeros && !shape.exact && shape.n > kTile &&
         shape.rowsPerChunk % kBlock == 0;
}

int64_t getTileGemmScratchBytes(const GemmShape &shape, int64_t planes) {
  if (!hasTileGemm(shape))
    return 0;
  bool unpacks = shape.weightBits != 8;
  int64_t unpacked = unpacks ? groupPanels(shape) + 1 : 0;
  return unpackedAt(shape, planes) + unpacked * packedGemmBytes(kTile, shape.k);
}

namespace {

/// Rows of a chunk, and panels of one chunk or some: the first, and the one
/// behind the last.
struct Group {
  Value firstRow, rowBlocks, first, last;
};

/// A block: its first row, its first panel, where its sums lie in scratch
/// memory, and the first byte of the next group's weights that its steps
/// prefetch.
struct Block {
  Value row, panel, slot, next;
};

class TileGemm {
public:
  TileGemm(KernelBuilder &k, const GemmShape &shape, int64_t planes)
      : k(k), shape(shape), planes(planes),
        epilogue(k, shape, resultOperands(k, shape, 3),
                 planes == 1 ? GemmSums::Integer : GemmSums::Real, kBlock,
                 /*late=*/false),
        steps(stepsOf(shape)), spans(spansOf(shape)),
        panels(getGemmPanels(shape).count * getGemmPanels(shape).width),
        panelBytes(packedGemmBytes(kTile, shape.k)),
        storedBytes(packedGemmBytes(kTile, shape.k, shape.weightBits)) {}

  void build();

private:
  /// What waits: the first element of y, the first column, and the sums.
  struct Pending {
    Value at, column, slot;
    GemmEpilogue::Constants constants[2];
    Value corrections[2][2];
  };
  void keep(const Block &block);
  Pending loadPending();
  void finish(const Pending &pending, int64_t group);
  static constexpr int64_t kGroups = kBlock * kBlock / 16 / kTogether;

  void forEachGroup(function_ref<void(const Group &)> body);
  void rows(const Group &group, Value number);
  void span(int64_t number, const Group &group, const Block &block,
            bool finishing);
  void unpack(const Group &group);
  Value firstUnpacked(Value firstPanel) {
    return k.min(firstPanel, k.index(panels - 2));
  }
  void prefetchRest(const Group &group);
  void prefetch(Value at);
  Value sumsAt(const Block &block, int64_t plane, int64_t i, int64_t j) {
    return k.add(block.slot,
                 plane * kSlotBytes + (j * kBlock + i * kTile) * 64);
  }

  KernelBuilder &k;
  const GemmShape &shape;
  /// Bytes of a code of x.
  int64_t planes;
  GemmEpilogue epilogue;
  /// Of all columns.
  int64_t steps, spans, panels;
  /// Bytes of a panel, as the products read it and as it is stored.
  int64_t panelBytes, storedBytes;
};

} // namespace

//===----------------------------------------------------------------------===//
// The epilogue
//===----------------------------------------------------------------------===//

void TileGemm::keep(const Block &block) {
  Value column = k.mul(block.panel, 16);
  Value at = k.add(k.mul(block.row, shape.outStride), column);
  int64_t place = slotsOf(shape, planes) * kSlotBytes;
  for (Value v : {at, column, block.slot}) {
    Value wide = arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), v);
    k.storeBytes(k.broadcast(wide, 1), k.scratch(), k.index(place));
    place += 8;
  }
}

TileGemm::Pending TileGemm::loadPending() {
  int64_t place = slotsOf(shape, planes) * kSlotBytes;
  auto load = [&](int64_t i) {
    Value at = k.index(place + 8 * i);
    return k.toIndex(k.lane(k.loadBytes(k.scratch(), at, 1, k.i64()), 0));
  };
  Pending pending = {load(0), load(1), load(2), {}, {}};
  for (int64_t j = 0; j < 2; ++j) {
    Value column = k.add(pending.column, 16 * j);
    pending.constants[j] = epilogue.constantsAt(column);
    for (int64_t plane = 0; plane < planes; ++plane)
      pending.corrections[j][plane] =
          k.loadVector(k.buffer(2), k.add(column, plane * panels * 16));
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
      Value at =
          k.add(pending.slot, plane * kSlotBytes + (j * kBlock + r) * 64);
      parts.push_back(k.add(k.loadBytes(k.scratch(), at, 16, k.i32()),
                            pending.corrections[j][plane]));
    }
    sums.push_back(planes == 1 ? parts[0]
                               : combinePlanes(k, parts[0], parts[1]));
  }
  epilogue.convert(sums, pending.constants[j]);
  for (int64_t r = 0; r < kTogether; ++r) {
    Value at = k.add(pending.at, (row + r) * shape.outStride + 16 * j);
    if (shape.out == Storage::F32)
      k.storeVector(sums[r], epilogue.result(), at);
    else
      k.storeCodes(sums[r], epilogue.result(), at);
  }
}

//===----------------------------------------------------------------------===//
// The products
//===----------------------------------------------------------------------===//

void TileGemm::prefetch(Value at) {
  memref::PrefetchOp::create(k.op(), k.loc(), k.buffer(1), ValueRange(at),
                             /*isWrite=*/false, /*localityHint=*/2,
                             /*isDataCache=*/true);
}

/// Bytes of the next group's weights that a step prefetches, so that the blocks
/// of 128 rows prefetch all. A call does no more chunks after it than before.
static int64_t prefetchBytes(const GemmShape &shape) {
  int64_t blocks = shape.rowsPerChunk / kBlock;
  return 2 * packedGemmBytes(kTile, shape.k, shape.weightBits) / blocks /
         stepsOf(shape);
}

/// What the steps of fewer rows leave is prefetched here.
void TileGemm::prefetchRest(const Group &group) {
  Value missing = k.sub(k.index(shape.rowsPerChunk / kBlock), group.rowBlocks);
  Value width = k.sub(group.last, group.first);
  Value bytes = k.mul(missing, k.mul(width, steps * prefetchBytes(shape) / 2));
  Value end = k.mul(k.add(group.last, width), storedBytes);
  k.loop(k.sub(end, bytes), end, 64, [&](Value at) { prefetch(at); });
}

/// Codes of few bits become bytes, for all rows of the group.
void TileGemm::unpack(const Group &group) {
  Value origin = firstUnpacked(group.first);
  GemmInputs inputs{k.buffer(0), shape.xStride, k.buffer(1), shape.weightBits};
  k.loop(origin, group.last, 1, [&](Value panel) {
    Value to = k.add(k.mul(k.sub(panel, origin), panelBytes),
                     unpackedAt(shape, planes));
    unpackWeights(k, wholeStream(shape), /*width=*/1, inputs, panel, to);
  });
}

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
  int64_t perStep = prefetchBytes(shape), xStride = planes * shape.xStride;
  Value x = k.add(k.mul(block.row, xStride), plane * shape.xStride);
  bool unpacks = shape.weightBits != 8;
  Value weights = unpacks ? k.scratch() : k.buffer(1), w;
  if (unpacks)
    w = k.add(k.mul(k.sub(block.panel, firstUnpacked(group.first)), panelBytes),
              unpackedAt(shape, planes));
  else
    w = k.mul(block.panel, panelBytes);
  for (int64_t step = begin; step < end; ++step) {
    Values a, b;
    for (int64_t i = 0; i < 2; ++i)
      a.push_back(k.tileLoad(
          k.buffer(0), k.add(x, i * kTile * xStride + step * kStep), xStride));
    for (int64_t j = 0; j < 2; ++j)
      b.push_back(k.tileLoad(weights,
                             k.add(w, j * panelBytes + step * kStep * 16), 64,
                             /*streamed=*/true));
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 2; ++j)
        sums[2 * i + j] = k.tileDot(sums[2 * i + j], a[i], b[j]);
    // The other plane has the same weights.
    for (int64_t at = 0; at < perStep && plane == 0; at += 64)
      prefetch(k.add(block.next, step * perStep + at));
    if (!finishing)
      continue;
    int64_t done = step - begin, all = end - begin;
    for (int64_t group = kGroups * done / all;
         group < kGroups * (done + 1) / all; ++group)
      finish(pending, group);
  }
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      k.tileStore(sums[2 * i + j], k.scratch(), sumsAt(block, plane, i, j), 64);
  if (number + 1 == spans * planes)
    keep(block);
}

/// A block of rows, all columns of a group.
void TileGemm::rows(const Group &group, Value number) {
  int64_t parts = spans * planes;
  auto blockAt = [&](Value panel) -> Block {
    Block block;
    block.row = k.add(group.firstRow, k.mul(number, kBlock));
    block.slot =
        parts == 1 ? k.index(0)
                   : k.mul(k.sub(panel, group.first), kSlotBytes / 2 * planes);
    // A last single panel is computed with the one before it.
    block.panel = k.min(panel, k.index(panels - 2));
    // The rows before have prefetched the first parts of all columns.
    Value place = k.add(k.mul(number, k.sub(group.last, group.first)),
                        k.sub(block.panel, group.first));
    block.next = k.add(k.mul(group.last, storedBytes),
                       k.mul(place, steps * prefetchBytes(shape) / 2));
    return block;
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

/// Chunks of one call that lie side by side are computed together.
void TileGemm::forEachGroup(function_ref<void(const Group &)> body) {
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
    group.rowBlocks = k.div(k.add(rows, kBlock - 1), k.index(kBlock));
    k.loop(from, to, groupChunks(shape), [&](Value chunk) {
      Value behind = k.min(k.add(chunk, groupChunks(shape)), to);
      group.first = k.mul(chunk, chunkPanels(shape));
      group.last = k.min(k.mul(behind, chunkPanels(shape)), k.index(panels));
      body(group);
    });
  });
}

void TileGemm::build() {
  // The place of the first block, for its first steps to finish.
  Value columnChunks = k.index(getGemmChunks(shape).multiply);
  Block start;
  start.row = k.mul(k.div(k.begin(), columnChunks), shape.rowsPerChunk);
  start.panel = k.min(k.mul(k.rem(k.begin(), columnChunks), chunkPanels(shape)),
                      k.index(panels - 2));
  start.slot = k.index(0);
  keep(start);
  forEachGroup([&](const Group &group) {
    prefetchRest(group);
    if (shape.weightBits != 8)
      unpack(group);
    k.loop(k.index(0), group.rowBlocks, 1,
           [&](Value number) { rows(group, number); });
  });
  k.ifThen(k.less(k.begin(), k.end()), [&] {
    Pending pending = loadPending();
    for (int64_t group = 0; group < kGroups; ++group)
      finish(pending, group);
  });
}

func::FuncOp buildTileGemm(ModuleOp module, StringRef name,
                           const GemmShape &shape,
                           function_ref<void(KernelBuilder &)> few,
                           int64_t planes) {
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type()};
  addResultElements(b, shape, elements);
  KernelBuilder k(module, (name + ".tiles").str(), elements);
  Value rows = shape.rows == RowsOf::Tokens ? k.tokens() : k.sequences();
  k.ifThen(
      k.less(rows, k.index(kLeastRows)), [&] { few(k); },
      [&] { TileGemm(k, shape, planes).build(); });
  func::FuncOp variant = k.finish();
  tk::setVariant(variant, name, "tiles");
  return variant;
}

} // namespace quern
