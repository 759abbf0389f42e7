//===- HfConfig.h - Configuration files of a Hugging Face folder ----------===//
//
// Reads config.json and, for sentence embeddings, modules.json with the files
// that it names, into a ModelInfo. What cannot be compiled is refused here,
// by name.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_HFCONFIG_H
#define QUERN_COMPILER_IMPORT_HFCONFIG_H

#include "compiler/Import/ModelInfo.h"
#include "lib/Support/Status.h"

#include <string>

namespace quern {

/// Reads all configuration of the model in `folder`. Whether a BertModel has
/// pooler weights is for the checkpoint to say: `pooler` is left false for
/// embeddings.
Expected<ModelInfo> readHfConfig(const std::string &folder);

/// The part of readHfConfig that reads modules.json: pooling, normalization
/// and maximal length. The folder must have that file.
Error readSentenceTransformers(const std::string &folder, ModelInfo &info);

/// True when the folder has a modules.json.
bool isSentenceTransformer(const std::string &folder);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_HFCONFIG_H
