//===- TinyModel.cpp - Small random BERT folders for tests ----------------===//
//
// See TinyModel.h.
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyModel.h"

#include "lib/Support/Json.h"
#include "test/support/TinyWeights.h"

#include <cstring>
#include <filesystem>

using namespace quern;
using namespace quern::test;
using nlohmann::json;

/// The architecture's name in config.json.
static std::string architecture(const TinyModelOptions &o) {
  std::string name = o.family == "distilbert" ? "DistilBert"
                     : o.family == "electra"  ? "Electra"
                                              : "Bert";
  switch (o.head) {
  case HeadKind::Classification:
  case HeadKind::Regression:
    return name + "ForSequenceClassification";
  case HeadKind::TokenClassification:
    return name + "ForTokenClassification";
  case HeadKind::QuestionAnswering:
    return name + "ForQuestionAnswering";
  case HeadKind::Embedding:
    return name + "Model";
  }
  return "";
}

static int64_t outputs(const TinyModelOptions &options) {
  if (options.head == HeadKind::Regression)
    return 1;
  return options.head == HeadKind::QuestionAnswering ? 2 : options.labels;
}

static void addNorm(TinyWeights &weights, const TinyModelOptions &o,
                    const std::string &name) {
  weights.layerNorm(name, o.hidden, o.oldNames ? ".gamma" : ".weight",
                    o.oldNames ? ".beta" : ".bias");
}

static void addLayer(TinyWeights &weights, const TinyModelOptions &o,
                     const std::string &name) {
  for (const char *part : {"query", "key", "value"})
    weights.linear(name + ".attention.self." + part, o.hidden, o.hidden);
  weights.linear(name + ".attention.output.dense", o.hidden, o.hidden);
  addNorm(weights, o, name + ".attention.output.LayerNorm");
  weights.linear(name + ".intermediate.dense", o.intermediate, o.hidden);
  weights.linear(name + ".output.dense", o.hidden, o.intermediate);
  addNorm(weights, o, name + ".output.LayerNorm");
  if (o.outlier)
    weights.makeOutlier(o.outlier, o.hidden);
}

static SafetensorsOutput positionIds(const std::string &prefix,
                                     int64_t positions) {
  SafetensorsOutput ids{prefix + "embeddings.position_ids",
                        "I64",
                        {1, positions},
                        std::vector<std::byte>(8 * positions)};
  for (int64_t i = 0; i < positions; ++i)
    std::memcpy(&ids.data[8 * i], &i, 8);
  return ids;
}

std::vector<SafetensorsOutput> test::tinyWeights(const TinyModelOptions &o) {
  TinyWeights weights(o.seed, o.dtype);
  std::string prefix = o.prefix ? "bert." : "";
  std::string embeddings = prefix + "embeddings.";
  if (o.positionIds)
    weights.list.push_back(positionIds(prefix, o.positions));
  weights.add(embeddings + "word_embeddings.weight", {o.vocab, o.hidden}, 0.5f);
  weights.add(embeddings + "position_embeddings.weight",
              {o.positions, o.hidden}, 0.25f);
  weights.add(embeddings + "token_type_embeddings.weight", {o.types, o.hidden},
              0.25f);
  addNorm(weights, o, embeddings + "LayerNorm");
  for (int64_t i = 0; i < o.layers; ++i)
    addLayer(weights, o, prefix + "encoder.layer." + std::to_string(i));
  bool sequence =
      o.head == HeadKind::Classification || o.head == HeadKind::Regression;
  if (sequence || (o.head == HeadKind::Embedding && o.pooler))
    weights.linear(prefix + "pooler.dense", o.hidden, o.hidden);
  if (o.head == HeadKind::QuestionAnswering)
    weights.linear("qa_outputs", 2, o.hidden);
  else if (o.head != HeadKind::Embedding)
    weights.linear("classifier", outputs(o), o.hidden);
  renameForFamily(o, weights.list);
  return std::move(weights.list);
}

