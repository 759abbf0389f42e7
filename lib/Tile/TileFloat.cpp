//===- TileFloat.cpp - Launches of the float ops --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Attention.h"
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/Gemm.h"
#include "lib/Tile/Pool.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

static std::string kernelName(std::initializer_list<Twine> parts) {
  std::string name;
  for (const Twine &part : parts)
    name += (name.empty() ? "" : "_") + part.str();
  return name;
}

static std::string num(int64_t value) { return std::to_string(value); }

/// Multiply-adds of a matrix product by what it has a row of.
static void countMacs(LaunchInfo &info, int64_t macs, RowsOf rows) {
  (rows == RowsOf::Tokens ? info.macsPerToken : info.macsPerSequence) = macs;
}

//===----------------------------------------------------------------------===//
// Linear
//===----------------------------------------------------------------------===//

/// The activation of a reader that a matrix product can do on its way out.
static std::optional<GemmActivation> activationOf(Operation *op) {
  if (auto gelu = dyn_cast_or_null<tq::GeluOp>(op))
    return gelu.getApproximate() == tq::Approximate::Tanh
               ? GemmActivation::GeluTanh
               : GemmActivation::Gelu;
  if (isa_and_nonnull<tq::ReluOp>(op))
    return GemmActivation::Relu;
  if (isa_and_nonnull<tq::TanhOp>(op))
    return GemmActivation::Tanh;
  return std::nullopt;
}

/// Appends a float matrix product: `parts` are weights and biases whose
/// outputs lie one after the other, each from a multiple of 16 on.
static void
launchGemm(ProgramBuilder &program, const Place &x, const Place &out,
           GemmActivation activation,
           ArrayRef<std::pair<ConstantView<float>, ConstantView<float>>> parts,
           LaunchInfo info) {
  int64_t k = x.d, n = 0, parameters = 0;
  for (const auto &[weights, bias] : parts)
    n += llvm::alignTo(bias.size(), 16);
  std::vector<float> packed(n * k), biases(n);
  int64_t column = 0;
  for (const auto &[weights, bias] : parts) {
    packFloatGemmWeights(weights.values().data(), bias.size(), k,
                         packed.data() + column * k);
    llvm::copy(bias.values(), biases.begin() + column);
    parameters += weights.size() + bias.size();
    column += llvm::alignTo(bias.size(), 16);
  }
  GemmShape shape;
  shape.n = n;
  shape.k = k;
  shape.xStride = x.stride;
  shape.outStride = out.stride;
  shape.activation = activation;
  shape.out = Storage::F32;
  shape.rows = x.rows;
  std::string kernel =
      program.kernel(getFloatGemmName(shape), [&](StringRef name) {
        return buildFloatGemm(program.module(), name, shape);
      });
  std::string w =
      program.data(info.step + ".w", std::move(packed), 32, parameters, "f32");
  std::string b = program.data(info.step + ".b", std::move(biases));
  info.op = "linear";
  info.gemmN = n;
  info.gemmK = k;
  countMacs(info, n * k, x.rows);
  program.launch(kernel, {x.buffer, w, b, out.buffer}, gemmChunks(shape), info);
}

