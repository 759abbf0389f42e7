//===- SiteObserver.h - What calibration keeps of one site ---------*- C++ -*-//
//
// Histogram and extremes of a site, of the whole and, where the scheme has
// ranges for channels or groups, of each channel; and the estimators of
// quantization.md 6 over them.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_SITEOBSERVER_H
#define QUERN_COMPILER_CALIBRATE_SITEOBSERVER_H

#include "compiler/Recipe/Scheme.h"
#include "lib/Support/RangeSearch.h"
#include "lib/Support/Status.h"

#include <string>
#include <vector>

namespace quern {

/// A site to observe and the scheme its range is for.
struct ObservedSite {
  std::string name;
  ActivationScheme scheme;
  /// A linear layer reads the site.
  bool isMultiplied = false;
};

/// Sees the values of one site, batch by batch.
class SiteObserver {
public:
  explicit SiteObserver(const ObservedSite &site);

  /// Values of the open batch: `rows` x `cols`, `stride` values apart.
  void observe(const float *values, size_t rows, size_t cols, size_t stride);

  /// Closes the batch, if it saw values.
  void endBatch();

  const ObservedSite &site() const { return observed; }
  const Histogram &histogram() const { return all; }

  /// Extremes by channel; empty when the number of columns varied (attention
  /// scores) or was one.
  const std::vector<Range> &channels() const { return extremes; }

  /// The range of the whole site.
  Expected<Range> range(const ActivationScheme &scheme) const;

  /// The range of each group of channels; `groupOf` is the group of a channel.
  Expected<std::vector<Range>> groupRanges(const ActivationScheme &scheme,
                                           const std::vector<int64_t> &groupOf,
                                           size_t groups) const;

  /// The power of each channel, 0 to 3, of which the part of `whole` has the
  /// least squared error; of equals the finest.
  Expected<std::vector<int64_t>> powersOfTwo(const ActivationScheme &scheme,
                                             Range whole) const;
  /// `whole` times 2^(power - 3): of power 0, an eighth.
  static Range partOf(Range whole, int64_t power);

private:
  /// Reads the histogram, batches or rows only where the estimator does.
  Range estimate(const ActivationScheme &scheme, Estimator estimator,
                 Range extremes, const Histogram &histogram,
                 const std::vector<Range> &batches) const;
  bool keepsHistograms() const;
  bool keepsBatches() const;

  ObservedSite observed;
  Histogram all;
  std::vector<Histogram> byChannel;
  std::vector<Range> extremes;
  bool channelsVary = false;
  /// Extremes of every closed batch; of the open one, when it saw values.
  std::vector<Range> batches;
  Range open;
  bool openHasData = false;
  /// The same by channel, one batch after the other.
  std::vector<Range> channelBatches, openChannels;
  /// The first rows, for the cross entropy of logits.
  std::vector<float> rows;
  size_t rowSize = 1;
};

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_SITEOBSERVER_H
