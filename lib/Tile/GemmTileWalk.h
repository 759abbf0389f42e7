//===- GemmTileWalk.h - The way of tile registers over a GEMM ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What the GEMM kernels with tile registers share: blocks of 32 x 32 sums, the
// order in which they are visited, the prefetch of the weights that follow,
// and the place of the block whose epilogue waits.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMTILEWALK_H
#define QUERN_LIB_TILE_GEMMTILEWALK_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// Rows and columns of a tile of sums, and k of a step.
constexpr int64_t kTileSide = 16, kTileStep = 64;
/// Bytes of a tile.
constexpr int64_t kTileBytes = 1024;
/// Rows and columns of a block, and the bytes of its sums.
constexpr int64_t kTileBlock = 32;
constexpr int64_t kTileBlockBytes = kTileBlock * kTileBlock * 4;
/// Bytes of the place of the block that waits.
constexpr int64_t kTilePendingBytes = 64;

/// True if kernels of `shape` may have a form with tiles.
bool mayHaveTiles(const GemmShape &shape);

/// The sizes of a walk over weights of `steps` steps.
struct TileWalkSizes {
  TileWalkSizes(const GemmShape &shape, int64_t steps);

  int64_t steps;
  /// Bytes of a panel, as the products read it and as it is stored.
  int64_t panelBytes, storedBytes;
  /// 16-column panels of all columns, of a chunk and of the chunks whose
  /// columns are computed together, if a call has as many.
  int64_t panels, chunkPanels, groupPanels;
  /// Bytes of unpacked weights of a group; 0 where weights are bytes.
  int64_t unpackedBytes;
};

/// Emits the walk.
class TileWalk {
public:
  using Values = KernelBuilder::Values;

  /// Scratch memory holds the pending place at `pendingAt`, and at `unpackedAt`
  /// the weights of a group as bytes, if they are stored in fewer bits.
  TileWalk(KernelBuilder &k, const GemmShape &shape, int64_t steps,
           int64_t pendingAt, int64_t unpackedAt)
      : k(k), shape(shape), sizes(shape, steps), pendingAt(pendingAt),
        unpackedAt(unpackedAt) {}

  /// Rows of a chunk, and panels of one chunk or some: the first, and the one
  /// behind the last.
  struct Group {
    mlir::Value firstRow, rowBlocks, first, last;
  };
  /// A block: its first row, its first panel, where its sums lie in scratch
  /// memory, and the first byte of the next group's weights that its steps
  /// prefetch.
  struct Block {
    mlir::Value row, panel, slot, next;
  };
  /// What waits: the first element of y, the first column, and the sums.
  struct Pending {
    mlir::Value at, column, slot;
  };

  /// Visits the blocks of rows of all groups; `last` finishes the block that
  /// waits in the end. The first block finds one that waits at its own place,
  /// with its sums at `slot`.
  void run(mlir::Value slot,
           llvm::function_ref<void(const Group &, mlir::Value number)> rows,
           llvm::function_ref<void()> last);

  /// The block of the two panels from `panel` on; a last single panel is
  /// computed with the one before it.
  Block blockAt(const Group &group, mlir::Value number, mlir::Value panel,
                mlir::Value slot);

  void keep(const Block &block);
  Pending loadPending();

  /// The tile of weights that begins at byte `at` of panel `j` of a block,
  /// where a panel has bytes, whatever is stored.
  mlir::Value weights(const Group &group, const Block &block, int64_t j,
                      mlir::Value at);
  /// The share of a step in the prefetch.
  void prefetch(const Block &block, mlir::Value step);

private:
  int64_t stepBytes() const;
  void forEachGroup(llvm::function_ref<void(const Group &)> body);
  void unpack(const Group &group);
  void prefetchRest(const Group &group);
  void prefetchLine(mlir::Value at);
  mlir::Value firstUnpacked(mlir::Value firstPanel) {
    return k.min(firstPanel, k.index(sizes.panels - 2));
  }

  KernelBuilder &k;
  const GemmShape &shape;
  TileWalkSizes sizes;
  int64_t pendingAt, unpackedAt;
};

/// Appends `NAME.tiles`, a variant of the kernel `name` with these buffers.
/// `few` emits the products of few rows, which would leave most of a block
/// empty.
mlir::func::FuncOp
buildTileVariant(mlir::ModuleOp module, llvm::StringRef name,
                 const GemmShape &shape, llvm::ArrayRef<mlir::Type> elements,
                 llvm::function_ref<void(KernelBuilder &)> few,
                 llvm::function_ref<void(KernelBuilder &)> tiles);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMTILEWALK_H
