//===- HfConfig.cpp - config.json -----------------------------------------===//
//
// config.json to ModelInfo. Every key that changes what the model computes is
// either understood or refused; the others are ignored.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/HfConfig.h"

#include "compiler/Import/ConfigParts.h"
#include "lib/Support/File.h"
#include "lib/Support/Json.h"

#include <cmath>

using namespace quern;
using nlohmann::json;

std::string_view quern::headName(HeadKind head) {
  switch (head) {
  case HeadKind::Classification:
    return "classification";
  case HeadKind::Regression:
    return "regression";
  case HeadKind::TokenClassification:
    return "token_classification";
  case HeadKind::QuestionAnswering:
    return "question_answering";
  case HeadKind::Embedding:
    return "embedding";
  }
  return "";
}

std::string_view quern::poolingName(PoolingKind pooling) {
  return pooling == PoolingKind::Cls ? "cls" : "mean";
}

std::string_view quern::activationName(ActivationKind activation) {
  switch (activation) {
  case ActivationKind::Gelu:
    return "gelu";
  case ActivationKind::GeluTanh:
    return "gelu_tanh";
  case ActivationKind::Relu:
    return "relu";
  }
  return "";
}

Error quern::readSize(const JsonObject &config, const char *key, int64_t limit,
                      int64_t &value) {
  auto size = config.getInteger(key, 1, limit);
  if (!size)
    return size.takeError();
  value = *size;
  return Error::success();
}

Error quern::readSizes(const JsonObject &config, ModelInfo &info,
                       const SizeKeys &keys) {
  struct {
    const char *key;
    int64_t limit;
    int64_t &value;
  } const sizes[] = {
      {keys.hidden, 1 << 16, info.hidden},
      {keys.heads, 1 << 10, info.heads},
      {keys.layers, 1 << 10, info.layers},
      {keys.intermediate, 1 << 18, info.intermediate},
  };
  for (const auto &size : sizes)
    if (Error error = readSize(config, size.key, size.limit, size.value))
      return error;
  if (info.hidden % info.heads != 0)
    return config.expected(keys.hidden, std::string("a multiple of ") +
                                            keys.heads + ", " +
                                            std::to_string(info.heads));
  return Error::success();
}

Error quern::readNumerics(const JsonObject &config, ModelInfo &info) {
  auto eps = config.getNumber("layer_norm_eps", 1e-12);
  if (!eps)
    return eps.takeError();
  if (!(*eps > 0) || !(*eps < 1))
    return config.expected("layer_norm_eps", "a number between 0 and 1");
  info.layerNormEps = *eps;
  return readActivation(config, info, "hidden_act");
}

Error quern::readActivation(const JsonObject &config, ModelInfo &info,
                            const char *key) {
  auto name = config.getString(key, "gelu");
  if (!name)
    return name.takeError();
  if (*name == "gelu" || *name == "gelu_python")
    info.activation = ActivationKind::Gelu;
  else if (*name == "gelu_new" || *name == "gelu_pytorch_tanh")
    info.activation = ActivationKind::GeluTanh;
  else if (*name == "relu")
    info.activation = ActivationKind::Relu;
  else
    return config.expected(key, "\"gelu\", \"gelu_new\", "
                                "\"gelu_pytorch_tanh\" or \"relu\"");
  return Error::success();
}

Error quern::readLabels(const JsonObject &config, ModelInfo &info) {
  const json *names = config.find("id2label");
  if (!names) {
    auto count = config.getInteger("num_labels", 1, 1 << 16, 2);
    if (!count)
      return count.takeError();
    for (int64_t i = 0; i < *count; ++i)
      info.labels.push_back("LABEL_" + std::to_string(i));
    return Error::success();
  }
  if (!names->is_object() || names->empty())
    return config.expected("id2label", "an object of numbers and names");
  for (size_t i = 0; i < names->size(); ++i) {
    auto label = names->find(std::to_string(i));
    if (label == names->end() || !label->is_string())
      return config.expected("id2label", "a name for number " +
                                             std::to_string(i) + " of " +
                                             std::to_string(names->size()));
    info.labels.push_back(label->get<std::string>());
  }
  return Error::success();
}

Expected<std::string> quern::readArchitecture(const JsonObject &config,
                                              const char *supported) {
  const json *names = config.find("architectures");
  if (!names || !names->is_array() || names->empty() ||
      !(*names)[0].is_string())
    return config.expected("architectures", supported);
  return (*names)[0].get<std::string>();
}

Expected<ModelInfo> quern::readHfConfig(const std::string &folder) {
  std::string path = joinPath(folder, "config.json");
  auto root = readJsonObject(path);
  if (!root)
    return root.takeError();
  JsonObject config(*root, path);
  ModelInfo info;
  if (config.find("quantization_config"))
    return config.expected("quantization_config",
                           "none (a model of f32, f16 or bf16 weights)");
  auto type = config.getString("model_type", "");
  if (!type)
    return type.takeError();
  info.family = *type;
  const TextFamily *family = findTextFamily(*type);
  if (!family && !isVision(*type))
    return config.expected("model_type",
                           "\"bert\" (BERT, MiniLM, BGE, E5 and other "
                           "encoders of that type), \"distilbert\", "
                           "\"electra\", \"vit\" or \"deit\"");
  if (Error error =
          family ? family->read(config, info) : readVision(config, info))
    return error;
  // The library loads the bare encoder, whatever head config.json names.
  if (family)
    if (Error error = isSentenceTransformer(folder)
                          ? readSentenceTransformers(folder, info)
                          : readTextHead(config, family->className, info))
      return error;
  if (info.image)
    if (Error error = readPreprocessor(folder, *info.image))
      return error;
  return info;
}
