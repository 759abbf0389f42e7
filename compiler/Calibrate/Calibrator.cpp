//===- Calibrator.cpp - Observes sites and estimates their ranges ---------===//
//
// The estimators of quantization.md 6 over what the observers keep.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/Calibrator.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

/// Share of the old average that a new batch leaves, as in the paper's code.
constexpr double momentum = 0.9;

/// Rows of logits that the cross entropy is taken over.
constexpr size_t keptRows = 4096;

} // namespace

Calibrator::Calibrator(const std::vector<ObservedSite> &sites) {
  for (const ObservedSite &site : sites) {
    if (site.scheme.isFloat() || index.count(site.name))
      continue;
    index[site.name] = observers.size();
    observers.emplace_back();
    observers.back().site = site;
  }
}

void Calibrator::observe(const std::string &site, const float *values,
                         size_t rows, size_t cols, size_t stride) {
  auto it = index.find(site);
  if (it == index.end() || rows == 0 || cols == 0)
    return;
  Observer &observer = observers[it->second];
  if (stride == 0)
    stride = cols;

  if (observer.channels.empty() && cols > 1 && !observer.channelsVary)
    observer.channels.assign(cols, {INFINITY, -INFINITY});
  if (observer.channels.size() != cols) {
    observer.channelsVary = true;
    observer.channels.clear();
  }

  Range seen{INFINITY, -INFINITY};
  for (size_t row = 0; row < rows; ++row) {
    const float *data = values + row * stride;
    observer.histogram.add(data, cols);
    if (observer.site.scheme.estimator == Estimator::CrossEntropy &&
        observer.rows.size() < cols * keptRows) {
      observer.rowSize = cols;
      observer.rows.insert(observer.rows.end(), data, data + cols);
    }
    if (!observer.channelsVary) {
      for (size_t j = 0; j < cols; ++j) {
        Range &channel = observer.channels[j];
        channel.lo = data[j] < channel.lo ? data[j] : channel.lo;
        channel.hi = data[j] > channel.hi ? data[j] : channel.hi;
      }
    }
    for (size_t j = 0; j < cols; ++j) {
      seen.lo = data[j] < seen.lo ? data[j] : seen.lo;
      seen.hi = data[j] > seen.hi ? data[j] : seen.hi;
    }
  }
  if (!observer.openHasData) {
    observer.open = seen;
    observer.openHasData = true;
  } else {
    observer.open.lo = std::min(observer.open.lo, seen.lo);
    observer.open.hi = std::max(observer.open.hi, seen.hi);
  }
}

void Calibrator::endBatch() {
  for (Observer &observer : observers) {
    if (!observer.openHasData)
      continue;
    observer.last = observer.open;
    if (!observer.closedAny) {
      observer.running = observer.open;
    } else {
      Range &average = observer.running;
      average.lo = momentum * average.lo + (1 - momentum) * observer.open.lo;
      average.hi = momentum * average.hi + (1 - momentum) * observer.open.hi;
    }
    observer.closedAny = true;
    observer.openHasData = false;
  }
}

Range Calibrator::estimate(const Observer &observer,
                           const ActivationScheme &scheme) const {
  const Histogram &histogram = observer.histogram;
  switch (scheme.estimator) {
  case Estimator::CurrentMinMax:
    return observer.last;
  case Estimator::RunningMinMax:
    return observer.running;
  case Estimator::AllMinMax:
    return {histogram.min(), histogram.max()};
  case Estimator::Percentile:
    return percentileRange(histogram, scheme.percentile);
  case Estimator::MseGrid:
    return mseGridRange(histogram, scheme.bits, GridKind::Asymmetric);
  case Estimator::MseGolden:
    return mseGoldenRange(histogram, scheme.bits, GridKind::Asymmetric);
  case Estimator::CrossEntropy:
    return crossEntropyRange(observer.rows.data(),
                             observer.rows.size() / observer.rowSize,
                             observer.rowSize, scheme.bits);
  }
  return {};
}

Expected<RangeTable> Calibrator::finish() {
  std::vector<ObservedSite> sites;
  for (const Observer &observer : observers)
    sites.push_back(observer.site);
  return finish(sites);
}

Expected<RangeTable>
Calibrator::finish(const std::vector<ObservedSite> &sites) {
  endBatch();
  RangeTable table;
  for (const auto &[name, scheme] : sites) {
    auto it = index.find(name);
    if (it == index.end())
      return Error::make("calibration: site ", name, ": was not observed");
    const Observer &observer = observers[it->second];
    const Histogram &histogram = observer.histogram;
    if (histogram.nonFinite())
      return Error::make("calibration: site ", name, ": found ",
                         histogram.nonFinite(),
                         " NaN or infinite values, expected finite ones");
    if (histogram.count() == 0)
      return Error::make("calibration: site ", name,
                         ": found no values, expected at least one sentence");
    SiteRange site;
    site.scheme = scheme;
    site.range = estimate(observer, scheme);
    site.observed = {histogram.min(), histogram.max()};
    site.values = histogram.count();
    if (site.scheme.needsChannels())
      site.channels = observer.channels;
    table.sites[name] = site;
  }
  return table;
}

std::vector<Range> Calibrator::channelRanges(const std::string &site) const {
  auto it = index.find(site);
  return it == index.end() ? std::vector<Range>()
                           : observers[it->second].channels;
}

std::vector<std::string> Calibrator::observedNames() const {
  std::vector<std::string> names;
  for (const Observer &observer : observers)
    names.push_back(observer.site.name);
  return names;
}

const Histogram *Calibrator::histogramOf(const std::string &site) const {
  auto it = index.find(site);
  return it == index.end() ? nullptr : &observers[it->second].histogram;
}
