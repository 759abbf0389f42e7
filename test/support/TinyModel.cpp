//===- TinyModel.cpp - Small random BERT folders for tests ----------------===//
//
// Weights come from a counter-based generator and sums of uniforms, without
// libm, so that they are the same everywhere; see TinyModel.h.
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyModel.h"

#include "lib/Support/Json.h"

#include <cstring>
#include <filesystem>

using namespace quern;
using namespace quern::test;
using nlohmann::json;

namespace {
/// Collects tensors with random values.
class Weights {
public:
  explicit Weights(const TinyModelOptions &options)
      : options(options), state(options.seed * 0x9e3779b97f4a7c15u + 1) {}

  /// Adds a tensor of normal-like values around `mean`.
  void add(std::string name, std::vector<int64_t> shape, float deviation,
           float mean = 0) {
    size_t count = 1;
    for (int64_t dim : shape)
      count *= static_cast<size_t>(dim);
    SafetensorsOutput tensor{
        std::move(name), options.dtype, std::move(shape), {}};
    bool f32 = options.dtype == "F32";
    tensor.data.resize(count * (f32 ? 4 : 2));
    for (size_t i = 0; i < count; ++i) {
      float value = mean + deviation * normal();
      uint16_t half =
          options.dtype == "F16" ? floatToHalf(value) : floatToBfloat(value);
      if (f32)
        std::memcpy(&tensor.data[4 * i], &value, 4);
      else
        std::memcpy(&tensor.data[2 * i], &half, 2);
    }
    list.push_back(std::move(tensor));
  }

  /// Adds weight and bias of a linear layer.
  void linear(const std::string &name, int64_t outputs, int64_t inputs) {
    // A power of two near 1/sqrt(inputs) keeps activations near unit size.
    float deviation = 1;
    while (deviation * deviation * static_cast<float>(inputs) > 1)
      deviation /= 2;
    add(name + ".weight", {outputs, inputs}, 1.5f * deviation);
    add(name + ".bias", {outputs}, 0.125f);
  }

  void layerNorm(const std::string &name) {
    add(name + (options.oldNames ? ".gamma" : ".weight"), {options.hidden},
        0.125f, 1);
    add(name + (options.oldNames ? ".beta" : ".bias"), {options.hidden},
        0.125f);
  }

  /// Makes channel 3 of the layer and the LayerNorm that were added last an
  /// outlier of the given size.
  void makeOutlier(int64_t size) {
    SafetensorsOutput &gain = list[list.size() - 2];
    SafetensorsOutput &bias = list[list.size() - 3];
    // The outlier alone makes the deviation that the LayerNorm divides by:
    // size / sqrt(hidden), to a power of two.
    float deviation = static_cast<float>(size);
    for (int64_t width = options.hidden; width > 1; width /= 4)
      deviation /= 2;
    for (int64_t j = 0; j < options.hidden; ++j)
      scale(gain, j, j == 3 ? 1 / static_cast<float>(size) : deviation);
    float value = static_cast<float>(size);
    std::memcpy(&bias.data[4 * 3], &value, 4);
  }

  std::vector<SafetensorsOutput> list;

private:
  static void scale(SafetensorsOutput &tensor, int64_t index, float factor) {
    float value;
    std::memcpy(&value, &tensor.data[4 * index], 4);
    value *= factor;
    std::memcpy(&tensor.data[4 * index], &value, 4);
  }

  /// splitmix64.
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Four uniform 16-bit integers, centred, scaled to deviation one.
  float normal() {
    uint64_t bits = next();
    int32_t sum = -2 * 65535;
    for (int i = 0; i < 4; ++i)
      sum += static_cast<int32_t>((bits >> (16 * i)) & 0xffff);
    return static_cast<float>(sum) * (1.7320508f / 65536);
  }

  const TinyModelOptions &options;
  uint64_t state;
};
} // namespace

/// The architecture's name in config.json.
static const char *architecture(HeadKind head) {
  switch (head) {
  case HeadKind::Classification:
  case HeadKind::Regression:
    return "BertForSequenceClassification";
  case HeadKind::TokenClassification:
    return "BertForTokenClassification";
  case HeadKind::QuestionAnswering:
    return "BertForQuestionAnswering";
  case HeadKind::Embedding:
    return "BertModel";
  }
  return "";
}

static int64_t outputs(const TinyModelOptions &options) {
  if (options.head == HeadKind::Regression)
    return 1;
  return options.head == HeadKind::QuestionAnswering ? 2 : options.labels;
}

static void addLayer(Weights &weights, const TinyModelOptions &o,
                     const std::string &name) {
  for (const char *part : {"query", "key", "value"})
    weights.linear(name + ".attention.self." + part, o.hidden, o.hidden);
  weights.linear(name + ".attention.output.dense", o.hidden, o.hidden);
  weights.layerNorm(name + ".attention.output.LayerNorm");
  weights.linear(name + ".intermediate.dense", o.intermediate, o.hidden);
  weights.linear(name + ".output.dense", o.hidden, o.intermediate);
  weights.layerNorm(name + ".output.LayerNorm");
  if (o.outlier)
    weights.makeOutlier(o.outlier);
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
  Weights weights(o);
  std::string prefix = o.prefix ? "bert." : "";
  std::string embeddings = prefix + "embeddings.";
  if (o.positionIds)
    weights.list.push_back(positionIds(prefix, o.positions));
  weights.add(embeddings + "word_embeddings.weight", {o.vocab, o.hidden}, 0.5f);
  weights.add(embeddings + "position_embeddings.weight",
              {o.positions, o.hidden}, 0.25f);
  weights.add(embeddings + "token_type_embeddings.weight", {o.types, o.hidden},
              0.25f);
  weights.layerNorm(embeddings + "LayerNorm");
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
  return std::move(weights.list);
}

std::string test::tinyConfig(const TinyModelOptions &o) {
  json config = {{"architectures", {architecture(o.head)}},
                 {"hidden_act", o.activation},
                 {"hidden_size", o.hidden},
                 {"intermediate_size", o.intermediate},
                 {"layer_norm_eps", 1e-12},
                 {"max_position_embeddings", o.positions},
                 {"model_type", "bert"},
                 {"num_attention_heads", o.heads},
                 {"num_hidden_layers", o.layers},
                 {"pad_token_id", 0},
                 {"position_embedding_type", "absolute"},
                 {"type_vocab_size", o.types},
                 {"vocab_size", o.vocab}};
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
