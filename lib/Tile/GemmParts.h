//===- GemmParts.h - What both GEMM kernels share -------------------------===//
//
// The walk over chunks, column panels and register tiles, the prefetch of the
// next panel, and the end of a tile.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMPARTS_H
#define QUERN_LIB_TILE_GEMMPARTS_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// One register tile: up to 8 rows times up to 3 panels of 16 columns. With 8
/// times 3 there are 24 accumulators, 3 weights and one broadcast in the 32
/// registers of AVX-512.
struct GemmTile {
  int64_t rows = 8, width = 3;
  /// First row and first 16-column panel.
  mlir::Value row, panel;
  /// Rows of the whole operand; what is beyond may not be stored if exact.
  mlir::Value rowCount;
  /// First element of the next columns' weights that this tile prefetches,
  /// and prefetches of one step.
  mlir::Value prefetchAt, prefetches;
};

/// How the weights are laid out, for the prefetch.
struct GemmStream {
  /// Elements of a cache line and of one 16-column panel.
  int64_t lineElements = 64, panelElements = 0;
  /// Steps of the inner loop, each of which may prefetch.
  int64_t steps = 1;
};

/// Visits the tiles of all chunks of [begin, end).
void forEachTile(KernelBuilder &k, const GemmShape &shape,
                 const GemmStream &stream,
                 llvm::function_ref<void(const GemmTile &)> body);

/// Issues the prefetches of inner step `step`.
void prefetchStep(KernelBuilder &k, const GemmStream &stream,
                  const GemmTile &tile, mlir::Value weights, mlir::Value step);

/// Applies the activation to 16 lanes.
mlir::Value activate(KernelBuilder &k, GemmActivation activation,
                     mlir::Value v);

/// Stores 16 reals (f32 result) or codes at row and column block of the tile,
/// masked where the shape is exact.
void storeBlock(KernelBuilder &k, const GemmShape &shape, const GemmTile &tile,
                int64_t row, int64_t block, mlir::Value v, mlir::Value y);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMPARTS_H
