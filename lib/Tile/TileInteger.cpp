//===- TileInteger.cpp - Launches of integer products and attention -------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/Attention.h"
#include "lib/Tile/FixedAttention.h"
#include "lib/Tile/GemmToken.h"
#include "lib/Tile/GemmWide.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

LogicalResult Tiler::tileQLinear(tq::QLinearOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<Storage> in = storageOf(op.getX(), op);
  FailureOr<Storage> out = storageOf(op.getResult(), op);
  auto w = constant<int8_t>(op.getW(), "w", op);
  auto correction = constant<int32_t>(op.getCorrection(), "correction", op);
  auto multiplier = constant<float>(op.getMultiplier(), "multiplier", op);
  auto offset = constant<float>(op.getOffset(), "offset", op);
  if (failed(x) || failed(in) || failed(out) || failed(w) ||
      failed(correction) || failed(multiplier) || failed(offset))
    return failure();
  bool perToken = bool(tq::getTokenType(op.getX().getType().getElementType()));
  if (*in == Storage::F32)
    return op.emitOpError("has no kernel for f32 inputs");
  if (perToken && x->d > kLargestTokenK)
    return op.emitOpError("has ")
           << x->d << " inputs, expected at most " << kLargestTokenK;
  bool isWide = *in == Storage::U16;
  if (op.getWZeros() && (isWide || perToken))
    return op.emitOpError("has no kernel for w_zeros beside such inputs");
  int64_t n = widthOf(op.getResult()), k = x->d;

  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = isWide ? planeStride(k) : x->stride;
  shape.out = *out;
  shape.range = {float(op.getLo()), float(op.getHi())};
  shape.rows = x->rows;
  shape.activation = gemmActivation(op.getActivation());
  shape.fixed = op.getFixed();

  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "linear";
  std::vector<std::string> named = sites.empty() ? sitesOfLimit(op) : sites;
  info.layer = named.empty() ? -1 : layerOfSite(named[0]);
  info.step = productStep(op, named, info.layer);
  info.gemmN = n;
  info.gemmK = k;
  (x->rows == RowsOf::Tokens ? info.macsPerToken : info.macsPerSequence) =
      n * k;
  Place to = define(op.getResult(), info.step, n, *out, x->rows);
  shape.outStride = to.stride;
  int64_t part = sites.empty() ? n : n / int64_t(sites.size());
  for (size_t i = 0; i < sites.size(); ++i)
    info.sites.push_back({sites[i], to.buffer, int64_t(i) * part, part});

  if (!fitsBits(w->values(), op.getWeightBits()))
    return op.emitOpError("has codes of w that do not fit ")
           << op.getWeightBits() << " bits";
  int64_t bits = shape.weightBits = storedWeightBits(op.getWeightBits());
  std::vector<int8_t> packed(packedGemmBytes(n, k, bits));
  packGemmWeights(w->values().data(), n, k, packed.data(), bits);
  std::vector<int32_t> first(correction->values().begin(),
                             correction->values().end());
  int64_t padded = llvm::alignTo(n, 16);
  if (isWide)
    first.insert(first.begin() + n, padded - n, 0);
  first.resize(isWide ? 2 * padded : padded, 0);
  std::vector<std::string> operands = {
      isWide ? planesOf(*x, info.step) : x->buffer,
      program.data(info.step + ".w", std::move(packed), int(bits), n * k,
                   "s" + num(bits)),
      program.data(info.step + ".correction", std::move(first))};
  if (op.getWZeros()) {
    auto zeros = constant<int32_t>(op.getWZeros(), "w_zeros", op);
    if (failed(zeros))
      return failure();
    std::vector<int32_t> all(zeros->values().begin(), zeros->values().end());
    all.resize(padded, 0);
    operands.push_back(program.data(info.step + ".zeros", std::move(all)));
    shape.hasZeros = true;
  }
  if (failed(pushProductConstants(op, info.step, multiplier->values(),
                                  offset->values(), shape, operands)))
    return failure();
  // Zero points of weights have a part in the correction.
  if (auto type = shape.hasZeros ? quant::UniformQuantizedType()
                                 : dyn_cast<quant::UniformQuantizedType>(
                                       op.getX().getType().getElementType()))
    program.mayBeSums(operands[2], operands[1], {-int32_t(type.getZeroPoint())},
                      {int64_t(llvm::alignTo(k, 64) / 4)});
  operands.push_back(to.buffer);
  std::string tuned =
      tuning.apply(shape, isWide ? TunedInput::Planes : TunedInput::Codes);
  std::string kernel = program.kernel(
      isWide     ? getWideGemmName(shape)
      : perToken ? getTokenGemmName(shape)
                 : getGemmName(shape),
      [&](StringRef name) {
        return isWide     ? buildWideGemm(program.module(), name, shape)
               : perToken ? buildTokenGemm(program.module(), name, shape)
                          : buildGemm(program.module(), name, shape);
      },
      isWide ? getWideGemmScratchBytes(shape) : getGemmScratchBytes(shape));
  KernelNotes notes = gemmNotes(shape, isWide     ? GemmInput::Planes
                                       : perToken ? GemmInput::Tokens
                                                  : GemmInput::Codes);
  if (!tuned.empty())
    notes.reasons.push_back(tuned);
  program.explain(kernel, notes);
  describeGemm(program.module(), kernel, shape,
               isWide     ? LinearInput::Planes
               : perToken ? LinearInput::Tokens
                          : LinearInput::Codes);
  program.launch(kernel, operands, gemmChunks(shape), info);
  return success();
}

