//===- Gemm.cpp - The u8 x s8 kernel --------------------------------------===//
//
// Accumulators start from the layer's correction (zero point times column
// sums), so that the epilogue is a conversion, a product and a sum.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"
#include "lib/Tile/GemmParts.h"

#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

namespace {

/// Steps of 4 k that one turn of the inner loop does; k is padded to 16 steps.
constexpr int64_t kUnroll = 4;

/// Rows whose epilogues run in step; divides the rows of a tile.
constexpr int64_t kInStep = 4;

/// Rows of a whole tile.
constexpr int64_t kTileRows = 8;

/// The operands of the kernel.
struct Operands {
  Value x, w, correction, multiplier, offset, post, y;
};

/// Where the tile lies whose epilogue is still to be done: its first element
/// of y and its first column.
struct Pending {
  Value at, column;
};

/// Emits register tiles.
///
/// A long epilogue would leave the dot-product units idle, and these leave the
/// adders idle. So with an activation the sums of a tile wait in scratch
/// memory, and each of the first steps of the next tile finishes one vector of
/// them. The first tile of a call finds no sums there: what it finishes is its
/// own place, which is written again later.
class TileEmitter {
public:
  TileEmitter(KernelBuilder &k, const GemmShape &shape,
              const GemmStream &stream, const Operands &operands)
      : k(k), shape(shape), stream(stream), operands(operands),
        width(getGemmPanels(shape).width) {
    late = getGemmScratchBytes(shape) != 0;
  }

  /// To be called before the first tile.
  void start() {
    if (!late)
      return;
    GemmChunks chunks = getGemmChunks(shape);
    GemmPanels panels = getGemmPanels(shape);
    Value columns = k.index(chunks.multiply);
    GemmTile first;
    first.row = k.mul(k.div(k.begin(), columns), shape.rowsPerChunk);
    first.panel =
        k.mul(k.rem(k.begin(), columns), panels.perChunk * panels.width);
    storePending(first);
  }

  void emit(const GemmTile &tile) {
    Values sums = multiply(tile);
    if (late)
      return keep(tile, sums);
    for (int64_t j = 0; j < tile.width; ++j) {
      Value column = k.add(k.mul(tile.panel, 16), j * 16);
      Value multiplier = k.loadVector(operands.multiplier, column);
      Value offset = k.loadVector(operands.offset, column);
      for (int64_t i = 0; i < tile.rows; i += kInStep) {
        Values group;
        for (int64_t r = 0; r < kInStep; ++r)
          group.push_back(sums[(i + r) * tile.width + j]);
        finish(group, multiplier, offset);
        for (int64_t r = 0; r < kInStep; ++r)
          storeBlock(k, shape, tile, i + r, j, group[r], operands.y);
      }
    }
  }

  /// To be called after the last tile.
  void end() {
    if (!late)
      return;
    k.ifThen(k.less(k.begin(), k.end()), [&] {
      Pending pending = loadPending();
      k.loop(k.index(0), k.index(kTileRows * width), 1,
             [&](Value i) { finishOne(pending, i); });
    });
  }

private:
  /// All accumulators after the whole of k.
  Values multiply(const GemmTile &tile) {
    Values sums;
    Values first;
    for (int64_t j = 0; j < tile.width; ++j)
      first.push_back(k.loadVector(operands.correction,
                                   k.add(k.mul(tile.panel, 16), j * 16)));
    for (int64_t i = 0; i < tile.rows; ++i)
      sums.append(first.begin(), first.end());
    int64_t shared = late ? kTileRows * width : 0;
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
    WeightReader reader(k, operands.w, stream.panelElements, shape.weightBits);
    Value rowStart = k.mul(tile.row, shape.xStride);
    Value panelStart = k.mul(tile.panel, stream.panelElements);
    return k.loop(
        k.index(from), k.index(to), 1, sums,
        [&](Value step, ArrayRef<Value> carried) {
          prefetchStep(k, stream, tile, operands.w, step);
          more(step);
          Values now(carried.begin(), carried.end());
          Value start =
              k.add(panelStart, k.mul(step, kUnroll * reader.stepBytes()));
          for (int64_t t = 0; t < kUnroll; ++t)
            multiplyFour(tile, now, rowStart, reader.read(start, t, tile.width),
                         k.add(k.mul(step, kUnroll), t));
          return now;
        });
  }

