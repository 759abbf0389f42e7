//===- FloatRun.h - Calibration through the compiled float model ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Compiles the L0 graph to f32 code, runs the calibration texts through it and
// feeds every site's values to the observers.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_FLOATRUN_H
#define QUERN_COMPILER_FLOATRUN_H

#include "compiler/Calibrate/Calibrator.h"
#include "compiler/HostProgram.h"

namespace quern {

/// Texts in one run, which `endBatch` of a Calibrator follows.
constexpr unsigned usualBatch = 16;

/// Told of the outputs of a batch of texts.
using OutputListener = std::function<void(const quern_output &)>;

/// Runs `texts` through the float model of `module` (L0, not changed) and
/// feeds `calibrator` with what the sites hold.
Error observeModel(mlir::ModuleOp module, const std::string &tokenizer,
                   Calibrator &calibrator,
                   const std::vector<CalibrationText> &texts, unsigned threads,
                   const std::function<void(double)> &progress,
                   const OutputListener &listener = {},
                   unsigned batchSize = usualBatch);

/// Runs `texts` through the float model of `module` (L0, not changed) and
/// gives the ranges of `sites`.
Expected<RangeTable> calibrateModel(mlir::ModuleOp module,
                                    const std::string &tokenizer,
                                    const std::vector<ObservedSite> &sites,
                                    const std::vector<CalibrationText> &texts,
                                    unsigned threads,
                                    const std::function<void(double)> &progress,
                                    unsigned batchSize = usualBatch);

} // namespace quern

#endif // QUERN_COMPILER_FLOATRUN_H
