//===- GemmGroupTiles.h - Grouped codes by tile registers -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A second form of the kernel of linear layers of grouped codes for tiers with
// tile registers (AMX): the same operands, the same bytes.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMGROUPTILES_H
#define QUERN_LIB_TILE_GEMMGROUPTILES_H

#include "lib/Tile/GemmGroup.h"

namespace quern {

/// True if the kernel of `shape` has a form with tiles: not where most groups
/// would leave most of a tile empty.
bool hasGroupTiles(const GroupGemmShape &shape);

/// Scratch bytes that it needs; 0 if there is none.
int64_t getGroupTilesScratchBytes(const GroupGemmShape &shape);

/// Appends `NAME.tiles`, a variant of the kernel `name` that buildGroupGemm
/// makes with these buffers; `few` as in buildTileGemm.
mlir::func::FuncOp
buildGroupTiles(mlir::ModuleOp module, llvm::StringRef name,
                const GroupGemmShape &shape,
                llvm::ArrayRef<mlir::Type> elements,
                llvm::function_ref<void(KernelBuilder &)> few);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMGROUPTILES_H
