//===- TileInteger.cpp - Launches of the integer ops ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Attention.h"
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/GemmWide.h"
#include "lib/Tile/GroupNorm.h"
#include "lib/Tile/Pool.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

static std::string num(CodeRange range) {
  return num(int64_t(range.lo)) + "to" + num(int64_t(range.hi));
}

static std::string siteOr(const std::vector<std::string> &sites, size_t i,
                          const std::string &absent) {
  return i < sites.size() && !sites[i].empty() ? sites[i] : absent;
}

static float f(const APFloat &value) { return value.convertToFloat(); }

/// A vector of one entry per channel, or one for all, as one per channel.
static std::vector<float> perChannel(const ConstantView<float> &values,
                                     int64_t d) {
  if (values.size() == 1)
    return std::vector<float>(d, values[0]);
  return values.values().vec();
}

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
  if (*in == Storage::F32)
    return op.emitOpError("has no kernel for f32 inputs");
  bool isWide = *in == Storage::U16;
  int64_t n = widthOf(op.getResult()), k = x->d;

  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = isWide ? rowStride(k) : x->stride;
  shape.out = *out;
  shape.range = {float(op.getLo()), float(op.getHi())};
  shape.rows = x->rows;
  switch (op.getActivation()) {
  case tq::Activation::None:
    break;
  case tq::Activation::Gelu:
    shape.activation = GemmActivation::Gelu;
    break;
  case tq::Activation::GeluTanh:
    shape.activation = GemmActivation::GeluTanh;
    break;
  case tq::Activation::Relu:
    shape.activation = GemmActivation::Relu;
    break;
  case tq::Activation::Tanh:
    shape.activation = GemmActivation::Tanh;
    break;
  }

  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "linear";
  info.layer = sites.empty() ? -1 : layerOfSite(sites[0]);
  info.step = sites.size() == 3 ? "L" + num(info.layer) + ".qkv"
                                : nameOf(op, siteOr(sites, 0, ""));
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
  // The kernel of two planes reads whole bytes.
  int64_t bits = shape.weightBits =
      isWide ? 8 : storedWeightBits(op.getWeightBits());
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
      program.data(info.step + ".correction", std::move(first)),
      program.vector(info.step + ".multiplier", multiplier->values(), padded),
      program.vector(info.step + ".offset", offset->values(), padded)};
  if (shape.activation != GemmActivation::None && *out != Storage::F32)
    operands.push_back(program.data(
        info.step + ".post",
        std::vector<float>{f(op.getPostMultiplier()), f(op.getPostOffset())}));
  operands.push_back(to.buffer);
  std::string kernel = program.kernel(
      isWide ? getWideGemmName(shape) : getGemmName(shape),
      [&](StringRef name) {
        return isWide ? buildWideGemm(program.module(), name, shape)
                      : buildGemm(program.module(), name, shape);
      },
      isWide ? getWideGemmScratchBytes(shape) : getGemmScratchBytes(shape));
  program.launch(kernel, operands, gemmChunks(shape), info);
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
  program.launch(kernel, {x.buffer, planes.buffer}, rowChunks(x.rows), info);
  return planes.buffer;
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
                     *storage, RowsOf::Tokens);

  AttentionShape shape;
  shape.heads = op.getHeads();
  shape.headDim = op.getHeadDim();
  shape.maxLength = longest ? longest.getInt() : 512;
  shape.qkvStride = qkv->stride;
  shape.qColumn = 0;
  shape.kColumn = d;
  shape.vColumn = 2 * d;
  shape.contextStride = out.stride;
  shape.context = *storage;
  shape.contextRange = rangeOf(op.getResult());

  QAttentionParams params;
  std::copy_n(hi->values().begin(), 16, params.expHi.begin());
  std::copy_n(lo->values().begin(), 16, params.expLo.begin());
  params.scoreMultiplier = f(op.getScoreMultiplier());
  params.scoreOffset = f(op.getScoreOffset());
  params.probMultiplier = f(op.getProbMultiplier());
  params.contextMultiplier = f(op.getContextMultiplier());
  params.contextOffset = f(op.getContextOffset());
  params.zq = op.getZq();
  params.zk = op.getZk();
  params.zv = op.getZv();
  auto values = params.data();
  std::string constants = program.data(
      info.step + ".params", std::vector<float>(values.begin(), values.end()));

  std::string kernel = program.kernel(
      joinName({"attention", num(shape.heads) + "x" + num(shape.headDim),
                storageName(*storage).str(), num(shape.contextRange),
                num(qkv->stride)}),
      [&](StringRef name) {
        return buildQAttention(program.module(), name, shape);
      },
      qattentionScratch(shape));
  Place s = program.pairTap(siteOr(sites, 0, info.step + ".s"), shape.heads,
                            Storage::U8);
  Place p = program.pairTap(siteOr(sites, 1, info.step + ".p"), shape.heads,
                            Storage::U8);
  const Place *at[3] = {&s, &p, &out};
  for (size_t i = 0; i < sites.size() && i < 3; ++i)
    info.sites.push_back({sites[i], at[i]->buffer, 0, i < 2 ? shape.heads : d});
  info.macsPerPair = 2 * d;
  program.launch(
      kernel,
      {qkv->buffer, *offsets, constants, out.buffer, s.buffer, p.buffer},
      {tk::Base::Sequences, 1, shape.heads}, info);
  return success();
}

