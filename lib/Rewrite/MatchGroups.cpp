//===- MatchGroups.cpp - Codes with parameters by channel -----------------===//
//
// See MatchGroups.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/MatchGroups.h"

using namespace mlir;
using namespace quern;

tq::GroupType quern::groupTypeOf(Value codes) {
  auto type = dyn_cast<tq::GroupType>(
      cast<RankedTensorType>(codes.getType()).getElementType());
  return type && !type.getIsSigned() && type.getAxis() == 1 ? type
                                                            : tq::GroupType();
}

std::optional<ChannelParams> quern::describeChannels(Value codes,
                                                     size_t width) {
  if (auto one = describeCodes(codes))
    return ChannelParams{one->bits,
                         std::vector<tq::UniformParams>(
                             width, tq::UniformParams{one->scale, one->zero})};
  tq::GroupType type = groupTypeOf(codes);
  if (!type || type.getMap().size() != width)
    return std::nullopt;
  ChannelParams result{type.getStorageBits(), {}};
  for (int64_t g : type.getMap())
    result.params.push_back(type.getParams()[g]);
  return result;
}

std::optional<HeadCodes> quern::describeHeads(Value codes, int64_t heads,
                                              int64_t axis) {
  if (std::optional<Codes> one = describeCodes(codes))
    return HeadCodes{codes, one->bits, one->zero,
                     std::vector<double>(heads, one->scale)};
  auto type = dyn_cast<tq::GroupType>(
      cast<RankedTensorType>(codes.getType()).getElementType());
  if (!type || type.getIsSigned() || type.getAxis() != axis ||
      type.getMap().size() % heads)
    return std::nullopt;
  HeadCodes result{codes, type.getStorageBits(), type.getParams()[0].zero, {}};
  size_t width = type.getMap().size() / heads;
  for (int64_t h = 0; h < heads; ++h) {
    ArrayRef<int64_t> own = type.getMap().slice(h * width, width);
    tq::UniformParams params = type.getParams()[own[0]];
    if (!llvm::all_equal(own) || params.zero != result.zero)
      return std::nullopt;
    result.scales.push_back(params.scale);
    if (!type.getLimits().empty())
      result.limits.push_back(type.limitsOf(own[0]));
  }
  return result;
}

std::optional<ChannelCodes> quern::matchSummand(Value real, size_t width) {
  auto dequantize = real.getDefiningOp<tq::DequantizeOp>();
  if (dequantize &&
      tq::getTokenType(dequantize.getX().getType().getElementType()))
    return ChannelCodes{{real, 1, 0, 8},
                        std::vector<double>(width, 1),
                        std::vector<double>(width, 0)};
  if (!dequantize || !groupTypeOf(dequantize.getX()))
    return matchChannelCodes(real, width);
  auto channels = describeChannels(dequantize.getX(), width);
  if (!channels)
    return std::nullopt;
  ChannelCodes result{{dequantize.getX(), 1, 0, channels->bits}, {}, {}};
  for (tq::UniformParams pair : channels->params) {
    result.channelScale.push_back(pair.scale);
    result.channelShift.push_back(-pair.scale * double(pair.zero));
  }
  return result;
}

tq::QuantizeOp quern::matchOnlyChannelQuantizer(Value real) {
  auto quantize = dyn_cast_or_null<tq::QuantizeOp>(onlyUser(real));
  if (!quantize || !groupTypeOf(quantize.getResult()))
    return matchOnlyQuantizer(real);
  return quantize.getRounding() == tq::Rounding::HalfEven ? quantize
                                                          : tq::QuantizeOp();
}

bool quern::hasLimits(tq::QuantizeOp quantize) {
  tq::GroupType type =
      quantize ? groupTypeOf(quantize.getResult()) : tq::GroupType();
  return type && !type.getLimits().empty();
}

/// How many groups there are if each is a block of channels, as wide as the
/// others and in order; else how many channels.
static size_t countParts(tq::GroupType type) {
  size_t width = type.getMap().size(), groups = type.getParams().size();
  if (width % groups)
    return width;
  for (auto [j, g] : llvm::enumerate(type.getMap()))
    if (size_t(g) != j / (width / groups))
      return width;
  return groups;
}

Value quern::limitGroups(OpBuilder &builder, Value made,
                         tq::QuantizeOp quantize) {
  if (!hasLimits(quantize))
    return made;
  tq::GroupType type = groupTypeOf(quantize.getResult());
  size_t width = type.getMap().size(), parts = countParts(type);
  SmallVector<int64_t> lo, hi;
  for (size_t j = 0; j < width; j += width / parts) {
    tq::CodeLimits own = type.limitsOf(type.getMap()[j]);
    lo.push_back(own.lo);
    hi.push_back(own.hi);
  }
  bool isFromZero = llvm::all_of(lo, [](int64_t code) { return code == 0; });
  return tq::QLimitOp::create(builder, made.getLoc(), made.getType(), made,
                              builder.getDenseI64ArrayAttr(hi),
                              isFromZero ? DenseI64ArrayAttr()
                                         : builder.getDenseI64ArrayAttr(lo),
                              siteNames(builder, {quantize}));
}

std::optional<Affine> quern::foldChannelAffine(tq::LayerNormOp norm,
                                               tq::QuantizeOp behind,
                                               ArrayRef<int64_t> order) {
  std::optional<std::vector<double>> gamma = matchVector(norm.getGamma());
  std::optional<std::vector<double>> beta = matchVector(norm.getBeta());
  if (!gamma || !beta)
    return std::nullopt;
  size_t width = gamma->size();
  Affine affine{std::vector<float>(width), std::vector<float>(width)};
  std::optional<ChannelParams> out;
  std::optional<Codes> one;
  if (behind && !(one = describeOffsetCodes(behind.getResult())) &&
      !(out = describeChannels(behind.getResult(), width)))
    return std::nullopt;
  for (size_t i = 0; i < width; ++i) {
    size_t j = order.empty() ? i : order[i];
    double scale = one ? one->scale : out ? out->params[i].scale : 1;
    double zero = one ? one->realZero() : out ? double(out->params[i].zero) : 0;
    affine.gamma[j] = static_cast<float>((*gamma)[j] / scale);
    affine.beta[j] = static_cast<float>((*beta)[j] / scale + zero);
  }
  return affine;
}
