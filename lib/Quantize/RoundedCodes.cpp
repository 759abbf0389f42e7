//===- RoundedCodes.cpp - Codes that a linear brings along ----------------===//
//
// The attribute tq.rounded = [codes, scales].
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/RoundedCodes.h"

#include "dialects/TQ/Constants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;

namespace quern {

static constexpr llvm::StringLiteral attributeName("tq.rounded");

void attachCodes(tq::LinearOp linear, WeightCodes codes) {
  OpBuilder builder(linear);
  Location loc = linear.getLoc();
  std::string name = tq::getConstantName(linear.getW()).str();
  auto take = [&](Value constant) {
    auto op = constant.getDefiningOp<arith::ConstantOp>();
    Attribute value = op.getValue();
    op.erase();
    return value;
  };
  auto type = linear.getW().getType().clone(builder.getI8Type());
  SmallVector<Attribute> values = {
      take(tq::createConstant<int8_t>(
          builder, loc, cast<RankedTensorType>(type), name + ".rounded",
          std::move(codes.codes))),
      take(tq::createVector<float>(builder, loc, name + ".rounded_scales",
                                   std::move(codes.scales)))};
  if (!codes.zeros.empty())
    values.push_back(take(tq::createVector<int32_t>(
        builder, loc, name + ".rounded_zeros", std::move(codes.zeros))));
  linear->setAttr(attributeName, builder.getArrayAttr(values));
}

template <typename T>
static std::vector<T> read(OpBuilder &builder, Attribute attribute) {
  auto op = arith::ConstantOp::create(builder, builder.getUnknownLoc(),
                                      cast<TypedAttr>(attribute));
  auto data = tq::getConstantData<T>(op.getResult());
  std::vector<T> values;
  if (data)
    values.assign(data->array().begin(), data->array().end());
  op.erase();
  return values;
}

std::optional<WeightCodes> readCodes(tq::LinearOp linear) {
  auto parts = linear->getAttrOfType<ArrayAttr>(attributeName);
  if (!parts || (parts.size() != 2 && parts.size() != 3) ||
      !llvm::all_of(parts, llvm::IsaPred<TypedAttr>))
    return std::nullopt;
  OpBuilder builder(linear);
  WeightCodes codes{read<int8_t>(builder, parts[0]),
                    read<float>(builder, parts[1])};
  if (parts.size() == 3)
    codes.zeros = read<int32_t>(builder, parts[2]);
  return codes;
}

std::optional<WeightCodes> takeCodes(tq::LinearOp linear) {
  std::optional<WeightCodes> codes = readCodes(linear);
  if (codes)
    linear->removeAttr(attributeName);
  return codes;
}

void reorderCodes(tq::LinearOp linear, ArrayRef<int64_t> order, bool rows) {
  std::optional<WeightCodes> codes = takeCodes(linear);
  if (!codes)
    return;
  size_t cols = linear.getW().getType().getDimSize(1);
  WeightCodes moved = *codes;
  for (size_t i = 0; i < codes->codes.size(); ++i) {
    size_t row = i / cols, col = i % cols;
    size_t from = rows ? order[row] * cols + col : row * cols + order[col];
    moved.codes[i] = codes->codes[from];
  }
  if (rows && codes->scales.size() == order.size())
    for (size_t row = 0; row < order.size(); ++row)
      moved.scales[row] = codes->scales[order[row]];
  if (rows && codes->zeros.size() == order.size())
    for (size_t row = 0; row < order.size(); ++row)
      moved.zeros[row] = codes->zeros[order[row]];
  attachCodes(linear, std::move(moved));
}

bool belongTogether(const WeightCodes &codes, const float *weights,
                    size_t count, unsigned bits) {
  size_t parts = codes.scales.size();
  if (codes.codes.size() != count || !parts || count % parts)
    return false;
  int low = -(1 << (bits - 1)), high = -low - 1;
  size_t cols = count / parts;
  for (size_t i = 0; i < count; ++i) {
    int code = codes.codes[i];
    if (code < low || code > high)
      return false;
    float step = weights[i] / codes.scales[i / cols] +
                 float(codes.zeroOf(i / cols)) - float(code);
    if ((step > 1.01f && code != high) || (step < -1.01f && code != low))
      return false;
  }
  return true;
}

} // namespace quern
