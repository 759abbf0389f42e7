//===- SiteEntries.cpp - Sites in the scheme of a module ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The forms one by one, then which of them a site has.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/SiteEntries.h"
#include "compiler/Calibrate/Neighbours.h"
#include "compiler/Calibrate/SchemeTable.h"

using namespace mlir;
using namespace quern;

namespace {

void setParams(NamedAttrList &entry, unsigned bits, UniformParams params,
               Builder &builder) {
  entry.set("bits", builder.getI64IntegerAttr(bits));
  entry.set("scale", builder.getF32FloatAttr(params.scale));
  entry.set("zero", builder.getI64IntegerAttr(params.zero));
}

/// Half width and middle of each channel's range.
void addChannels(NamedAttrList &entry,
                 const std::vector<quern::Range> &channels, Estimator estimator,
                 Builder &builder) {
  ChannelRanges ranges = channelRanges(channels, estimator);
  auto type = RankedTensorType::get({static_cast<int64_t>(channels.size())},
                                    builder.getF32Type());
  entry.set("channel_scale",
            DenseElementsAttr::get(type, ArrayRef<float>(ranges.scale)));
  entry.set("channel_shift",
            DenseElementsAttr::get(type, ArrayRef<float>(ranges.shift)));
}

/// Scale and zero point for the range of a site or a group.
UniformParams paramsOf(quern::Range range, const ActivationScheme &scheme) {
  return scheme.symmetric ? centredParams(range, scheme.bits)
                          : asymmetricParams(range, scheme.bits);
}

/// The least and the greatest code of each head or block, which has bits of its
/// own.
std::vector<int64_t> limitsOf(const SiteRange &range) {
  std::vector<int64_t> limits;
  for (auto [bits, params] : llvm::zip_equal(range.headBits, range.learned)) {
    // Signed codes lie around their middle, whatever their bits.
    int64_t codes = int64_t(1) << bits;
    int64_t least = params.zero == 0 ? 0 : params.zero - codes / 2;
    limits.insert(limits.end(), {least, least + codes - 1});
  }
  return limits;
}

/// Scale and zero point of each group of a site's channels.
Error addGroups(NamedAttrList &entry, const Site &site,
                const ActivationScheme &scheme, const SiteRange &range,
                int64_t width, const std::string &prefix, Builder &builder) {
  if (scheme.bits > 8)
    return Error::make("sites.", site.name, ": found groups of ", scheme.bits,
                       " bits, expected at most 8");
  if (int64_t(range.groupOf.size()) != width)
    return Error::make(prefix, ": sites.", site.name, ".group_of: found ",
                       range.groupOf.size(), " channels, expected ", width);
  std::vector<UniformParams> groups = range.learned;
  if (groups.empty())
    for (const quern::Range &group : range.groups)
      groups.push_back(paramsOf(group, scheme));
  std::vector<float> scales;
  std::vector<int64_t> zeros;
  for (const UniformParams &params : groups) {
    scales.push_back(params.scale);
    zeros.push_back(params.zero);
  }
  entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
  entry.set("group_of", builder.getDenseI64ArrayAttr(range.groupOf));
  entry.set("scales", builder.getDenseF32ArrayAttr(scales));
  entry.set("zeros", builder.getDenseI64ArrayAttr(zeros));
  if (!llvm::all_equal(range.headBits))
    entry.set("limits", builder.getDenseI64ArrayAttr(limitsOf(range)));
  if (scheme.form != GroupForm::Direct)
    entry.set("form", builder.getStringAttr(groupFormName(scheme.form)));
  return Error::success();
}

/// Whether a site is the sum of an image's patches and their positions.
bool isSumOfPatches(tq::ObserveOp observe) {
  auto add = observe.getX().getDefiningOp<tq::AddOp>();
  return add && isa_and_nonnull<tq::LinearOp>(add.getA().getDefiningOp());
}

/// Whether a LayerNorm reads what a site observes.
bool isBeforeNorm(tq::ObserveOp observe) {
  return llvm::any_of(observe->getUsers(), [](Operation *user) {
    return isa<tq::LayerNormOp>(user);
  });
}

/// Whether steps of a site are those of heads, not of blocks of channels.
bool isOfHeads(const Site &site) {
  return site.key == "q" || site.key == "k" || site.key == "v" ||
         site.key == "p" || site.key == "c";
}

} // namespace

