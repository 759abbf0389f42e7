//===- SiteObserver.cpp - What calibration keeps of one site --------------===//
//
// See SiteObserver.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/SiteObserver.h"
#include "lib/Support/Extremes.h"
#include "lib/Support/LogRange.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

/// Rows of logits that the cross entropy is taken over.
constexpr size_t keptRows = 4096;

constexpr Range nothing{INFINITY, -INFINITY};

void widen(Range &range, Range by) {
  range.lo = by.lo < range.lo ? by.lo : range.lo;
  range.hi = by.hi > range.hi ? by.hi : range.hi;
}

/// The average in which each batch leaves `momentum` of what was before.
Range runningAverage(const std::vector<Range> &batches, double momentum) {
  Range average = batches.front();
  for (size_t i = 1; i < batches.size(); ++i) {
    average.lo = momentum * average.lo + (1 - momentum) * batches[i].lo;
    average.hi = momentum * average.hi + (1 - momentum) * batches[i].hi;
  }
  return average;
}

} // namespace

SiteObserver::SiteObserver(const ObservedSite &site) : observed(site) {}

bool SiteObserver::keepsHistograms() const {
  Estimator which = observed.scheme.channelEstimator;
  return observed.scheme.needsChannels() &&
         (observed.scheme.powersOfTwo || which == Estimator::Percentile ||
          which == Estimator::MseGrid || which == Estimator::MseGolden);
}

bool SiteObserver::keepsBatches() const {
  Estimator which = observed.scheme.channelEstimator;
  return observed.scheme.needsChannels() &&
         (which == Estimator::CurrentMinMax ||
          which == Estimator::RunningMinMax);
}

void SiteObserver::observe(const float *values, size_t rowCount, size_t cols,
                           size_t stride) {
  if (extremes.empty() && cols > 1 && !channelsVary)
    extremes.assign(cols, nothing);
  if (extremes.size() != cols) {
    channelsVary = true;
    extremes.clear();
    byChannel.clear();
    openChannels.clear();
  }
  if (!channelsVary && keepsHistograms())
    byChannel.resize(cols);
  if (!channelsVary && keepsBatches())
    openChannels.resize(cols, nothing);
  // Narrow, as the values are: vectors hold more of them.
  std::vector<float> lows(channelsVary ? 0 : cols, INFINITY);
  std::vector<float> highs(lows.size(), -INFINITY);
  Extremes rest;
  for (size_t row = 0; row < rowCount; ++row) {
    const float *data = values + row * stride;
    all.add(data, cols);
    if (observed.scheme.estimator == Estimator::CrossEntropy &&
        rows.size() < cols * keptRows) {
      rowSize = cols;
      rows.insert(rows.end(), data, data + cols);
    }
    for (size_t j = 0; j < lows.size(); ++j) {
      lows[j] = data[j] < lows[j] ? data[j] : lows[j];
      highs[j] = data[j] > highs[j] ? data[j] : highs[j];
    }
    for (size_t j = 0; j < byChannel.size(); ++j)
      byChannel[j].add(data + j, 1);
    if (channelsVary)
      rest.add(data, cols);
  }
  Range seen{rest.low(), rest.high()};
  for (size_t j = 0; j < lows.size(); ++j) {
    widen(seen, {lows[j], highs[j]});
    widen(extremes[j], {lows[j], highs[j]});
  }
  for (size_t j = 0; j < openChannels.size(); ++j)
    widen(openChannels[j], {lows[j], highs[j]});
  if (!openHasData)
    open = nothing;
  widen(open, seen);
  openHasData = true;
}

void SiteObserver::endBatch() {
  if (!openHasData)
    return;
  batches.push_back(open);
  channelBatches.insert(channelBatches.end(), openChannels.begin(),
                        openChannels.end());
  openChannels.assign(openChannels.size(), nothing);
  openHasData = false;
}

