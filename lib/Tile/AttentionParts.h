//===- AttentionParts.h - What both attention kernels share ---------------===//
//
// The walk over chunks, the place of a head's taps, and the transposition that
// packs keys.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_ATTENTIONPARTS_H
#define QUERN_LIB_TILE_ATTENTIONPARTS_H

#include "lib/Tile/Attention.h"

namespace quern {

/// One head of one sequence, as run-time values.
struct HeadChunk {
  mlir::Value head;
  /// First token and number of tokens of the sequence.
  mlir::Value first, length;
  /// First row of the queries and of the context, and how many there are.
  mlir::Value firstQuery, queries;
  /// Whether taps are on, and where this head's block begins in them.
  mlir::Value tapping, tapBase;
};

/// Runs `body` for each chunk of [begin, end).
void forEachHead(KernelBuilder &k, mlir::Value offsets,
                 const AttentionShape &shape,
                 llvm::function_ref<void(const HeadChunk &)> body);

/// Visits the blocks of 64 bytes of [0, length): body(offset, mask, carried).
/// The mask is null for whole blocks; a last partial block has one.
KernelBuilder::Values forEach64(KernelBuilder &k, mlir::Value length,
                                llvm::ArrayRef<mlir::Value> initial,
                                KernelBuilder::BlockBody body);

/// Of four rows of four blocks of four 32-bit lanes, the columns of the blocks:
/// block b of vector j holds column j of the block b of each row.
KernelBuilder::Values transposeQuads(KernelBuilder &k,
                                     llvm::ArrayRef<mlir::Value> rows);

/// The eight columns of 16 rows of eight 32-bit lanes. The rows come in pairs:
/// 0 and 4, 1 and 5 up to 3 and 7, and 8 and 12 up to 11 and 15.
KernelBuilder::Values transposeHalves(KernelBuilder &k,
                                      llvm::ArrayRef<mlir::Value> pairs);

/// The columns of 16 rows of 16 32-bit lanes.
KernelBuilder::Values transpose16(KernelBuilder &k,
                                  llvm::ArrayRef<mlir::Value> rows);

} // namespace quern

#endif // QUERN_LIB_TILE_ATTENTIONPARTS_H