/// Storage of the codes of a sum that are in [lo, hi].
static Storage storageFor(int64_t hi) {
  return hi <= 255 ? Storage::U8 : Storage::U16;
}

/// The constants of a LayerNorm over codes, as a constant of the program.
static std::string normParams(ProgramBuilder &program, StringRef name,
                              float scale, int64_t d, double eps) {
  auto bytes = CodeNormParams(scale, d, eps).data();
  return program.data(name.str() + ".norm",
                      std::vector<int8_t>(bytes.begin(), bytes.end()));
}

LogicalResult Tiler::tileQAddNorm(tq::QAddNormOp op) {
  FailureOr<Place> a = placeOf(op.getA(), op), b = placeOf(op.getB(), op);
  FailureOr<Storage> aStorage = storageOf(op.getA(), op);
  FailureOr<Storage> bStorage = storageOf(op.getB(), op);
  FailureOr<Storage> outStorage = storageOf(op.getResult(), op);
  auto ma = constant<float>(op.getMa(), "ma", op);
  auto mb = constant<float>(op.getMb(), "mb", op);
  auto mo = constant<float>(op.getMo(), "mo", op);
  auto gamma = constant<float>(op.getGamma(), "gamma", op);
  auto beta = constant<float>(op.getBeta(), "beta", op);
  if (failed(a) || failed(b) || failed(aStorage) || failed(bStorage) ||
      failed(outStorage) || failed(ma) || failed(mb) || failed(mo) ||
      failed(gamma) || failed(beta))
    return failure();

  int64_t d = widthOf(op.getResult()), padded = llvm::alignTo(d, 16);
  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "add_norm";
  info.step = nameOf(op, siteOr(sites, 1, ""));
  info.layer = sites.empty() ? -1 : layerOfSite(sites[0]);
  Place out = define(op.getResult(), info.step, d, *outStorage, a->rows);

  AddNormShape shape;
  shape.d = d;
  shape.a = *aStorage;
  shape.b = *bStorage;
  shape.sum = storageFor(op.getSumHi());
  shape.out = *outStorage;
  shape.sumRange = {float(op.getSumLo()), float(op.getSumHi())};
  shape.outRange = rangeOf(op.getResult());
  Place tap = program.tap(siteOr(sites, 0, info.step + ".sum"), d, shape.sum);
  shape.aStride = a->stride;
  shape.bStride = b->stride;
  shape.outStride = out.stride;
  shape.tapStride = tap.stride;
  shape.rows = a->rows;
  if (sites.size() == 2) {
    info.sites.push_back({sites[0], tap.buffer, 0, d});
    info.sites.push_back({sites[1], out.buffer, 0, d});
  }
  auto vector = [&](StringRef part, ArrayRef<float> values) {
    return program.vector(info.step + part.str(), values, padded);
  };
  double eps = op.getEps().convertToDouble();
  GroupNormShape grouped{shape};
  auto groups =
      cast_if_present<tq::GroupType>(op.getSumType().value_or(Type()));
  if (groups) {
    grouped.groups = groups.getParams().size();
    grouped.each = grouped.groups == d && llvm::is_sorted(groups.getMap());
  }
  grouped.ordered = op.getOrder().has_value();
  bool isPlain = !groups && !grouped.ordered;
  std::string kernelName =
      joinName({"add_norm", num(d), storageName(shape.a).str(),
                storageName(shape.b).str(), storageName(shape.sum).str(),
                num(shape.sumRange), storageName(shape.out).str(),
                num(shape.outRange), num(a->stride), num(b->stride)});
  if (groups)
    kernelName += "_groups" + num(grouped.groups);
  if (grouped.each)
    kernelName += "_each";
  if (grouped.ordered)
    kernelName += "_ordered";
  std::string kernel = program.kernel(
      kernelName,
      [&](StringRef name) {
        return isPlain ? buildQAddNorm(program.module(), name, shape)
                       : buildGroupAddNorm(program.module(), name, grouped);
      },
      isPlain ? qaddNormScratch(shape) : groupAddNormScratch(grouped));
  std::vector<std::string> operands = {
      a->buffer,
      b->buffer,
      vector(".ma", perChannel(*ma, d)),
      vector(".mb", perChannel(*mb, d)),
      vector(".mo", perChannel(*mo, d)),
      vector(".gamma", gamma->values()),
      vector(".beta", beta->values()),
      groups ? program.data(info.step + ".norm", groupNormParams(groups, eps))
             : normParams(program, info.step, f(op.getSumScale()), d, eps),
      out.buffer};
  if (groups) {
    std::vector<float> zeros, scales;
    for (int64_t g : groups.getMap()) {
      zeros.push_back(float(groups.getParams()[g].zero));
      scales.push_back(float(groups.getParams()[g].scale));
    }
    operands.push_back(program.data(info.step + ".masks",
                                    grouped.each ? std::vector<int8_t>(64)
                                                 : groupNormMasks(groups)));
    operands.push_back(vector(".zeros", zeros));
    operands.push_back(vector(".scales", scales));
  }
  if (grouped.ordered)
    operands.push_back(program.data(
        info.step + ".order",
        std::vector<int32_t>(op.getOrder()->begin(), op.getOrder()->end())));
  operands.push_back(tap.buffer);
  program.launch(kernel, operands, rowChunks(a->rows), info);
  return success();
}