std::vector<std::string> Tiler::sitesOfLimit(Operation *product) {
  Value codes = product->getResult(0);
  // Values that become the codes of groups.
  auto sum = codes.use_empty() ? tq::QAddOp()
                               : dyn_cast<tq::QAddOp>(*codes.user_begin());
  if (sum && sum.getA() == codes && sum.getB() == codes) {
    std::vector<std::string> sites = sitesOfLimit(sum);
    if (sum.getSite())
      sites = {sum.getSite()->str()};
    return sites.empty() ? sites
                         : std::vector<std::string>{sites[0] + ".values"};
  }
  auto limit = codes.hasOneUse() ? dyn_cast<tq::QLimitOp>(*codes.user_begin())
                                 : tq::QLimitOp();
  return limit ? siteNames(limit.getSites()) : std::vector<std::string>();
}

std::string Tiler::productStep(Operation *op,
                               const std::vector<std::string> &sites,
                               int64_t layer) {
  return sites.size() == 3   ? "L" + num(layer) + ".qkv"
         : sites.size() == 2 ? "L" + num(layer) + ".kv"
                             : nameOf(op, siteOr(sites, 0, ""));
}

LogicalResult Tiler::pushProductConstants(tq::QLinearOp op, StringRef step,
                                          ArrayRef<float> multiplier,
                                          ArrayRef<float> offset,
                                          GemmShape &shape,
                                          std::vector<std::string> &operands) {
  std::string name = step.str();
  bool hasPost = op.getActivation() != tq::Activation::None &&
                 !op.getResult().getType().getElementType().isF32();
  if (op.getFixed()) {
    auto constants = tq::fixedProduct(op, multiplier, offset);
    if (failed(constants))
      return failure();
    // Inputs are bytes, or 16 bits where they come as planes.
    double most = 128.0 * 65535 * double(shape.k);
    shape.narrow = isNarrow(constants->outputs, std::min(most, 0x1p31)) &&
                   (!hasPost || isNarrow(constants->post, 0x1p31));
    operands.push_back(
        program.data(name + ".outputs", packFixed(constants->outputs)));
    if (hasPost)
      operands.push_back(
          program.data(name + ".post", packFixed(constants->post)));
    return success();
  }
  int64_t padded = llvm::alignTo(multiplier.size(), 16);
  operands.push_back(program.vector(name + ".multiplier", multiplier, padded));
  operands.push_back(program.vector(name + ".offset", offset, padded));
  if (hasPost)
    operands.push_back(
        program.data(name + ".post",
                     std::vector<float>{op.getPostMultiplier().convertToFloat(),
                                        op.getPostOffset().convertToFloat()}));
  return success();
}

