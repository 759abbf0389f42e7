//===- Match.cpp - What the rewrites look for -----------------------------===//
//
// See Match.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Match.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace quern;

std::optional<tq::Activation> quern::activationOf(Operation *op) {
  if (auto gelu = dyn_cast_or_null<tq::GeluOp>(op))
    return gelu.getApproximate() == tq::Approximate::Tanh
               ? tq::Activation::GeluTanh
               : tq::Activation::Gelu;
  if (isa_and_nonnull<tq::ReluOp>(op))
    return tq::Activation::Relu;
  if (isa_and_nonnull<tq::TanhOp>(op))
    return tq::Activation::Tanh;
  return std::nullopt;
}

std::optional<Codes> quern::describeCodes(Value codes) {
  Type type = cast<RankedTensorType>(codes.getType()).getElementType();
  std::optional<tq::UniformParams> params = tq::getPerTensorParams(type);
  std::optional<tq::CodeStorage> storage = tq::getCodeStorage(type);
  if (!params || !storage || storage->isSigned)
    return std::nullopt;
  return Codes{codes, params->scale, params->zero, storage->bits};
}

std::optional<Codes> quern::describeOffsetCodes(Value codes) {
  auto type = dyn_cast<tq::OffsetType>(
      cast<RankedTensorType>(codes.getType()).getElementType());
  if (!type)
    return describeCodes(codes);
  if (type.getIsSigned())
    return std::nullopt;
  return Codes{codes, type.getParams().scale, 0, type.getStorageBits(),
               type.getParams().offset};
}

std::optional<Codes> quern::matchCodes(Value real) {
  auto dequantize = real.getDefiningOp<tq::DequantizeOp>();
  return dequantize ? describeCodes(dequantize.getX()) : std::nullopt;
}

std::optional<Codes> quern::matchFactor(Value real) {
  auto dequantize = real.getDefiningOp<tq::DequantizeOp>();
  if (!dequantize)
    return std::nullopt;
  Value codes = dequantize.getX();
  if (auto type = tq::getTokenType(
          cast<RankedTensorType>(codes.getType()).getElementType()))
    return Codes{codes, 1, 1, type.getStorageBits()};
  return describeOffsetCodes(codes);
}

std::optional<ChannelCodes> quern::matchChannelCodes(Value real, size_t width) {
  auto op = real.getDefiningOp<tq::ScaleShiftOp>();
  auto dequantize = (op ? op.getX() : real).getDefiningOp<tq::DequantizeOp>();
  std::optional<Codes> codes =
      dequantize ? describeOffsetCodes(dequantize.getX()) : std::nullopt;
  if (!codes)
    return std::nullopt;
  ChannelCodes result{*codes, std::vector<double>(width, 1),
                      std::vector<double>(width, codes->offset)};
  if (op) {
    auto scale = tq::getConstantData<float>(op.getScale());
    auto shift = tq::getConstantData<float>(op.getShift());
    if (!scale || !shift || scale->size() != width || shift->size() != width)
      return std::nullopt;
    result.channelScale.assign(scale->array().begin(), scale->array().end());
    for (size_t j = 0; j < width; ++j)
      result.channelShift[j] =
          (*shift)[j] + codes->offset * result.channelScale[j];
  }
  return result;
}

Operation *quern::onlyUser(Value value) {
  return value.hasOneUse() ? *value.user_begin() : nullptr;
}

tq::QuantizeOp quern::matchOnlyQuantizer(Value real) {
  auto quantize = dyn_cast_or_null<tq::QuantizeOp>(onlyUser(real));
  if (!quantize || quantize.getRounding() != tq::Rounding::HalfEven ||
      !describeOffsetCodes(quantize.getResult()))
    return nullptr;
  return quantize;
}

std::optional<Weight> quern::matchWeight(Value real, Blocks blocks) {
  auto op = real.getDefiningOp<tq::DequantizeWeightOp>();
  if (!op || (op.getBlocks() && blocks == Blocks::No))
    return std::nullopt;
  auto codes = tq::getConstantData<int8_t>(op.getCodes());
  auto scales = tq::getConstantData<float>(op.getScales());
  if (!codes || !scales)
    return std::nullopt;
  std::vector<int32_t> zeros;
  if (op.getZeros()) {
    auto data = tq::getConstantData<int32_t>(op.getZeros());
    if (!data)
      return std::nullopt;
    zeros.assign(data->array().begin(), data->array().end());
  }
  Weight weight{op.getCodes(),      op.getScales(),        std::move(*codes),
                std::move(*scales), int64_t(op.getBits()), std::move(zeros)};
  if (std::optional<ArrayRef<int64_t>> ends = op.getBlocks())
    weight.blocks.assign(ends->begin(), ends->end());
  return weight;
}

std::optional<std::vector<double>> quern::matchVector(Value real) {
  std::vector<double> values;
  if (auto data = tq::getConstantData<float>(real)) {
    values.assign(data->array().begin(), data->array().end());
    return values;
  }
  std::optional<Weight> weight = matchWeight(real);
  if (!weight)
    return std::nullopt;
  for (size_t i = 0; i < weight->codeData.size(); ++i)
    values.push_back(weight->scaleOf(i) * weight->codeData[i]);
  return values;
}

ArrayAttr quern::siteNames(Builder &builder,
                           ArrayRef<tq::QuantizeOp> quantizers) {
  SmallVector<Attribute> names;
  bool any = false;
  for (tq::QuantizeOp quantize : quantizers) {
    bool named = quantize && quantize.getSiteAttr();
    names.push_back(named ? quantize.getSiteAttr() : builder.getStringAttr(""));
    any |= named;
  }
  return builder.getArrayAttr(any ? ArrayRef<Attribute>(names)
                                  : ArrayRef<Attribute>());
}

bool quern::readsFirst(tq::LayerNormOp norm) {
  return llvm::none_of(norm.getX().getUsers(), [&](Operation *other) {
    return other != norm && isa<tq::LayerNormOp>(other) &&
           other->isBeforeInBlock(norm);
  });
}

void quern::remarkFolded(Operation *op, StringRef pass, const Twine &what) {
  std::string text = what.str();
  remark::passed(op->getLoc(),
                 remark::RemarkOpts::name(pass).category("rewrite"))
      << StringRef(text);
}

void quern::remarkRefused(Operation *op, StringRef pass, const Twine &why) {
  std::string text = "stays in f32: " + why.str();
  remark::missed(op->getLoc(),
                 remark::RemarkOpts::name(pass).category("rewrite"))
      << StringRef(text);
}
