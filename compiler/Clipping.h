//===- Clipping.h - Learned ranges of channels ------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Finds the ranges of the channels whose recipe asks for `dual_clip`, from what
// the float model has there and from the linear layers that read it
// (lib/Quantize/DualClip.h).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CLIPPING_H
#define QUERN_COMPILER_CLIPPING_H

#include "compiler/Calibrate/RangeTable.h"
#include "compiler/FloatRun.h"
#include "compiler/Recipe/Recipe.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// True if some site of `module` (L0) has channels to be clipped.
bool needsClipping(mlir::ModuleOp module, const Recipe &recipe);

/// Replaces the extremes that calibration left in `ranges` by learned ranges.
/// Residual sums count as much as the products where they read the same codes.
Error learnClips(FloatModel &model, const Recipe &recipe, RangeTable &ranges,
                 const std::vector<CalibrationText> &texts,
                 const std::function<void(double)> &progress,
                 const std::function<void(const std::string &)> &note);

} // namespace quern

#endif // QUERN_COMPILER_CLIPPING_H
