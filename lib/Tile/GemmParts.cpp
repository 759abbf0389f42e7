//===- GemmParts.cpp - What the GEMM kernels share ------------------------===//
//
// Names, packing, and the loops around a register tile.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmParts.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/GemmUnpack.h"
#include "lib/Tile/GemmWide.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <cassert>
#include <cstring>

using namespace mlir;

namespace quern {

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

//===----------------------------------------------------------------------===//
// Shape and packing
//===----------------------------------------------------------------------===//

GemmPanels getGemmPanels(const GemmShape &shape) {
  // Enough chunks for a dozen threads, each of some microseconds.
  const int64_t wantedChunks = 24;
  GemmPanels panels;
  int64_t blocks = ceilDiv(shape.n, 16);
  panels.width = shape.tuning.panels;
  while (blocks % panels.width)
    --panels.width;
  panels.count = blocks / panels.width;
  panels.perChunk = ceilDiv(panels.count, wantedChunks);
  // An even number of panels: tile registers take them in twos.
  if (panels.width % 2 && panels.count > 1)
    panels.perChunk = std::max<int64_t>(panels.perChunk / 2 * 2, 2);
  return panels;
}

GemmChunks getGemmChunks(const GemmShape &shape) {
  GemmPanels panels = getGemmPanels(shape);
  return {shape.rowsPerChunk, ceilDiv(panels.count, panels.perChunk)};
}

StringRef activationName(GemmActivation activation) {
  static const char *const names[] = {"none", "gelu", "gelu_tanh",
                                      "relu", "tanh", "i_gelu"};
  return names[int(activation)];
}

static std::string describe(const GemmShape &shape, const char *kind) {
  static const char *const storages[] = {"_u8", "_u16", "_f32"};
  std::string name = std::string("linear_") + kind + "_" +
                     std::to_string(shape.k) + "x" + std::to_string(shape.n);
  if (shape.activation != GemmActivation::None)
    name += "_" + activationName(shape.activation).str();
  name += storages[int(shape.out)];
  if (shape.fixed)
    name += shape.narrow ? "_fixed" : "_fixed_long";
  if (shape.weightBits != 8)
    name += "_w" + std::to_string(shape.weightBits);
  if (shape.hasZeros)
    name += "_zeros";
  int64_t lo = int64_t(shape.range.lo), hi = int64_t(shape.range.hi);
  if (shape.out != Storage::F32 &&
      (lo != 0 || hi != (shape.out == Storage::U8 ? 255 : 65535)))
    name += "_" + std::to_string(lo) + "to" + std::to_string(hi);
  Storage in = StringRef(kind) == "f32" ? Storage::F32 : Storage::U8;
  if (shape.xStride != spreadStride(shape.k, in) ||
      shape.outStride != spreadStride(shape.n, shape.out))
    name += "_stride" + std::to_string(shape.xStride) + "to" +
            std::to_string(shape.outStride);
  if (shape.rows == RowsOf::Sequences)
    name += "_sequences";
  if (shape.exact)
    name += "_exact";
  return name;
}

std::string getGemmName(const GemmShape &shape) {
  return describe(shape, "u8");
}
std::string getWideGemmName(const GemmShape &shape) {
  return describe(shape, "u16");
}
std::string getFloatGemmName(const GemmShape &asked) {
  GemmShape shape = asked;
  shape.out = Storage::F32;
  return describe(shape, "f32");
}

int64_t packedFloatGemmSize(int64_t n, int64_t k) {
  return ceilDiv(n, 16) * k * 16;
}

void packFloatGemmWeights(const float *w, int64_t n, int64_t k, float *packed) {
  std::memset(packed, 0, size_t(packedFloatGemmSize(n, k)) * sizeof(float));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j)
      packed[i / 16 * k * 16 + j * 16 + i % 16] = w[i * k + j];
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// The tiles of one column panel: those of whole rows, and then of 4 if four
/// rows less than a tile, or fewer, are left.
static void forEachRowTile(KernelBuilder &k, const GemmShape &shape,
                           const GemmStream &stream, int64_t width,
                           const PanelGroup &group, Value unpackedAt,
                           const GemmAhead &ahead,
                           function_ref<void(const GemmTile &)> body) {
  Value firstRow = group.firstRow, rows = group.rows;
  int64_t wholeTile = shape.smallTile ? kSmallRows : shape.tuning.rows;
  Value whole = k.div(k.add(rows, 3), k.index(wholeTile));
  Value wholeRows = k.mul(whole, wholeTile);
  Value hasTail = k.less(wholeRows, rows);
  // With tiles of 8 rows there is one at most.
  Value tails = k.select(hasTail, k.index(1), k.index(0));
  if (wholeTile > 8)
    tails =
        k.select(hasTail, k.div(k.add(k.sub(rows, wholeRows), 3), k.index(4)),
                 k.index(0));
  Value tiles = k.add(whole, tails);

  // The tiles share the next panel's lines; rounding up lets the last ones
  // run over, which a prefetch may.
  int64_t lines = width * stream.panelElements / stream.lineElements;
  Value perTile = k.div(k.add(k.sub(tiles, k.index(1)), lines), tiles);
  Value perStep =
      k.div(k.add(perTile, stream.steps - 1), k.index(stream.steps));
  if (shape.tuning.aheadRows)
    perStep = k.select(k.less(k.index(shape.tuning.aheadRows), rows), perStep,
                       k.index(0));
  Value elementsPerTile = k.mul(perStep, stream.steps * stream.lineElements);
  // Those of the next panel are there already, if it is unpacked now.
  int64_t before = width * (unpackedAt ? stream.ahead + 1 : stream.ahead);
  Value next = k.mul(k.add(group.panel, before), stream.panelElements);

  GemmTile tile;
  tile.width = width;
  tile.panel = group.panel;
  tile.rowCount = k.add(firstRow, rows);
  tile.prefetches = perStep;
  tile.unpackedAt = unpackedAt;
  auto share = [&](Value i) {
    if (unpackedAt && ahead.end)
      tile.ahead = shareAhead(k, stream, ahead, i, tiles);
  };
  k.loop(k.index(0), whole, 1, [&](Value i) {
    share(i);
    tile.rows = wholeTile;
    tile.row = k.add(firstRow, k.mul(i, wholeTile));
    tile.prefetchAt = k.add(next, k.mul(i, elementsPerTile));
    body(tile);
  });
  tile.rows = 4;
  if (wholeTile == 4)
    return;
  if (wholeTile == 8) {
    k.ifThen(hasTail, [&] {
      share(whole);
      tile.row = k.add(firstRow, wholeRows);
      tile.prefetchAt = k.add(next, k.mul(whole, elementsPerTile));
      body(tile);
    });
    return;
  }
  k.loop(k.index(0), tails, 1, [&](Value i) {
    Value number = k.add(whole, i);
    share(number);
    tile.row = k.add(firstRow, k.add(wholeRows, k.mul(i, 4)));
    tile.prefetchAt = k.add(next, k.mul(number, elementsPerTile));
    body(tile);
  });
}

void forEachPanelGroup(
    KernelBuilder &k, const GemmShape &shape, ArrayRef<Value> initial,
    function_ref<KernelBuilder::Values(const PanelGroup &, ArrayRef<Value>)>
        body) {
  assert(shape.rowsPerChunk % shape.tuning.rows == 0 &&
         "row blocks are whole tiles");
  using Values = KernelBuilder::Values;
  GemmPanels panels = getGemmPanels(shape);
  Value columns = k.index(getGemmChunks(shape).multiply), one = k.index(1);
  Value allRows = shape.rows == RowsOf::Tokens ? k.tokens() : k.sequences();
  auto firstOf = [&](Value chunk) {
    return k.mul(k.rem(chunk, columns), panels.perChunk);
  };
  auto chunkBody = [&](Value chunk, ArrayRef<Value> carried) {
    PanelGroup group;
    group.firstRow = k.mul(k.div(chunk, columns), shape.rowsPerChunk);
    group.rows =
        k.min(k.sub(allRows, group.firstRow), k.index(shape.rowsPerChunk));
    Value first = firstOf(chunk), nextChunk = k.add(chunk, one);
    Value last = k.min(k.add(first, panels.perChunk), k.index(panels.count));
    return k.loop(first, last, 1, carried, [&](Value i, ArrayRef<Value> now) {
      Value inChunk = k.less(k.add(i, one), last);
      group.panel = k.mul(i, panels.width);
      group.isFirst =
          k.equal(k.add(k.sub(chunk, k.begin()), k.sub(i, first)), k.index(0));
      group.hasNext = k.less(k.select(inChunk, chunk, nextChunk), k.end());
      group.next = k.mul(k.select(inChunk, k.add(i, one), firstOf(nextChunk)),
                         panels.width);
      return body(group, now);
    });
  };
  k.loop(k.begin(), k.end(), 1, Values(initial), chunkBody);
}

void forEachPanelGroup(KernelBuilder &k, const GemmShape &shape,
                       function_ref<void(const PanelGroup &)> body) {
  forEachPanelGroup(k, shape, {},
                    [&](const PanelGroup &group, ArrayRef<Value>) {
                      body(group);
                      return KernelBuilder::Values();
                    });
}

void forEachTile(KernelBuilder &k, const GemmShape &shape,
                 const GemmStream &stream,
                 function_ref<void(const GemmTile &)> body,
                 const GemmInputs *inputs) {
  int64_t width = getGemmPanels(shape).width;
  auto tiles = [&](const PanelGroup &group, Value at, const GemmAhead &ahead) {
    forEachRowTile(k, shape, stream, width, group, at, ahead, body);
  };
  bool unpacks = inputs && inputs->weightBits != 8 && !shape.exact;
  if (shape.smallTile)
    return forEachPanelGroup(k, shape, [&](const PanelGroup &group) {
      k.loop(k.index(0), k.index(width), 1, [&](Value i) {
        PanelGroup panel = group;
        panel.panel = k.add(group.panel, i);
        Value at;
        if (unpacks) {
          at = k.index(inputs->unpackedAt);
          unpackPanels(k, stream, /*width=*/1, *inputs, panel.panel, at);
        }
        forEachRowTile(k, shape, stream, /*width=*/1, panel, at, GemmAhead(),
                       body);
      });
    });
  if (unpacks)
    return forEachUnpackedGroup(k, shape, stream, *inputs, tiles);
  forEachPanelGroup(k, shape, [&](const PanelGroup &group) {
    tiles(group, Value(), GemmAhead());
  });
}

void addSmallVariant(
    ModuleOp module, StringRef name, const GemmShape &shape,
    function_ref<func::FuncOp(ModuleOp, StringRef, const GemmShape &)> build) {
  if (shape.smallTile)
    return;
  GemmShape small = shape;
  small.smallTile = true;
  tk::setVariant(build(module, (name + ".small").str(), small), name, "small");
}

void prefetchStep(KernelBuilder &k, const GemmStream &stream,
                  const GemmTile &tile, Value weights, Value step,
                  int64_t count) {
  if (!stream.ahead)
    return;
  Value at = k.add(tile.prefetchAt,
                   k.mul(k.mul(step, tile.prefetches), stream.lineElements));
  k.loop(k.index(0), k.mul(tile.prefetches, count), 1, [&](Value i) {
    Value line = k.add(at, k.mul(i, stream.lineElements));
    memref::PrefetchOp::create(k.op(), k.loc(), weights, ValueRange(line),
                               /*isWrite=*/false, localityOf(stream.aheadCache),
                               /*isDataCache=*/true);
  });
}

GemmStream wholeStream(const GemmShape &shape) {
  return {/*lineElements=*/64, packedGemmBytes(16, shape.k, shape.weightBits),
          ceilDiv(shape.k, 64) * 16 / kGemmUnroll,
          shape.smallTile ? 0 : shape.tuning.ahead, shape.tuning.aheadCache};
}

KernelBuilder::Values
multiplyTurns(KernelBuilder &k, const GemmStream &stream, const GemmTile &tile,
              const GemmInputs &inputs, Value start,
              const KernelBuilder::Values &sums, Value from, Value to,
              function_ref<void(Value)> more, int64_t together) {
  using Values = KernelBuilder::Values;
  int64_t unpackedPanel = stream.panelElements * 8 / inputs.weightBits;
  WeightReader reader =
      tile.unpackedAt
          ? WeightReader(k, k.scratch(), unpackedPanel, 8)
          : WeightReader(k, inputs.w, stream.panelElements, inputs.weightBits);
  Value panelStart = tile.unpackedAt ? tile.unpackedAt
                                     : k.mul(tile.panel, stream.panelElements);
  auto body = [&](Value first, ArrayRef<Value> carried) {
    prefetchStep(k, stream, tile, inputs.w, first, together);
    if (tile.ahead.end)
      unpackAhead(k, inputs, tile.ahead, first, together);
    for (int64_t i = 0; i < together; ++i)
      more(k.add(first, i));
    Values now(carried.begin(), carried.end());
    for (int64_t t = 0; t < together * kGemmUnroll; ++t) {
      Value turn = k.add(first, t / kGemmUnroll);
      Value weightsAt =
          k.add(panelStart, k.mul(turn, kGemmUnroll * reader.stepBytes()));
      Values weights = reader.read(weightsAt, t % kGemmUnroll, tile.width);
      Value four = k.add(k.mul(turn, kGemmUnroll), t % kGemmUnroll);
      Value at = k.add(start, k.mul(four, 4));
      for (int64_t i = 0; i < int64_t(now.size()) / tile.width; ++i) {
        Value a = k.broadcast4(inputs.x, k.add(at, i * inputs.xStride));
        for (int64_t j = 0; j < tile.width; ++j) {
          Value &sum = now[i * tile.width + j];
          sum = k.dot4(sum, a, weights[j]);
        }
      }
    }
    return now;
  };
  return k.loop(from, to, together, sums, body);
}

//===----------------------------------------------------------------------===//
// The end of a tile
//===----------------------------------------------------------------------===//

Value activate(KernelBuilder &k, GemmActivation activation, Value v) {
  switch (activation) {
  case GemmActivation::None:
    return v;
  case GemmActivation::Gelu:
    return k.gelu(v);
  case GemmActivation::GeluTanh:
    return k.geluTanh(v);
  case GemmActivation::Relu:
    return k.maxReal(v, k.zeros(k.vec(16, k.f32())));
  case GemmActivation::Tanh:
    return k.tanh(v);
  case GemmActivation::IGelu:
    break;
  }
  llvm_unreachable("i-GELU has no form in f32");
}

void storeBlock(KernelBuilder &k, const GemmShape &shape, const GemmTile &tile,
                int64_t row, int64_t block, Value v, Value y) {
  Value column = k.mul(tile.panel, 16);
  Value at = k.add(k.add(k.mul(k.add(tile.row, row), shape.outStride), column),
                   block * 16);
  if (!shape.exact) {
    if (shape.out == Storage::F32)
      k.storeVector(v, y, at);
    else
      k.storeCodes(v, y, at);
    return;
  }
  // Lanes at and beyond column n are not the kernel's to write.
  if (shape.out != Storage::F32)
    v = k.trunc(v, k.element(shape.out));
  Value inside = k.less(k.add(tile.row, row), tile.rowCount);
  Value start = k.add(column, block * 16);
  Value left = k.min(k.sub(k.index(shape.n), start), k.index(16));
  k.ifThen(inside, [&] { k.storeMasked(v, y, at, k.mask(left)); });
}

} // namespace quern
