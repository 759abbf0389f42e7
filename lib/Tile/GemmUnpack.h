//===- GemmUnpack.h - Weights of few bits as bytes --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Where many rows share weights of few bits, they become bytes in scratch
// memory once. The inner loop of the tiles does that for the columns that
// follow, a little in each turn: stores and waits for memory hide behind the
// dot products.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMUNPACK_H
#define QUERN_LIB_TILE_GEMMUNPACK_H

#include "lib/Tile/GemmParts.h"

namespace quern {

/// Bytes of scratch memory that the unpacked weights of two tiles take; 0 where
/// weights are bytes.
int64_t unpackedBytes(const GemmShape &shape, const GemmStream &stream);

/// Emits the unpacking of `width` panels from `panel` on to scratch memory from
/// byte `to` on, where a panel has stream.panelElements * 8 / weightBits bytes.
void unpackPanels(KernelBuilder &k, const GemmStream &stream, int64_t width,
                  const GemmInputs &inputs, mlir::Value panel, mlir::Value to);

/// Visits panels as forEachPanelGroup does, and unpacks those that many rows
/// share. `body` gets where they lie, which is null if they are left packed,
/// and what the tiles are to unpack meanwhile, to be cut by shareAhead.
void forEachUnpackedGroup(
    KernelBuilder &k, const GemmShape &shape, const GemmStream &stream,
    const GemmInputs &inputs,
    llvm::function_ref<void(const PanelGroup &, mlir::Value, const GemmAhead &)>
        body);

/// The share of tile `i` of `tiles`.
GemmAhead shareAhead(KernelBuilder &k, const GemmStream &stream,
                     const GemmAhead &all, mlir::Value i, mlir::Value tiles);

/// Emits what `count` turns from `turn` on do of a share.
void unpackAhead(KernelBuilder &k, const GemmInputs &inputs,
                 const GemmAhead &share, mlir::Value turn, int64_t count);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMUNPACK_H
