//===- WeightEntries.h - Weights in the scheme of a module ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What of `tq.scheme` is about weights: how those of each role are quantized,
// and the scales that a checkpoint brings. Private to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_WEIGHTENTRIES_H
#define QUERN_COMPILER_CALIBRATE_WEIGHTENTRIES_H

#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Recipe/Recipe.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// Sets `weights`, and of learned scales `scales` and `unsigned_scales`.
/// Errors: zero points beside learned scales, scales that do not fit their
/// weight.
Error addWeightEntries(mlir::NamedAttrList &scheme, mlir::ModuleOp module,
                       const Recipe &recipe, const RangeTable &ranges);

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_WEIGHTENTRIES_H
