//===- Outputs.cpp - Where a compilation may write ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Outputs.h"

#include "compiler/Emit/Assemble.h"
#include "compiler/RoundingCache.h"
#include "lib/Support/File.h"
#include "lib/Support/SameFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"

#include <filesystem>

namespace quern {

std::vector<std::string> outputsOf(const CompileRequest &request) {
  std::vector<std::string> paths = {request.output};
  if (request.emit == EmitKind::Object)
    paths.push_back(headerPathOf(request.output));
  for (const std::string &path : {request.rangesOut, request.report})
    if (!path.empty())
      paths.push_back(path);
  return paths;
}

/// The files that a request names, and what model folders hold: outputs of
/// other names may well lie in there.
static std::vector<std::string> inputsOf(const CompileRequest &request) {
  std::vector<std::string> paths = {request.recipe, request.rangesIn,
                                    request.calibrationName, request.tuning,
                                    request.roundingCache};
  static const char *const names[] = {"added_tokens.json",
                                      "config.json",
                                      "modules.json",
                                      "preprocessor_config.json",
                                      "special_tokens_map.json",
                                      "tokenizer.json",
                                      "tokenizer_config.json",
                                      "vocab.txt",
                                      "1_Pooling/config.json",
                                      "sentence_bert_config.json",
                                      "pytorch_model.bin",
                                      "model.safetensors.index.json"};
  for (const char *name : names)
    paths.push_back(joinPath(request.modelFolder, name));
  std::error_code code;
  for (const auto &entry :
       std::filesystem::directory_iterator(request.modelFolder, code))
    if (entry.path().extension() == ".safetensors")
      paths.push_back(entry.path().string());
  return paths;
}

Error checkOutputs(const CompileRequest &request) {
  std::vector<std::string> paths = outputsOf(request);
  paths.insert(paths.end(), request.alsoWritten.begin(),
               request.alsoWritten.end());
  std::vector<std::string> inputs = inputsOf(request);
  auto isSame = [](const std::string &a, const std::string &b) {
    std::error_code code;
    return std::filesystem::weakly_canonical(a, code) ==
           std::filesystem::weakly_canonical(b, code);
  };
  for (const std::string &path : paths) {
    auto same = [&](const std::string &other) { return isSame(path, other); };
    if (llvm::count_if(paths, same) > 1 && path != "/dev/null")
      return Error::make(path, ": found one name for two outputs, expected "
                               "different ones");
    if (Error error = keepInputs(path, inputs))
      return error;
    Expected<OutputFile> file = OutputFile::create(path);
    if (!file)
      return file.takeError();
  }
  if (!request.roundingCache.empty()) {
    if (auto cache = RoundingCache::open(request.roundingCache); !cache)
      return cache.takeError();
    if (auto file = OutputFile::create(request.roundingCache); !file)
      return file.takeError();
  }
  if (!request.saveTemps.empty())
    if (std::error_code code = llvm::sys::fs::create_directories(
            request.saveTemps, true, llvm::sys::fs::all_all))
      return Error::make(request.saveTemps,
                         ": cannot be made: ", code.message());
  return Error::success();
}

} // namespace quern
