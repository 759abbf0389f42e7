//===- VisionGraph.cpp - A ViT or DeiT encoder as a tq function -----------===//
//
// See VisionGraph.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/VisionGraph.h"

#include "compiler/Import/GraphBuilder.h"
#include "dialects/TQ/TQOps.h"

using namespace mlir;
using namespace quern;

namespace {
class VisionBuilder : public GraphBuilder {
public:
  VisionBuilder(MLIRContext &context, const ModelInfo &info,
                Checkpoint &checkpoint)
      : GraphBuilder(context, info, checkpoint) {}

private:
  /// Patches, positions and offsets.
  SmallVector<Type> inputs() override {
    return {rows(info.image->patchSize()), indices(), indices()};
  }
  Value body(Block::BlockArgListType arguments) override;

  Value positionTable();
  Value embeddings(Value patches, Value positions);
  Value residual(Value a, Value b, StringRef key, int64_t layer);
  Value encoderLayer(Value sum, Value normal, Value offsets, int64_t layer);
  Value head(Value x, Value offsets);
};
} // namespace

Value VisionBuilder::positionTable() {
  int64_t width = info.hidden;
  std::vector<float> table =
      values("embeddings.position_embeddings", {1, info.positions, width});
  std::vector<float> bias =
      values("embeddings.patch_embeddings.projection.bias", {width});
  std::vector<std::vector<float>> special;
  for (const char *name : {"cls", "distillation"})
    if (int64_t(special.size()) < info.image->specialTokens)
      special.push_back(
          values(std::string("embeddings.") + name + "_token", {1, 1, width}));
  if (failure)
    return standIn({info.positions, width});
  for (int64_t t = 0; t < info.positions; ++t) {
    const std::vector<float> &row =
        t < int64_t(special.size()) ? special[t] : bias;
    for (int64_t j = 0; j < width; ++j)
      table[t * width + j] += row[j];
  }
  return constant("embeddings.position_embeddings.weight",
                  {info.positions, width}, std::move(table));
}

Value VisionBuilder::embeddings(Value patches, Value positions) {
  const ImageInfo &image = *info.image;
  patches = observe(patches, "i", "E.i");
  // What is added to every patch is in the position table.
  Value w = weight("embeddings.patch_embeddings.projection.weight",
                   {info.hidden, image.patchSize()},
                   {info.hidden, image.channels, image.patch, image.patch});
  Value none = constant("embeddings.patch_embeddings.none", {info.hidden},
                        std::vector<float>(info.hidden));
  Value x = tq::LinearOp::create(b, rows(info.hidden), patches, w, none);
  Value places =
      tq::EmbeddingOp::create(b, rows(info.hidden), positionTable(), positions);
  Value sum = tq::AddOp::create(b, x.getType(), x, places);
  return observe(sum, "e", "E.e");
}

Value VisionBuilder::residual(Value a, Value b, StringRef key, int64_t layer) {
  Value sum = tq::AddOp::create(this->b, a.getType(), a, b);
  return observe(sum, key, ("L" + Twine(layer) + "." + key).str(), layer);
}

/// From the residual sum before the layer and its LayerNorm to the sum behind.
Value VisionBuilder::encoderLayer(Value sum, Value normal, Value offsets,
                                  int64_t layer) {
  std::string name = "encoder.layer." + std::to_string(layer);
  Value g = attention(normal, offsets, layer, name + ".attention.attention.",
                      name + ".attention.output.dense", info.qkvBias);
  Value u = residual(g, sum, "u", layer);
  Value x = observe(layerNorm(u, name + ".layernorm_after"), "x",
                    "L" + std::to_string(layer) + ".x", layer);
  return residual(feedForward(x, layer, name), u, "y", layer);
}

Value VisionBuilder::head(Value x, Value offsets) {
  x = pooled(x, offsets);
  if (info.head == HeadKind::Embedding)
    return x;
  x = linear(x, "classifier", static_cast<int64_t>(info.labels.size()));
  return observe(x, "C", "C");
}

Value VisionBuilder::body(Block::BlockArgListType arguments) {
  Value offsets = arguments[2];
  Value sum = embeddings(arguments[0], arguments[1]);
  Value x =
      observe(layerNorm(sum, "encoder.layer.0.layernorm_before"), "emb", "E.z");
  for (int64_t layer = 0; layer < info.layers && !failure; ++layer) {
    sum = encoderLayer(sum, x, offsets, layer);
    std::string next = "encoder.layer." + std::to_string(layer + 1);
    x = layerNorm(sum, layer + 1 < info.layers ? next + ".layernorm_before"
                                               : "layernorm");
    x = observe(x, "z", "L" + std::to_string(layer) + ".z", layer);
  }
  return head(x, offsets);
}

Expected<OwningOpRef<ModuleOp>>
quern::buildVisionGraph(MLIRContext &context, const ModelInfo &info,
                        Checkpoint &checkpoint) {
  return VisionBuilder(context, info, checkpoint).build();
}