LogicalResult Tiler::tileQkv(tq::LinearOp first, tq::ContextOp context,
                             bool &matched) {
  std::optional<AttentionChain> chain = matchAttention(context);
  if (!chain)
    return success();
  tq::LinearOp linears[3];
  Value values[3] = {chain->scores.getQ(), chain->scores.getK(),
                     context.getV()};
  for (int i = 0; i < 3; ++i) {
    linears[i] = source(values[i]).getDefiningOp<tq::LinearOp>();
    if (!linears[i] || source(linears[i].getX()) != source(first.getX()))
      return success();
  }
  FailureOr<Place> x = placeOf(first.getX(), first);
  if (failed(x))
    return failure();
  int64_t d = widthOf(values[0]), part = llvm::alignTo(d, 16);
  std::vector<std::pair<ConstantView<float>, ConstantView<float>>> parts;
  LaunchInfo info;
  for (tq::LinearOp linear : linears) {
    auto w = constant<float>(linear.getW(), "w", linear);
    auto b = constant<float>(linear.getB(), "b", linear);
    if (failed(w) || failed(b))
      return failure();
    parts.push_back({*w, *b});
  }
  std::string site = observedSite(linears[0].getResult());
  info.layer = layerOfSite(site);
  info.step = site.empty() ? nameOf(first, "") : "L" + num(info.layer) + ".qkv";
  Place out = program.buffer(info.step, 3 * part, Storage::F32, x->rows);
  for (int i = 0; i < 3; ++i) {
    Place place = out;
    place.d = d;
    place.column = i * part;
    places[linears[i].getResult()] = place;
    done.insert(linears[i]);
    std::string name = observedSite(linears[i].getResult());
    if (!name.empty())
      info.sites.push_back({name, out.buffer, place.column, d});
  }
  launchGemm(program, *x, out, GemmActivation::None, parts, info);
  matched = true;
  return success();
}

LogicalResult Tiler::tileLinear(tq::LinearOp op) {
  // Queries, keys and values of float attention come from one product.
  Operation *reader = onlyReader(op.getResult());
  tq::ContextOp context = dyn_cast_or_null<tq::ContextOp>(reader);
  if (auto scores = dyn_cast_or_null<tq::ScoresOp>(reader))
    if (auto softmax =
            dyn_cast_or_null<tq::SoftmaxOp>(onlyReader(scores.getResult())))
      context =
          dyn_cast_or_null<tq::ContextOp>(onlyReader(softmax.getResult()));
  if (context) {
    bool matched = false;
    if (failed(tileQkv(op, context, matched)))
      return failure();
    if (matched)
      return success();
  }
  FailureOr<Place> x = placeOf(op.getX(), op);
  auto w = constant<float>(op.getW(), "w", op);
  auto b = constant<float>(op.getB(), "b", op);
  if (failed(x) || failed(w) || failed(b))
    return failure();
  Value result = op.getResult();
  GemmActivation activation = GemmActivation::None;
  if (observedSite(result).empty())
    if (auto fused = activationOf(reader)) {
      activation = *fused;
      result = reader->getResult(0);
      done.insert(reader);
    }
  LaunchInfo info;
  std::string site = observedSite(result);
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  Place out = define(result, info.step, widthOf(result), Storage::F32, x->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, out.d});
  launchGemm(program, *x, out, activation, {{*w, *b}}, info);
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

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
  if (q->stride != k->stride || q->stride != v->stride)
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
                     widthOf(op.getResult()), Storage::F32, RowsOf::Tokens);

  AttentionShape shape;
  shape.heads = op.getHeads();
  shape.headDim = q->d / shape.heads;
  shape.maxLength = longest ? longest.getInt() : 512;
  shape.qkvStride = q->stride;
  shape.qColumn = q->column;
  shape.kColumn = k->column;
  shape.vColumn = v->column;
  shape.contextStride = out.stride;
  shape.quantizeScores = bool(chain->scoreQuantizer);
  shape.quantizeProbs = bool(chain->probQuantizer);
  std::string kernel = program.kernel(
      kernelName({"attention_f32", num(shape.heads) + "x" + num(shape.headDim),
                  num(q->stride), num(k->column), num(out.stride),
                  shape.quantizeScores ? "s" : "",
                  shape.quantizeProbs ? "p" : ""}),
      [&](StringRef name) {
        return buildAttention(program.module(), name, shape);
      },
      attentionScratch(shape));
  std::vector<float> params = {softmax.getScale().convertToFloat()};
  if (failed(appendQuantizer(chain->scoreQuantizer, params)) ||
      failed(appendQuantizer(chain->probQuantizer, params)))
    return failure();
  std::string constants =
      program.data(info.step + ".params", std::move(params));
  std::string sSite = observedSite(scores.getResult());
  std::string pSite = observedSite(softmax.getResult());
  Place s = program.pairTap(sSite.empty() ? info.step + ".s" : sSite,
                            shape.heads, Storage::F32);
  Place p = program.pairTap(pSite.empty() ? info.step + ".p" : pSite,
                            shape.heads, Storage::F32);
  if (!sSite.empty())
    info.sites.push_back({sSite, s.buffer, 0, shape.heads});
  if (!pSite.empty())
    info.sites.push_back({pSite, p.buffer, 0, shape.heads});
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, out.d});
  info.macsPerPair = 2 * q->d;
  program.launch(kernel,
                 {q->buffer, k->buffer, v->buffer, *offsets, constants,
                  out.buffer, s.buffer, p.buffer},
                 {tk::Base::Sequences, 1, shape.heads}, info);
  return success();
}

