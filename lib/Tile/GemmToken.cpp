//===- GemmToken.cpp - The linear layer of codes with ranges of tokens ----===//
//
// Register tiles of plain products. What belongs to a row comes in when a tile
// is summed; the shared epilogue does the rest.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmToken.h"

#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/TokenRows.h"

#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

std::string getTokenGemmName(const GemmShape &shape) {
  return "token_" + getGemmName(shape);
}

func::FuncOp buildTokenGemm(ModuleOp module, StringRef name,
                            const GemmShape &shape) {
  assert(shape.xStride == tokenRowStride(shape.k) && "rows end in a range");
  assert(shape.k <= kLargestTokenK && "sums fit i32");
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type()};
  addResultElements(b, shape, elements);
  KernelBuilder k(module, name, elements);
  GemmInputs inputs{k.buffer(0), shape.xStride, k.buffer(1), shape.weightBits};
  Value correction = k.buffer(2);
  GemmResult result = resultOperands(k, shape, 3);
  GemmEpilogue epilogue(k, shape, result, GemmSums::Scaled, shape.tuning.rows,
                        lateScratchBytes(shape, shape.tuning.rows) != 0);
  GemmStream stream = wholeStream(shape);
  epilogue.start();
  forEachTile(k, shape, stream, [&](const GemmTile &tile) {
    Value start = k.mul(tile.row, shape.xStride);
    Values none(tile.rows * tile.width, k.zeros(k.vec(16, k.i32())));
    Values sums = multiplyTile(k, stream, tile, inputs, start, none, epilogue);
    SmallVector<TokenRange> ranges;
    for (int64_t i = 0; i < tile.rows; ++i)
      ranges.push_back(loadTokenRange(
          k, inputs.x, k.add(start, i * shape.xStride), shape.k));
    Values corrections, multipliers;
    for (int64_t j = 0; j < tile.width; ++j) {
      Value column = k.add(k.mul(tile.panel, 16), j * 16);
      corrections.push_back(k.loadVector(correction, column));
      multipliers.push_back(k.loadVector(result.multiplier, column));
    }
    epilogue.finish(tile, [&](int64_t i, int64_t j) {
      Value acc = k.add(sums[i * tile.width + j],
                        k.mul(ranges[i].zero, corrections[j]));
      return k.mul(k.toFloat(acc, k.f32()),
                   k.mul(ranges[i].scale, multipliers[j]));
    });
  });
  epilogue.end();
  func::FuncOp kernel = k.finish();
  addSmallVariant(module, name, shape, buildTokenGemm);
  return kernel;
}

} // namespace quern
