//===- GemmWide.cpp - The u16 x s8 kernel ---------------------------------===//
//
// Four rows of two planes each fill the same registers as eight rows of
// bytes, so the inner loop is that of the u8 kernel: each weight that is
// loaded serves eight dot products.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmWide.h"

#include "lib/Tile/GemmParts.h"

#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

namespace {

/// Steps of 4 k that one turn of the inner loop does; k is padded to 16 steps.
constexpr int64_t kUnroll = 4;

/// Rows of a register tile. Tiles of the walk have 8 or 4.
constexpr int64_t kRows = 4;

struct Operands {
  Value x, w, correction, multiplier, offset, post, y;
};

/// Where the tile lies whose epilogue is still to be done: its first element
/// of y and its first column.
struct Pending {
  Value at, column;
};

/// Emits register tiles. As in the u8 kernel, sums of a layer with an
/// activation wait in scratch memory, already as f32, and the first steps of
/// the next tile finish one vector of them each. What the first tile of a call
/// finishes is its own place, which is written again later.
class TileEmitter {
public:
  TileEmitter(KernelBuilder &k, const GemmShape &shape,
              const GemmStream &stream, const Operands &operands)
      : k(k), shape(shape), stream(stream), operands(operands),
        width(getGemmPanels(shape).width),
        late(getWideGemmScratchBytes(shape) != 0) {}

  /// To be called before the first tile.
  void start() {
    if (!late)
      return;
    Value columns = k.index(getGemmChunks(shape).multiply);
    GemmTile first;
    first.row = k.mul(k.div(k.begin(), columns), shape.rowsPerChunk);
    first.panel =
        k.mul(k.rem(k.begin(), columns), getGemmPanels(shape).perChunk * width);
    storePending(first);
  }

  /// To be called after the last tile.
  void end() {
    if (!late)
      return;
    k.ifThen(k.less(k.begin(), k.end()), [&] {
      Pending pending = loadPending();
      k.loop(k.index(0), k.index(kRows * width), 1,
             [&](Value i) { finishOne(pending, i); });
    });
  }

  void emit(const GemmTile &walked) {
    GemmTile tile = walked;
    tile.rows = kRows;
    for (int64_t first = 0; first < walked.rows; first += kRows) {
      tile.row = k.add(walked.row, first);
      emitFour(tile);
      // The first rows have prefetched all of the tile's share.
      tile.prefetches = k.index(0);
    }
  }

private:
  void emitFour(const GemmTile &tile) {
    Values sums = multiply(tile);
    if (late)
      return keep(tile, sums);
    for (int64_t j = 0; j < tile.width; ++j) {
      Value column = k.add(k.mul(tile.panel, 16), j * 16);
      Value multiplier = k.loadVector(operands.multiplier, column);
      Value offset = k.loadVector(operands.offset, column);
      Values group;
      for (int64_t i = 0; i < kRows; ++i)
        group.push_back(
            combine(sums[sumOf(tile, i, 0, j)], sums[sumOf(tile, i, 1, j)]));
      finish(group, multiplier, offset);
      for (int64_t i = 0; i < kRows; ++i)
        storeBlock(k, shape, tile, i, j, group[i], operands.y);
    }
  }

  static size_t sumOf(const GemmTile &tile, int64_t row, int64_t plane,
                      int64_t block) {
    return size_t((row * 2 + plane) * tile.width + block);
  }

  /// The sums of both planes after the whole of k.
  Values multiply(const GemmTile &tile) {
    int64_t columns = (shape.n + 15) / 16 * 16;
    Values first;
    for (int64_t plane = 0; plane < 2; ++plane)
      for (int64_t j = 0; j < tile.width; ++j)
        first.push_back(
            k.loadVector(operands.correction, k.add(k.mul(tile.panel, 16),
                                                    plane * columns + j * 16)));
    Values sums;
    for (int64_t i = 0; i < kRows; ++i)
      sums.append(first.begin(), first.end());
    int64_t shared = late ? kRows * width : 0;
    if (late) {
      Pending pending = loadPending();
      sums = multiplySteps(tile, sums, 0, shared,
                           [&](Value step) { finishOne(pending, step); });
    }
    return multiplySteps(tile, sums, shared, stream.steps, [](Value) {});
  }