Error SiteEntries::fillTokens(NamedAttrList &entry, const Site &site) {
  ActivationScheme scheme = recipe.activationFor(site);
  if (scheme.bits > 8)
    return Error::make("sites.", site.name, ": found ranges of tokens in ",
                       scheme.bits, " bits, expected at most 8");
  entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
  entry.set("range", builder.getStringAttr("token"));
  entry.set("symmetric", builder.getBoolAttr(scheme.symmetric));
  return Error::success();
}

Error SiteEntries::fillLog(NamedAttrList &entry, const Site &site,
                           const SiteRange &range) {
  ActivationScheme scheme = recipe.activationFor(site);
  if (Error error = checkLogNeighbours(site, sites, recipe))
    return error;
  if (!range.learned.empty())
    return Error::make(ranges.prefix(), ": sites.", site.name,
                       ": found a learned scale of uniform codes, the recipe "
                       "expects ",
                       quantizerName(scheme.quantizer));
  if (!(range.range.hi > 0))
    return Error::make(ranges.prefix(), ": sites.", site.name,
                       ".range: found an upper end of ", range.range.hi,
                       ", expected a positive one for logarithmic codes");
  entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
  entry.set("base", builder.getStringAttr(
                        scheme.quantizer == Quantizer::Log2 ? "two" : "sqrt2"));
  entry.set("scale",
            builder.getF32FloatAttr(static_cast<float>(range.range.hi)));
  // Log-int-softmax has codes of 1, 1/2, 1/4, ...
  if (recipe.arithmetic().fixed &&
      recipe.arithmetic().softmax == ArithmeticScheme::Softmax::IExp)
    entry.set("scale", builder.getF32FloatAttr(1));
  return Error::success();
}

Error SiteEntries::fillHeads(NamedAttrList &entry, const Site &site,
                             const SiteRange &range, tq::ObserveOp observe) {
  if (Error error = checkHeadNeighbours(site, sites, recipe, ranges.prefix()))
    return error;
  int64_t heads = range.headBits.size(), found = 0;
  observe->getParentOfType<ModuleOp>().walk(
      [&](tq::ScoresOp op) { found = op.getHeads(); });
  if (heads != found)
    return Error::make(ranges.prefix(), ": sites.", site.name, ": found ",
                       heads, " steps of heads, expected ", found);
  // Probabilities have a row for each head.
  auto shape = cast<ShapedType>(observe.getType()).getShape();
  int64_t channels = observe.getKey() == "p" ? 1 : shape.back() / heads;
  std::vector<int64_t> groupOf, zeros;
  std::vector<float> scales;
  for (int64_t h = 0; h < heads; ++h) {
    groupOf.insert(groupOf.end(), channels, h);
    scales.push_back(range.learned[h].scale);
    zeros.push_back(range.learned[h].zero);
  }
  entry.set("bits", builder.getI64IntegerAttr(recipe.activationFor(site).bits));
  entry.set("group_of", builder.getDenseI64ArrayAttr(groupOf));
  entry.set("scales", builder.getDenseF32ArrayAttr(scales));
  entry.set("zeros", builder.getDenseI64ArrayAttr(zeros));
  if (!llvm::all_equal(range.headBits))
    entry.set("limits", builder.getDenseI64ArrayAttr(limitsOf(range)));
  return Error::success();
}

/// Blocks of channels with a step each are groups.
Error SiteEntries::fillBlocks(NamedAttrList &entry, const Site &site,
                              const SiteRange &range, int64_t width) {
  if (Error error = checkBlockNeighbours(site, sites, recipe, ranges.prefix()))
    return error;
  int64_t blocks = range.headBits.size();
  if (width % blocks)
    return Error::make(ranges.prefix(), ": sites.", site.name, ": found ",
                       blocks, " steps of blocks, expected a divisor of ",
                       width, " channels");
  SiteRange groups = range;
  for (int64_t j = 0; j < width; ++j)
    groups.groupOf.push_back(j / (width / blocks));
  return addGroups(entry, site, recipe.activationFor(site), groups, width,
                   ranges.prefix(), builder);
}

