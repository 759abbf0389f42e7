//===- TileFloat.cpp - Launches of float products and rows ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Gemm.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Pool.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

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
           ArrayRef<std::pair<RealWeights, ConstantView<float>>> parts,
           LaunchInfo info) {
  int64_t k = x.d, n = 0, parameters = 0, bits = parts.front().first.bits();
  for (const auto &[weights, bias] : parts) {
    n += llvm::alignTo(bias.size(), 16);
    if (weights.bits() != bits)
      bits = 32;
  }
  std::vector<float> packed(bits == 32 ? n * k : 0), biases(n), scales(n);
  std::vector<int8_t> codes(bits == 32 ? 0 : packedCodedGemmBytes(n, k, bits));
  int64_t column = 0;
  for (const auto &[weights, bias] : parts) {
    int64_t rows = bias.size();
    parameters += weights.size() + (bits == 32 ? rows : 0);
    if (bits == 32) {
      packFloatGemmWeights(weights.values().data(), rows, k,
                           packed.data() + column * k);
    } else {
      packCodedGemmWeights(weights.codeValues().data(), rows, k, bits,
                           codes.data() +
                               packedCodedGemmBytes(column, k, bits));
      for (int64_t i = 0; i < rows; ++i)
        scales[column + i] = weights.scaleOf(i);
    }
    llvm::copy(bias.values(), biases.begin() + column);
    column += llvm::alignTo(rows, 16);
  }
  GemmShape shape;
  shape.n = n;
  shape.k = k;
  shape.xStride = x.stride;
  shape.outStride = out.stride;
  shape.activation = activation;
  shape.out = Storage::F32;
  shape.rows = x.rows;
  std::vector<std::string> operands = {x.buffer};
  std::string kernel, weightName = info.step + ".w";
  if (bits == 32) {
    kernel = program.kernel(getFloatGemmName(shape), [&](StringRef name) {
      return buildFloatGemm(program.module(), name, shape);
    });
    operands.push_back(
        program.data(weightName, std::move(packed), 32, parameters, "f32"));
  } else {
    shape.weightBits = bits;
    kernel = program.kernel(getCodedFloatGemmName(shape), [&](StringRef name) {
      return buildCodedFloatGemm(program.module(), name, shape);
    });
    operands.push_back(program.data(weightName, std::move(codes), int(bits),
                                    parameters, "s" + num(bits)));
    operands.push_back(program.data(info.step + ".scales", std::move(scales)));
  }
  describeRealGemm(program.module(), kernel, shape, bits);
  program.explain(kernel, gemmNotes(shape, GemmInput::Reals));
  operands.push_back(program.data(info.step + ".b", std::move(biases)));
  operands.push_back(out.buffer);
  info.op = "linear";
  info.gemmN = n;
  info.gemmK = k;
  countMacs(info, n * k, x.rows);
  program.launch(kernel, operands, gemmChunks(shape), info);
}

LogicalResult Tiler::tileQkv(tq::LinearOp first, tq::ContextOp context,
                             bool &matched) {
  std::optional<AttentionChain> chain = matchAttention(context);
  if (!chain)
    return success();
  tq::LinearOp linears[3];
  Value values[3] = {chain->scores.getQ(), chain->scores.getK(),
                     context.getV()};
  // Queries of first rows are a product of other rows.
  int from = chain->scores.getFirstQuery() ? 1 : 0;
  for (int i = from; i < 3; ++i) {
    linears[i] = source(values[i]).getDefiningOp<tq::LinearOp>();
    if (!linears[i] || source(linears[i].getX()) != source(first.getX()))
      return success();
  }
  FailureOr<Place> x = placeOf(first.getX(), first);
  if (failed(x))
    return failure();
  int64_t d = widthOf(values[0]), part = llvm::alignTo(d, 16);
  std::vector<std::pair<RealWeights, ConstantView<float>>> parts;
  LaunchInfo info;
  for (tq::LinearOp linear : ArrayRef(linears).drop_front(from)) {
    auto w = realWeights(linear.getW(), "w", linear);
    auto b = constant<float>(linear.getB(), "b", linear);
    if (failed(w) || failed(b))
      return failure();
    parts.push_back({*w, *b});
  }
  std::string site = observedSite(linears[from].getResult());
  info.layer = layerOfSite(site);
  info.step = site.empty()
                  ? nameOf(first, "")
                  : "L" + num(info.layer) + (from == 0 ? ".qkv" : ".kv");
  Place out =
      program.buffer(info.step, (3 - from) * part, Storage::F32, x->rows);
  for (int i = from; i < 3; ++i) {
    Place place = out;
    place.d = d;
    place.column = (i - from) * part;
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
  auto w = realWeights(op.getW(), "w", op);
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
      joinName({shape.mean ? "pool_mean_f32" : "pool_cls_f32", num(x->d)}),
      [&](StringRef name) { return buildPool(program.module(), name, shape); });
  describePool(program.module(), kernel, shape);
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
      program.kernel(joinName({"normalize_f32", num(x->d),
                               x->rows == RowsOf::Tokens ? "t" : "s"}),
                     [&](StringRef name) {
                       return buildNormalize(program.module(), name, shape);
                     });
  describeRows(program.module(), kernel, "normalize", shape);
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
      joinName(
          {info.op + "_f32", num(x->d), x->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) {
        return buildElementFunction(program.module(), name, function, shape);
      });
  describeRows(program.module(), kernel, info.op + "_f32", shape);
  program.launch(kernel, {x->buffer, out.buffer}, rowChunks(x->rows), info);
  return success();
}

} // namespace quern
