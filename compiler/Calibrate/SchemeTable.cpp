//===- SchemeTable.cpp - Recipe and ranges to the scheme of a module ------===//
//
// Writes the dictionary that lib/Quantize/SchemeAttr reads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/Calibrate/Neighbours.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;

std::vector<Site> quern::collectSites(ModuleOp module) {
  std::vector<Site> sites;
  module.walk([&](tq::ObserveOp op) {
    bool isMultiplied =
        llvm::any_of(op.getResult().getUsers(),
                     [](Operation *user) { return isa<tq::LinearOp>(user); });
    sites.push_back({op.getSite().str(), op.getKey().str(),
                     static_cast<int>(op.getLayer()), isMultiplied});
  });
  return sites;
}

std::vector<ObservedSite> quern::observedSites(const std::vector<Site> &sites,
                                               const Recipe &recipe) {
  std::vector<ObservedSite> observed;
  for (const Site &site : sites) {
    ActivationScheme scheme = recipe.activationFor(site);
    if (scheme.needsRange())
      observed.push_back({site.name, scheme, site.isMultiplied});
  }
  return observed;
}

namespace {

/// The op whose output a site observes, by site.
tq::ObserveOp observerOf(Value real) {
  for (Operation *user : real.getUsers())
    if (auto observe = dyn_cast<tq::ObserveOp>(user))
      return observe;
  return nullptr;
}

/// Whether a recipe quantizes the tensor that `observe` (if any) observes.
bool isQuantized(tq::ObserveOp observe, const Recipe &recipe) {
  return observe &&
         !recipe
              .activationFor({observe.getSite().str(), observe.getKey().str(),
                              static_cast<int>(observe.getLayer())})
              .isFloat();
}

} // namespace

bool quern::takesChannels(Operation *op, const Recipe &recipe) {
  auto observe = cast<tq::ObserveOp>(op);
  auto norm = observe.getX().getDefiningOp<tq::LayerNormOp>();
  if (!norm || !norm->hasOneUse())
    return false;
  for (Operation *user : observe->getUsers()) {
    if (isa<tq::LinearOp>(user)) {
      if (recipe.weightFor(WeightRole::Linear).isFloat())
        return false;
      continue;
    }
    auto add = dyn_cast<tq::AddOp>(user);
    if (!add || !isQuantized(observerOf(add.getResult()), recipe))
      return false;
    Value other = add.getA() == observe.getResult() ? add.getB() : add.getA();
    if (!isQuantized(other.getDefiningOp<tq::ObserveOp>(), recipe))
      return false;
  }
  return !observe->use_empty();
}

namespace {

/// How much wider than its extremes a channel's range is: few tokens make the
/// extreme of one channel, so other text goes beyond it. Embeddings are best
/// between 1.1 and 1.35 and lose at 1. Ranges that clip on purpose have none.
double channelMargin(Estimator estimator) {
  bool isMinMax = estimator == Estimator::AllMinMax ||
                  estimator == Estimator::RunningMinMax ||
                  estimator == Estimator::CurrentMinMax;
  return isMinMax ? 1.1 : 1;
}

} // namespace

UniformParams quern::channelParams(bool symmetric, unsigned bits) {
  return symmetric ? centredParams({-1, 1}, bits)
                   : asymmetricParams({-1, 1}, bits);
}

ChannelRanges quern::channelRanges(const std::vector<quern::Range> &channels,
                                   Estimator estimator) {
  double margin = channelMargin(estimator);
  double widest = 1e-8;
  for (const quern::Range &range : channels)
    widest = std::max(widest, (range.hi - range.lo) / 2);
  ChannelRanges result;
  for (const quern::Range &range : channels) {
    // A channel that never moved must not make its neighbours' weights vanish.
    result.scale.push_back(static_cast<float>(
        std::max((range.hi - range.lo) / 2 * margin, widest * 1e-4)));
    result.shift.push_back(static_cast<float>((range.hi + range.lo) / 2));
  }
  return result;
}

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
  if (scheme.form != GroupForm::Direct)
    entry.set("form", builder.getStringAttr(groupFormName(scheme.form)));
  return Error::success();
}

/// The groups that blocks of channels with a step each are.
Expected<SiteRange> blocksAsGroups(const Site &site, const SiteRange &range,
                                   int64_t width, const std::string &prefix) {
  int64_t blocks = range.headBits.size();
  if (width % blocks)
    return Error::make(prefix, ": sites.", site.name, ": found ", blocks,
                       " steps of blocks, expected a divisor of ", width,
                       " channels");
  SiteRange groups = range;
  for (int64_t j = 0; j < width; ++j)
    groups.groupOf.push_back(j / (width / blocks));
  return groups;
}

