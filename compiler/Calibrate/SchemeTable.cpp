//===- SchemeTable.cpp - Recipe and ranges to the scheme of a module ------===//
//
// Writes the dictionary that lib/Quantize/SchemeAttr reads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/Calibrate/SiteEntries.h"
#include "compiler/Calibrate/WeightEntries.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/IR/Builders.h"

#include <algorithm>

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
  SmallVector<tq::ObserveOp> observers;
  module.walk([&](tq::ObserveOp op) { observers.push_back(op); });
  SiteEntries entries(sites, recipe, ranges, builder);
  NamedAttrList siteList;
  for (auto [site, observe] : llvm::zip_equal(sites, observers)) {
    if (recipe.activationFor(site).isFloat()) {
      siteList.set(site.name, builder.getStringAttr("fp32"));
      continue;
    }
    NamedAttrList entry;
    if (Error error = entries.fill(entry, site, observe))
      return error;
    siteList.set(site.name, entry.getDictionary(module.getContext()));
  }

  NamedAttrList scheme;
  scheme.set("sites", siteList.getDictionary(module.getContext()));
  if (const ArithmeticScheme &forms = recipe.arithmetic(); forms.fixed) {
    NamedAttrList arithmetic;
    arithmetic.set("gelu",
                   builder.getStringAttr(StringRef(geluName(forms.gelu))));
    arithmetic.set("softmax", builder.getStringAttr(
                                  StringRef(softmaxName(forms.softmax))));
    scheme.set("arithmetic", arithmetic.getDictionary(module.getContext()));
  }
  if (Error error = addWeightEntries(scheme, module, recipe, ranges))
    return error;
  module->setAttr("tq.scheme", scheme.getDictionary(module.getContext()));
  return Error::success();
}
