//===- FloatRun.cpp - Calibration through the compiled float model --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/FloatRun.h"

#include "compiler/Emit/Assemble.h"
#include "compiler/Emit/KernelJit.h"
#include "compiler/Emit/Toolchain.h"
#include "lib/Tile/TilePasses.h"
#include "runtime/include/quern/introspect.h"
#include "runtime/src/manifest_generated.h"

#include "mlir/Pass/PassManager.h"

#include <cstdlib>
#include <memory>

namespace quern {

namespace {
/// Module and session of the float program.
struct FloatProgram {
  std::unique_ptr<quern_module, void (*)(quern_module *)> module{
      nullptr, quern_module_close};
  std::unique_ptr<quern_session, void (*)(quern_session *)> session{
      nullptr, quern_session_destroy};
};
} // namespace

static Expected<FloatProgram> compileFloat(mlir::ModuleOp module,
                                           const std::string &tokenizer,
                                           unsigned threads,
                                           const TemporaryFolder &folder) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
  mlir::PassManager passes(module.getContext());
  buildTilePipeline(passes);
  if (mlir::failed(passes.run(*copy)))
    return Error("the float model cannot be tiled");
  // Only the tier that will run: the module goes no further than this process.
  std::vector<Tier> tiers = {Tier::Scalar};
  if (canRun(Tier::Avx512Vnni) && !std::getenv("QUERN_MAX_ISA"))
    tiers = {Tier::Avx512Vnni};
  Expected<AssembledModule> assembled =
      assembleModule(*copy, tiers, ManifestRequest(), tokenizer);
  if (!assembled)
    return assembled.takeError();
  std::string path = folder.file("float.qbm");
  if (Error error = writeModule(path, *assembled))
    return error;

  FloatProgram program;
  quern_error error = {};
  quern_module *opened = nullptr;
  if (quern_module_open(path.c_str(), &opened, &error))
    return Error(error.message);
  program.module.reset(opened);
  quern_session *session = nullptr;
  if (quern_session_create(opened, threads, &session, &error))
    return Error(error.message);
  program.session.reset(session);
  quern_session_set_capture(session, 1);
  return Expected<FloatProgram>(std::move(program));
}

/// Feeds the values of one site of the last run.
static Error observeSite(Calibrator &calibrator, quern_session *session,
                         const std::string &site) {
  quern_view view = {};
  quern_error error = {};
  if (quern_session_site(session, site.c_str(), &view, &error))
    return Error(error.message);
  if (view.element != uint32_t(manifest::Element::F32))
    return Error::make(site, ": found codes, expected f32 values");
  calibrator.observe(site, static_cast<const float *>(view.data), view.rows,
                     view.columns, view.stride / sizeof(float));
  return Error::success();
}

Expected<RangeTable>
calibrateModel(mlir::ModuleOp module, const std::string &tokenizer,
               const std::vector<ObservedSite> &sites,
               const std::vector<CalibrationText> &texts, unsigned threads,
               const std::function<void(double)> &progress) {
  Expected<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  Expected<FloatProgram> program =
      compileFloat(module, tokenizer, threads, *folder);
  if (!program)
    return program.takeError();

  Calibrator calibrator(sites);
  // Batches as in the published settings: running ranges average over them.
  constexpr size_t batch = 16;
  for (size_t from = 0; from < texts.size(); from += batch) {
    size_t count = std::min(batch, texts.size() - from);
    std::vector<quern_text> views;
    for (size_t i = from; i < from + count; ++i)
      views.push_back({texts[i].text.data(), texts[i].text.size(),
                       texts[i].pair ? texts[i].pair->data() : nullptr,
                       texts[i].pair ? texts[i].pair->size() : 0});
    quern_output output = {};
    quern_error error = {};
    if (quern_run_texts(program->session.get(), views.data(), count, 0, &output,
                        &error))
      return Error(error.message);
    for (const ObservedSite &site : sites)
      if (calibrator.observes(site.name))
        if (Error failure =
                observeSite(calibrator, program->session.get(), site.name))
          return failure;
    calibrator.endBatch();
    if (progress)
      progress(double(from + count) / texts.size());
  }
  return calibrator.finish();
}

} // namespace quern
