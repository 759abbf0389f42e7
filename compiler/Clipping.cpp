//===- Clipping.cpp - Learned ranges of channels --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Sites are independent problems: each is one thread's.
//
//===----------------------------------------------------------------------===//
#include "compiler/Clipping.h"

#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/SiteSamples.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/DualClip.h"
#include "lib/Support/Parallel.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace quern {

namespace {

/// Tokens that ranges are learned from: two numbers for each channel.
constexpr size_t sampleRows = 1024;

/// A site to clip, and what is known of it before threads begin.
struct ClippedSite {
  tq::ObserveOp observe;
  ActivationScheme scheme = {};
  std::vector<tq::ConstantData<float>> weights = {};
  bool sumsReadIt = false;
  std::vector<Range> ranges = {};
  ClipErrors errors = {};
};

ActivationScheme schemeOf(tq::ObserveOp observe, const Recipe &recipe) {
  return recipe.activationFor({observe.getSite().str(), observe.getKey().str(),
                               static_cast<int>(observe.getLayer())});
}

/// The sites of `module` whose channels the recipe wants clipped and whose
/// readers can take them.
SmallVector<tq::ObserveOp> clippedSites(ModuleOp module, const Recipe &recipe) {
  SmallVector<tq::ObserveOp> sites;
  module.walk([&](tq::ObserveOp observe) {
    ActivationScheme scheme = schemeOf(observe, recipe);
    if (!scheme.isFloat() && scheme.perChannel &&
        scheme.channelEstimator == Estimator::DualClip &&
        takesChannels(observe, recipe))
      sites.push_back(observe);
  });
  return sites;
}

Error readSite(ClippedSite &site, const Recipe &recipe,
               const RangeTable &ranges) {
  std::string name = site.observe.getSite().str();
  site.scheme = schemeOf(site.observe, recipe);
  auto range = ranges.find(name, site.scheme);
  if (!range)
    return range.takeError();
  site.ranges = (*range)->channels;
  for (Operation *user : site.observe->getUsers()) {
    auto linear = dyn_cast<tq::LinearOp>(user);
    site.sumsReadIt |= !linear;
    if (!linear)
      continue;
    auto weight = tq::getConstantData<float>(linear.getW());
    if (!weight)
      return Error::make(name, ": found no weights behind it to clip for");
    site.weights.push_back(std::move(*weight));
  }
  return Error::success();
}

void clip(ClippedSite &site, const Samples &samples) {
  size_t cols = samples.columns;
  ClipMetric metric(cols);
  for (const tq::ConstantData<float> &weight : site.weights)
    metric.addWeights(weight.data(), weight.size() / cols);
  if (site.sumsReadIt && !site.scheme.residualBits)
    metric.addIdentity(1);
  ClipSamples chosen{samples.values.data(), samples.rows(),
                     inverseMagnitudes(samples.values, cols)};
  site.ranges = dualClip(chosen, metric, site.ranges,
                         channelParams(site.scheme.symmetric, site.scheme.bits),
                         &site.errors);
}

} // namespace

bool needsClipping(ModuleOp module, const Recipe &recipe) {
  return !clippedSites(module, recipe).empty();
}

Error learnClips(FloatModel &model, const Recipe &recipe, RangeTable &ranges,
                 const std::vector<CalibrationText> &texts,
                 const std::function<void(double)> &progress,
                 const std::function<void(const std::string &)> &note) {
  std::vector<ClippedSite> sites;
  SiteSamples samples;
  for (tq::ObserveOp observe : clippedSites(model.getModule(), recipe)) {
    sites.push_back({observe});
    samples[observe.getSite()].most = sampleRows;
    if (Error error = readSite(sites.back(), recipe, ranges))
      return error;
  }
  auto keep = [&](const HostProgram &program,
                  const quern_output &) -> Expected<bool> {
    if (Error error = keepRows(program, samples))
      return error;
    return true;
  };
  if (Error error = model.run(texts, keep, {}))
    return error;
  std::vector<const Samples *> bySite;
  for (ClippedSite &site : sites) {
    const Samples &kept = samples.find(site.observe.getSite())->second;
    if (kept.columns != site.ranges.size())
      return Error::make(site.observe.getSite().str(), ": found ",
                         site.ranges.size(), " channels to clip, expected ",
                         kept.columns);
    bySite.push_back(&kept);
  }

  forEachParallel(
      sites.size(), model.getThreads(),
      [&](size_t i) { clip(sites[i], *bySite[i]); }, progress);

  for (ClippedSite &site : sites) {
    std::string name = site.observe.getSite().str();
    ranges.sites.at(name).channels = std::move(site.ranges);
    if (note)
      note(llvm::formatv("{0}: squared error behind it {1:e3} with all values "
                         "in range, {2:e3} with learned clipping",
                         name, site.errors.before, site.errors.after)
               .str());
  }
  return Error::success();
}

} // namespace quern