  /// The steps [from, to) of the inner loop, each with `more`.
  Values multiplySteps(const GemmTile &tile, const Values &sums, int64_t from,
                       int64_t to, function_ref<void(Value)> more) {
    Value rowStart = k.mul(tile.row, 2 * shape.xStride);
    Value panelStart = k.mul(tile.panel, stream.panelElements);
    return k.loop(k.index(from), k.index(to), 1, sums,
                  [&](Value step, ArrayRef<Value> carried) {
                    prefetchStep(k, stream, tile, operands.w, step);
                    more(step);
                    Values now(carried.begin(), carried.end());
                    for (int64_t t = 0; t < kUnroll; ++t)
                      multiplyFour(tile, now, rowStart, panelStart,
                                   k.add(k.mul(step, kUnroll), t));
                    return now;
                  });
  }

  /// Puts the sums of a tile into scratch memory, column by column.
  void keep(const GemmTile &tile, const Values &sums) {
    for (int64_t j = 0; j < tile.width; ++j)
      for (int64_t i = 0; i < kRows; ++i)
        k.storeBytes(
            combine(sums[sumOf(tile, i, 0, j)], sums[sumOf(tile, i, 1, j)]),
            k.scratch(), k.index((j * kRows + i) * 64));
    storePending(tile);
  }

  void storePending(const GemmTile &tile) {
    Value column = k.mul(tile.panel, 16);
    Value at = k.add(k.mul(tile.row, shape.outStride), column);
    int64_t place = kRows * width * 64;
    for (Value v : {at, column}) {
      Value wide = arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), v);
      k.storeBytes(k.broadcast(wide, 1), k.scratch(), k.index(place));
      place += 8;
    }
  }

  Pending loadPending() {
    int64_t place = kRows * width * 64;
    auto load = [&](int64_t at) {
      return k.toIndex(
          k.lane(k.loadBytes(k.scratch(), k.index(at), 1, k.i64()), 0));
    };
    return {load(place), load(place + 8)};
  }

  /// Finishes vector `i` of the pending tile, in the order of keep().
  void finishOne(const Pending &pending, Value i) {
    Value row = k.rem(i, k.index(kRows));
    Value across = k.mul(k.div(i, k.index(kRows)), 16);
    Value column = k.add(pending.column, across);
    Values sum = {k.loadBytes(k.scratch(), k.mul(i, 64), 16, k.f32())};
    finish(sum, k.loadVector(operands.multiplier, column),
           k.loadVector(operands.offset, column));
    Value at = k.add(pending.at, k.add(k.mul(row, shape.outStride), across));
    k.storeCodes(sum[0], operands.y, at);
  }

  /// Adds the products of k in [4 * k4, 4 * k4 + 4).
  void multiplyFour(const GemmTile &tile, Values &sums, Value rowStart,
                    Value panelStart, Value k4) {
    Values weights;
    for (int64_t j = 0; j < tile.width; ++j) {
      Value at =
          k.add(k.add(panelStart, k.mul(k4, 64)), j * stream.panelElements);
      weights.push_back(k.loadVector(operands.w, at, 64));
    }
    Value start = k.add(rowStart, k.mul(k4, 4));
    for (int64_t plane = 0; plane < 2 * kRows; ++plane) {
      Value a = k.broadcast4(operands.x, k.add(start, plane * shape.xStride));
      for (int64_t j = 0; j < tile.width; ++j) {
        Value &sum = sums[size_t(plane * tile.width + j)];
        sum = k.dot4(sum, a, weights[j]);
      }
    }
  }

  /// f32(256 * high + low), rounded once. The sum does not fit 32 bits.
  Value combine(Value high, Value low) {
    VectorType wide = k.vec(16, k.i64());
    Value shifted = k.mul(k.sext(high, k.i64()), k.splat(wide, 256));
    return k.toFloat(k.add(shifted, k.sext(low, k.i64())), k.f32());
  }

  /// From f32 sums to what is stored, several in step.
  void finish(Values &values, Value multiplier, Value offset) {
    bool real = shape.out == Storage::F32;
    for (Value &v : values)
      v = k.mul(v, multiplier);
    for (Value &v : values)
      v = k.add(v, offset);
    if (shape.activation != GemmActivation::None) {
      for (Value &v : values)
        v = activate(k, shape.activation, v);
      if (!real) {
        Value scale = k.broadcast(k.load(operands.post, k.index(0)));
        Value zero = k.broadcast(k.load(operands.post, k.index(1)));
        for (Value &v : values)
          v = k.mul(v, scale);
        for (Value &v : values)
          v = k.add(v, zero);
      }
    }
    if (!real)
      for (Value &v : values)
        v = k.round(v, shape.range);
  }

  KernelBuilder &k;
  const GemmShape &shape;
  const GemmStream &stream;
  const Operands &operands;
  int64_t width;
  bool late;
};

} // namespace

