//===- GemmLibrary.h - Linear layers by library products ------------------===//
//
// The u8 x s8 kernel for tiers whose products come from a library made ahead of
// time (runtime/kernels/halide): a variant of the kernel that buildGemm makes
// of micro-ops, with the same bytes.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMLIBRARY_H
#define QUERN_LIB_TILE_GEMMLIBRARY_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// True if the kernel of `shape` has the variant. Without it, tiers with a
/// library lower the micro-ops, to the same bytes.
inline bool hasLibraryGemm(const GemmShape &shape) {
  return !shape.hasZeros && shape.tuning.library;
}

/// Scratch bytes of the variant: the sums of a block of rows.
int64_t getLibraryGemmScratchBytes(const GemmShape &shape);

/// Appends `NAME.library`, a variant of the kernel `name` of buildGemm, with
/// the same buffers.
mlir::func::FuncOp buildLibraryGemm(mlir::ModuleOp module, llvm::StringRef name,
                                    const GemmShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMLIBRARY_H
