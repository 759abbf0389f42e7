//===- FloatRun.cpp - Texts through the compiled float model --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/FloatRun.h"

#include "lib/Support/Parallel.h"
#include "runtime/src/manifest_generated.h"

#include "llvm/ADT/ScopeExit.h"

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

Error FloatModel::run(const std::vector<CalibrationText> &texts,
                      const BatchListener &listener,
                      const std::function<void(double)> &progress,
                      unsigned batchSize) {
  // There are built-in texts.
  if (texts.empty())
    return Error("found nothing to calibrate on, expected images: --calibrate");
  if (!program) {
    Expected<HostProgram> compiled =
        HostProgram::compileFloat(module, tokenizer, threads);
    if (!compiled)
      return compiled.takeError();
    program.emplace(std::move(*compiled));
  }
  if (Error error = program->wake(threads))
    return error;
  program->capture();
  llvm::scope_exit rest([&] { program->rest(); });
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

Error observeModel(FloatModel &model, Calibrator &calibrator,
                   const std::vector<CalibrationText> &texts,
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
    forEachParallel(names.size(), model.getThreads(), [&](size_t i) {
      const quern_view &view = views[i];
      calibrator.observe(names[i], rowOf(view, 0), view.rows, view.columns,
                         view.stride / sizeof(float));
    });
    calibrator.endBatch();
    if (listener)
      listener(output);
    return true;
  };
  return model.run(texts, observe, progress, batchSize);
}

Expected<RangeTable> calibrateModel(FloatModel &model,
                                    const std::vector<ObservedSite> &sites,
                                    const std::vector<CalibrationText> &texts,
                                    const std::function<void(double)> &progress,
                                    unsigned batchSize) {
  Calibrator calibrator(sites);
  if (Error error =
          observeModel(model, calibrator, texts, progress, {}, batchSize))
    return error;
  return calibrator.finish();
}

} // namespace quern