  /// Puts the sums of a tile into scratch memory, column by column.
  void keep(const GemmTile &tile, const Values &sums) {
    for (int64_t j = 0; j < tile.width; ++j)
      for (int64_t i = 0; i < tile.rows; ++i)
        k.storeBytes(sums[i * tile.width + j], k.scratch(),
                     k.index((j * kTileRows + i) * 64));
    storePending(tile);
  }

  void storePending(const GemmTile &tile) {
    Value column = k.mul(tile.panel, 16);
    Value at = k.add(k.mul(tile.row, shape.outStride), column);
    int64_t place = kTileRows * width * 64;
    k.storeBytes(k.broadcast(toI64(at), 1), k.scratch(), k.index(place));
    k.storeBytes(k.broadcast(toI64(column), 1), k.scratch(),
                 k.index(place + 8));
  }

  Value toI64(Value v) {
    return arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), v);
  }

  Pending loadPending() {
    int64_t place = kTileRows * width * 64;
    auto load = [&](int64_t at) {
      return k.toIndex(
          k.lane(k.loadBytes(k.scratch(), k.index(at), 1, k.i64()), 0));
    };
    return {load(place), load(place + 8)};
  }

  /// Finishes vector `i` of the pending tile, in the order of keep().
  void finishOne(const Pending &pending, Value i) {
    Value row = k.rem(i, k.index(kTileRows));
    Value across = k.mul(k.div(i, k.index(kTileRows)), 16);
    Value column = k.add(pending.column, across);
    Values sum = {k.loadBytes(k.scratch(), k.mul(i, 64), 16, k.i32())};
    finish(sum, k.loadVector(operands.multiplier, column),
           k.loadVector(operands.offset, column));
    Value at = k.add(pending.at, k.add(k.mul(row, shape.outStride), across));
    k.storeCodes(sum[0], operands.y, at);
  }

  /// Adds the products of k in [4 * k4, 4 * k4 + 4).
  void multiplyFour(const GemmTile &tile, Values &sums, Value rowStart,
                    const Values &weights, Value k4) {
    for (int64_t i = 0; i < tile.rows; ++i) {
      Value at = k.add(k.add(rowStart, k.mul(k4, 4)), i * shape.xStride);
      Value a = k.broadcast4(operands.x, at);
      for (int64_t j = 0; j < tile.width; ++j) {
        Value &sum = sums[i * tile.width + j];
        sum = k.dot4(sum, a, weights[j]);
      }
    }
  }

  /// From accumulators to what is stored, several in step: each is a long
  /// chain of operations.
  void finish(Values &values, Value multiplier, Value offset) {
    bool real = shape.out == Storage::F32;
    if (shape.activation == GemmActivation::None && !real) {
      for (Value &v : values)
        v = k.requant(v, multiplier, offset, shape.range);
      return;
    }
    for (Value &v : values)
      v = k.toFloat(v, k.f32());
    for (Value &v : values)
      v = k.mul(v, multiplier);
    for (Value &v : values)
      v = k.add(v, offset);
    for (Value &v : values)
      v = activate(k, shape.activation, v);
    if (real)
      return;
    Value scale = k.broadcast(k.load(operands.post, k.index(0)));
    Value zero = k.broadcast(k.load(operands.post, k.index(1)));
    for (Value &v : values)
      v = k.mul(v, scale);
    for (Value &v : values)
      v = k.add(v, zero);
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

int64_t getGemmScratchBytes(const GemmShape &shape) {
  // Cheap epilogues gain nothing; k must be long enough to hide a tile's.
  int64_t vectors = kTileRows * getGemmPanels(shape).width;
  int64_t steps = (shape.k + 63) / 64 * 16 / kUnroll;
  bool costly = shape.activation != GemmActivation::None &&
                shape.activation != GemmActivation::Relu;
  if (!costly || shape.exact || shape.out == Storage::F32 || steps < vectors)
    return 0;
  return vectors * 64 + 64;
}

func::FuncOp buildGemm(ModuleOp module, StringRef name,
                       const GemmShape &shape) {
  int64_t blocks = (shape.k + 63) / 64;
  assert(shape.xStride >= blocks * 64 && "rows are read in whole blocks");
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
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
  GemmStream stream{/*lineElements=*/64, blocks * 128 * shape.weightBits,
                    blocks * 16 / kUnroll};
  TileEmitter emitter(k, shape, stream, operands);
  emitter.start();
  forEachTile(k, shape, stream,
              [&](const GemmTile &tile) { emitter.emit(tile); });
  emitter.end();
  return k.finish();
}

} // namespace quern
