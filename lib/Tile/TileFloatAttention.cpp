//===- TileFloatAttention.cpp - Launches of attention in f32 -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Tiler.h"

using namespace mlir;

namespace quern {

/// The quantizer between a value and its maker, if there is one: looks through
/// observe, dequantize and quantize.
struct Unquantized {
  Value value;
  tq::QuantizeOp quantizer;
};

static Unquantized unquantized(Value value,
                               llvm::function_ref<Value(Value)> source) {
  value = source(value);
  auto dequantize = value.getDefiningOp<tq::DequantizeOp>();
  auto quantize = dequantize ? dequantize.getX().getDefiningOp<tq::QuantizeOp>()
                             : tq::QuantizeOp();
  if (!quantize)
    return {value, {}};
  return {source(quantize.getX()), quantize};
}

bool Tiler::isWithinAttention(tq::QuantizeOp op) {
  return isa_and_nonnull<tq::ScoresOp, tq::SoftmaxOp>(
      source(op.getX()).getDefiningOp());
}

std::optional<Tiler::AttentionChain> Tiler::matchAttention(tq::ContextOp op) {
  AttentionChain chain;
  Unquantized p = unquantized(op.getP(), source);
  chain.softmax = p.value.getDefiningOp<tq::SoftmaxOp>();
  if (!chain.softmax)
    return std::nullopt;
  Unquantized s = unquantized(chain.softmax.getS(), source);
  chain.scores = s.value.getDefiningOp<tq::ScoresOp>();
  if (!chain.scores)
    return std::nullopt;
  chain.scoreQuantizer = s.quantizer;
  chain.probQuantizer = p.quantizer;
  return chain;
}

/// Appends the constants of a quantizer, zeros for none.
static LogicalResult appendQuantizer(tq::QuantizeOp quantizer,
                                     std::vector<float> &params) {
  InnerQuantizer constants;
  if (quantizer) {
    Type element =
        cast<ShapedType>(quantizer.getResult().getType()).getElementType();
    auto scale = tq::getPerTensorParams(element);
    auto codes = tq::getCodeStorage(element);
    if (!scale || !codes)
      return quantizer.emitOpError("has no kernel within float attention, "
                                   "expected one scale for all codes");
    constants = {float(1.0 / scale->scale), float(codes->min - scale->zero),
                 float(codes->max - scale->zero), float(scale->scale)};
  }
  params.insert(params.end(), {constants.inverse, constants.lo, constants.hi,
                               constants.step});
  return success();
}

LogicalResult Tiler::tileContext(tq::ContextOp op) {
  std::optional<AttentionChain> chain = matchAttention(op);
  if (!chain)
    return op.emitOpError("expects softmax of scores as probabilities");
  tq::ScoresOp scores = chain->scores;
  tq::SoftmaxOp softmax = chain->softmax;
  FailureOr<Place> q = placeOf(scores.getQ(), op);
  FailureOr<Place> k = placeOf(scores.getK(), op);
  FailureOr<Place> v = placeOf(op.getV(), op);
  FailureOr<std::string> offsets = inputOf(op.getOffsets(), op);
  if (failed(q) || failed(k) || failed(v) || failed(offsets))
    return failure();
  bool firstQuery = op.getFirstQuery();
  if (scores.getFirstQuery() != firstQuery ||
      softmax.getFirstQuery() != firstQuery)
    return op.emitOpError("expects scores and softmax of the same queries");
  if (k->stride != v->stride || (!firstQuery && q->stride != k->stride))
    return op.emitOpError("expects queries, keys and values in buffers of one "
                          "stride");
  auto model = op->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(
      "tq.model");
  auto longest = model ? model.getAs<IntegerAttr>("max_length") : IntegerAttr();

  LaunchInfo info;
  std::string site = observedSite(op.getResult());
  info.op = "attention";
  info.layer = layerOfSite(site);
  info.step =
      info.layer < 0 ? nameOf(op, "") : "L" + num(info.layer) + ".attention";
  Place out = define(op.getResult(), site.empty() ? info.step : site,
                     widthOf(op.getResult()), Storage::F32, q->rows);

  AttentionShape shape;
  shape.heads = op.getHeads();
  shape.headDim = q->d / shape.heads;
  shape.maxLength = longest ? longest.getInt() : 512;
  shape.qkvStride = k->stride;
  shape.firstQuery = firstQuery;
  shape.queryStride = q->stride;
  shape.qColumn = q->column;
  shape.kColumn = k->column;
  shape.vColumn = v->column;
  shape.contextStride = out.stride;
  shape.quantizeScores = bool(chain->scoreQuantizer);
  shape.quantizeProbs = bool(chain->probQuantizer);
  std::string kernel = program.kernel(
      joinName({"attention_f32", num(shape.heads) + "x" + num(shape.headDim),
                num(k->stride), num(k->column), num(out.stride),
                firstQuery ? "first" + num(q->stride) : "",
                shape.quantizeScores ? "s" : "",
                shape.quantizeProbs ? "p" : ""}),
      [&](StringRef name) {
        return buildAttention(program.module(), name, shape);
      },
      attentionScratch(shape));
  describeRealAttention(program.module(), kernel, shape);
  program.explain(kernel, attentionNotes(shape, /*isReal=*/true));
  std::vector<float> params = {softmax.getScale().convertToFloat()};
  if (failed(appendQuantizer(chain->scoreQuantizer, params)) ||
      failed(appendQuantizer(chain->probQuantizer, params)))
    return failure();
  std::string constants =
      program.data(info.step + ".params", std::move(params));
  std::string sSite = observedSite(scores.getResult());
  std::string pSite = observedSite(softmax.getResult());
  Place s = program.scoreTap(sSite.empty() ? info.step + ".s" : sSite,
                             shape.heads, Storage::F32, firstQuery);
  Place p = program.scoreTap(pSite.empty() ? info.step + ".p" : pSite,
                             shape.heads, Storage::F32, firstQuery);
  if (!sSite.empty())
    info.sites.push_back({sSite, s.buffer, 0, shape.heads});
  if (!pSite.empty())
    info.sites.push_back({pSite, p.buffer, 0, shape.heads});
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, out.d});
  (firstQuery ? info.macsPerToken : info.macsPerPair) = 2 * q->d;
  program.launch(kernel,
                 {q->buffer, k->buffer, v->buffer, *offsets, constants,
                  out.buffer, s.buffer, p.buffer},
                 {tk::Base::Sequences, 1, shape.heads}, info);
  return success();
}

} // namespace quern