//===----------------------------------------------------------------------===//
// Embeddings, sums and LayerNorm
//===----------------------------------------------------------------------===//

/// The three look-ups of (word + type) + position, if that is what `sum` is.
struct EmbeddingSum {
  tq::EmbeddingOp word, type, position;
  tq::AddOp inner;
};

static std::optional<EmbeddingSum>
matchEmbeddings(tq::AddOp sum, llvm::function_ref<Value(Value)> source) {
  EmbeddingSum match;
  match.inner = source(sum.getA()).getDefiningOp<tq::AddOp>();
  match.position = source(sum.getB()).getDefiningOp<tq::EmbeddingOp>();
  if (!match.inner || !match.position)
    return std::nullopt;
  match.word = source(match.inner.getA()).getDefiningOp<tq::EmbeddingOp>();
  match.type = source(match.inner.getB()).getDefiningOp<tq::EmbeddingOp>();
  if (!match.word || !match.type)
    return std::nullopt;
  return match;
}

LogicalResult Tiler::tileLayerNorm(tq::LayerNormOp op) {
  auto gamma = constant<float>(op.getGamma(), "gamma", op);
  auto beta = constant<float>(op.getBeta(), "beta", op);
  if (failed(gamma) || failed(beta))
    return failure();
  int64_t d = widthOf(op.getResult());
  LaunchInfo info;
  std::string site = observedSite(op.getResult());
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  auto vector = [&](StringRef part, ArrayRef<float> values) {
    return program.vector(info.step + part.str(), values, llvm::alignTo(d, 16));
  };
  std::string params =
      program.data(info.step + ".eps",
                   std::vector<float>{float(op.getEps().convertToDouble())});

  Value x = source(op.getX());
  auto sum = x.getDefiningOp<tq::AddOp>();
  if (auto match =
          sum ? matchEmbeddings(sum, source) : std::optional<EmbeddingSum>()) {
    std::vector<std::string> operands;
    tq::EmbeddingOp lookups[3] = {match->word, match->type, match->position};
    for (tq::EmbeddingOp lookup : lookups) {
      FailureOr<std::string> index = inputOf(lookup.getIndex(), lookup);
      if (failed(index))
        return failure();
      operands.push_back(*index);
    }
    int64_t tableStride = llvm::alignTo(d, 16);
    for (tq::EmbeddingOp lookup : lookups) {
      auto table = constant<float>(lookup.getTable(), "table", lookup);
      if (failed(table))
        return failure();
      int64_t rows = table->size() / d;
      std::vector<float> padded(rows * tableStride);
      for (int64_t row = 0; row < rows; ++row)
        std::copy_n(table->values().data() + row * d, d,
                    padded.data() + row * tableStride);
      operands.push_back(
          program.data("embeddings", std::move(padded), 32, rows * d, "f32"));
    }
    Place out =
        define(op.getResult(), info.step, d, Storage::F32, RowsOf::Tokens);
    std::string first = observedSite(match->inner.getResult());
    std::string second = observedSite(sum.getResult());
    Place tap1 = program.tap(first.empty() ? "E.t" : first, d, Storage::F32);
    Place tap2 = program.tap(second.empty() ? "E.e" : second, d, Storage::F32);
    EmbedShape shape;
    shape.d = d;
    shape.tableStride = tableStride;
    shape.outStride = out.stride;
    shape.tapStride = tap1.stride;
    operands.insert(operands.end(), {vector(".gamma", gamma->values()),
                                     vector(".beta", beta->values()), params,
                                     out.buffer, tap1.buffer, tap2.buffer});
    std::string kernel = program.kernel(
        kernelName({"embed_f32", num(d)}),
        [&](StringRef name) {
          return buildEmbed(program.module(), name, shape);
        },
        embedScratch(shape));
    info.op = "embed";
    if (!first.empty())
      info.sites.push_back({first, tap1.buffer, 0, d});
    if (!second.empty())
      info.sites.push_back({second, tap2.buffer, 0, d});
    if (!site.empty())
      info.sites.push_back({site, out.buffer, 0, d});
    program.launch(kernel, operands, rowChunks(RowsOf::Tokens), info);
    return success();
  }

  AddNormShape shape;
  shape.d = d;
  shape.sum = shape.a = shape.b = shape.out = Storage::F32;
  if (sum && done.contains(sum)) {
    FailureOr<Place> a = placeOf(sum.getA(), op), b = placeOf(sum.getB(), op);
    if (failed(a) || failed(b))
      return failure();
    Place out = define(op.getResult(), info.step, d, Storage::F32, a->rows);
    std::string sumSite = observedSite(sum.getResult());
    Place tap = program.tap(sumSite.empty() ? info.step + ".sum" : sumSite, d,
                            Storage::F32);
    shape.aStride = a->stride;
    shape.bStride = b->stride;
    shape.outStride = out.stride;
    shape.tapStride = tap.stride;
    shape.rows = a->rows;
    std::string kernel = program.kernel(
        kernelName({"add_norm_f32", num(d), num(a->stride), num(b->stride)}),
        [&](StringRef name) {
          return buildAddNorm(program.module(), name, shape);
        },
        normScratch(shape));
    info.op = "add_norm";
    if (!sumSite.empty())
      info.sites.push_back({sumSite, tap.buffer, 0, d});
    if (!site.empty())
      info.sites.push_back({site, out.buffer, 0, d});
    program.launch(kernel,
                   {a->buffer, b->buffer, vector(".gamma", gamma->values()),
                    vector(".beta", beta->values()), params, out.buffer,
                    tap.buffer},
                   rowChunks(a->rows), info);
    return success();
  }

  FailureOr<Place> in = placeOf(x, op);
  if (failed(in))
    return failure();
  Place out = define(op.getResult(), info.step, d, Storage::F32, in->rows);
  shape.aStride = in->stride;
  shape.outStride = out.stride;
  shape.rows = in->rows;
  std::string kernel = program.kernel(
      kernelName({"norm_f32", num(d), num(in->stride),
                  in->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) { return buildNorm(program.module(), name, shape); },
      normScratch(shape));
  info.op = "norm";
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, d});
  program.launch(kernel,
                 {in->buffer, vector(".gamma", gamma->values()),
                  vector(".beta", beta->values()), params, out.buffer},
                 rowChunks(in->rows), info);
  return success();
}

