//===- TextConfig.cpp - config.json of text encoders ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// BERT, and the families with its encoder: DistilBERT has other names, no types
// and no pooler; ELECTRA has a head of its own.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/ConfigParts.h"

using namespace quern;

/// Refuses variants of an encoder with another graph.
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

/// The tables of words and positions.
static Error readTables(const JsonObject &config, ModelInfo &info) {
  if (Error error = readSize(config, "vocab_size", 1 << 24, info.vocab))
    return error;
  if (Error error =
          readSize(config, "max_position_embeddings", 1 << 20, info.positions))
    return error;
  info.maxLength = info.positions;
  return Error::success();
}

static Error readTypes(const JsonObject &config, ModelInfo &info) {
  auto types = config.getInteger("type_vocab_size", 1, 1 << 16, 2);
  if (!types)
    return types.takeError();
  info.typeVocab = *types;
  return Error::success();
}

static Error readBert(const JsonObject &config, ModelInfo &info) {
  if (Error error = checkVariant(config))
    return error;
  if (Error error = readSizes(config, info))
    return error;
  if (Error error = readTables(config, info))
    return error;
  if (Error error = readTypes(config, info))
    return error;
  return readNumerics(config, info);
}

/// Sanh et al., "DistilBERT, a distilled version of BERT", 2019.
static Error readDistilBert(const JsonObject &config, ModelInfo &info) {
  if (Error error =
          readSizes(config, info, {"dim", "n_heads", "n_layers", "hidden_dim"}))
    return error;
  if (Error error = readTables(config, info))
    return error;
  // Tokenizers count the texts of a pair all the same.
  info.typeVocab = 2;
  info.hasTypes = false;
  info.poolerActivation = PoolerActivation::Relu;
  return readActivation(config, info, "activation");
}

/// Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather
/// Than Generators", ICLR 2020.
static Error readElectra(const JsonObject &config, ModelInfo &info) {
  if (Error error = readBert(config, info))
    return error;
  auto width = config.getInteger("embedding_size", 1, INT64_MAX, info.hidden);
  if (!width)
    return width.takeError();
  if (*width != info.hidden)
    return config.expected("embedding_size",
                           "hidden_size, " + std::to_string(info.hidden) +
                               " (no layer between embeddings and encoder)");
  info.poolerActivation = PoolerActivation::Gelu;
  return Error::success();
}

const TextFamily *quern::findTextFamily(std::string_view type) {
  static constexpr TextFamily families[] = {
      {"bert", "Bert", readBert},
      {"distilbert", "DistilBert", readDistilBert},
      {"electra", "Electra", readElectra}};
  for (const TextFamily &family : families)
    if (type == family.type)
      return &family;
  return nullptr;
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

Error quern::readTextHead(const JsonObject &config,
                          const std::string &className, ModelInfo &info) {
  std::string sequences = className + "ForSequenceClassification";
  std::string tokens = className + "ForTokenClassification";
  std::string answers = className + "ForQuestionAnswering";
  std::string bare = className + "Model";
  std::string supported =
      "one of " + sequences + ", " + tokens + ", " + answers + ", " + bare;
  auto name = readArchitecture(config, supported.c_str());
  if (!name)
    return name.takeError();
  if (*name == bare) {
    info.head = HeadKind::Embedding;
    return Error::success();
  }
  if (*name == answers) {
    info.head = HeadKind::QuestionAnswering;
    info.labels = {"start", "end"};
    return Error::success();
  }
  if (*name != tokens && *name != sequences)
    return Error::make(config.path(), ": architectures: found \"",
                       printable(*name), "\", expected ", supported);
  if (Error error = readLabels(config, info))
    return error;
  if (*name == sequences)
    return readProblem(config, info);
  info.head = HeadKind::TokenClassification;
  return Error::success();
}
