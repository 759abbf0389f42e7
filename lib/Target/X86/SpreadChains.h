//===- SpreadChains.h - Lay work between dot products -----------*- C++ -*-===//
//
// A schedule of inner loops that finish an earlier tile while they multiply.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_X86_SPREADCHAINS_H
#define QUERN_LIB_TARGET_X86_SPREADCHAINS_H

#include "mlir/IR/Operation.h"

namespace quern {

/// In every block of `root` that has many calls of vpdpbusd and beside them
/// vector operations that neither feed nor use them: spreads the latter evenly
/// over the former, chains side by side. Values do not change.
///
/// A core reorders only what it has read, and what waits takes the places of
/// what could run: in one piece, a chain of 26 operations of four cycles each
/// stops the dot products behind it. Measured on Emerald Rapids, GELU's chain
/// before the products of a turn costs 39 cycles, and between them 20.
void spreadChains(mlir::Operation *root);

} // namespace quern

#endif // QUERN_LIB_TARGET_X86_SPREADCHAINS_H