LogicalResult Tiler::tileAdd(tq::AddOp op) {
  // A sum that only a LayerNorm reads is done with it; so are the sums of the
  // embeddings.
  Operation *reader = onlyReader(op.getResult());
  if (isa_and_nonnull<tq::LayerNormOp>(reader)) {
    done.insert(op);
    return success();
  }
  if (auto outer = dyn_cast_or_null<tq::AddOp>(reader))
    if (matchEmbeddings(outer, source) &&
        isa_and_nonnull<tq::LayerNormOp>(onlyReader(outer.getResult())))
      return success();
  FailureOr<Place> a = placeOf(op.getA(), op), b = placeOf(op.getB(), op);
  if (failed(a) || failed(b))
    return failure();
  if (a->column != 0 || b->column != 0 || a->rows != b->rows)
    return op.emitOpError("expects operands in buffers of their own");
  LaunchInfo info;
  std::string site = observedSite(op.getResult());
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  info.op = "add";
  Place out = define(op.getResult(), info.step, a->d, Storage::F32, a->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, out.d});
  RowShape shape{a->d, a->stride, b->stride, out.stride};
  shape.rows = a->rows;
  std::string kernel = program.kernel(
      kernelName({"add_f32", num(a->d), num(a->stride), num(b->stride),
                  a->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) { return buildAdd(program.module(), name, shape); });
  program.launch(kernel, {a->buffer, b->buffer, out.buffer}, rowChunks(a->rows),
                 info);
  return success();
}