/// The scale and the codes of each head.
Error addHeads(NamedAttrList &entry, tq::ObserveOp observe,
               const ActivationScheme &scheme, const SiteRange &range,
               const std::string &prefix, Builder &builder) {
  int64_t heads = range.headBits.size(), found = 0;
  observe->getParentOfType<ModuleOp>().walk(
      [&](tq::ScoresOp op) { found = op.getHeads(); });
  if (heads != found)
    return Error::make(prefix, ": sites.", observe.getSite().str(), ": found ",
                       heads, " steps of heads, expected ", found);
  // Probabilities have a row for each head.
  auto shape = cast<ShapedType>(observe.getType()).getShape();
  int64_t channels = observe.getKey() == "p" ? 1 : shape.back() / heads;
  std::vector<int64_t> groupOf, zeros, limits;
  std::vector<float> scales;
  for (int64_t h = 0; h < heads; ++h) {
    const UniformParams &params = range.learned[h];
    groupOf.insert(groupOf.end(), channels, h);
    scales.push_back(params.scale);
    zeros.push_back(params.zero);
    // Signed codes lie around their middle, whatever their bits.
    int64_t codes = int64_t(1) << range.headBits[h];
    int64_t least = params.zero == 0 ? 0 : params.zero - codes / 2;
    limits.insert(limits.end(), {least, least + codes - 1});
  }
  entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
  entry.set("group_of", builder.getDenseI64ArrayAttr(groupOf));
  entry.set("scales", builder.getDenseF32ArrayAttr(scales));
  entry.set("zeros", builder.getDenseI64ArrayAttr(zeros));
  if (!llvm::all_equal(range.headBits))
    entry.set("limits", builder.getDenseI64ArrayAttr(limits));
  return Error::success();
}

/// Bits, base and scale of logarithmic codes.
Error addLog(NamedAttrList &entry, const Site &site,
             const ActivationScheme &scheme, const SiteRange &range,
             const std::string &prefix, Builder &builder) {
  if (!range.learned.empty())
    return Error::make(prefix, ": sites.", site.name,
                       ": found a learned scale of uniform codes, the recipe "
                       "expects ",
                       quantizerName(scheme.quantizer));
  if (!(range.range.hi > 0))
    return Error::make(prefix, ": sites.", site.name,
                       ".range: found an upper end of ", range.range.hi,
                       ", expected a positive one for logarithmic codes");
  entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
  entry.set("base", builder.getStringAttr(
                        scheme.quantizer == Quantizer::Log2 ? "two" : "sqrt2"));
  entry.set("scale",
            builder.getF32FloatAttr(static_cast<float>(range.range.hi)));
  return Error::success();
}

/// Holds learned scales against the weights of the model.
Error checkWeights(ModuleOp module, const RangeTable &ranges) {
  llvm::StringMap<RankedTensorType> types;
  module.walk([&](arith::ConstantOp op) {
    if (auto type = dyn_cast<RankedTensorType>(op.getType()))
      if (type.getRank() > 0)
        types[tq::getConstantName(op.getResult())] = type;
  });
  for (const auto &[name, weight] : ranges.weights) {
    auto found = types.find(name);
    if (found == types.end())
      return Error::make(ranges.prefix(), ": weight ", name,
                         ": found a scale, the model lacks the weight");
    RankedTensorType type = found->second;
    auto scales = int64_t(weight.scales.size());
    if (scales != 1 && weight.bits.empty() && scales != type.getDimSize(0))
      return Error::make(ranges.prefix(), ": weight ", name, ": found ", scales,
                         " scales, expected ", type.getDimSize(0),
                         ", one for each row");
    int64_t whole = type.getDimSize(weight.ofColumns ? type.getRank() - 1 : 0);
    if (scales != 1 && !weight.bits.empty() &&
        (type.getRank() != 2 || whole % scales != 0))
      return Error::make(ranges.prefix(), ": weight ", name, ": found ", scales,
                         " scales, expected one for each head: a number that "
                         "divides its ",
                         whole, weight.ofColumns ? " columns" : " rows");
  }
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

/// The entry of a weight among the given scales.
Attribute scalesEntry(const WeightScales &weight, Builder &builder) {
  auto scales = builder.getDenseF32ArrayAttr(weight.scales);
  if (weight.bits.empty())
    return scales;
  NamedAttrList entry;
  entry.set("scales", scales);
  entry.set("bits", builder.getDenseI64ArrayAttr(weight.bits));
  if (weight.scales.size() > 1)
    entry.set("along",
              builder.getStringAttr(weight.ofColumns ? "columns" : "rows"));
  return entry.getDictionary(builder.getContext());
}

} // namespace