int64_t getWideGemmScratchBytes(const GemmShape &shape) {
  // Cheap epilogues gain nothing; k must be long enough to hide a tile's.
  int64_t vectors = kRows * getGemmPanels(shape).width;
  int64_t steps = (shape.k + 63) / 64 * 16 / kUnroll;
  bool costly = shape.activation != GemmActivation::None &&
                shape.activation != GemmActivation::Relu;
  if (!costly || shape.exact || shape.out == Storage::F32 || steps < vectors)
    return 0;
  return vectors * 64 + 64;
}

func::FuncOp buildWideGemm(ModuleOp module, StringRef name,
                           const GemmShape &shape) {
  int64_t blocks = (shape.k + 63) / 64;
  assert(shape.xStride >= blocks * 64 && "rows are read in whole blocks");
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
  assert(shape.k <= kLargestWideK && "sums of a plane fit 32 bits");
  Builder b(module.getContext());
  bool post =
      shape.activation != GemmActivation::None && shape.out != Storage::F32;
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type(),
                                b.getF32Type(), b.getF32Type()};
  if (post)
    elements.push_back(b.getF32Type());
  elements.push_back(shape.out == Storage::U8    ? Type(b.getI8Type())
                     : shape.out == Storage::U16 ? Type(b.getI16Type())
                                                 : Type(b.getF32Type()));
  KernelBuilder k(module, name, elements);
  Operands operands;
  operands.x = k.buffer(0);
  operands.w = k.buffer(1);
  operands.correction = k.buffer(2);
  operands.multiplier = k.buffer(3);
  operands.offset = k.buffer(4);
  operands.post = post ? k.buffer(5) : Value();
  operands.y = k.buffer(post ? 6 : 5);
  GemmStream stream{/*lineElements=*/64, blocks * 1024, blocks * 16 / kUnroll};
  TileEmitter emitter(k, shape, stream, operands);
  emitter.start();
  forEachTile(k, shape, stream,
              [&](const GemmTile &tile) { emitter.emit(tile); });
  emitter.end();
  return k.finish();
}

func::FuncOp buildPlanes(ModuleOp module, StringRef name,
                         const PlanesShape &shape) {
  Builder b(module.getContext());
  KernelBuilder k(module, name, {b.getI16Type(), b.getI8Type()});
  VectorType codes = k.vec(16, k.i32());
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.inStride);
    Value to = k.mul(row, planesWidth(shape.d));
    k.blocks(shape.d, [&](Value i, Value) {
      Value x = k.loadCodes(k.buffer(0), k.add(from, i));
      Value at = k.add(to, i);
      k.storeCodes(k.shiftRight(x, k.splat(codes, 8)), k.buffer(1), at);
      k.storeCodes(k.bitAnd(x, k.splat(codes, 255)), k.buffer(1),
                   k.add(at, rowStride(shape.d)));
    });
  });
  return k.finish();
}

} // namespace quern
