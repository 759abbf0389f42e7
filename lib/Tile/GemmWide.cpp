//===- GemmWide.cpp - The u16 x s8 kernel ---------------------------------===//
//
// Four rows (kPlaneRows) of two planes each fill the same registers as eight
// rows of bytes, so the inner loop is that of the u8 kernel: each weight that
// is loaded serves eight dot products.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmWide.h"

#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/GemmTiles.h"

#include <algorithm>
#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

Value combinePlanes(KernelBuilder &k, Value high, Value low) {
  // The sum does not fit 32 bits.
  VectorType wide = k.vec(16, k.i64());
  Value shifted = k.mul(k.sext(high, k.i64()), k.splat(wide, 256));
  return k.toFloat(k.add(shifted, k.sext(low, k.i64())), k.f32());
}

int64_t getWideGemmScratchBytes(const GemmShape &shape) {
  return std::max({lateScratchBytes(shape, kPlaneRows), kSmallScratchBytes,
                   getTileGemmScratchBytes(shape, /*planes=*/2)});
}

/// Products by dot4.
static void emitWideGemm(KernelBuilder &k, const GemmShape &shape) {
  int64_t columns = (shape.n + 15) / 16 * 16;
  GemmInputs inputs{k.buffer(0), shape.xStride, k.buffer(1), shape.weightBits};
  Value correction = k.buffer(2);
  GemmEpilogue epilogue(k, shape, resultOperands(k, shape, 3), GemmSums::Real,
                        kPlaneRows, lateScratchBytes(shape, kPlaneRows) != 0);
  GemmStream stream = wholeStream(shape);
  epilogue.start();
  forEachTile(k, shape, stream, [&](const GemmTile &walked) {
    GemmTile tile = walked;
    tile.rows = kPlaneRows;
    for (int64_t first = 0; first < walked.rows; first += kPlaneRows) {
      tile.row = k.add(walked.row, first);
      int64_t pair = 2 * tile.width;
      Values sums;
      for (int64_t i = 0; i < kPlaneRows * pair; ++i)
        sums.push_back(
            i >= pair
                ? sums[i - pair]
                : k.loadVector(correction, k.add(k.mul(tile.panel, 16),
                                                 i / tile.width * columns +
                                                     i % tile.width * 16)));
      sums = multiplyTile(k, stream, tile, inputs,
                          k.mul(tile.row, 2 * shape.xStride), sums, epilogue);
      epilogue.finish(tile, [&](int64_t row, int64_t panel) {
        int64_t at = row * pair + panel;
        return combinePlanes(k, sums[at], sums[at + tile.width]);
      });
      // The first rows have prefetched all of the tile's share.
      tile.prefetches = k.index(0);
    }
  });
  epilogue.end();
}

func::FuncOp buildWideGemm(ModuleOp module, StringRef name,
                           const GemmShape &shape) {
  assert(shape.xStride >= rowStride(shape.k) &&
         "rows are read in whole blocks");
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
  assert(shape.k <= kLargestWideK && "sums of a plane fit 32 bits");
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type()};
  addResultElements(b, shape, elements);
  KernelBuilder k(module, name, elements);
  emitWideGemm(k, shape);
  func::FuncOp kernel = k.finish();
  if (shape.smallTile)
    return kernel;
  addSmallVariant(module, name, shape, buildWideGemm);
  if (hasTileGemm(shape))
    buildTileGemm(
        module, name, shape,
        [&](KernelBuilder &few) { emitWideGemm(few, shape); }, /*planes=*/2);
  return kernel;
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
                   k.add(at, planeStride(shape.d)));
    });
  });
  return k.finish();
}

} // namespace quern
