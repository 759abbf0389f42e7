//===- BertGraph.cpp - A BERT encoder as a tq function --------------------===//
//
// The graph of the original BERT (post-LayerNorm) with the quantizer sites of
// the PEG paper and, in addition, one at Q, K, V and the FFN activation; see
// BertGraph.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/BertGraph.h"

#include "compiler/Import/GraphBuilder.h"
#include "dialects/TQ/TQOps.h"

using namespace mlir;
using namespace quern;

namespace {
class BertBuilder : public GraphBuilder {
public:
  BertBuilder(MLIRContext &context, const ModelInfo &info,
              Checkpoint &checkpoint)
      : GraphBuilder(context, info, checkpoint) {}

private:
  /// Ids, types, positions and offsets.
  SmallVector<Type> inputs() override {
    return SmallVector<Type>(4, indices());
  }
  Value body(Block::BlockArgListType arguments) override;

  Value table(const std::string &name, int64_t size, Value index);
  Value embeddings(Value ids, Value types, Value positions);
  Value encoderLayer(Value x, Value offsets, int64_t layer);
  Value head(Value x, Value offsets);
};
} // namespace

Value BertBuilder::table(const std::string &name, int64_t size, Value index) {
  Value values =
      weight("embeddings." + name + "_embeddings.weight", {size, info.hidden});
  return tq::EmbeddingOp::create(b, rows(info.hidden), values, index);
}

Value BertBuilder::embeddings(Value ids, Value types, Value positions) {
  Value words = table("word", info.vocab, ids);
  Value kinds =
      info.hasTypes
          ? table("token_type", info.typeVocab, types)
          : tq::EmbeddingOp::create(
                b, rows(info.hidden),
                constant("embeddings.token_type_embeddings.weight",
                         {info.typeVocab, info.hidden},
                         std::vector<float>(info.typeVocab * info.hidden)),
                types);
  Value sum = tq::AddOp::create(b, words.getType(), words, kinds);
  sum = observe(sum, "e", "E.t");
  Value places = table("position", info.positions, positions);
  sum = tq::AddOp::create(b, sum.getType(), sum, places);
  sum = observe(sum, "e", "E.e");
  return observe(layerNorm(sum, "embeddings.LayerNorm"), "emb", "E.z");
}

Value BertBuilder::encoderLayer(Value x, Value offsets, int64_t layer) {
  std::string name = "encoder.layer." + std::to_string(layer);
  std::string site = "L" + std::to_string(layer) + ".";
  Value g = attention(x, offsets, layer, name + ".attention.self.",
                      name + ".attention.output.dense");
  Value u = tq::AddOp::create(b, g.getType(), g, x);
  u = observe(u, "u", site + "u", layer);
  Value inner = layerNorm(u, name + ".attention.output.LayerNorm");
  inner = observe(inner, "x", site + "x", layer);
  Value h = feedForward(inner, layer, name);
  Value y = tq::AddOp::create(b, h.getType(), h, inner);
  y = observe(y, "y", site + "y", layer);
  Value z = layerNorm(y, name + ".output.LayerNorm");
  return observe(z, "z", site + "z", layer);
}

Value BertBuilder::head(Value x, Value offsets) {
  auto outputs = static_cast<int64_t>(info.labels.size());
  switch (info.head) {
  case HeadKind::Classification:
  case HeadKind::Regression:
    x = linear(pooled(x, offsets), "classifier", outputs);
    return observe(x, "C", "C");
  case HeadKind::TokenClassification:
    return observe(linear(x, "classifier", outputs), "C", "C");
  case HeadKind::QuestionAnswering:
    return observe(linear(x, "qa_outputs", outputs), "C", "C");
  case HeadKind::Embedding:
    x = pooled(x, offsets);
    if (info.normalize)
      x = tq::NormalizeOp::create(b, x.getType(), x, b.getF64FloatAttr(1e-12));
    return x;
  }
  llvm_unreachable("every head is handled");
}

Value BertBuilder::body(Block::BlockArgListType arguments) {
  Value offsets = arguments[3];
  Value x = embeddings(arguments[0], arguments[1], arguments[2]);
  for (int64_t layer = 0; layer < info.layers && !failure; ++layer)
    x = encoderLayer(x, offsets, layer);
  return head(x, offsets);
}

Expected<OwningOpRef<ModuleOp>> quern::buildBertGraph(MLIRContext &context,
                                                      const ModelInfo &info,
                                                      Checkpoint &checkpoint) {
  return BertBuilder(context, info, checkpoint).build();
}
