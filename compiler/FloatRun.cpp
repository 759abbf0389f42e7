//===- FloatRun.cpp - Calibration through the compiled float model --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/FloatRun.h"

#include "runtime/src/manifest_generated.h"

namespace quern {

/// Feeds the values of one site of the last run.
static Error observeSite(Calibrator &calibrator, const HostProgram &program,
                         const std::string &site) {
  std::optional<quern_view> view = program.site(site);
  if (!view)
    return Error::make(site, ": the float program does not keep this site");
  if (view->element != uint32_t(manifest::Element::F32))
    return Error::make(site, ": found codes, expected f32 values");
  calibrator.observe(site, static_cast<const float *>(view->data), view->rows,
                     view->columns, view->stride / sizeof(float));
  return Error::success();
}

Error observeModel(mlir::ModuleOp module, const std::string &tokenizer,
                   Calibrator &calibrator,
                   const std::vector<CalibrationText> &texts, unsigned threads,
                   const std::function<void(double)> &progress,
                   const OutputListener &listener, unsigned batchSize) {
  Expected<HostProgram> program =
      HostProgram::compileFloat(module, tokenizer, threads);
  if (!program)
    return program.takeError();
  program->capture();
  for (size_t from = 0; from < texts.size(); from += batchSize) {
    size_t count = std::min<size_t>(batchSize, texts.size() - from);
    Expected<quern_output> output = program->run(&texts[from], count);
    if (!output)
      return output.takeError();
    for (const std::string &site : calibrator.observedNames())
      if (Error failure = observeSite(calibrator, *program, site))
        return failure;
    calibrator.endBatch();
    if (listener)
      listener(*output);
    if (progress)
      progress(double(from + count) / texts.size());
  }
  return Error::success();
}

Expected<RangeTable> calibrateModel(mlir::ModuleOp module,
                                    const std::string &tokenizer,
                                    const std::vector<ObservedSite> &sites,
                                    const std::vector<CalibrationText> &texts,
                                    unsigned threads,
                                    const std::function<void(double)> &progress,
                                    unsigned batchSize) {
  Calibrator calibrator(sites);
  if (Error error = observeModel(module, tokenizer, calibrator, texts, threads,
                                 progress, {}, batchSize))
    return error;
  return calibrator.finish();
}

} // namespace quern
