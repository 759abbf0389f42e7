//===- Import.h - A Hugging Face folder to an L0 module -------------------===//
//
// The one entry point of compiler/Import for the driver.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_IMPORT_H
#define QUERN_COMPILER_IMPORT_IMPORT_H

#include "compiler/Import/ModelInfo.h"
#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace quern {

/// A model as trained.
struct ImportedModel {
  /// The L0 module. Its weights are resources of the context that point into
  /// the mapped checkpoint and keep it mapped for the context's lifetime.
  mlir::OwningOpRef<mlir::ModuleOp> module;
  ModelInfo info;
  /// Paths of the tokenizer's files, empty for those that are not there. At
  /// least one of the first two is, unless the model sees images.
  std::string vocabTxt;
  std::string tokenizerJson;
  std::string tokenizerConfig;
  /// Tensors of the checkpoint that the graph does not use (position
  /// buffers, heads of pretraining), for the report.
  std::vector<std::string> ignoredTensors;
};

/// Imports the model of a folder. Errors name file, tensor or key, what was
/// found and what was expected.
Expected<ImportedModel> importModel(mlir::MLIRContext &context,
                                    const std::string &folder);

/// The same for what measures recipes on texts: a vision model is an error.
Expected<ImportedModel> importTextModel(mlir::MLIRContext &context,
                                        const std::string &folder);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_IMPORT_H
