//===- GemmTiles.h - Linear layers by tile registers ------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A second form of the integer GEMM kernel for tiers with tile registers (AMX):
// the same operands, the same bytes.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMTILES_H
#define QUERN_LIB_TILE_GEMMTILES_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// True if the kernel of `shape` has a form with tiles.
bool hasTileGemm(const GemmShape &shape);

/// Scratch bytes that it needs; 0 if there is none. `planes` of bytes make a
/// code of x: 1, or 2 for the kernel of buildWideGemm.
int64_t getTileGemmScratchBytes(const GemmShape &shape, int64_t planes = 1);

/// Appends `NAME.tiles`, a variant of the kernel `name` that buildGemm makes,
/// or buildWideGemm with 2 planes. Rows are read and written in blocks of 32.
/// `few` emits the products of few rows, which would leave most of a block
/// empty.
mlir::func::FuncOp buildTileGemm(mlir::ModuleOp module, llvm::StringRef name,
                                 const GemmShape &shape,
                                 llvm::function_ref<void(KernelBuilder &)> few,
                                 int64_t planes = 1);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMTILES_H
