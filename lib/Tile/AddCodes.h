//===- AddCodes.h - Kernels of residual sums --------------------*- C++ -*-===//
//
// A sum of two rows, to codes, that several ops read (tq.qadd). Sums with one
// reader, a LayerNorm, are in its kernel (AddNorm.h).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_ADDCODES_H
#define QUERN_LIB_TILE_ADDCODES_H

#include "lib/Tile/AddNorm.h"

namespace quern {

/// Buffers: a and b (codes or f32), ma, mb, mo (f32 vectors padded to a
/// multiple of 16), out (codes). Of the shape, out and outRange are those of
/// the sum.
mlir::func::FuncOp buildQAdd(mlir::ModuleOp module, llvm::StringRef name,
                             const AddNormShape &shape);

/// Buffers: a and b (codes), their constants (packFixed), out (codes).
mlir::func::FuncOp buildFixedAdd(mlir::ModuleOp module, llvm::StringRef name,
                                 const AddNormShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_ADDCODES_H