//===----------------------------------------------------------------------===//
// Pooling and functions of rows
//===----------------------------------------------------------------------===//

LogicalResult Tiler::tilePool(tq::PoolOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<std::string> offsets = inputOf(op.getOffsets(), op);
  if (failed(x) || failed(offsets))
    return failure();
  LaunchInfo info;
  info.op = "pool";
  info.step = nameOf(op, observedSite(op.getResult()));
  Place out =
      define(op.getResult(), info.step, x->d, Storage::F32, RowsOf::Sequences);
  PoolShape shape{x->d, x->stride, out.stride, Storage::F32,
                  op.getKind() == tq::PoolKind::Mean};
  std::string kernel = program.kernel(
      kernelName({shape.mean ? "pool_mean_f32" : "pool_cls_f32", num(x->d)}),
      [&](StringRef name) { return buildPool(program.module(), name, shape); });
  std::string params =
      program.data(info.step + ".params", std::vector<float>{1.0f, 0.0f});
  program.launch(kernel, {x->buffer, *offsets, params, out.buffer},
                 {tk::Base::Sequences, 1, 1}, info);
  return success();
}

LogicalResult Tiler::tileNormalize(tq::NormalizeOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  if (failed(x))
    return failure();
  LaunchInfo info;
  info.op = "normalize";
  info.step = nameOf(op, observedSite(op.getResult()));
  Place out = define(op.getResult(), info.step, x->d, Storage::F32, x->rows);
  RowShape shape{x->d, x->stride, 0, out.stride};
  shape.rows = x->rows;
  std::string kernel =
      program.kernel(kernelName({"normalize_f32", num(x->d),
                                 x->rows == RowsOf::Tokens ? "t" : "s"}),
                     [&](StringRef name) {
                       return buildNormalize(program.module(), name, shape);
                     });
  std::string params =
      program.data(info.step + ".eps",
                   std::vector<float>{float(op.getEps().convertToDouble())});
  program.launch(kernel, {x->buffer, params, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

LogicalResult Tiler::tileFunction(Operation *op) {
  FailureOr<Place> x = placeOf(op->getOperand(0), op);
  if (failed(x))
    return failure();
  GemmActivation activation = *activationOf(op);
  ElementFunction function =
      activation == GemmActivation::Gelu       ? ElementFunction::Gelu
      : activation == GemmActivation::GeluTanh ? ElementFunction::GeluTanh
      : activation == GemmActivation::Relu     ? ElementFunction::Relu
                                               : ElementFunction::Tanh;
  LaunchInfo info;
  std::string site = observedSite(op->getResult(0));
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  info.op = op->getName().stripDialect().str();
  if (activation == GemmActivation::GeluTanh)
    info.op += "_tanh";
  Place out = define(op->getResult(0), info.step, x->d, Storage::F32, x->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, out.d});
  RowShape shape{x->d, x->stride, 0, out.stride};
  shape.rows = x->rows;
  std::string kernel = program.kernel(
      kernelName(
          {info.op + "_f32", num(x->d), x->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) {
        return buildElementFunction(program.module(), name, function, shape);
      });
  program.launch(kernel, {x->buffer, out.buffer}, rowChunks(x->rows), info);
  return success();
}

} // namespace quern
