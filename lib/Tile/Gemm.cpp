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

/// The operands of the kernel.
struct Operands {
  Value x, w, correction, multiplier, offset, post, y;
};

/// Emits one register tile.
class TileEmitter {
public:
  TileEmitter(KernelBuilder &k, const GemmShape &shape,
              const GemmStream &stream, const Operands &operands,
              const GemmTile &tile)
      : k(k), shape(shape), stream(stream), operands(operands), tile(tile) {}

  void emit() {
    Values sums = multiply();
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

private:
  /// All accumulators after the whole of k.
  Values multiply() {
    Values sums;
    Values first;
    for (int64_t j = 0; j < tile.width; ++j)
      first.push_back(k.loadVector(operands.correction,
                                   k.add(k.mul(tile.panel, 16), j * 16)));
    for (int64_t i = 0; i < tile.rows; ++i)
      sums.append(first.begin(), first.end());
    Value rowStart = k.mul(tile.row, shape.xStride);
    Value panelStart = k.mul(tile.panel, stream.panelElements);
    return k.loop(k.index(0), k.index(stream.steps), 1, sums,
                  [&](Value step, ArrayRef<Value> carried) {
                    prefetchStep(k, stream, tile, operands.w, step);
                    Values now(carried.begin(), carried.end());
                    for (int64_t t = 0; t < kUnroll; ++t)
                      multiplyFour(now, rowStart, panelStart,
                                   k.add(k.mul(step, kUnroll), t));
                    return now;
                  });
  }

  /// Adds the products of k in [4 * k4, 4 * k4 + 4).
  void multiplyFour(Values &sums, Value rowStart, Value panelStart, Value k4) {
    Values weights;
    for (int64_t j = 0; j < tile.width; ++j) {
      Value at =
          k.add(k.add(panelStart, k.mul(k4, 64)), j * stream.panelElements);
      weights.push_back(k.loadVector(operands.w, at, 64));
    }
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
  const GemmTile &tile;
};

} // namespace

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
  GemmStream stream{/*lineElements=*/64, blocks * 1024, blocks * 16 / kUnroll};
  forEachTile(k, shape, stream, [&](const GemmTile &tile) {
    TileEmitter(k, shape, stream, operands, tile).emit();
  });
  return k.finish();
}

} // namespace quern
