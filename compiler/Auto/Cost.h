//===- Cost.h - Predicted time of a graph -----------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Time does not measure well on a busy machine, and a choice should not depend
// on it. The prediction counts what the integer graph (L2) really does:
// multiply-adds of 8 bits count 1, with 16-bit activations 2 (two byte planes),
// in f32 8, each group of channels adds 2 %, and a byte of an activation that
// is read or written counts 4.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_AUTO_COST_H
#define QUERN_COMPILER_AUTO_COST_H

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// What each group of its input adds to a product, as part of it: its sums are
/// scaled once for each. Measured on Emerald Rapids (quern bench --kernels
/// --overhead), FFN1 with GELU takes 10, 14, 16 and 21 % longer with 4, 6, 8
/// and 12 groups; BERT-base with six groups before two thirds of its products,
/// 5 %.
inline constexpr double groupFactor = 0.02;

/// What a product of 16-bit activations costs, in those of 8 bits.
inline constexpr double wideFactor = 2;

/// Predicted units of work for a token of a sequence of 128.
double predictedCost(mlir::ModuleOp integer);

} // namespace quern

#endif // QUERN_COMPILER_AUTO_COST_H
