//===- AttentionStages.h - Parts of integer attention, to be timed --------===//
//
// What row-kernels times: one part of the kernel of tq.qattention alone, built
// by the code that builds the kernel.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_ATTENTIONSTAGES_H
#define QUERN_LIB_TILE_ATTENTIONSTAGES_H

#include "lib/Tile/Attention.h"

namespace quern {

enum class AttentionStage {
  /// Rows of score codes, at the columns of q, to codes of probabilities, and
  /// with logarithmic ones their planes.
  Softmax,
  /// The same without planes.
  Codes,
  /// Sums of values for all rows, by the probabilities of the first eight.
  Context
};

/// The buffers of buildQAttention. One sequence of all tokens and one head,
/// whatever the chunks.
mlir::func::FuncOp buildAttentionStage(mlir::ModuleOp module,
                                       llvm::StringRef name,
                                       const AttentionShape &shape,
                                       AttentionStage stage);

} // namespace quern

#endif // QUERN_LIB_TILE_ATTENTIONSTAGES_H
