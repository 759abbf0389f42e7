//===- Calibrator.cpp - Observes sites and estimates their ranges ---------===//
//
// One observer per site (SiteObserver.h); the groups of channels of a site may
// be those of another.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/Calibrator.h"
#include "lib/Quantize/GroupMap.h"

#include <algorithm>
#include <map>
#include <numeric>

using namespace quern;

Calibrator::Calibrator(const std::vector<ObservedSite> &sites) {
  for (const ObservedSite &site : sites) {
    if (site.scheme.isFloat() || index.count(site.name))
      continue;
    index[site.name] = observers.size();
    observers.emplace_back(site);
  }
}

void Calibrator::observe(const std::string &site, const float *values,
                         size_t rows, size_t cols, size_t stride) {
  auto it = index.find(site);
  if (it != index.end() && rows && cols)
    observers[it->second].observe(values, rows, cols, stride ? stride : cols);
}

void Calibrator::endBatch() {
  for (SiteObserver &observer : observers)
    observer.endBatch();
}

const SiteObserver *Calibrator::find(const std::string &site) const {
  auto it = index.find(site);
  return it == index.end() ? nullptr : &observers[it->second];
}

/// The group of each channel of a site.
Expected<std::vector<int64_t>>
Calibrator::groupsOf(const SiteObserver &observer,
                     const ObservedSite &site) const {
  const ActivationScheme &scheme = site.scheme;
  const std::string &name = site.name;
  size_t width = observer.channels().size();
  size_t groups =
      scheme.groups == ActivationScheme::everyChannel ? width : scheme.groups;
  if (width == 0 || groups > width)
    return Error::make("sites.", name, ": found ", groups,
                       " groups, expected at most one for each of ", width,
                       " channels");
  if (scheme.permute == Permute::None || groups == width)
    return equalGroups(width, groups);
  const SiteObserver *leader = &observer;
  if (scheme.permute == Permute::SharedH) {
    std::string by = name.substr(0, name.find('.')) + ".h";
    leader = find(by);
    if (!leader || leader->channels().size() != width)
      return Error::make("sites.", name, ": found groups by the channels of ",
                         by, ", expected ", by, " in codes and of ", width,
                         " channels");
  }
  constexpr size_t mostFitted = 64;
  if (scheme.permute == Permute::Fit && groups > mostFitted)
    return Error::make("sites.", name, ": found ", groups,
                       " groups with \"permute\": \"fit\", expected at most ",
                       mostFitted);
  std::vector<double> widths;
  for (const Range &range : leader->channels())
    widths.push_back(range.hi - range.lo);
  if (scheme.permute != Permute::Fit)
    return groupsByWidth(widths, groups);
  // Where nothing multiplies them, groups may have any size, and so they may
  // where they are folded.
  bool inTurns = site.isMultiplied && scheme.form != GroupForm::Folded;
  return fittedGroups(widths, groups, inTurns ? fittingUnit(width, groups) : 1);
}

/// Groups of channels that have one power; those that none has are left out.
Error Calibrator::addPowers(const SiteObserver &observer, SiteRange &range) {
  std::vector<int64_t> all(observer.channels().size(), 0);
  auto whole = observer.groupRanges(range.scheme, all, 1);
  if (!whole)
    return whole.takeError();
  auto powers = observer.powersOfTwo(range.scheme, whole->front());
  if (!powers)
    return powers.takeError();
  std::map<int64_t, int64_t> groupOf;
  for (int64_t power : *powers)
    groupOf[power] = 0;
  for (auto &[power, group] : groupOf) {
    group = int64_t(range.groups.size());
    range.groups.push_back(SiteObserver::partOf(whole->front(), power));
  }
  for (int64_t power : *powers)
    range.groupOf.push_back(groupOf[power]);
  return Error::success();
}

Error Calibrator::addChannels(const SiteObserver &observer,
                              const ObservedSite &site,
                              SiteRange &range) const {
  size_t width = observer.channels().size();
  if (range.scheme.perChannel) {
    std::vector<int64_t> each(width);
    std::iota(each.begin(), each.end(), 0);
    auto channels = observer.groupRanges(range.scheme, each, width);
    if (!channels)
      return channels.takeError();
    range.channels = std::move(*channels);
    if (range.scheme.residualBits)
      range.residual = observer.channels();
    return Error::success();
  }
  if (range.scheme.powersOfTwo)
    return addPowers(observer, range);
  auto groupOf = groupsOf(observer, site);
  if (!groupOf)
    return groupOf.takeError();
  size_t groups = 1 + *std::max_element(groupOf->begin(), groupOf->end());
  auto ranges = observer.groupRanges(range.scheme, *groupOf, groups);
  if (!ranges)
    return ranges.takeError();
  range.groupOf = std::move(*groupOf);
  range.groups = std::move(*ranges);
  return Error::success();
}

Expected<RangeTable> Calibrator::finish() {
  std::vector<ObservedSite> sites;
  for (const SiteObserver &observer : observers)
    sites.push_back(observer.site());
  return finish(sites);
}

Expected<RangeTable>
Calibrator::finish(const std::vector<ObservedSite> &sites) {
  endBatch();
  RangeTable table;
  for (const ObservedSite &site : sites) {
    const std::string &name = site.name;
    const SiteObserver *observer = find(name);
    if (!observer)
      return Error::make("calibration: site ", name, ": was not observed");
    const Histogram &histogram = observer->histogram();
    if (histogram.nonFinite())
      return Error::make("calibration: site ", name, ": found ",
                         histogram.nonFinite(),
                         " NaN or infinite values, expected finite ones");
    if (histogram.count() == 0)
      return Error::make("calibration: site ", name,
                         ": found no values, expected at least one sentence");
    if (histogram.min() == histogram.max())
      return Error::make("calibration: site ", name, ": found the constant ",
                         histogram.min(), " in all of ", histogram.count(),
                         " values, expected a range; --set ", name,
                         "=fp32 leaves the site in f32");
    SiteRange range;
    range.scheme = site.scheme;
    range.observed = {histogram.min(), histogram.max()};
    range.values = histogram.count();
    Expected<Range> whole = observer->range(site.scheme);
    if (!whole)
      return whole.takeError();
    range.range = *whole;
    if (site.scheme.needsChannels())
      if (Error error = addChannels(*observer, site, range))
        return error;
    table.sites[name] = std::move(range);
  }
  return table;
}

std::vector<Range> Calibrator::channelRanges(const std::string &site) const {
  const SiteObserver *observer = find(site);
  return observer ? observer->channels() : std::vector<Range>();
}

std::vector<std::string> Calibrator::observedNames() const {
  std::vector<std::string> names;
  for (const SiteObserver &observer : observers)
    names.push_back(observer.site().name);
  return names;
}

const Histogram *Calibrator::histogramOf(const std::string &site) const {
  const SiteObserver *observer = find(site);
  return observer ? &observer->histogram() : nullptr;
}
