//===- BertGraph.cpp - A BERT encoder as a tq function --------------------===//
//
// The graph of the original BERT (post-LayerNorm) with the quantizer sites of
// the PEG paper and, in addition, one at Q, K, V and the FFN activation; see
// BertGraph.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/BertGraph.h"

#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <cmath>

using namespace mlir;
using namespace quern;

DictionaryAttr quern::modelAttribute(MLIRContext &context,
                                     const ModelInfo &info) {
  Builder b(&context);
  auto text = [&](std::string_view s) { return b.getStringAttr(StringRef(s)); };
  SmallVector<Attribute> labels;
  for (const std::string &label : info.labels)
    labels.push_back(b.getStringAttr(label));
  NamedAttrList model;
  model.set("family", text(info.family));
  model.set("head", text(headName(info.head)));
  model.set("labels", b.getArrayAttr(labels));
  model.set("hidden", b.getI64IntegerAttr(info.hidden));
  model.set("heads", b.getI64IntegerAttr(info.heads));
  model.set("layers", b.getI64IntegerAttr(info.layers));
  model.set("intermediate", b.getI64IntegerAttr(info.intermediate));
  model.set("vocab", b.getI64IntegerAttr(info.vocab));
  model.set("type_vocab", b.getI64IntegerAttr(info.typeVocab));
  model.set("positions", b.getI64IntegerAttr(info.positions));
  model.set("max_length", b.getI64IntegerAttr(info.maxLength));
  model.set("activation", text(activationName(info.activation)));
  model.set("eps", b.getF64FloatAttr(info.layerNormEps));
  model.set("pooling", text(poolingName(info.pooling)));
  model.set("pooler", b.getBoolAttr(info.pooler));
  model.set("normalize", b.getBoolAttr(info.normalize));
  return model.getDictionary(&context);
}

namespace {
/// Emits the function. The first weight that cannot be read stops the import;
/// until then `failure` is a success.
class GraphBuilder {
public:
  GraphBuilder(MLIRContext &context, const ModelInfo &info,
               Checkpoint &checkpoint)
      : b(UnknownLoc::get(&context), &context), info(info),
        checkpoint(checkpoint) {}

  Expected<OwningOpRef<ModuleOp>> build();

private:
  RankedTensorType rows(int64_t width) {
    return RankedTensorType::get({ShapedType::kDynamic, width}, b.getF32Type());
  }
  RankedTensorType scores() {
    return RankedTensorType::get({info.heads, ShapedType::kDynamic},
                                 b.getF32Type());
  }
  Value weight(const std::string &name, ArrayRef<int64_t> shape);
  Value observe(Value x, StringRef key, StringRef site, int64_t layer = -1);
  Value table(const std::string &name, int64_t size, Value index);
  Value linear(Value x, const std::string &name, int64_t outputs);
  Value layerNorm(Value x, const std::string &name);
  Value activation(Value x);
  Value embeddings(Value ids, Value types, Value positions);
  Value attention(Value x, Value offsets, int64_t layer,
                  const std::string &name);
  Value encoderLayer(Value x, Value offsets, int64_t layer);
  Value pooled(Value x, Value offsets);
  Value head(Value x, Value offsets);

  ImplicitLocOpBuilder b;
  const ModelInfo &info;
  Checkpoint &checkpoint;
  Error failure = Error::success();
};
} // namespace

/// A resource that points at `values` and keeps their owner alive.
static AsmResourceBlob makeBlob(FloatData values) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data),
                       values.size * sizeof(float));
  return AsmResourceBlob(
      bytes, alignof(float),
      [owner = std::move(values.owner)](void *, size_t, size_t) {},
      /*dataIsMutable=*/false);
}

Value GraphBuilder::weight(const std::string &name, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, b.getF32Type());
  if (!failure) {
    auto values = checkpoint.read(name, shape.vec());
    if (values) {
      auto attribute =
          DenseResourceElementsAttr::get(type, name, makeBlob(*values));
      return arith::ConstantOp::create(b, attribute);
    }
    failure = values.takeError();
  }
  // The module is thrown away; any constant keeps it well formed.
  return arith::ConstantOp::create(b, b.getZeroAttr(type));
}

Value GraphBuilder::observe(Value x, StringRef key, StringRef site,
                            int64_t layer) {
  return tq::ObserveOp::create(b, x.getType(), x, b.getStringAttr(site),
                               b.getStringAttr(key),
                               b.getI64IntegerAttr(layer));
}

Value GraphBuilder::table(const std::string &name, int64_t size, Value index) {
  Value values =
      weight("embeddings." + name + "_embeddings.weight", {size, info.hidden});
  return tq::EmbeddingOp::create(b, rows(info.hidden), values, index);
}

Value GraphBuilder::linear(Value x, const std::string &name, int64_t outputs) {
  int64_t inputs = cast<RankedTensorType>(x.getType()).getDimSize(1);
  Value w = weight(name + ".weight", {outputs, inputs});
  Value bias = weight(name + ".bias", {outputs});
  return tq::LinearOp::create(b, rows(outputs), x, w, bias);
}

Value GraphBuilder::layerNorm(Value x, const std::string &name) {
  Value gamma = weight(name + ".weight", {info.hidden});
  Value beta = weight(name + ".bias", {info.hidden});
  return tq::LayerNormOp::create(b, x.getType(), x, gamma, beta,
                                 b.getF64FloatAttr(info.layerNormEps));
}

