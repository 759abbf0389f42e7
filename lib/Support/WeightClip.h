//===- WeightClip.h - Where the grid of a weight ends --------------*- C++ -*-//
//
// The estimators of the range of a weight (quantization.md 6): of symmetric
// weights one number, the clip value, of asymmetric ones both ends. Plain
// arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_WEIGHTCLIP_H
#define QUERN_LIB_SUPPORT_WEIGHTCLIP_H

#include "lib/Support/RangeSearch.h"

#include <cstddef>
#include <optional>
#include <string_view>

namespace quern {

/// How the clip value of a weight is found.
enum class ClipRule {
  MinMax,     ///< the largest magnitude
  Percentile, ///< the wider of both ends of a two-sided percentile
  Mse,        ///< least squared error: a coarse grid, then a golden section
  MseGrid,    ///< least squared error of equal parts of the largest magnitude
  MseGolden,  ///< least squared error by golden section alone
};

/// Words of the names, for messages.
inline constexpr std::string_view clipRuleWords =
    "one of minmax, percentile, mse, mse_grid, mse_golden";

/// The name that a recipe and tq.scheme use: `minmax`, `mse_grid`, ...
std::string_view clipRuleName(ClipRule rule);

/// The rule of a name, or nothing.
std::optional<ClipRule> parseClipRule(std::string_view name);

/// A rule and what it needs.
struct ClipSearch {
  ClipRule rule = ClipRule::Mse;
  /// For ClipRule::Percentile, in percent.
  double percentile = 99.99;
  /// For ClipRule::MseGrid: the parts.
  unsigned candidates = 100;

  /// Whether both find the same of all values.
  bool operator==(const ClipSearch &other) const {
    return rule == other.rule &&
           (rule != ClipRule::Percentile || percentile == other.percentile) &&
           (rule != ClipRule::MseGrid || candidates == other.candidates);
  }
};

/// The clip value of a weight or a row of it in codes of `bits` bits; 0 where
/// all values are.
double weightClip(const float *values, size_t size, unsigned bits,
                  const ClipSearch &search);

/// Both ends of the grid of an asymmetric weight or a row of it. MinMax: the
/// extremes; Percentile: both percentiles; the others: the ends of least
/// squared error, of 16 shrunk ranges and then of 16 places of each end alone.
Range weightRange(const float *values, size_t size, unsigned bits,
                  const ClipSearch &search);

} // namespace quern

#endif // QUERN_LIB_SUPPORT_WEIGHTCLIP_H
