//===- Import.cpp - A Hugging Face folder to an L0 module -----------------===//
//
// Configuration, then weights, then the graph; see Import.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"

#include "compiler/Import/BertGraph.h"
#include "compiler/Import/Checkpoint.h"
#include "compiler/Import/HfConfig.h"
#include "compiler/Import/TokenizerImport.h"
#include "compiler/Import/VisionGraph.h"
#include "lib/Support/File.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include <algorithm>

using namespace quern;

/// The path of a file of the folder, or nothing when it is not there.
static std::string pathIfThere(const std::string &folder, const char *name) {
  std::string path = joinPath(folder, name);
  return fileExists(path) ? path : "";
}

/// Embeddings without modules.json follow the weights: the pooler's output
/// where there is a pooler, the mean of the tokens where there is none (of
/// images the class token).
static void choosePooling(const Checkpoint &checkpoint, ModelInfo &info) {
  info.pooler = info.poolerActivation == PoolerActivation::Tanh &&
                checkpoint.has("pooler.dense.weight");
  info.pooling =
      info.pooler || info.image ? PoolingKind::Cls : PoolingKind::Mean;
}

/// The tokenizer may know a shorter limit than the position table has rows;
/// exporters write a very large number for "none".
static Error limitToTokenizer(const std::string &path, ModelInfo &info) {
  if (path.empty())
    return Error::success();
  auto length = readMaxLength(path);
  if (!length)
    return length.takeError();
  if (*length)
    info.maxLength = std::min(info.maxLength, int64_t(**length));
  return Error::success();
}

Expected<ImportedModel> quern::importModel(mlir::MLIRContext &context,
                                           const std::string &folder) {
  if (!fileExists(folder))
    return Error::make(folder, ": found nothing, expected a model folder");
  if (!fileExists(joinPath(folder, "config.json")))
    return Error::make(folder, ": found no config.json, expected a "
                               "Hugging Face model folder");
  auto info = readHfConfig(folder);
  if (!info)
    return info.takeError();
  ImportedModel model;
  model.vocabTxt = pathIfThere(folder, "vocab.txt");
  model.tokenizerJson = pathIfThere(folder, "tokenizer.json");
  model.tokenizerConfig = pathIfThere(folder, "tokenizer_config.json");
  if (!info->image && model.vocabTxt.empty() && model.tokenizerJson.empty())
    return Error::make(folder, ": found no tokenizer, expected vocab.txt or "
                               "tokenizer.json");
  if (Error error = limitToTokenizer(model.tokenizerConfig, *info))
    return error;
  auto checkpoint = Checkpoint::open(folder);
  if (!checkpoint)
    return checkpoint.takeError();
  if (info->head == HeadKind::Embedding && !isSentenceTransformer(folder))
    choosePooling(*checkpoint, *info);
  auto module = info->image ? buildVisionGraph(context, *info, *checkpoint)
                            : buildBertGraph(context, *info, *checkpoint);
  if (!module)
    return module.takeError();
  // Fewer layers than the file's are another model, or a damaged one.
  if (Error error = checkpoint->checkLayers(info->layers))
    return error;
  std::string problem;
  mlir::ScopedDiagnosticHandler collect(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (problem.empty())
                                            problem = diagnostic.str();
                                        });
  if (mlir::failed(mlir::verify(**module)))
    return Error::make(folder, ": the imported graph is invalid: ", problem);
  model.module = std::move(*module);
  model.info = std::move(*info);
  model.ignoredTensors = checkpoint->unused();
  return model;
}

Expected<ImportedModel> quern::importTextModel(mlir::MLIRContext &context,
                                               const std::string &folder) {
  auto model = importModel(context, folder);
  if (model && model->info.image)
    return Error::make(joinPath(folder, "config.json"),
                       ": model_type: found \"", model->info.family,
                       "\", expected \"bert\": recipes are measured on "
                       "texts; a vision model needs a named one");
  return model;
}