Error quern::attachScheme(ModuleOp module, const Recipe &recipe,
                          const RangeTable &ranges) {
  std::vector<Site> sites = collectSites(module);
  if (Error error = recipe.check(sites))
    return error;
  for (const auto &[name, range] : ranges.sites) {
    auto isNamed = [wanted = name](const Site &site) {
      return site.name == wanted;
    };
    if (llvm::none_of(sites, isNamed))
      return Error::make(ranges.prefix(), ": sites.", printable(name),
                         ": found the range of a site that the model lacks");
  }
  Builder builder(module.getContext());
  StringAttr fp32 = builder.getStringAttr("fp32");

  SmallVector<tq::ObserveOp> observers;
  module.walk([&](tq::ObserveOp op) { observers.push_back(op); });
  NamedAttrList siteList;
  for (size_t i = 0; i < sites.size(); ++i) {
    const Site &site = sites[i];
    ActivationScheme scheme = recipe.activationFor(site);
    if (scheme.isFloat()) {
      siteList.set(site.name, fp32);
      continue;
    }
    NamedAttrList entry;
    bool isDirect = scheme.groups > 1 && scheme.form == GroupForm::Direct;
    if ((scheme.perToken || (isDirect && site.key == "x")) &&
        !recipe.weightFor(WeightRole::Linear).isFloat() &&
        !recipe.weightFor(WeightRole::Linear).symmetric)
      return Error::make("weight.symmetric: found false beside ",
                         scheme.perToken ? "ranges of tokens" : "groups",
                         " at ", site.name, ", expected true");
    if (scheme.perToken) {
      if (scheme.bits > 8)
        return Error::make("sites.", site.name, ": found ranges of tokens in ",
                           scheme.bits, " bits, expected at most 8");
      entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
      entry.set("range", builder.getStringAttr("token"));
      entry.set("symmetric", builder.getBoolAttr(scheme.symmetric));
      siteList.set(site.name, entry.getDictionary(module.getContext()));
      continue;
    }
    auto range = ranges.find(site.name, scheme);
    if (!range)
      return range.takeError();
    if (scheme.isLog()) {
      if (Error error = checkLogNeighbours(site, sites, recipe))
        return error;
      if (Error error =
              addLog(entry, site, scheme, **range, ranges.prefix(), builder))
        return error;
      // Log-int-softmax has codes of 1, 1/2, 1/4, ...
      if (recipe.arithmetic().fixed &&
          recipe.arithmetic().softmax == ArithmeticScheme::Softmax::IExp)
        entry.set("scale", builder.getF32FloatAttr(1));
      siteList.set(site.name, entry.getDictionary(module.getContext()));
      continue;
    }
    bool isByParts = !(*range)->headBits.empty();
    bool isByHeads =
        isByParts && (site.key == "q" || site.key == "k" || site.key == "v" ||
                      site.key == "p" || site.key == "c");
    if (isByHeads) {
      if (Error error =
              checkHeadNeighbours(site, sites, recipe, ranges.prefix()))
        return error;
      if (Error error = addHeads(entry, observers[i], scheme, **range,
                                 ranges.prefix(), builder))
        return error;
      siteList.set(site.name, entry.getDictionary(module.getContext()));
      continue;
    }
    int64_t width = cast<ShapedType>(observers[i].getType()).getShape().back();
    if (scheme.groups > 1 && site.key == "e" && !isSumOfPatches(observers[i])) {
      if (!isBeforeNorm(observers[i]))
        return Error::make("sites.", site.name,
                           ": found power_of_two, expected one scale: that sum "
                           "is the input of no LayerNorm, as E.e is");
      if (!recipe.arithmetic().fixed)
        return Error::make("sites.", site.name,
                           ": found power_of_two, expected fixed arithmetic "
                           "with factors of a text's embeddings");
    }
    if (isByParts) {
      if (Error error =
              checkBlockNeighbours(site, sites, recipe, ranges.prefix()))
        return error;
      auto groups = blocksAsGroups(site, **range, width, ranges.prefix());
      if (!groups)
        return groups.takeError();
      if (Error error = addGroups(entry, site, scheme, *groups, width,
                                  ranges.prefix(), builder))
        return error;
      siteList.set(site.name, entry.getDictionary(module.getContext()));
      continue;
    }
    if (scheme.groups > 1) {
      if (Error error = checkGroupNeighbours(site, sites, recipe))
        return error;
      // Folded weights are others than those whose scales were learned.
      if (scheme.form == GroupForm::Folded && !ranges.weights.empty())
        return Error::make(ranges.prefix(), ": sites.", site.name,
                           ".form: found \"folded\" beside learned scales of "
                           "weights, expected \"direct\"");
      if (Error error = addGroups(entry, site, scheme, **range, width,
                                  ranges.prefix(), builder))
        return error;
      siteList.set(site.name, entry.getDictionary(module.getContext()));
      continue;
    }
    quern::Range whole = (*range)->range;
    if (scheme.perChannel && (*range)->learned.empty() &&
        takesChannels(observers[i], recipe)) {
      if (int64_t((*range)->channels.size()) != width)
        return Error::make(ranges.prefix(), ": sites.", site.name,
                           ".channels: found ", (*range)->channels.size(),
                           ", expected ", width);
      addChannels(entry, (*range)->channels, scheme.channelEstimator, builder);
      whole = {-1, 1};
      if (scheme.residualBits) {
        NamedAttrList residual;
        addChannels(residual, (*range)->residual, Estimator::AllMinMax,
                    builder);
        setParams(residual, scheme.residualBits,
                  channelParams(false, scheme.residualBits), builder);
        entry.set("residual", residual.getDictionary(module.getContext()));
      }
    }
    UniformParams params = (*range)->learned.empty()
                               ? paramsOf(whole, scheme)
                               : (*range)->learned.front();
    if (double scale = recipe.arithmetic().probabilityScale();
        scale != 0 && site.key == "p")
      params = {float(scale), 0};
    setParams(entry, scheme.bits, params, builder);
    if ((*range)->offset)
      entry.set("offset", builder.getF64FloatAttr(*(*range)->offset));
    siteList.set(site.name, entry.getDictionary(module.getContext()));
  }

  static constexpr std::pair<const char *, WeightRole> roles[] = {
      {"linear", WeightRole::Linear},
      {"pooler", WeightRole::Pooler},
      {"classifier", WeightRole::Classifier},
      {"word_table", WeightRole::WordTable},
      {"table", WeightRole::Table},
      {"norms", WeightRole::Norm}};
  NamedAttrList weightList;
  for (const auto &[name, role] : roles) {
    WeightScheme scheme = recipe.weightFor(role);
    if (scheme.isFloat()) {
      weightList.set(name, fp32);
      continue;
    }
    if (!scheme.symmetric && !ranges.weights.empty())
      return Error::make(ranges.prefix(),
                         ": weight.symmetric: found false "
                         "beside learned scales, which have no "
                         "zero points, expected true");
    NamedAttrList entry;
    entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
    entry.set("granularity",
              builder.getStringAttr(scheme.perChannel ? "channel" : "tensor"));
    entry.set("estimator",
              builder.getStringAttr(StringRef(clipRuleName(scheme.estimator))));
    if (scheme.estimator == ClipRule::Percentile)
      entry.set("percentile", builder.getF64FloatAttr(scheme.percentile));
    if (scheme.estimator == ClipRule::MseGrid)
      entry.set("candidates", builder.getI64IntegerAttr(scheme.candidates));
    if (!scheme.symmetric)
      entry.set("symmetric", builder.getBoolAttr(false));
    if (scheme.adaptive)
      entry.set("rounding", builder.getStringAttr("adaround"));
    weightList.set(name, entry.getDictionary(module.getContext()));
  }

  NamedAttrList scheme;
  scheme.set("sites", siteList.getDictionary(module.getContext()));
  scheme.set("weights", weightList.getDictionary(module.getContext()));
  if (const ArithmeticScheme &forms = recipe.arithmetic(); forms.fixed) {
    NamedAttrList arithmetic;
    arithmetic.set("gelu",
                   builder.getStringAttr(StringRef(geluName(forms.gelu))));
    arithmetic.set("softmax", builder.getStringAttr(
                                  StringRef(softmaxName(forms.softmax))));
    scheme.set("arithmetic", arithmetic.getDictionary(module.getContext()));
  }
  if (Error error = checkWeights(module, ranges))
    return error;
  NamedAttrList scales, unsignedScales;
  for (const auto &[name, weight] : ranges.weights)
    (weight.isSigned ? scales : unsignedScales)
        .set(name, scalesEntry(weight, builder));
  if (!ranges.weights.empty()) {
    scheme.set("scales", scales.getDictionary(module.getContext()));
    scheme.set("unsigned_scales",
               unsignedScales.getDictionary(module.getContext()));
  }
  module->setAttr("tq.scheme", scheme.getDictionary(module.getContext()));
  return Error::success();
}
