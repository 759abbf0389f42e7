//===- ConfigParts.h - What config.json says of every family --------------===//
//
// Keys that text and vision encoders share, and the readers of both.
// Errors name the file, the key, what was found and what was expected.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_CONFIGPARTS_H
#define QUERN_COMPILER_IMPORT_CONFIGPARTS_H

#include "compiler/Import/ModelInfo.h"
#include "lib/Support/Json.h"
#include "lib/Support/Status.h"

namespace quern {

/// Reads an integer from 1 to `limit` into `value`.
Error readSize(const JsonObject &config, const char *key, int64_t limit,
               int64_t &value);
/// What a family calls its widths, heads and layers.
struct SizeKeys {
  const char *hidden = "hidden_size";
  const char *heads = "num_attention_heads";
  const char *layers = "num_hidden_layers";
  const char *intermediate = "intermediate_size";
};
Error readSizes(const JsonObject &config, ModelInfo &info,
                const SizeKeys &keys = {});
/// The epsilon of LayerNorm and the activation.
Error readNumerics(const JsonObject &config, ModelInfo &info);
/// The activation alone.
Error readActivation(const JsonObject &config, ModelInfo &info,
                     const char *key);
/// The labels in the order of their numbers. Without id2label the names are
/// LABEL_0, ... for `num_labels`, whose default of two is Hugging Face's.
Error readLabels(const JsonObject &config, ModelInfo &info);
/// The first of `architectures`; `supported` is what an error asks for.
Expected<std::string> readArchitecture(const JsonObject &config,
                                       const char *supported);

/// A family of text encoders: its model_type, what the names of its
/// architectures begin with, and the reader of all but the head.
struct TextFamily {
  const char *type, *className;
  Error (*read)(const JsonObject &config, ModelInfo &info);
};
/// The family of a model_type, or null.
const TextFamily *findTextFamily(std::string_view type);
/// The head by the first of `architectures`: CLASSForSequenceClassification,
/// CLASSForTokenClassification, CLASSForQuestionAnswering or CLASSModel.
Error readTextHead(const JsonObject &config, const std::string &className,
                   ModelInfo &info);

/// True for "vit" and "deit".
bool isVision(std::string_view modelType);
/// What preprocessor_config.json says of bytes and numbers, if the folder has
/// one. Sizes are config.json's: images are not resized.
Error readPreprocessor(const std::string &folder, ImageInfo &image);
/// All of the configuration of a ViT or DeiT. Whether a model without a head
/// has a pooler is for the checkpoint to say.
Error readVision(const JsonObject &config, ModelInfo &info);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_CONFIGPARTS_H
