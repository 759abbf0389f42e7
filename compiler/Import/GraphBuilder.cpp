//===- GraphBuilder.cpp - Pieces of encoder graphs ------------------------===//
//
// See GraphBuilder.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/GraphBuilder.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

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
  if (info.image) {
    model.set("image_size", b.getI64IntegerAttr(info.image->size));
    model.set("patch_size", b.getI64IntegerAttr(info.image->patch));
    model.set("channels", b.getI64IntegerAttr(info.image->channels));
    model.set("special_tokens", b.getI64IntegerAttr(info.image->specialTokens));
    model.set("pixel_rescale", b.getF64FloatAttr(info.image->rescale));
    model.set("pixel_mean", b.getDenseF32ArrayAttr(info.image->mean));
    model.set("pixel_deviation", b.getDenseF32ArrayAttr(info.image->deviation));
  }
  return model.getDictionary(&context);
}

GraphBuilder::GraphBuilder(MLIRContext &context, const ModelInfo &info,
                           Checkpoint &checkpoint)
    : b(UnknownLoc::get(&context), &context), info(info),
      checkpoint(checkpoint) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, tq::TQDialect>();
}

RankedTensorType GraphBuilder::rows(int64_t width) {
  return RankedTensorType::get({ShapedType::kDynamic, width}, b.getF32Type());
}

RankedTensorType GraphBuilder::scores() {
  return RankedTensorType::get({info.heads, ShapedType::kDynamic},
                               b.getF32Type());
}

RankedTensorType GraphBuilder::indices() {
  return RankedTensorType::get({ShapedType::kDynamic}, b.getI32Type());
}

/// A resource that points at `values` and keeps their owner alive.
static AsmResourceBlob makeBlob(FloatData values) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data),
                       values.size * sizeof(float));
  return AsmResourceBlob(
      bytes, alignof(float),
      [owner = std::move(values.owner)](void *, size_t, size_t) {},
      /*dataIsMutable=*/false);
}

Value GraphBuilder::weight(const std::string &name, ArrayRef<int64_t> shape,
                           ArrayRef<int64_t> stored) {
  auto type = RankedTensorType::get(shape, b.getF32Type());
  if (!failure) {
    auto values =
        checkpoint.read(name, stored.empty() ? shape.vec() : stored.vec());
    if (values) {
      auto attribute =
          DenseResourceElementsAttr::get(type, name, makeBlob(*values));
      return arith::ConstantOp::create(b, attribute);
    }
    failure = values.takeError();
  }
  return standIn(shape);
}

Value GraphBuilder::standIn(ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, b.getF32Type());
  return arith::ConstantOp::create(b, b.getZeroAttr(type));
}

Value GraphBuilder::constant(const std::string &name, ArrayRef<int64_t> shape,
                             std::vector<float> values) {
  return tq::createConstant<float>(b, b.getLoc(),
                                   RankedTensorType::get(shape, b.getF32Type()),
                                   name, std::move(values));
}

std::vector<float> GraphBuilder::values(const std::string &name,
                                        ArrayRef<int64_t> shape) {
  if (failure)
    return {};
  auto read = checkpoint.read(name, shape.vec());
  if (read)
    return {read->data, read->data + read->size};
  failure = read.takeError();
  return {};
}

Value GraphBuilder::observe(Value x, StringRef key, StringRef site,
                            int64_t layer) {
  return tq::ObserveOp::create(b, x.getType(), x, b.getStringAttr(site),
                               b.getStringAttr(key),
                               b.getI64IntegerAttr(layer));
}

Value GraphBuilder::linear(Value x, const std::string &name, int64_t outputs,
                           bool hasBias) {
  int64_t inputs = cast<RankedTensorType>(x.getType()).getDimSize(1);
  Value w = weight(name + ".weight", {outputs, inputs});
  Value bias = hasBias ? weight(name + ".bias", {outputs})
                       : constant(name + ".bias", {outputs},
                                  std::vector<float>(outputs));
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

Value GraphBuilder::attention(Value x, Value offsets, int64_t layer,
                              const std::string &projections,
                              const std::string &output, bool hasBias) {
  std::string site = "L" + std::to_string(layer) + ".";
  auto project = [&](const char *part, const char *key) {
    Value y = linear(x, projections + part, info.hidden, hasBias);
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
  Value g = linear(c, output, info.hidden);
  return observe(g, "g", site + "g", layer);
}

Value GraphBuilder::feedForward(Value x, int64_t layer,
                                const std::string &name) {
  std::string site = "L" + std::to_string(layer) + ".";
  Value f = linear(x, name + ".intermediate.dense", info.intermediate);
  f = observe(activation(f), "f", site + "f", layer);
  Value h = linear(f, name + ".output.dense", info.hidden);
  return observe(h, "h", site + "h", layer);
}

Value GraphBuilder::pooled(Value x, Value offsets) {
  auto kind =
      info.head == HeadKind::Embedding && info.pooling == PoolingKind::Mean
          ? tq::PoolKind::Mean
          : tq::PoolKind::Cls;
  x = tq::PoolOp::create(b, x.getType(), x, offsets, kind);
  if (!info.pooler)
    return x;
  x = linear(x, "pooler.dense", info.hidden);
  switch (info.poolerActivation) {
  case PoolerActivation::Tanh:
    x = tq::TanhOp::create(b, x.getType(), x);
    break;
  case PoolerActivation::Relu:
    x = tq::ReluOp::create(b, x.getType(), x);
    break;
  case PoolerActivation::Gelu:
    x = tq::GeluOp::create(b, x.getType(), x, tq::Approximate::None);
    break;
  }
  return observe(x, "P", "P");
}

Expected<OwningOpRef<ModuleOp>> GraphBuilder::build() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  (*module)->setAttr("tq.model", modelAttribute(*b.getContext(), info));
  b.setInsertionPointToEnd(module->getBody());
  SmallVector<Type> types = inputs();
  auto function =
      func::FuncOp::create(b, "forward", b.getFunctionType(types, TypeRange()));
  Block *block = function.addEntryBlock();
  b.setInsertionPointToEnd(block);
  Value result = body(block->getArguments());
  func::ReturnOp::create(b, result);
  function.setType(b.getFunctionType(types, result.getType()));
  if (failure)
    return std::move(failure);
  return std::move(module);
}
