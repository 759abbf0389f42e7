//===- RealWeights.cpp - Weights of ops on real numbers -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/RealWeights.h"
#include "lib/Tile/GemmWeights.h"

#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace quern {

template <typename T>
static std::optional<ConstantView<T>> viewOf(Value value) {
  ElementsAttr attr;
  if (auto op = value.getDefiningOp<arith::ConstantOp>())
    attr = dyn_cast<ElementsAttr>(op.getValue());
  if (auto op = value.getDefiningOp<tq::ConstantOp>())
    attr = op.getValue();
  return attr ? ConstantView<T>::get(attr) : std::nullopt;
}

std::optional<RealWeights> RealWeights::get(Value value) {
  RealWeights result;
  result.rowCount = cast<RankedTensorType>(value.getType()).getDimSize(0);
  auto op = value.getDefiningOp<tq::DequantizeWeightOp>();
  if (!op) {
    result.reals = viewOf<float>(value);
    return result.reals ? std::optional(result) : std::nullopt;
  }
  result.codes = viewOf<int8_t>(op.getCodes());
  result.scales = viewOf<float>(op.getScales());
  if (!result.codes || !result.scales ||
      !fitsBits(result.codes->values(), op.getBits()))
    return std::nullopt;
  result.storedBits = storedWeightBits(op.getBits());
  return result;
}

std::string RealWeights::scheme() const {
  return bits() == 32 ? "f32" : "s" + std::to_string(bits());
}

std::vector<float> RealWeights::values() const {
  if (bits() == 32)
    return reals->values().vec();
  std::vector<float> result(codes->size());
  size_t cols = result.size() / std::max<int64_t>(rowCount, 1);
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = scaleOf(i / cols) * static_cast<float>((*codes)[i]);
  return result;
}

} // namespace quern
