//===- TileIntegerRows.cpp - Launches between values and codes ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Pool.h"
#include "lib/Tile/ShiftGelu.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

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
  if (isa<tq::DynamicType>(op.getX().getType().getElementType()))
    return tileTokenPool(op);
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<std::string> offsets = inputOf(op.getOffsets(), op);
  if (failed(x) || failed(offsets))
    return failure();
  bool mean = op.getKind() == tq::PoolKind::Mean;
  // The first row is taken as it is, whatever its codes stand for; a sequence
  // of no tokens gets the zero point, if there is one.
  float scale = 1, zero = 0;
  auto type = dyn_cast<tq::OffsetType>(op.getX().getType().getElementType());
  if (mean && type) {
    scale = float(type.getParams().scale);
  } else if (mean) {
    auto found = scaleOf(op.getX(), op);
    if (failed(found))
      return failure();
    std::tie(scale, zero) = *found;
  } else if (auto params =
                 tq::getPerTensorParams(op.getX().getType().getElementType())) {
    zero = float(params->zero);
  }
  LaunchInfo info;
  info.op = "pool";
  info.step = nameOf(op, "");
  Place out = define(op.getResult(), info.step, x->d,
                     mean ? Storage::F32 : x->storage, RowsOf::Sequences);
  PoolShape shape{x->d, x->stride, out.stride, x->storage, mean, mean && type};
  std::vector<float> numbers = {scale, zero};
  if (shape.offset)
    numbers.push_back(float(type.getParams().offset));
  std::string params = program.data(info.step + ".params", numbers);
  std::string kernel = program.kernel(
      joinName({mean ? "pool_mean" : "pool_cls", storageName(x->storage).str(),
                num(x->d), shape.offset ? "offset" : ""}),
      [&](StringRef name) { return buildPool(program.module(), name, shape); });
  describePool(program.module(), kernel, shape);
  program.launch(kernel, {x->buffer, *offsets, params, out.buffer},
                 {tk::Base::Sequences, 1, 1}, info);
  return success();
}