LogicalResult Tiler::tileQEmbed(tq::QEmbedOp op) {
  FailureOr<Storage> outStorage = storageOf(op.getResult(), op);
  auto gamma = constant<float>(op.getGamma(), "gamma", op);
  auto beta = constant<float>(op.getBeta(), "beta", op);
  if (failed(outStorage) || failed(gamma) || failed(beta))
    return failure();
  int64_t d = widthOf(op.getResult()), padded = llvm::alignTo(d, 16);

  std::vector<std::string> operands;
  for (Value index : {op.getIds(), op.getTypes(), op.getPositions()}) {
    FailureOr<std::string> symbol = inputOf(index, op);
    if (failed(symbol))
      return failure();
    operands.push_back(*symbol);
  }
  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "embed";
  info.step = nameOf(op, siteOr(sites, 2, ""));
  const char *const names[] = {"word", "type", "position"};
  Value tables[] = {op.getWord(), op.getType(), op.getPosition()};
  Value scales[] = {op.getWordScales(), op.getTypeScales(),
                    op.getPositionScales()};
  const int64_t given[] = {op.getWordBits(), op.getTypeBits(),
                           op.getPositionBits()};
  EmbedShape shape;
  std::vector<std::string> scaleSymbols;
  bool perRow[3];
  for (int i = 0; i < 3; ++i) {
    auto table = constant<int8_t>(tables[i], names[i], op);
    auto scale = constant<float>(scales[i], "scales", op);
    if (failed(table) || failed(scale))
      return failure();
    int64_t rows = table->size() / d;
    if (!fitsBits(table->values(), given[i]))
      return op.emitOpError("has codes of ")
             << names[i] << " that do not fit " << given[i] << " bits";
    int64_t bits = shape.tableBits[i] = storedWeightBits(given[i]);
    int64_t stride = tableRowBytes(d, bits);
    std::vector<int8_t> packed(rows * stride);
    for (int64_t row = 0; row < rows; ++row)
      packTableRow(table->values().data() + row * d, d, bits,
                   packed.data() + row * stride);
    std::string name = std::string("E.") + names[i];
    operands.push_back(program.data(name, std::move(packed), int(bits),
                                    rows * d, "s" + num(bits)));
    perRow[i] = scale->size() != 1;
    scaleSymbols.push_back(
        program.vector(name + ".scale", scale->values(), scale->size()));
  }
  llvm::append_range(operands, scaleSymbols);

  shape.d = d;
  shape.tableStride = padded;
  shape.wordScales = perRow[0];
  shape.typeScales = perRow[1];
  shape.positionScales = perRow[2];
  shape.e1 = storageFor(op.getE1Hi());
  shape.e2 = storageFor(op.getE2Hi());
  shape.out = *outStorage;
  shape.e1Range = {float(op.getE1Lo()), float(op.getE1Hi())};
  shape.e2Range = {float(op.getE2Lo()), float(op.getE2Hi())};
  shape.outRange = rangeOf(op.getResult());
  Place out = define(op.getResult(), info.step, d, *outStorage, RowsOf::Tokens);
  Place first = program.tap(siteOr(sites, 0, "E.t"), d, shape.e1);
  Place second = program.tap(siteOr(sites, 1, "E.e"), d, shape.e2);
  shape.outStride = out.stride;
  shape.tapStride = first.stride;

  QEmbedParams params;
  params.e1Multiplier = f(op.getE1Multiplier());
  params.e1Zero = float(op.getE1Zero());
  params.e1Scale = f(op.getE1Scale());
  params.e2Multiplier = f(op.getE2Multiplier());
  params.e2Zero = float(op.getE2Zero());
  auto values = params.data();
  operands.push_back(program.data(
      info.step + ".params", std::vector<float>(values.begin(), values.end())));
  operands.push_back(
      program.vector(info.step + ".gamma", gamma->values(), padded));
  operands.push_back(
      program.vector(info.step + ".beta", beta->values(), padded));
  operands.push_back(normParams(program, info.step, f(op.getE2Scale()), d,
                                op.getEps().convertToDouble()));
  llvm::append_range(operands, std::initializer_list<std::string>{
                                   out.buffer, first.buffer, second.buffer});
  const Place *at[3] = {&first, &second, &out};
  for (size_t i = 0; i < sites.size() && i < 3; ++i)
    info.sites.push_back({sites[i], at[i]->buffer, 0, d});
  std::string kernel = program.kernel(
      "embed_" + num(d),
      [&](StringRef name) {
        return buildQEmbed(program.module(), name, shape);
      },
      qembedScratch(shape));
  program.launch(kernel, operands, rowChunks(RowsOf::Tokens), info);
  return success();
}

