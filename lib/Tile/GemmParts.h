//===- GemmParts.h - What the GEMM kernels share --------------------------===//
//
// The walk over chunks, column panels and register tiles, the inner loop of the
// integer kernels, the prefetch of the next panel, and the store of a tile.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMPARTS_H
#define QUERN_LIB_TILE_GEMMPARTS_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// A share of the packed weights of the next tiles, which the turns of a tile
/// unpack; see GemmUnpack.h.
struct GemmAhead {
  /// The first byte of the packed weights, and of their place in scratch
  /// memory.
  mlir::Value from, to;
  /// The packed vectors [first, end), so many to a turn.
  mlir::Value first, end, perTurn;
};

/// One register tile of some rows times some panels of 16 columns. With 8 times
/// 3 there are 24 accumulators, 3 weights and one broadcast in the 32 registers
/// of AVX-512.
struct GemmTile {
  int64_t rows = 8, width = 3;
  /// First row and first 16-column panel.
  mlir::Value row, panel;
  /// Rows of the whole operand; what is beyond may not be stored if exact.
  mlir::Value rowCount;
  /// Where in scratch memory its weights lie as bytes; null if they are read
  /// as they are stored.
  mlir::Value unpackedAt;
  GemmAhead ahead;
  /// First element of the next columns' weights that this tile prefetches,
  /// and prefetches of one step.
  mlir::Value prefetchAt, prefetches;
};

/// Rows of a small tile.
constexpr int64_t kSmallRows = 4;
/// Scratch bytes of the epilogue of a small tile.
constexpr int64_t kSmallScratchBytes = kSmallRows * 64;

/// How the weights are laid out, for the prefetch.
struct GemmStream {
  /// Elements of a cache line and of one 16-column panel.
  int64_t lineElements = 64, panelElements = 0;
  /// Steps of the inner loop, each of which may prefetch.
  int64_t steps = 1;
  /// Groups of panels that the prefetch is ahead, or 0, and the cache that it
  /// fetches to.
  int64_t ahead = 1, aheadCache = 1;
};

/// The operands of the inner loop of integer kernels.
struct GemmInputs {
  /// Codes, and elements from one row to the next.
  mlir::Value x;
  int64_t xStride = 0;
  mlir::Value w;
  int64_t weightBits = 8;
  /// Byte of scratch memory at which there is room for unpacked weights.
  int64_t unpackedAt = 0;
};

/// Panels of 16 columns that are multiplied together, and rows of a chunk.
struct PanelGroup {
  mlir::Value firstRow, rows, panel;
  /// True for the first group of a call, and before the last one; the first
  /// panel of the group that follows.
  mlir::Value isFirst, hasNext, next;
};

/// Visits the groups of `getGemmPanels(shape).width` panels of all chunks of
/// [begin, end), with values carried around.
void forEachPanelGroup(KernelBuilder &k, const GemmShape &shape,
                       llvm::ArrayRef<mlir::Value> initial,
                       llvm::function_ref<KernelBuilder::Values(
                           const PanelGroup &, llvm::ArrayRef<mlir::Value>)>
                           body);

void forEachPanelGroup(KernelBuilder &k, const GemmShape &shape,
                       llvm::function_ref<void(const PanelGroup &)> body);

/// Visits the tiles of all chunks of [begin, end). Weights of few bits are
/// unpacked for many rows, and always for small tiles, if the kernel gives its
/// `inputs`.
void forEachTile(KernelBuilder &k, const GemmShape &shape,
                 const GemmStream &stream,
                 llvm::function_ref<void(const GemmTile &)> body,
                 const GemmInputs *inputs = nullptr);

/// Appends `NAME.small`, a variant of the kernel `name` of `shape` for tiers of
/// 16 vector registers: what `build` makes of the shape with smallTile.
void addSmallVariant(mlir::ModuleOp module, llvm::StringRef name,
                     const GemmShape &shape,
                     llvm::function_ref<mlir::func::FuncOp(
                         mlir::ModuleOp, llvm::StringRef, const GemmShape &)>
                         build);

/// Issues the prefetches of `count` inner steps from `step` on.
void prefetchStep(KernelBuilder &k, const GemmStream &stream,
                  const GemmTile &tile, mlir::Value weights, mlir::Value step,
                  int64_t count = 1);

/// Steps of four k that one turn of the inner loop does.
constexpr int64_t kGemmUnroll = 4;

/// What a prefetch to a cache says of how long the line is needed.
inline int64_t localityOf(int64_t cache) { return 4 - cache; }

/// How packGemmWeights lays out the weights of a product of all of k.
GemmStream wholeStream(const GemmShape &shape);

/// Adds to `sums` [rows][tile.width] the products of the turns [from, to), each
/// with `more`. Row i, turn t reads x from start + i * xStride + 16 * t on.
/// There are a multiple of `together` turns; so many form the body of the loop.
KernelBuilder::Values multiplyTurns(KernelBuilder &k, const GemmStream &stream,
                                    const GemmTile &tile,
                                    const GemmInputs &inputs, mlir::Value start,
                                    const KernelBuilder::Values &sums,
                                    mlir::Value from, mlir::Value to,
                                    llvm::function_ref<void(mlir::Value)> more,
                                    int64_t together = 1);

/// Applies the activation to 16 lanes.
mlir::Value activate(KernelBuilder &k, GemmActivation activation,
                     mlir::Value v);

/// Stores 16 reals (f32 result) or codes at row and column block of the tile,
/// masked where the shape is exact.
void storeBlock(KernelBuilder &k, const GemmShape &shape, const GemmTile &tile,
                int64_t row, int64_t block, mlir::Value v, mlir::Value y);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMPARTS_H
