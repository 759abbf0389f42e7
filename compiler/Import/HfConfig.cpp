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

/// Refuses variants of BERT with another graph.
static Error checkVariant(const JsonObject &config) {
  auto position = config.getString("position_embedding_type", "absolute");
  if (!position)
    return position.takeError();
  if (*position != "absolute")
    return config.expected("position_embedding_type", "\"absolute\"");
  for (const char *key : {"is_decoder", "add_cross_attention"}) {
    auto set = config.getBool(key, false);
    if (!set)
      return set.takeError();
    if (*set)
      return config.expected(key, "false (encoders only)");
  }
  return Error::success();
}

Error quern::readSize(const JsonObject &config, const char *key, int64_t limit,
                      int64_t &value) {
  auto size = config.getInteger(key, 1, limit);
  if (!size)
    return size.takeError();
  value = *size;
  return Error::success();
}

Error quern::readSizes(const JsonObject &config, ModelInfo &info) {
  struct {
    const char *key;
    int64_t limit;
    int64_t &value;
  } const sizes[] = {
      {"hidden_size", 1 << 16, info.hidden},
      {"num_attention_heads", 1 << 10, info.heads},
      {"num_hidden_layers", 1 << 10, info.layers},
      {"intermediate_size", 1 << 18, info.intermediate},
  };
  for (const auto &size : sizes)
    if (Error error = readSize(config, size.key, size.limit, size.value))
      return error;
  if (info.hidden % info.heads != 0)
    return config.expected("hidden_size",
                           "a multiple of num_attention_heads, " +
                               std::to_string(info.heads));
  return Error::success();
}

/// The tables of a text encoder.
static Error readTables(const JsonObject &config, ModelInfo &info) {
  if (Error error = readSize(config, "vocab_size", 1 << 24, info.vocab))
    return error;
  if (Error error =
          readSize(config, "max_position_embeddings", 1 << 20, info.positions))
    return error;
  auto types = config.getInteger("type_vocab_size", 1, 1 << 16, 2);
  if (!types)
    return types.takeError();
  info.typeVocab = *types;
  info.maxLength = info.positions;
  return Error::success();
}

Error quern::readNumerics(const JsonObject &config, ModelInfo &info) {
  auto eps = config.getNumber("layer_norm_eps", 1e-12);
  if (!eps)
    return eps.takeError();
  if (!(*eps > 0) || !(*eps < 1))
    return config.expected("layer_norm_eps", "a number between 0 and 1");
  info.layerNormEps = *eps;
  auto name = config.getString("hidden_act", "gelu");
  if (!name)
    return name.takeError();
  if (*name == "gelu" || *name == "gelu_python")
    info.activation = ActivationKind::Gelu;
  else if (*name == "gelu_new" || *name == "gelu_pytorch_tanh")
    info.activation = ActivationKind::GeluTanh;
  else if (*name == "relu")
    info.activation = ActivationKind::Relu;
  else
    return config.expected("hidden_act", "\"gelu\", \"gelu_new\", "
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

/// Regression is what problem_type says or, without it, one label.
static Error readProblem(const JsonObject &config, ModelInfo &info) {
  auto problem = config.getString("problem_type", "");
  if (!problem)
    return problem.takeError();
  info.pooler = true;
  info.head = HeadKind::Classification;
  if (*problem == "regression" || (problem->empty() && info.labels.size() == 1))
    info.head = HeadKind::Regression;
  else if (!problem->empty() && *problem != "single_label_classification")
    return config.expected("problem_type", "\"single_label_classification\" "
                                           "or \"regression\"");
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

static Error readHead(const JsonObject &config, ModelInfo &info) {
  static constexpr const char *supported =
      "one of BertForSequenceClassification, BertForTokenClassification, "
      "BertForQuestionAnswering, BertModel";
  auto found = readArchitecture(config, supported);
  if (!found)
    return found.takeError();
  const std::string &name = *found;
  if (name == "BertModel") {
    info.head = HeadKind::Embedding;
    return Error::success();
  }
  if (name == "BertForQuestionAnswering") {
    info.head = HeadKind::QuestionAnswering;
    info.labels = {"start", "end"};
    return Error::success();
  }
  bool tokens = name == "BertForTokenClassification";
  if (!tokens && name != "BertForSequenceClassification")
    return Error::make(config.path(), ": architectures: found \"",
                       printable(name), "\", expected ", supported);
  if (Error error = readLabels(config, info))
    return error;
  if (!tokens)
    return readProblem(config, info);
  info.head = HeadKind::TokenClassification;
  return Error::success();
}

static Error readBert(const JsonObject &config, const std::string &folder,
                      ModelInfo &info) {
  if (Error error = checkVariant(config))
    return error;
  if (Error error = readSizes(config, info))
    return error;
  if (Error error = readTables(config, info))
    return error;
  if (Error error = readNumerics(config, info))
    return error;
  // The library loads the bare encoder, whatever head config.json names.
  return isSentenceTransformer(folder) ? readSentenceTransformers(folder, info)
                                       : readHead(config, info);
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
  if (Error error =
          *type == "bert" ? readBert(config, folder, info)
          : isVision(*type)
              ? readVision(config, info)
              : config.expected("model_type",
                                "\"bert\" (BERT, MiniLM, BGE, E5 and other "
                                "encoders of that type), \"vit\" or \"deit\""))
    return error;
  if (info.image)
    if (Error error = readPreprocessor(folder, *info.image))
      return error;
  return info;
}