/// Scale and zero point of a value whose type has one of each.
static FailureOr<std::pair<double, float>> scaleOf(Value value, Operation *op) {
  auto params = tq::getPerTensorParams(
      cast<ShapedType>(value.getType()).getElementType());
  if (!params)
    return op->emitOpError("has no kernel for type ")
           << value.getType() << ", expected one scale per tensor";
  return std::pair<double, float>(params->scale, float(params->zero));
}

LogicalResult Tiler::tileQPool(tq::QPoolOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<std::string> offsets = inputOf(op.getOffsets(), op);
  auto scale = scaleOf(op.getX(), op);
  if (failed(x) || failed(offsets) || failed(scale))
    return failure();
  bool mean = op.getKind() == tq::PoolKind::Mean;
  LaunchInfo info;
  info.op = "pool";
  info.step = nameOf(op, "");
  Place out = define(op.getResult(), info.step, x->d,
                     mean ? Storage::F32 : x->storage, RowsOf::Sequences);
  PoolShape shape{x->d, x->stride, out.stride, x->storage, mean};
  std::string params =
      program.data(info.step + ".params",
                   std::vector<float>{float(scale->first), scale->second});
  std::string kernel = program.kernel(
      joinName({mean ? "pool_mean" : "pool_cls", storageName(x->storage).str(),
                num(x->d)}),
      [&](StringRef name) { return buildPool(program.module(), name, shape); });
  program.launch(kernel, {x->buffer, *offsets, params, out.buffer},
                 {tk::Base::Sequences, 1, 1}, info);
  return success();
}

