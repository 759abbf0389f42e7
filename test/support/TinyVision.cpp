//===- TinyVision.cpp - Small random ViT and DeiT folders for tests -------===//
//
// See TinyVision.h.
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyVision.h"

#include "lib/Support/Json.h"
#include "test/support/TinyModel.h"
#include "test/support/TinyWeights.h"

#include <filesystem>

using namespace quern;
using namespace quern::test;
using nlohmann::json;

TinyVisionOptions TinyVisionOptions::deitTiny() {
  TinyVisionOptions options;
  options.labels = 10;
  options.image = 224;
  options.patch = 16;
  options.hidden = 192;
  options.heads = 3;
  options.intermediate = 768;
  return options;
}

TinyVisionOptions TinyVisionOptions::bare(bool pooler) {
  TinyVisionOptions options;
  options.classifier = false;
  options.pooler = pooler;
  options.hidden = 8;
  options.intermediate = 20;
  options.qkvBias = false;
  return options;
}

static void addLayer(TinyWeights &weights, const TinyVisionOptions &o,
                     const std::string &name) {
  for (const char *part : {"query", "key", "value"}) {
    weights.linear(name + ".attention.attention." + part, o.hidden, o.hidden);
    if (!o.qkvBias)
      weights.list.pop_back();
  }
  weights.linear(name + ".attention.output.dense", o.hidden, o.hidden);
  weights.linear(name + ".intermediate.dense", o.intermediate, o.hidden);
  weights.linear(name + ".output.dense", o.hidden, o.intermediate);
  weights.layerNorm(name + ".layernorm_before", o.hidden);
  weights.layerNorm(name + ".layernorm_after", o.hidden);
}

std::vector<SafetensorsOutput>
test::tinyVisionWeights(const TinyVisionOptions &o) {
  TinyWeights weights(o.seed);
  std::string prefix = !o.classifier ? "" : o.distilled ? "deit." : "vit.";
  std::string embeddings = prefix + "embeddings.";
  weights.add(embeddings + "cls_token", {1, 1, o.hidden}, 0.5f);
  if (o.distilled)
    weights.add(embeddings + "distillation_token", {1, 1, o.hidden}, 0.5f);
  weights.add(embeddings + "position_embeddings", {1, o.tokens(), o.hidden},
              0.25f);
  std::string projection = embeddings + "patch_embeddings.projection";
  weights.add(projection + ".weight", {o.hidden, o.channels, o.patch, o.patch},
              0.0625f);
  weights.add(projection + ".bias", {o.hidden}, 0.125f);
  for (int64_t i = 0; i < o.layers; ++i)
    addLayer(weights, o, prefix + "encoder.layer." + std::to_string(i));
  weights.layerNorm(prefix + "layernorm", o.hidden);
  if (o.classifier)
    weights.linear("classifier", o.labels, o.hidden);
  else if (o.pooler)
    weights.linear("pooler.dense", o.hidden, o.hidden);
  return std::move(weights.list);
}

static std::string tinyVisionConfig(const TinyVisionOptions &o) {
  std::string family = o.distilled ? "DeiT" : "ViT";
  json config = {
      {"architectures",
       {family + (o.classifier ? "ForImageClassification" : "Model")}},
      {"hidden_act", "gelu"},
      {"hidden_size", o.hidden},
      {"image_size", o.image},
      {"intermediate_size", o.intermediate},
      {"layer_norm_eps", 1e-12},
      {"model_type", o.distilled ? "deit" : "vit"},
      {"num_attention_heads", o.heads},
      {"num_channels", o.channels},
      {"num_hidden_layers", o.layers},
      {"patch_size", o.patch},
      {"qkv_bias", o.qkvBias}};
  for (int64_t i = 0; o.classifier && i < o.labels; ++i)
    config["id2label"][std::to_string(i)] = "label " + std::to_string(i);
  return config.dump(2) + "\n";
}

Error test::writeTinyVision(const std::string &folder,
                            const TinyVisionOptions &options) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return Error::make(folder, ": cannot be made: ", failed.message());
  if (Error error =
          writeText(folder + "/config.json", tinyVisionConfig(options)))
    return error;
  return writeTinyWeights(folder, tinyVisionWeights(options));
}

std::vector<float> test::tinyPixels(const TinyVisionOptions &o, int64_t image) {
  std::vector<float> pixels(o.channels * o.image * o.image);
  for (uint64_t i = 0; i < pixels.size(); ++i)
    pixels[i] =
        static_cast<float>((37 * i + (11 + image) * i * i) % 256) / 128 - 1;
  return pixels;
}

std::vector<float> test::tinyPatches(const TinyVisionOptions &o,
                                     int64_t image) {
  std::vector<float> pixels = tinyPixels(o, image);
  int64_t across = o.image / o.patch;
  std::vector<float> rows((o.tokens() - across * across) * o.channels *
                          o.patch * o.patch);
  for (int64_t p = 0; p < across * across; ++p)
    for (int64_t c = 0; c < o.channels; ++c)
      for (int64_t y = 0; y < o.patch; ++y)
        for (int64_t x = 0; x < o.patch; ++x)
          rows.push_back(
              pixels[(c * o.image + p / across * o.patch + y) * o.image +
                     p % across * o.patch + x]);
  return rows;
}
