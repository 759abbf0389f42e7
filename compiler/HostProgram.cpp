//===- HostProgram.cpp - Programs that run in this process ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/HostProgram.h"

#include "compiler/Emit/Assemble.h"
#include "compiler/Emit/KernelJit.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Tile/TilePasses.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"

#include <cstdlib>

namespace quern {

Expected<HostProgram> HostProgram::open(const std::string &path,
                                        unsigned threads) {
  HostProgram program;
  quern_error error = {};
  quern_module *opened = nullptr;
  if (quern_module_open(path.c_str(), &opened, &error))
    return Error(error.message);
  program.module.reset(opened);
  if (Error error = program.wake(threads))
    return error;
  (void)llvm::sys::fs::file_size(path, program.fileBytes);
  return Expected<HostProgram>(std::move(program));
}

Error HostProgram::wake(unsigned threads) {
  if (session)
    return Error::success();
  quern_error error = {};
  quern_session *created = nullptr;
  if (quern_session_create(module.get(), threads, &created, &error))
    return Error(error.message);
  session.reset(created);
  return Error::success();
}

Expected<HostProgram> HostProgram::compileTiles(mlir::ModuleOp tiles,
                                                const std::string &tokenizer,
                                                unsigned threads) {
  Expected<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  // Only the tier that will run: the module goes no further than this process.
  Expected<AssembledModule> assembled = assembleModule(
      tiles, {bestHostTier()}, ManifestRequest(), tokenizer, threads);
  if (!assembled)
    return assembled.takeError();
  std::string path = folder->file("host.qbm");
  if (Error error = writeModule(path, *assembled))
    return error;
  Expected<HostProgram> program = open(path, threads);
  if (program)
    program->folder.emplace(std::move(*folder));
  return program;
}

Expected<HostProgram> HostProgram::compileFloat(mlir::ModuleOp module,
                                                const std::string &tokenizer,
                                                unsigned threads) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
  // By a scheme, sites would be taken for codes.
  (*copy)->removeAttr(SchemeAttr::name);
  mlir::PassManager passes(module.getContext());
  buildTilePipeline(passes);
  if (mlir::failed(passes.run(*copy)))
    return Error("the float model cannot be tiled");
  return compileTiles(*copy, tokenizer, threads);
}

Expected<quern_output> HostProgram::runImages(const CalibrationText *images,
                                              size_t count) {
  std::vector<float> pixels;
  for (size_t i = 0; i < count; ++i)
    pixels.insert(pixels.end(), images[i].pixels->begin(),
                  images[i].pixels->end());
  quern_output output = {};
  quern_error error = {};
  if (quern_run_images(session.get(), pixels.data(), count, &output, &error))
    return Error(error.message);
  return output;
}

Expected<quern_output> HostProgram::run(const CalibrationText *texts,
                                        size_t count) {
  if (count && texts[0].pixels)
    return runImages(texts, count);
  std::vector<quern_text> views;
  for (size_t i = 0; i < count; ++i)
    views.push_back({texts[i].text.data(), texts[i].text.size(),
                     texts[i].pair ? texts[i].pair->data() : nullptr,
                     texts[i].pair ? texts[i].pair->size() : 0});
  quern_output output = {};
  quern_error error = {};
  if (quern_run_texts(session.get(), views.data(), count, 0, &output, &error))
    return Error(error.message);
  return output;
}

Expected<quern_output> HostProgram::runTokensOf(const quern_output &other) {
  quern_output output = {};
  quern_error error = {};
  if (quern_run_ids(session.get(), other.ids, other.type_ids, other.offsets,
                    other.sequences, &output, &error))
    return Error(error.message);
  return output;
}

std::optional<quern_view> HostProgram::site(const std::string &name) const {
  quern_view view = {};
  quern_error error = {};
  if (quern_session_site(session.get(), name.c_str(), &view, &error))
    return std::nullopt;
  return view;
}

} // namespace quern
