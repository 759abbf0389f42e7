//===- TileFloatNorm.cpp - Launches of f32 kernels ending in LayerNorm ---===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

/// The three look-ups of (word + type) + position, if that is what `sum` is.
struct Tiler::EmbeddingSum {
  tq::EmbeddingOp word, type, position;
  tq::AddOp inner;
};

std::optional<Tiler::EmbeddingSum> Tiler::matchEmbeddings(tq::AddOp sum) {
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

/// What the kernels that end in a LayerNorm share.
struct Tiler::NormLaunch {
  LaunchInfo info;
  std::string site;
  int64_t d = 0;
  /// Symbols of the constants.
  std::string gamma, beta, params;
};

LogicalResult Tiler::tileLayerNorm(tq::LayerNormOp op) {
  auto gamma = constant<float>(op.getGamma(), "gamma", op);
  auto beta = constant<float>(op.getBeta(), "beta", op);
  if (failed(gamma) || failed(beta))
    return failure();
  NormLaunch norm;
  norm.d = widthOf(op.getResult());
  norm.site = observedSite(op.getResult());
  norm.info.step = nameOf(op, norm.site);
  norm.info.layer = layerOfSite(norm.site);
  int64_t padded = llvm::alignTo(norm.d, 16);
  norm.gamma =
      program.vector(norm.info.step + ".gamma", gamma->values(), padded);
  norm.beta = program.vector(norm.info.step + ".beta", beta->values(), padded);
  norm.params =
      program.data(norm.info.step + ".eps",
                   std::vector<float>{float(op.getEps().convertToDouble())});
  auto sum = source(op.getX()).getDefiningOp<tq::AddOp>();
  if (auto match = sum ? matchEmbeddings(sum) : std::optional<EmbeddingSum>())
    return tileEmbeddings(op, sum, *match, norm);
  if (sum && done.contains(sum))
    return tileAddNorm(op, sum, norm);
  return tileNorm(op, norm);
}

LogicalResult Tiler::tileEmbeddings(tq::LayerNormOp op, tq::AddOp sum,
                                    EmbeddingSum match, NormLaunch &norm) {
  auto &[info, site, d, gamma, beta, params] = norm;
  std::vector<std::string> operands;
  tq::EmbeddingOp lookups[3] = {match.word, match.type, match.position};
  for (tq::EmbeddingOp lookup : lookups) {
    FailureOr<std::string> index = inputOf(lookup.getIndex(), lookup);
    if (failed(index))
      return failure();
    operands.push_back(*index);
  }
  int64_t tableStride = llvm::alignTo(d, 16);
  EmbedShape shape;
  bool *perRow[] = {&shape.wordScales, &shape.typeScales,
                    &shape.positionScales};
  std::vector<std::vector<float>> scales;
  bool hasCodes = false;
  for (auto [i, lookup] : llvm::enumerate(lookups)) {
    auto table = realWeights(lookup.getTable(), "table", lookup);
    if (failed(table))
      return failure();
    operands.push_back(tableData("embeddings", *table, d, tableStride));
    shape.realBits[i] = table->bits();
    scales.push_back({1.0f});
    if (table->bits() == 32)
      continue;
    hasCodes = true;
    *perRow[i] = table->hasScalePerRow();
    scales.back() = table->scaleValues().vec();
  }
  std::string name = "embed_f32_" + num(d);
  for (size_t i = 0; hasCodes && i != 3; ++i)
    name += "_w" + num(shape.realBits[i]) + (*perRow[i] ? "r" : "");
  Place out =
      define(op.getResult(), info.step, d, Storage::F32, RowsOf::Tokens);
  std::string first = observedSite(match.inner.getResult());
  std::string second = observedSite(sum.getResult());
  Place tap1 = program.tap(first.empty() ? "E.t" : first, d, Storage::F32);
  Place tap2 = program.tap(second.empty() ? "E.e" : second, d, Storage::F32);
  shape.d = d;
  shape.tableStride = tableStride;
  shape.outStride = out.stride;
  shape.tapStride = tap1.stride;
  operands.insert(operands.end(), {gamma, beta, params});
  if (hasCodes)
    for (std::vector<float> &each : scales)
      operands.push_back(program.data("embeddings.scales", std::move(each)));
  operands.insert(operands.end(), {out.buffer, tap1.buffer, tap2.buffer});
  std::string kernel = program.kernel(
      name,
      [&](StringRef name) { return buildEmbed(program.module(), name, shape); },
      embedScratch(shape));
  describeRealEmbed(program.module(), kernel, shape);
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

LogicalResult Tiler::tileAddNorm(tq::LayerNormOp op, tq::AddOp sum,
                                 NormLaunch &norm) {
  auto &[info, site, d, gamma, beta, params] = norm;
  AddNormShape shape;
  shape.d = d;
  shape.sum = shape.a = shape.b = shape.out = Storage::F32;
  FailureOr<Place> a = placeOf(sum.getA(), op), b = placeOf(sum.getB(), op);
  if (failed(a) || failed(b))
    return failure();
  Place out = define(op.getResult(), info.step, d, Storage::F32, a->rows);
  std::string sumSite = observedSite(sum.getResult());
  Place tap = program.tap(sumSite.empty() ? info.step + ".sum" : sumSite, d,
                          Storage::F32, a->rows);
  shape.aStride = a->stride;
  shape.bStride = b->stride;
  shape.outStride = out.stride;
  shape.tapStride = tap.stride;
  shape.rows = a->rows;
  std::string kernel = program.kernel(
      joinName({"add_norm_f32", num(d), num(a->stride), num(b->stride),
                a->rows == RowsOf::Tokens ? "" : "s"}),
      [&](StringRef name) {
        return buildAddNorm(program.module(), name, shape);
      },
      normScratch(shape));
  describeRealNorm(program.module(), kernel, "add_norm_f32", shape);
  program.explain(kernel, rowNotes(shape.rows, /*isReal=*/true));
  info.op = "add_norm";
  if (!sumSite.empty())
    info.sites.push_back({sumSite, tap.buffer, 0, d});
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, d});
  program.launch(
      kernel,
      {a->buffer, b->buffer, gamma, beta, params, out.buffer, tap.buffer},
      rowChunks(a->rows), info);
  return success();
}