std::string Tiler::planesOf(const Place &x, StringRef step) {
  PlanesShape shape{x.d, x.stride, x.rows};
  LaunchInfo info;
  info.op = "planes";
  info.step = step.str() + ".planes";
  info.layer = layerOfSite(step);
  Place planes =
      program.buffer(info.step, planesWidth(x.d), Storage::U8, x.rows);
  std::string kernel =
      program.kernel(joinName({"planes", num(x.d), num(x.stride),
                               x.rows == RowsOf::Tokens ? "t" : "s"}),
                     [&](StringRef name) {
                       return buildPlanes(program.module(), name, shape);
                     });
  describePlanes(program.module(), kernel, shape);
  program.launch(kernel, {x.buffer, planes.buffer}, rowChunks(x.rows), info);
  return planes.buffer;
}

/// A part of a kernel's name for codes of fewer than 8 bits.
static std::string codesName(StringRef site, CodeRange range) {
  return range.hi == 255 ? "" : (site + num(int64_t(range.hi))).str();
}

/// A part of a kernel's name for fixed arithmetic.
static std::string fixedName(const AttentionShape &shape) {
  return shape.fixed ? "fixed" + num(shape.expBytes) +
                           (shape.roundProbs ? "" : "down") +
                           (shape.narrow ? "" : "long")
                     : "";
}

FailureOr<std::string> Tiler::attentionConstants(tq::QAttentionOp op,
                                                 StringRef step,
                                                 ArrayRef<float> hi,
                                                 ArrayRef<float> lo,
                                                 AttentionShape &shape) {
  if (op.getFixed()) {
    auto fixed = tq::fixedAttention(op, hi, lo);
    if (failed(fixed))
      return failure();
    shape.fixed = true;
    shape.narrow = isNarrow({fixed->score, fixed->context}, 0x1p31);
    if (fixed->log) {
      shape.expBytes = exponentialBytes(fixed->log->exps);
      shape.roundProbs = !fixed->log->published;
      return program.data(step.str() + ".params",
                          packFixedAttention(fixed->score, fixed->context,
                                             *fixed->log, shape.maxLength,
                                             op.getZq(), op.getZk(),
                                             op.getZv()));
    }
    shape.expBytes = exponentialBytes(fixed->probs.exps);
    shape.roundProbs = fixed->probs.nearest;
    return program.data(step.str() + ".params",
                        packFixedAttention(fixed->score, fixed->context,
                                           fixed->probs, op.getZq(), op.getZk(),
                                           op.getZv()));
  }
  QAttentionParams params;
  std::copy_n(hi.begin(), 16, params.expHi.begin());
  std::copy_n(lo.begin(), 16, params.expLo.begin());
  params.scoreMultiplier = op.getScoreMultiplier().convertToFloat();
  params.scoreOffset = op.getScoreOffset().convertToFloat();
  params.probMultiplier = op.getProbMultiplier().convertToFloat();
  params.contextMultiplier = op.getContextMultiplier().convertToFloat();
  params.contextOffset = op.getContextOffset().convertToFloat();
  params.zq = op.getZq();
  params.zk = op.getZk();
  params.zv = op.getZv();
  if (op.getProbStep())
    params.probStep = op.getProbStep()->convertToFloat();
  if (std::optional<ArrayRef<float>> all = op.getPerHead()) {
    shape.perHead = true;
    params.perHead.assign(all->begin(), all->end());
  }
  return program.data(step.str() + ".params", params.data());
}