LogicalResult Tiler::tileQuantize(tq::QuantizeOp op) {
  if (isWithinAttention(op))
    return success();
  if (isa<tq::DynamicType>(op.getResult().getType().getElementType()))
    return tileTokenQuantize(op);
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
  describeRows(program.module(), kernel, "quantize", shape);
  program.launch(kernel, {x->buffer, params, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

/// The rows of a pooled or a last LayerNorm whose codes have groups.
LogicalResult Tiler::tileGroupDequantize(tq::DequantizeOp op) {
  auto type = cast<tq::GroupType>(op.getX().getType().getElementType());
  FailureOr<Place> x = placeOf(op.getX(), op);
  if (failed(x))
    return failure();
  if (x->column != 0 || type.getAxis() != 1)
    return op.emitOpError("expects groups of columns, in a buffer of its own");
  LaunchInfo info;
  info.op = "dequantize";
  info.step = nameOf(op, "");
  Place out = define(op.getResult(), info.step, x->d, Storage::F32, x->rows);
  RowShape shape{x->d,       x->stride,    0,      out.stride,
                 x->storage, Storage::F32, x->rows};
  std::vector<float> scales, zeros;
  for (int64_t g : type.getMap()) {
    scales.push_back(float(type.getParams()[g].scale));
    zeros.push_back(float(type.getParams()[g].zero));
  }
  int64_t padded = llvm::alignTo(x->d, 16);
  std::string kernel = program.kernel(
      joinName({"dequantize_channels", storageName(x->storage).str(), num(x->d),
                num(x->stride), x->rows == RowsOf::Tokens ? "t" : "s"}),
      [&](StringRef name) {
        return buildDequantizeChannels(program.module(), name, shape);
      });
  program.launch(
      kernel,
      {x->buffer, program.vector(info.step + ".scales", scales, padded),
       program.vector(info.step + ".zeros", zeros, padded), out.buffer},
      rowChunks(x->rows), info);
  return success();
}

LogicalResult Tiler::tileDequantize(tq::DequantizeOp op) {
  if (isa<tq::DynamicType>(op.getX().getType().getElementType()))
    return tileTokenDequantize(op);
  if (isa<tq::GroupType>(op.getX().getType().getElementType()))
    return tileGroupDequantize(op);
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
  describeRows(program.module(), kernel, "dequantize", shape);
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
  std::string params = program.data(
      info.step + ".params",
      std::vector<float>{op.getMultiplier().convertToFloat(),
                         op.getOffset().convertToFloat(), range.lo, range.hi});
  std::string kernel =
      program.kernel(joinName({"requantize", storageName(x->storage).str(),
                               storageName(*storage).str(), num(x->d),
                               x->rows == RowsOf::Tokens ? "t" : "s"}),
                     [&](StringRef name) {
                       return buildRequantize(program.module(), name, shape);
                     });
  describeRows(program.module(), kernel, "requantize", shape);
  program.launch(kernel, {x->buffer, params, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

LogicalResult Tiler::tileQShiftGelu(tq::QShiftGeluOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  auto post = tq::makeAffine(op, "post_multiplier and post_offset",
                             op.getPostMultiplier().convertToFloat(),
                             op.getPostOffset().convertToFloat());
  if (failed(x) || failed(post))
    return failure();
  if (x->column != 0)
    return op.emitOpError("expects its operand in a buffer of its own");
  std::vector<std::string> sites = siteNames(op.getSites());
  std::string site = siteOr(sites, 0, "");
  LaunchInfo info;
  info.op = "gelu";
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site);
  Place out = define(op.getResult(), info.step, x->d, Storage::U8, x->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, x->d});
  RowShape shape{x->d,        x->stride,   0,      out.stride,
                 Storage::U8, Storage::U8, x->rows};
  ShiftGeluParams params{op.getZero(), op.getUnit(), *post, int32_t(op.getLo()),
                         int32_t(op.getHi())};
  std::string tables =
      program.data(info.step + ".tables", packShiftGelu(params));
  std::string kernel =
      program.kernel(joinName({"shift_gelu", num(x->d), num(x->stride),
                               x->rows == RowsOf::Tokens ? "t" : "s"}),
                     [&](StringRef name) {
                       return buildShiftGelu(program.module(), name, shape);
                     });
  describeRows(program.module(), kernel, "shift_gelu", shape);
  program.launch(kernel, {x->buffer, tables, out.buffer}, rowChunks(x->rows),
                 info);
  return success();
}

LogicalResult Tiler::tileQLimit(tq::QLimitOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  if (failed(x))
    return failure();
  if (x->column != 0)
    return op.emitOpError("expects its operand in a buffer of its own");
  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "limit";
  info.layer = sites.empty() ? -1 : layerOfSite(sites[0]);
  info.step = sites.empty() ? nameOf(op, "") : sites[0] + ".limit";
  Place out = define(op.getResult(), info.step, x->d, Storage::U8, x->rows);
  int64_t part = x->d / int64_t(op.getHi().size());
  int64_t ofSite = sites.empty() ? 0 : x->d / int64_t(sites.size());
  for (auto [i, site] : llvm::enumerate(sites))
    info.sites.push_back({site, out.buffer, int64_t(i) * ofSite, ofSite});
  // The greatest codes of all columns, then the least.
  std::vector<int8_t> limits(2 * rowStride(x->d));
  for (int64_t i = 0; i < x->d; ++i) {
    limits[i] = int8_t(op.getHi()[i / part]);
    if (std::optional<ArrayRef<int64_t>> lo = op.getLo())
      limits[rowStride(x->d) + i] = int8_t((*lo)[i / part]);
  }
  RowShape shape{x->d,        x->stride,   0,      out.stride,
                 Storage::U8, Storage::U8, x->rows};
  std::string kernel =
      program.kernel(joinName({"limit", num(x->d), num(x->stride),
                               x->rows == RowsOf::Tokens ? "t" : "s",
                               op.getLo() ? "both" : ""}),
                     [&](StringRef name) {
                       return buildLimit(program.module(), name, shape);
                     });
  describeRows(program.module(), kernel, "limit", shape);
  program.launch(kernel,
                 {x->buffer,
                  program.data(info.step + ".limits", std::move(limits)),
                  out.buffer},
                 rowChunks(x->rows), info);
  return success();
}

} // namespace quern