std::string test::tinyConfig(const TinyModelOptions &o) {
  json config = {{"architectures", {architecture(o)}},
                 {"hidden_act", o.activation},
                 {"hidden_size", o.hidden},
                 {"intermediate_size", o.intermediate},
                 {"layer_norm_eps", 1e-12},
                 {"max_position_embeddings", o.positions},
                 {"model_type", o.family},
                 {"num_attention_heads", o.heads},
                 {"num_hidden_layers", o.layers},
                 {"pad_token_id", 0},
                 {"position_embedding_type", "absolute"},
                 {"type_vocab_size", o.types},
                 {"vocab_size", o.vocab}};
  if (o.family == "electra")
    config["embedding_size"] = o.hidden;
  if (o.family == "distilbert") {
    for (auto [key, other] : {std::pair("hidden_size", "dim"),
                              {"num_attention_heads", "n_heads"},
                              {"num_hidden_layers", "n_layers"},
                              {"intermediate_size", "hidden_dim"},
                              {"hidden_act", "activation"}}) {
      config[other] = config[key];
      config.erase(key);
    }
    for (const char *key :
         {"layer_norm_eps", "position_embedding_type", "type_vocab_size"})
      config.erase(key);
  }
  if (o.head != HeadKind::Embedding && o.head != HeadKind::QuestionAnswering) {
    for (int64_t i = 0; i < outputs(o); ++i)
      config["id2label"][std::to_string(i)] = "label " + std::to_string(i);
  }
  if (o.head == HeadKind::Regression)
    config["problem_type"] = "regression";
  return config.dump(2) + "\n";
}

Error test::writeText(const std::string &path, const std::string &text) {
  auto file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (Error error = file->write(text))
    return error;
  return file->commit();
}

Error test::writeTinyWeights(const std::string &folder,
                             const std::vector<SafetensorsOutput> &weights,
                             int shards) {
  if (shards <= 1)
    return writeSafetensors(joinPath(folder, "model.safetensors"), weights);
  json index = {{"metadata", {{"total_size", 0}}}};
  size_t each = (weights.size() + shards - 1) / shards;
  for (int i = 0; i < shards; ++i) {
    char name[64];
    std::snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", i + 1,
                  shards);
    size_t begin = std::min(weights.size(), i * each);
    size_t end = std::min(weights.size(), begin + each);
    std::vector<SafetensorsOutput> part(weights.begin() + begin,
                                        weights.begin() + end);
    for (const SafetensorsOutput &tensor : part)
      index["weight_map"][tensor.name] = name;
    if (Error error = writeSafetensors(joinPath(folder, name), part))
      return error;
  }
  return writeText(joinPath(folder, "model.safetensors.index.json"),
                   index.dump(2) + "\n");
}

/// The files by which sentence-transformers adds pooling to an encoder.
static Error writeSentenceTransformers(const std::string &folder,
                                       const TinyModelOptions &o) {
  std::string kind = "sentence_transformers.models.";
  json modules = {
      {{"idx", 0}, {"name", "0"}, {"path", ""}, {"type", kind + "Transformer"}},
      {{"idx", 1},
       {"name", "1"},
       {"path", "1_Pooling"},
       {"type", kind + "Pooling"}}};
  if (o.normalize)
    modules.push_back({{"idx", 2},
                       {"name", "2"},
                       {"path", "2_Normalize"},
                       {"type", kind + "Normalize"}});
  json pooling = {{"word_embedding_dimension", o.hidden},
                  {"pooling_mode_cls_token", o.pooling == PoolingKind::Cls},
                  {"pooling_mode_mean_tokens", o.pooling == PoolingKind::Mean},
                  {"pooling_mode_max_tokens", false},
                  {"pooling_mode_mean_sqrt_len_tokens", false}};
  std::error_code ignored;
  std::filesystem::create_directories(joinPath(folder, "1_Pooling"), ignored);
  if (Error error =
          writeText(joinPath(folder, "modules.json"), modules.dump(2) + "\n"))
    return error;
  return writeText(joinPath(folder, "1_Pooling/config.json"),
                   pooling.dump(2) + "\n");
}

Error test::writeTinyModel(const std::string &folder,
                           const TinyModelOptions &options) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return Error::make(folder, ": cannot be made: ", failed.message());
  if (Error error =
          writeText(joinPath(folder, "config.json"), tinyConfig(options)))
    return error;
  if (Error error = writeText(joinPath(folder, "vocab.txt"),
                              tinyVocabulary(options.vocab)))
    return error;
  if (Error error = writeText(joinPath(folder, "tokenizer_config.json"),
                              "{\"do_lower_case\": true}\n"))
    return error;
  if (options.head == HeadKind::Embedding && !options.pooler)
    if (Error error = writeSentenceTransformers(folder, options))
      return error;
  std::vector<SafetensorsOutput> weights = tinyWeights(options);
  if (options.learned)
    for (SafetensorsOutput &quantizer : learnedQuantizers(options, weights))
      weights.push_back(std::move(quantizer));
  return writeTinyWeights(folder, weights, options.shards);
}
