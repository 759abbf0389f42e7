//===- RangeTable.h - The ranges found by calibration --------------*- C++ -*-//
//
// What calibration leaves behind, and what ranges.json holds: for each site the
// range its quantizer clips to, how it was found, and the extremes seen.
// `--ranges FILE` reads it back instead of calibrating again.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_RANGETABLE_H
#define QUERN_COMPILER_CALIBRATE_RANGETABLE_H

#include "compiler/Recipe/Scheme.h"
#include "lib/Support/RangeSearch.h"
#include "lib/Support/Status.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// The calibration result of one site.
struct SiteRange {
  /// What the range was made for; least-squares ranges depend on the bits.
  ActivationScheme scheme;
  /// Where the quantizer clips.
  Range range;
  /// Smallest and largest value seen.
  Range observed;
  /// Number of values seen.
  uint64_t values = 0;
  /// The range of each channel, for schemes per channel; empty otherwise.
  std::vector<Range> channels;
  /// The extremes of each channel, for schemes whose residual sums have codes
  /// of their own; empty otherwise.
  std::vector<Range> residual;
  /// The group of each channel and the range of each group, for schemes of
  /// groups; empty otherwise.
  std::vector<int64_t> groupOf;
  std::vector<Range> groups;
  /// Learned scale and zero point, of each group for schemes of groups. Where
  /// there are some, nothing was estimated and they go before any range.
  std::vector<UniformParams> learned;
  /// The bits that each head, or block of channels, was learned with, where it
  /// has a step of its own;
  /// `learned` then is by heads, in codes of the widest with one zero point.
  std::vector<unsigned> headBits;
  /// What code 0 stands for, of learned codes with a real offset; their zero
  /// point is 0.
  std::optional<double> offset;
};

/// Learned scales of a weight: one, one per row, or one per block of rows or of
/// columns.
struct WeightScales {
  std::vector<float> scales;
  /// The bits of the codes where they are the checkpoint's: one number or one
  /// per scale. Empty for the recipe's.
  std::vector<int64_t> bits = {};
  /// Whether the blocks are of columns.
  bool ofColumns = false;
  /// Whether the codes have a sign; else they are 0..2^bits - 1.
  bool isSigned = true;
};

/// Ranges by site name, in name order.
struct RangeTable {
  std::map<std::string, SiteRange> sites;

  /// The ranges of a site for a scheme; an error when the table has none, or
  /// some that were made for another estimator, other groups or, for least
  /// squares, other bits.
  Expected<const SiteRange *> find(const std::string &site,
                                   const ActivationScheme &scheme) const;

  /// How a message about the table begins.
  std::string prefix() const;

  /// Learned scales by canonical name of the weight; empty where scales are
  /// found from the weights themselves.
  std::map<std::string, WeightScales> weights;

  /// Where the table came from, for messages; empty for a fresh calibration.
  std::string origin;
  /// The texts that it was found on, for reports; may be empty.
  std::string texts;
};

/// ranges.json. Numbers read back to the same doubles.
std::string writeRanges(const RangeTable &table);

/// Reads ranges.json; refuses unknown keys, empty, infinite, constant and
/// reversed ranges. `origin` starts every message.
Expected<RangeTable> parseRanges(std::string_view text,
                                 std::string_view origin);

/// Reads a ranges.json file.
Expected<RangeTable> loadRanges(const std::string &path);

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_RANGETABLE_H