Value GraphBuilder::activation(Value x) {
  switch (info.activation) {
  case ActivationKind::Gelu:
    return tq::GeluOp::create(b, x.getType(), x, tq::Approximate::None);
  case ActivationKind::GeluTanh:
    return tq::GeluOp::create(b, x.getType(), x, tq::Approximate::Tanh);
  case ActivationKind::Relu:
    return tq::ReluOp::create(b, x.getType(), x);
  }
  llvm_unreachable("every activation is handled");
}

Value GraphBuilder::embeddings(Value ids, Value types, Value positions) {
  Value words = table("word", info.vocab, ids);
  Value kinds = table("token_type", info.typeVocab, types);
  Value sum = tq::AddOp::create(b, words.getType(), words, kinds);
  sum = observe(sum, "e", "E.t");
  Value places = table("position", info.positions, positions);
  sum = tq::AddOp::create(b, sum.getType(), sum, places);
  sum = observe(sum, "e", "E.e");
  return observe(layerNorm(sum, "embeddings.LayerNorm"), "emb", "E.z");
}

Value GraphBuilder::attention(Value x, Value offsets, int64_t layer,
                              const std::string &name) {
  std::string site = "L" + std::to_string(layer) + ".";
  auto project = [&](const char *part, const char *key) {
    Value y = linear(x, name + ".attention.self." + part, info.hidden);
    return observe(y, key, site + key, layer);
  };
  Value q = project("query", "q");
  Value k = project("key", "k");
  Value v = project("value", "v");
  auto heads = b.getI64IntegerAttr(info.heads);
  Value s = tq::ScoresOp::create(b, scores(), q, k, offsets, heads);
  s = observe(s, "s", site + "s", layer);
  double width = static_cast<double>(info.hidden / info.heads);
  auto scale = b.getF32FloatAttr(static_cast<float>(1.0 / std::sqrt(width)));
  Value p = tq::SoftmaxOp::create(b, scores(), s, offsets, scale);
  p = observe(p, "p", site + "p", layer);
  Value c = tq::ContextOp::create(b, rows(info.hidden), p, v, offsets, heads);
  c = observe(c, "c", site + "c", layer);
  Value g = linear(c, name + ".attention.output.dense", info.hidden);
  return observe(g, "g", site + "g", layer);
}

Value GraphBuilder::encoderLayer(Value x, Value offsets, int64_t layer) {
  std::string name = "encoder.layer." + std::to_string(layer);
  std::string site = "L" + std::to_string(layer) + ".";
  Value g = attention(x, offsets, layer, name);
  Value u = tq::AddOp::create(b, g.getType(), g, x);
  u = observe(u, "u", site + "u", layer);
  Value inner = layerNorm(u, name + ".attention.output.LayerNorm");
  inner = observe(inner, "x", site + "x", layer);
  Value f = linear(inner, name + ".intermediate.dense", info.intermediate);
  f = observe(activation(f), "f", site + "f", layer);
  Value h = linear(f, name + ".output.dense", info.hidden);
  h = observe(h, "h", site + "h", layer);
  Value y = tq::AddOp::create(b, h.getType(), h, inner);
  y = observe(y, "y", site + "y", layer);
  Value z = layerNorm(y, name + ".output.LayerNorm");
  return observe(z, "z", site + "z", layer);
}

/// One vector per sequence.
Value GraphBuilder::pooled(Value x, Value offsets) {
  auto kind =
      info.head == HeadKind::Embedding && info.pooling == PoolingKind::Mean
          ? tq::PoolKind::Mean
          : tq::PoolKind::Cls;
  x = tq::PoolOp::create(b, x.getType(), x, offsets, kind);
  if (!info.pooler)
    return x;
  x = linear(x, "pooler.dense", info.hidden);
  x = tq::TanhOp::create(b, x.getType(), x);
  return observe(x, "P", "P");
}

Value GraphBuilder::head(Value x, Value offsets) {
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

Expected<OwningOpRef<ModuleOp>> GraphBuilder::build() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  (*module)->setAttr("tq.model", modelAttribute(*b.getContext(), info));
  b.setInsertionPointToEnd(module->getBody());
  auto index = RankedTensorType::get({ShapedType::kDynamic}, b.getI32Type());
  SmallVector<Type> inputs(4, index);
  auto function = func::FuncOp::create(b, "forward",
                                       b.getFunctionType(inputs, TypeRange()));
  Block *body = function.addEntryBlock();
  b.setInsertionPointToEnd(body);
  Value offsets = body->getArgument(3);
  Value x = embeddings(body->getArgument(0), body->getArgument(1),
                       body->getArgument(2));
  for (int64_t layer = 0; layer < info.layers && !failure; ++layer)
    x = encoderLayer(x, offsets, layer);
  x = head(x, offsets);
  func::ReturnOp::create(b, x);
  function.setType(b.getFunctionType(inputs, x.getType()));
  if (failure)
    return std::move(failure);
  return std::move(module);
}

Expected<OwningOpRef<ModuleOp>> quern::buildBertGraph(MLIRContext &context,
                                                      const ModelInfo &info,
                                                      Checkpoint &checkpoint) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, tq::TQDialect>();
  return GraphBuilder(context, info, checkpoint).build();
}