Error SiteEntries::fillGroups(NamedAttrList &entry, const Site &site,
                              const SiteRange &range, tq::ObserveOp observe) {
  ActivationScheme scheme = recipe.activationFor(site);
  if (Error error = checkGroupNeighbours(site, sites, recipe))
    return error;
  // Folded weights are others than those whose scales were learned.
  if (scheme.form == GroupForm::Folded && !ranges.weights.empty())
    return Error::make(ranges.prefix(), ": sites.", site.name,
                       ".form: found \"folded\" beside learned scales of "
                       "weights, expected \"direct\"");
  int64_t width = cast<ShapedType>(observe.getType()).getShape().back();
  return addGroups(entry, site, scheme, range, width, ranges.prefix(), builder);
}

Error SiteEntries::fillOne(NamedAttrList &entry, const Site &site,
                           const SiteRange &range, tq::ObserveOp observe) {
  ActivationScheme scheme = recipe.activationFor(site);
  quern::Range whole = range.range;
  if (scheme.perChannel && range.learned.empty() &&
      takesChannels(observe, recipe)) {
    int64_t width = cast<ShapedType>(observe.getType()).getShape().back();
    if (int64_t(range.channels.size()) != width)
      return Error::make(ranges.prefix(), ": sites.", site.name,
                         ".channels: found ", range.channels.size(),
                         ", expected ", width);
    addChannels(entry, range.channels, scheme.channelEstimator, builder);
    whole = {-1, 1};
    if (scheme.residualBits) {
      NamedAttrList residual;
      addChannels(residual, range.residual, Estimator::AllMinMax, builder);
      setParams(residual, scheme.residualBits,
                channelParams(false, scheme.residualBits), builder);
      entry.set("residual", residual.getDictionary(builder.getContext()));
    }
  }
  UniformParams params =
      range.learned.empty() ? paramsOf(whole, scheme) : range.learned.front();
  if (double scale = recipe.arithmetic().probabilityScale();
      scale != 0 && site.key == "p")
    params = {float(scale), 0};
  setParams(entry, scheme.bits, params, builder);
  if (range.offset)
    entry.set("offset", builder.getF64FloatAttr(*range.offset));
  return Error::success();
}

Error SiteEntries::fill(NamedAttrList &entry, const Site &site,
                        tq::ObserveOp observe) {
  ActivationScheme scheme = recipe.activationFor(site);
  WeightScheme linear = recipe.weightFor(WeightRole::Linear);
  bool isDirect = scheme.groups > 1 && scheme.form == GroupForm::Direct;
  if ((scheme.perToken || (isDirect && site.key == "x")) && !linear.isFloat() &&
      !linear.symmetric)
    return Error::make("weight.symmetric: found false beside ",
                       scheme.perToken ? "ranges of tokens" : "groups", " at ",
                       site.name, ", expected true");
  if (scheme.perToken)
    return fillTokens(entry, site);
  auto found = ranges.find(site.name, scheme);
  if (!found)
    return found.takeError();
  const SiteRange &range = **found;
  if (scheme.isLog())
    return fillLog(entry, site, range);
  if (!range.headBits.empty()) {
    if (isOfHeads(site))
      return fillHeads(entry, site, range, observe);
    int64_t width = cast<ShapedType>(observe.getType()).getShape().back();
    return fillBlocks(entry, site, range, width);
  }
  if (scheme.groups > 1 && site.key == "e" && !isSumOfPatches(observe)) {
    if (!isBeforeNorm(observe))
      return Error::make("sites.", site.name,
                         ": found power_of_two, expected one scale: that sum "
                         "is the input of no LayerNorm, as E.e is");
    if (!recipe.arithmetic().fixed)
      return Error::make("sites.", site.name,
                         ": found power_of_two, expected fixed arithmetic "
                         "with factors of a text's embeddings");
  }
  return scheme.groups > 1 ? fillGroups(entry, site, range, observe)
                           : fillOne(entry, site, range, observe);
}
