//===- GemmF32.cpp - The f32 kernel of a linear layer ---------------------===//
//
// Each product and each sum is rounded on its own and k ascends, so that the
// result does not depend on the machine's vectors or on fused instructions.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"
#include "lib/Tile/GemmParts.h"

#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Steps of k that one turn of the inner loop does.
static int64_t getUnroll(int64_t k) { return k % 4 == 0 ? 4 : k % 2 ? 1 : 2; }

/// All sums of a tile.
static Values multiply(KernelBuilder &k, const GemmShape &shape,
                       const GemmStream &stream, const GemmTile &tile) {
  Value x = k.buffer(0), w = k.buffer(1);
  int64_t unroll = getUnroll(shape.k);
  Values zeros(tile.rows * tile.width, k.zeros(k.vec(16, k.f32())));
  Value rowStart = k.mul(tile.row, shape.xStride);
  Value panelStart = k.mul(tile.panel, stream.panelElements);
  return k.loop(k.index(0), k.index(stream.steps), 1, zeros,
                [&](Value step, ArrayRef<Value> carried) {
                  prefetchStep(k, stream, tile, w, step);
                  Values sums(carried.begin(), carried.end());
                  for (int64_t t = 0; t < unroll; ++t) {
                    Value at = k.add(k.mul(step, unroll), t);
                    Value line = k.add(panelStart, k.mul(at, 16));
                    Values weights;
                    for (int64_t j = 0; j < tile.width; ++j)
                      weights.push_back(k.loadVector(
                          w, k.add(line, j * stream.panelElements)));
                    for (int64_t i = 0; i < tile.rows; ++i) {
                      Value element =
                          k.add(k.add(rowStart, at), i * shape.xStride);
                      Value a = k.broadcast(k.load(x, element));
                      for (int64_t j = 0; j < tile.width; ++j) {
                        Value &sum = sums[i * tile.width + j];
                        sum = k.add(sum, k.mul(a, weights[j]));
                      }
                    }
                  }
                  return sums;
                });
}

func::FuncOp buildFloatGemm(ModuleOp module, StringRef name,
                            const GemmShape &asked) {
  GemmShape shape = asked;
  shape.out = Storage::F32;
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
  Type f32 = Float32Type::get(module.getContext());
  KernelBuilder k(module, name, {f32, f32, f32, f32});
  GemmStream stream{/*lineElements=*/16, shape.k * 16,
                    shape.k / getUnroll(shape.k)};
  forEachTile(k, shape, stream, [&](const GemmTile &tile) {
    Values sums = multiply(k, shape, stream, tile);
    for (int64_t j = 0; j < tile.width; ++j) {
      Value bias =
          k.loadVector(k.buffer(2), k.add(k.mul(tile.panel, 16), j * 16));
      for (int64_t i = 0; i < tile.rows; ++i) {
        Value v = k.add(sums[i * tile.width + j], bias);
        storeBlock(k, shape, tile, i, j, activate(k, shape.activation, v),
                   k.buffer(3));
      }
    }
  });
  return k.finish();
}

} // namespace quern