LogicalResult Tiler::tileNorm(tq::LayerNormOp op, NormLaunch &norm) {
  auto &[info, site, d, gamma, beta, params] = norm;
  AddNormShape shape;
  shape.d = d;
  shape.sum = shape.a = shape.b = shape.out = Storage::F32;
  FailureOr<Place> in = placeOf(op.getX(), op);
  if (failed(in))
    return failure();
  Place out = define(op.getResult(), info.step, d, Storage::F32, in->rows);
  shape.aStride = in->stride;
  shape.outStride = out.stride;
  shape.rows = in->rows;
  std::string kernel = program.kernel(
      joinName({"norm_f32", num(d), num(in->stride),
                in->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) { return buildNorm(program.module(), name, shape); },
      normScratch(shape));
  describeRealNorm(program.module(), kernel, "norm_f32", shape);
  program.explain(kernel, rowNotes(shape.rows, /*isReal=*/true));
  info.op = "norm";
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, d});
  program.launch(kernel, {in->buffer, gamma, beta, params, out.buffer},
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
    if (matchEmbeddings(outer) &&
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
      joinName({"add_f32", num(a->d), num(a->stride), num(b->stride),
                a->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) { return buildAdd(program.module(), name, shape); });
  describeRows(program.module(), kernel, "add_f32", shape);
  program.launch(kernel, {a->buffer, b->buffer, out.buffer}, rowChunks(a->rows),
                 info);
  return success();
}

} // namespace quern