Range SiteObserver::estimate(const ActivationScheme &scheme,
                             Estimator estimator, Range extremes,
                             const Histogram &histogram,
                             const std::vector<Range> &batches) const {
  // One grid for the whole site: a channel without negative values has a sign
  // where others have one.
  bool isCentred = scheme.symmetric && all.min() < 0;
  GridKind kind = isCentred ? GridKind::Symmetric : GridKind::Asymmetric;
  Range range;
  switch (estimator) {
  case Estimator::CurrentMinMax:
    range = batches.back();
    break;
  case Estimator::RunningMinMax:
    range = runningAverage(batches, scheme.momentum);
    break;
  case Estimator::AllMinMax:
  case Estimator::DualClip: // Learned later, from these (compiler/Clipping.h).
    range = extremes;
    break;
  case Estimator::Percentile:
    range = percentileRange(histogram, scheme.percentile);
    break;
  case Estimator::MseGrid:
    range = mseGridRange(histogram, scheme.bits, kind, scheme.candidates);
    break;
  case Estimator::MseGolden:
    range = mseGoldenRange(histogram, scheme.bits, kind);
    break;
  case Estimator::LogPercentile:
    range = logPercentileRange(histogram, scheme.bits,
                               scheme.quantizer == Quantizer::Log2 ? 1 : 2);
    break;
  case Estimator::CrossEntropy:
    range = crossEntropyRange(rows.data(), rows.size() / rowSize, rowSize,
                              scheme.bits, kind, scheme.candidates);
    break;
  }
  if (isCentred) {
    double largest = std::max(std::fabs(range.lo), std::fabs(range.hi));
    return {-largest, largest};
  }
  return range;
}

Expected<Range> SiteObserver::range(const ActivationScheme &scheme) const {
  // Of channels only; a site that keeps one range has the usual one.
  if (scheme.estimator == Estimator::DualClip)
    return estimate(scheme, Estimator::MseGrid, {all.min(), all.max()}, all,
                    batches);
  if (scheme.estimator == Estimator::CrossEntropy && rows.empty())
    return Error::make("calibration: site ", observed.name,
                       ": was not observed for cross_entropy");
  return estimate(scheme, scheme.estimator, {all.min(), all.max()}, all,
                  batches);
}

Expected<std::vector<int64_t>>
SiteObserver::powersOfTwo(const ActivationScheme &scheme, Range whole) const {
  if (byChannel.empty())
    return Error::make("calibration: site ", observed.name,
                       ": was not observed by channel for power_of_two");
  std::vector<int64_t> powers;
  for (const Histogram &channel : byChannel) {
    std::vector<Bucket> buckets = channel.buckets();
    int64_t best = 0;
    double least = INFINITY;
    for (int64_t power = 0; power < ActivationScheme::powerGroups; ++power) {
      Range part = partOf(whole, power);
      double loss = quantizationLoss(
          buckets, scheme.symmetric ? centredParams(part, scheme.bits)
                                    : asymmetricParams(part, scheme.bits));
      if (loss < least) {
        least = loss;
        best = power;
      }
    }
    powers.push_back(best);
  }
  return powers;
}

Range SiteObserver::partOf(Range whole, int64_t power) {
  double factor =
      std::ldexp(1, int(power) - int(ActivationScheme::powerGroups - 1));
  return {whole.lo * factor, whole.hi * factor};
}

Expected<std::vector<Range>>
SiteObserver::groupRanges(const ActivationScheme &scheme,
                          const std::vector<int64_t> &groupOf,
                          size_t groups) const {
  Estimator which = scheme.channelEstimator;
  size_t width = groupOf.size();
  bool isKept = which == observed.scheme.channelEstimator ||
                which == Estimator::AllMinMax;
  if (extremes.size() != width || !isKept)
    return Error::make("calibration: site ", observed.name,
                       ": was not observed by channel for ",
                       estimatorName(which));
  std::vector<Range> ranges(groups, nothing);
  for (size_t j = 0; j < width; ++j)
    widen(ranges[groupOf[j]], extremes[j]);
  std::vector<Histogram> histograms(byChannel.empty() ? 0 : groups);
  for (size_t j = 0; j < byChannel.size(); ++j)
    histograms[groupOf[j]].merge(byChannel[j]);
  // By group, then by batch.
  size_t count = channelBatches.size() / width;
  std::vector<std::vector<Range>> byGroup(groups,
                                          std::vector<Range>(count, nothing));
  for (size_t i = 0; i < channelBatches.size(); ++i)
    widen(byGroup[groupOf[i % width]][i / width], channelBatches[i]);
  for (size_t g = 0; g < groups; ++g)
    ranges[g] = estimate(scheme, which, ranges[g],
                         histograms.empty() ? all : histograms[g], byGroup[g]);
  return ranges;
}
