//===- TileTokens.cpp - Launches for codes with ranges of tokens ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Pool.h"
#include "lib/Tile/Tiler.h"
#include "lib/Tile/TokenRows.h"

using namespace mlir;

namespace quern {

/// The type of codes that have a kernel; an error on `op` otherwise.
static FailureOr<tq::DynamicType> tokenTypeOf(Value codes, Operation *op) {
  Type element = cast<ShapedType>(codes.getType()).getElementType();
  if (tq::DynamicType type = tq::getTokenType(element))
    return type;
  return op->emitOpError("has no kernel for type ")
         << element << ", expected unsigned codes of 2 to 8 bits with the "
         << "ranges of tokens";
}

Place Tiler::defineTokens(Value result, StringRef name, int64_t d,
                          RowsOf rows) {
  Place place = program.buffer(name, tokenRowStride(d), Storage::U8, rows);
  place.d = d;
  places[result] = place;
  return place;
}

LogicalResult Tiler::tileTokenQuantize(tq::QuantizeOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  auto type = tokenTypeOf(op.getResult(), op);
  if (failed(x) || failed(type))
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
  Place out = defineTokens(op.getResult(), info.step, x->d, x->rows);
  info.sites.push_back({site, out.buffer, 0, x->d, tokenRangeAt(x->d)});
  TokenShape shape{x->d, x->stride, type->getStorageBits(),
                   type->getSymmetric(), x->rows};
  std::string kernel =
      program.kernel(tokenName("quantize", shape), [&](StringRef name) {
        return buildTokenQuantize(program.module(), name, shape);
      });
  describeTokens(program.module(), kernel, "quantize_tokens", shape);
  program.launch(kernel, {x->buffer, out.buffer}, rowChunks(x->rows), info);
  return success();
}

LogicalResult Tiler::tileTokenDequantize(tq::DequantizeOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  auto type = tokenTypeOf(op.getX(), op);
  if (failed(x) || failed(type))
    return failure();
  LaunchInfo info;
  info.op = "dequantize";
  info.step = nameOf(op, "");
  Place out = define(op.getResult(), info.step, x->d, Storage::F32, x->rows);
  // Every number of bits is read alike.
  TokenShape shape{x->d, out.stride, 8, false, x->rows};
  std::string kernel =
      program.kernel(tokenName("dequantize", shape), [&](StringRef name) {
        return buildTokenDequantize(program.module(), name, shape);
      });
  describeTokens(program.module(), kernel, "dequantize_tokens", shape);
  program.launch(kernel, {x->buffer, out.buffer}, rowChunks(x->rows), info);
  return success();
}

LogicalResult Tiler::tileTokenPool(tq::QPoolOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<std::string> offsets = inputOf(op.getOffsets(), op);
  if (failed(x) || failed(offsets) || failed(tokenTypeOf(op.getX(), op)))
    return failure();
  if (op.getKind() != tq::PoolKind::Cls)
    return op.emitOpError("has no kernel for means of codes with the ranges of "
                          "tokens, expected cls");
  LaunchInfo info;
  info.op = "pool";
  info.step = nameOf(op, "");
  Place out = defineTokens(op.getResult(), info.step, x->d, RowsOf::Sequences);
  // Codes, padding and range are bytes alike; no sequence, no bits.
  PoolShape shape{x->stride, x->stride, out.stride, Storage::U8, false};
  std::string params =
      program.data(info.step + ".params", std::vector<float>{0.0f, 0.0f});
  std::string kernel = program.kernel(
      joinName({"pool_cls", storageName(Storage::U8).str(), num(shape.d)}),
      [&](StringRef name) { return buildPool(program.module(), name, shape); });
  describePool(program.module(), kernel, shape);
  program.launch(kernel, {x->buffer, *offsets, params, out.buffer},
                 {tk::Base::Sequences, 1, 1}, info);
  return success();
}

} // namespace quern