LogicalResult Tiler::tileQAttention(tq::QAttentionOp op) {
  FailureOr<Place> qkv = placeOf(op.getQkv(), op);
  FailureOr<Storage> in = storageOf(op.getQkv(), op);
  FailureOr<Storage> storage = storageOf(op.getResult(), op);
  FailureOr<std::string> offsets = inputOf(op.getOffsets(), op);
  auto hi = constant<float>(op.getExpHi(), "exp_hi", op);
  auto lo = constant<float>(op.getExpLo(), "exp_lo", op);
  if (failed(qkv) || failed(in) || failed(storage) || failed(offsets) ||
      failed(hi) || failed(lo))
    return failure();
  if (*in != Storage::U8)
    return op.emitOpError("has no kernel for 16-bit queries, keys and values");
  bool firstQuery = bool(op.getQ());
  Place queries = *qkv;
  if (firstQuery) {
    FailureOr<Place> q = placeOf(op.getQ(), op);
    if (failed(q))
      return failure();
    queries = *q;
  }
  auto model = op->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(
      "tq.model");
  auto longest = model ? model.getAs<IntegerAttr>("max_length") : IntegerAttr();
  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "attention";
  info.layer = sites.empty() ? -1 : layerOfSite(sites[0]);
  info.step =
      sites.empty() ? nameOf(op, "") : "L" + num(info.layer) + ".attention";
  int64_t d = op.getHeads() * op.getHeadDim();
  Place out = define(op.getResult(), siteOr(sites, 2, info.step + ".c"), d,
                     *storage, queries.rows);

  AttentionShape shape;
  shape.heads = op.getHeads();
  shape.headDim = op.getHeadDim();
  shape.maxLength = longest ? longest.getInt() : 512;
  shape.qkvStride = qkv->stride;
  shape.firstQuery = firstQuery;
  shape.queryStride = queries.stride;
  shape.kColumn = firstQuery ? 0 : d;
  shape.vColumn = shape.kColumn + d;
  shape.contextStride = out.stride;
  shape.context = *storage;
  shape.contextRange = rangeOf(op.getResult());
  shape.scoreRange.hi = float(op.getScoreHi());
  shape.probRange.hi = float(op.getProbHi());
  std::string probs = codesName("p", shape.probRange);
  if (op.getProbType()) {
    auto type = cast<tq::LogType>(*op.getProbType());
    bool isTwo = type.getBase() == tq::LogBase::Two;
    shape.log = {int32_t(type.getBits()), isTwo ? 1 : 2};
    probs = (isTwo ? "log2x" : "logsqrt2x") + num(type.getBits());
  }

  FailureOr<std::string> constants =
      attentionConstants(op, info.step, hi->values(), lo->values(), shape);
  if (failed(constants))
    return failure();

  std::string kernel = program.kernel(
      joinName({"attention", num(shape.heads) + "x" + num(shape.headDim),
                storageName(*storage).str(), rangeName(shape.contextRange),
                num(qkv->stride),
                firstQuery ? "first" + num(queries.stride) : "",
                codesName("s", shape.scoreRange), probs, fixedName(shape),
                shape.perHead ? "heads" : ""}),
      [&](StringRef name) {
        return buildQAttention(program.module(), name, shape);
      },
      qattentionScratch(shape));
  program.explain(kernel, attentionNotes(shape, /*isReal=*/false));
  describeAttention(program.module(), kernel, shape);
  Place s = program.scoreTap(siteOr(sites, 0, info.step + ".s"), shape.heads,
                             Storage::U8, firstQuery);
  Place p = program.scoreTap(siteOr(sites, 1, info.step + ".p"), shape.heads,
                             shape.probStorage(), firstQuery);
  const Place *at[3] = {&s, &p, &out};
  for (size_t i = 0; i < sites.size() && i < 3; ++i)
    info.sites.push_back({sites[i], at[i]->buffer, 0, i < 2 ? shape.heads : d});
  (firstQuery ? info.macsPerToken : info.macsPerPair) = 2 * d;
  std::vector<std::string> operands = {qkv->buffer, *offsets, *constants,
                                       out.buffer};
  if (firstQuery)
    operands.push_back(queries.buffer);
  operands.insert(operands.end(), {s.buffer, p.buffer});
  program.launch(kernel, operands, {tk::Base::Sequences, 1, shape.heads}, info);
  return success();
}

} // namespace quern