LogicalResult Tiler::tileQuantize(tq::QuantizeOp op) {
  if (isWithinAttention(op))
    return success();
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<Storage> storage = storageOf(op.getResult(), op);
  auto scale = scaleOf(op.getResult(), op);
  if (failed(x) || failed(storage) || failed(scale))
    return failure();
  if (x->column != 0)
    return op.emitOpError("expects its operand in a buffer of its own");
  if (op.getRounding() != tq::Rounding::HalfEven)
    return op.emitOpError("has no kernel for this rounding, expected "
                          "half_even");
  LaunchInfo info;
  info.op = "quantize";
  std::string site = op.getSite().value_or("").str();
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  Place out = define(op.getResult(), info.step, x->d, *storage, x->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, x->d});
  CodeRange range = rangeOf(op.getResult());
  RowShape shape{x->d,         x->stride, 0,      out.stride,
                 Storage::F32, *storage,  x->rows};
  std::string params = program.data(
      info.step + ".params",
      std::vector<float>{float(1.0 / scale->first), range.lo - scale->second,
                         range.hi - scale->second, scale->second});
  std::string kernel = program.kernel(
      joinName({"quantize", storageName(*storage).str(), num(x->d),
                num(x->stride), x->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) {
        return buildQuantize(program.module(), name, shape);
      });
  program.launch(kernel, {x->buffer, params, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

LogicalResult Tiler::tileDequantize(tq::DequantizeOp op) {
  if (auto quantize = op.getX().getDefiningOp<tq::QuantizeOp>())
    if (isWithinAttention(quantize))
      return success();
  FailureOr<Place> x = placeOf(op.getX(), op);
  auto scale = scaleOf(op.getX(), op);
  if (failed(x) || failed(scale))
    return failure();
  if (x->column != 0)
    return op.emitOpError("expects its operand in a buffer of its own");
  LaunchInfo info;
  info.op = "dequantize";
  info.step = nameOf(op, "");
  Place out = define(op.getResult(), info.step, x->d, Storage::F32, x->rows);
  RowShape shape{x->d,       x->stride,    0,      out.stride,
                 x->storage, Storage::F32, x->rows};
  std::string params =
      program.data(info.step + ".params",
                   std::vector<float>{float(scale->first), scale->second});
  std::string kernel = program.kernel(
      joinName({"dequantize", storageName(x->storage).str(), num(x->d),
                num(x->stride), x->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) {
        return buildDequantize(program.module(), name, shape);
      });
  program.launch(kernel, {x->buffer, params, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

LogicalResult Tiler::tileRequantize(tq::RequantizeOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<Storage> storage = storageOf(op.getResult(), op);
  if (failed(x) || failed(storage))
    return failure();
  LaunchInfo info;
  info.op = "requantize";
  std::string site = op.getSite().value_or("").str();
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  Place out = define(op.getResult(), info.step, x->d, *storage, x->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, x->d});
  CodeRange range = rangeOf(op.getResult());
  RowShape shape{x->d, x->stride, 0, out.stride, x->storage, *storage, x->rows};
  std::string params =
      program.data(info.step + ".params",
                   std::vector<float>{f(op.getMultiplier()), f(op.getOffset()),
                                      range.lo, range.hi});
  std::string kernel =
      program.kernel(joinName({"requantize", storageName(x->storage).str(),
                               storageName(*storage).str(), num(x->d),
                               x->rows == RowsOf::Tokens ? "t" : "s"}),
                     [&](StringRef name) {
                       return buildRequantize(program.module(), name, shape);
                     });
  program.launch(kernel, {x->buffer, params, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

} // namespace quern
