//===- FloatRun.cpp - Texts through the compiled float model --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/FloatRun.h"

#include "lib/Support/Parallel.h"
#include "runtime/src/manifest_generated.h"

namespace quern {

Expected<quern_view> floatSite(const HostProgram &program,
                               const std::string &site) {
  std::optional<quern_view> view = program.site(site);
  if (!view)
    return Error::make(site, ": the float program does not keep this site");
  if (view->element != uint32_t(manifest::Element::F32))
    return Error::make(site, ": found codes, expected f32 values");
  return *view;
}

Error runFloat(mlir::ModuleOp module, const std::string &tokenizer,
               const std::vector<CalibrationText> &texts, unsigned threads,
               const BatchListener &listener,
               const std::function<void(double)> &progress,
               unsigned batchSize) {
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
    Expected<bool> more = listener(*program, *output);
    if (!more)
      return more.takeError();
    if (progress)
      progress(double(from + count) / double(texts.size()));
    if (!*more)
      break;
  }
  return Error::success();
}

Error observeModel(mlir::ModuleOp module, const std::string &tokenizer,
                   Calibrator &calibrator,
                   const std::vector<CalibrationText> &texts, unsigned threads,
                   const std::function<void(double)> &progress,
                   const OutputListener &listener, unsigned batchSize) {
  std::vector<std::string> names = calibrator.observedNames();
  auto observe = [&](const HostProgram &program,
                     const quern_output &output) -> Expected<bool> {
    std::vector<quern_view> views;
    for (const std::string &site : names) {
      Expected<quern_view> view = floatSite(program, site);
      if (!view)
        return view.takeError();
      views.push_back(*view);
    }
    // An observer knows one site, and no other.
    forEachParallel(names.size(), threads, [&](size_t i) {
      const quern_view &view = views[i];
      calibrator.observe(names[i], rowOf(view, 0), view.rows, view.columns,
                         view.stride / sizeof(float));
    });
    calibrator.endBatch();
    if (listener)
      listener(output);
    return true;
  };
  return runFloat(module, tokenizer, texts, threads, observe, progress,
                  batchSize);
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
