//===- Gemm.cpp - The u8 x s8 kernel --------------------------------------===//
//
// Accumulators start from the layer's correction (zero point times column
// sums), so that the epilogue is a conversion, a product and a sum.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"

#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/GemmLibrary.h"
#include "lib/Tile/GemmRowSums.h"
#include "lib/Tile/GemmTiles.h"
#include "lib/Tile/GemmUnpack.h"

#include <algorithm>
#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

int64_t getGemmScratchBytes(const GemmShape &shape) {
  return std::max(
      {std::max(lateScratchBytes(shape, shape.tuning.rows),
                kSmallScratchBytes) +
           unpackedBytes(shape, wholeStream(shape)),
       hasLibraryGemm(shape) ? getLibraryGemmScratchBytes(shape) : 0,
       getTileGemmScratchBytes(shape)});
}

/// Products by dot4.
static void emitGemm(KernelBuilder &k, const GemmShape &shape) {
  int64_t rows = shape.tuning.rows;
  GemmInputs inputs{k.buffer(0), shape.xStride, k.buffer(1), shape.weightBits,
                    /*unpackedAt=*/shape.smallTile
                        ? kSmallScratchBytes
                        : lateScratchBytes(shape, rows)};
  Value correction = k.buffer(2);
  GemmEpilogue epilogue(
      k, shape, resultOperands(k, shape, shape.hasZeros ? 4 : 3),
      GemmSums::Integer, rows, lateScratchBytes(shape, rows) != 0);
  GemmStream stream = wholeStream(shape);
  epilogue.start();
  auto emit = [&](const GemmTile &tile) {
    Value start = k.mul(tile.row, shape.xStride);
    Values rowSums, sums;
    if (shape.hasZeros)
      rowSums = sumRows(k, inputs, start, tile.rows, shape.k);
    for (int64_t i = 0; i < tile.rows; ++i)
      for (int64_t j = 0; j < tile.width; ++j)
        sums.push_back(
            i ? sums[j]
              : k.loadVector(correction, k.add(k.mul(tile.panel, 16), j * 16)));
    for (int64_t j = 0; j < tile.width && shape.hasZeros; ++j) {
      Value zeros =
          k.loadVector(k.buffer(3), k.add(k.mul(tile.panel, 16), j * 16));
      for (int64_t i = 0; i < tile.rows; ++i) {
        Value &sum = sums[i * tile.width + j];
        sum = k.sub(sum, k.mul(zeros, rowSums[i]));
      }
    }
    sums = multiplyTile(k, stream, tile, inputs, start, sums, epilogue);
    epilogue.finish(tile, [&](int64_t row, int64_t panel) {
      return sums[row * tile.width + panel];
    });
  };
  forEachTile(k, shape, stream, emit, &inputs);
  epilogue.end();
}

func::FuncOp buildGemm(ModuleOp module, StringRef name,
                       const GemmShape &shape) {
  assert(shape.xStride >= rowStride(shape.k) &&
         "rows are read in whole blocks");
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type()};
  if (shape.hasZeros)
    elements.push_back(b.getI32Type());
  addResultElements(b, shape, elements);
  KernelBuilder k(module, name, elements);
  emitGemm(k, shape);
  func::FuncOp kernel = k.finish();
  if (shape.smallTile)
    return kernel;
  addSmallVariant(module, name, shape, buildGemm);
  if (hasLibraryGemm(shape))
    buildLibraryGemm(module, name, shape);
  if (hasTileGemm(shape))
    buildTileGemm(module, name, shape,
                  [&](KernelBuilder &few) { emitGemm(few, shape); });
  return kernel;
}

} // namespace quern
