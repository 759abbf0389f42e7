//===- FloatRun.h - Texts through the compiled float model ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Compiles the L0 graph to f32 code, runs the calibration texts through it and
// hands out every site's values: to the observers of ranges, and to whoever
// learns from what the layers read.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_FLOATRUN_H
#define QUERN_COMPILER_FLOATRUN_H

#include "compiler/Calibrate/Calibrator.h"
#include "compiler/HostProgram.h"

namespace quern {

/// Texts in one run, which `endBatch` of a Calibrator follows.
constexpr unsigned usualBatch = 16;

/// Told of each batch that the float model has run, whose sites the program
/// keeps. True asks for the next one.
using BatchListener =
    std::function<Expected<bool>(const HostProgram &, const quern_output &)>;

/// The float model of an L0 module. Compiled when it first runs, and then kept
/// for those that run it later, whatever scheme the module has got since.
class FloatModel {
public:
  /// `tokenizer` must outlive the model. 0 threads are one for each CPU.
  FloatModel(mlir::ModuleOp module, const std::string &tokenizer,
             unsigned threads)
      : module(module), tokenizer(tokenizer), threads(threads) {}

  /// Runs `texts` until they end or `listener` has enough.
  Error run(const std::vector<CalibrationText> &texts,
            const BatchListener &listener,
            const std::function<void(double)> &progress,
            unsigned batchSize = usualBatch);

  mlir::ModuleOp getModule() const { return module; }
  const std::string &getTokenizer() const { return tokenizer; }
  unsigned getThreads() const { return threads; }

private:
  mlir::ModuleOp module;
  const std::string &tokenizer;
  unsigned threads;
  std::optional<HostProgram> program;
};

/// What a site held in the last run of the float model.
Expected<quern_view> floatSite(const HostProgram &program,
                               const std::string &site);

/// Row `i` of such a site.
inline const float *rowOf(const quern_view &view, uint64_t i) {
  return reinterpret_cast<const float *>(static_cast<const char *>(view.data) +
                                         i * view.stride);
}

/// Told of the outputs of a batch of texts.
using OutputListener = std::function<void(const quern_output &)>;

/// Runs `texts` through the float model and feeds `calibrator` with what the
/// sites hold.
Error observeModel(FloatModel &model, Calibrator &calibrator,
                   const std::vector<CalibrationText> &texts,
                   const std::function<void(double)> &progress,
                   const OutputListener &listener = {},
                   unsigned batchSize = usualBatch);

/// Runs `texts` through the float model and gives the ranges of `sites`.
Expected<RangeTable> calibrateModel(FloatModel &model,
                                    const std::vector<ObservedSite> &sites,
                                    const std::vector<CalibrationText> &texts,
                                    const std::function<void(double)> &progress,
                                    unsigned batchSize = usualBatch);

} // namespace quern

#endif // QUERN_COMPILER_FLOATRUN_H
