//===- Calibrator.h - Observes sites and estimates their ranges ----*- C++ -*-//
//
// Takes the values of every observed site, batch by batch, in one pass over
// the calibration data, and ends with a RangeTable. Nothing of the data is
// kept but a histogram per site (Histogram.h), extremes, and extremes by
// channel; where a recipe searches the ranges of channels or groups, also a
// histogram per channel. Least-squares ranges from the histogram have at most
// 2 % more squared error than the best candidate on the data, and are the best
// candidate as long as the histogram keeps the values (RangeSearchTest).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_CALIBRATOR_H
#define QUERN_COMPILER_CALIBRATE_CALIBRATOR_H

#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Calibrate/SiteObserver.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace quern {

/// Observers of all sites of a model. Not thread-safe; histograms of several
/// calibrators over parts of the data could be merged without loss.
class Calibrator {
public:
  /// One observer per site; sites whose scheme is f32 are left out.
  explicit Calibrator(const std::vector<ObservedSite> &sites);

  /// Feeds values of one site: `rows` x `cols`, row-major with the given
  /// distance between rows (0 means `cols`). May be called several times per
  /// batch. A site that has no observer is ignored.
  void observe(const std::string &site, const float *values, size_t rows,
               size_t cols, size_t stride = 0);

  /// Closes a batch: current and running min-max work batch-wise.
  void endBatch();

  /// The ranges of all sites, or an error naming a site that saw no values or
  /// saw NaN or infinity. Closes an open batch first.
  Expected<RangeTable> finish();

  /// The ranges of the given sites, for schemes that may differ from those
  /// that the observers were made with.
  Expected<RangeTable> finish(const std::vector<ObservedSite> &sites);

  /// Extremes by channel of a site that is observed as [tokens, channels];
  /// empty when the number of columns varied (attention scores) or was one.
  std::vector<Range> channelRanges(const std::string &site) const;

  /// Whether the site has an observer.
  bool observes(const std::string &site) const { return index.count(site); }

  /// The sites that have one, in the order they were given.
  std::vector<std::string> observedNames() const;

  /// All values of a site so far, or null where it has no observer.
  const Histogram *histogramOf(const std::string &site) const;

private:
  const SiteObserver *find(const std::string &site) const;
  Expected<std::vector<int64_t>> groupsOf(const SiteObserver &observer,
                                          const ObservedSite &site) const;
  static Error addPowers(const SiteObserver &observer, SiteRange &range);
  Error addChannels(const SiteObserver &observer, const ObservedSite &site,
                    SiteRange &range) const;

  std::vector<SiteObserver> observers;
  std::unordered_map<std::string, size_t> index;
};

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_CALIBRATOR_H
