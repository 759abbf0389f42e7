//===- Rounding.h - Learned rounding of a model's weights -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Finds the codes of the linear layers whose recipe asks for AdaRound, layer
// by layer, from what the float model feeds them.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_ROUNDING_H
#define QUERN_COMPILER_ROUNDING_H

#include "compiler/FloatRun.h"
#include "compiler/Recipe/Recipe.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// True if the scheme of a module asks for AdaRound.
bool needsRounding(mlir::ModuleOp module);

/// Attaches codes to the linear layers of `module` (L0 with a scheme), for the
/// pass tq-quantize. Layers that `cacheFile` (or "") holds are taken from
/// there, others are added to it as soon as they are done. `modelFolder` is
/// what the module was imported from. The texts must not be empty.
Error roundWeights(mlir::ModuleOp module, const std::string &modelFolder,
                   const RoundingScheme &settings, FloatModel &model,
                   const std::vector<CalibrationText> &texts,
                   const std::string &cacheFile,
                   const std::function<void(double)> &progress,
                   const std::function<void(const std::string &)> &note);

/// Attaches nearest codes to the same layers, with the same scales.
Error attachNearestCodes(mlir::ModuleOp module);

} // namespace quern

#endif // QUERN_COMPILER_ROUNDING_H
