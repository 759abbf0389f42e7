//===- GemmLibrary.cpp - Linear layers by library products ----------------===//
//
// Blocks of rows: one call sums the products of a block and a group of panels
// into scratch memory, then the epilogue reads the sums tile by tile. A block
// is as large as a call may have rows, since a call widens its weights once for
// all of them.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmLibrary.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/GemmEpilogue.h"

using namespace mlir;

namespace quern {

/// Rows of a tile of the epilogue.
static constexpr int64_t kTileRows = 4;

int64_t getLibraryGemmScratchBytes(const GemmShape &shape) {
  return shape.tuning.libraryRows * getGemmPanels(shape).width * 64;
}

func::FuncOp buildLibraryGemm(ModuleOp module, StringRef name,
                              const GemmShape &shape) {
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type()};
  addResultElements(b, shape, elements);
  KernelBuilder k(module, (name + ".library").str(), elements);
  GemmResult result = resultOperands(k, shape, 3);
  GemmEpilogue epilogue(k, shape, result, GemmSums::Integer, kTileRows,
                        /*late=*/false);
  GemmStream stream = wholeStream(shape);
  int64_t width = getGemmPanels(shape).width;
  forEachPanelGroup(k, shape, [&](const PanelGroup &group) {
    Value firstRow = group.firstRow, rows = group.rows, panel = group.panel;
    Value limit = k.add(firstRow, rows);
    int64_t most = shape.tuning.libraryRows;
    k.loop(firstRow, limit, most, [&](Value row) {
      Value count = k.min(k.sub(limit, row), k.index(most));
      k.product({k.buffer(0), k.mul(row, shape.xStride), shape.xStride},
                {k.buffer(1), k.mul(panel, stream.panelElements),
                 stream.panelElements},
                shape.weightBits, stream.steps * kGemmUnroll, width, count,
                k.scratch(), k.index(0));
      GemmTile tile;
      tile.rowCount = limit;
      k.loop(k.index(0), k.index(width), 1, [&](Value j) {
        tile.panel = k.add(panel, j);
        Value column = k.mul(tile.panel, 16);
        Value correction = k.loadVector(k.buffer(2), column);
        GemmEpilogue::Constants constants = epilogue.constantsAt(column);
        k.loop(k.index(0), count, kTileRows, [&](Value first) {
          tile.row = k.add(row, first);
          KernelBuilder::Values values;
          for (int64_t i = 0; i < kTileRows; ++i) {
            Value vector = k.add(k.mul(k.add(first, i), width), j);
            Value at = k.mul(vector, 64);
            values.push_back(
                k.add(k.loadBytes(k.scratch(), at, 16, k.i32()), correction));
          }
          epilogue.convert(values, constants);
          for (int64_t i = 0; i < kTileRows; ++i)
            storeBlock(k, shape, tile, i, 0, values[i], result.y);
        });
      });
    });
  });
  func::FuncOp variant = k.finish();
  tk::setVariant(variant, name, "library");
  return variant;
}

} // namespace quern
