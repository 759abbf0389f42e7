//===- Proofs.h - Algebraic rewrites in exact arithmetic --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// f32 constants are rational numbers. What a rewrite does to them is checked
// without rounding: an identity holds, or it holds up to what writing the new
// constants in f32 rounds, and never up to more.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_PROOFS_H
#define QUERN_COMPILER_VALIDATE_PROOFS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {

/// Checks `after` against `before`; emits an error on the op of `after` that
/// names the element and both values. Adds to `proved` what there was to prove.
using RewriteProof = mlir::LogicalResult (*)(mlir::func::FuncOp before,
                                             mlir::func::FuncOp after,
                                             unsigned &proved);

/// The proof that a pass owes, or null.
RewriteProof proofOf(llvm::StringRef passArgument);

/// tq-order-channels: every constant is the one before with its rows and
/// columns in the order of the channels that its op reads and writes, bit for
/// bit, and orders agree wherever two values meet.
mlir::LogicalResult proveOrder(mlir::func::FuncOp before,
                               mlir::func::FuncOp after, unsigned &proved);

/// tq-reparameterize: for each site with channel scales s and shifts t
///
///     gamma~ s = gamma        beta~ s + t = beta
///     W~ = W s                b~ = b + W t
///
/// so that x = x~ s + t and W~ x~ + b~ = W x + b for every normalized input.
/// Each new constant differs from the rational number of its formula by at most
/// half a unit of its last place, and what double rounds before that.
/// `proved` counts sites.
mlir::LogicalResult proveReparameterization(mlir::func::FuncOp before,
                                            mlir::func::FuncOp after,
                                            unsigned &proved);

/// tq-fuse-attention: the planes into which logarithmic probabilities fall are
/// the numbers that their codes stand for, and the context's multiplier is
/// their unit in steps of the context.
mlir::LogicalResult proveLogPlanes(mlir::func::FuncOp before,
                                   mlir::func::FuncOp after, unsigned &proved);

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_PROOFS_H
