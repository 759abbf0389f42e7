//===- Pool.h - One row per sequence --------------------------------------===//
//
// Pooling of codes (tq.qpool) and of floats (tq.pool). A chunk is a sequence:
// chunks(base = sequences).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_POOL_H
#define QUERN_LIB_TILE_POOL_H

#include "lib/Tile/KernelBuilder.h"

namespace quern {

/// What of a pooling is fixed when the kernel is built. Strides count
/// elements.
struct PoolShape {
  int64_t d = 0;
  int64_t inStride = 0, outStride = 0;
  /// F32 for tq.pool, the width of the codes for tq.qpool.
  Storage in = Storage::U8;
  /// The mean of the rows instead of the first row.
  bool mean = false;
  /// A real offset of the codes is added to their mean.
  bool offset = false;
};

/// Buffers: x, offsets i32 [sequences + 1], params f32 [2] (scale and zero
/// point of the codes; not read for F32; with an offset that too), out. The
/// first row keeps its codes, the mean is f32. A sequence of no tokens gives
/// the zero point, or 0.
mlir::func::FuncOp buildPool(mlir::ModuleOp module, llvm::StringRef name,
                             const PoolShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_POOL_H
