//===- WeightClip.cpp - Where the grid of a weight ends -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/WeightClip.h"

#include "lib/Support/RangeSearch.h"

#include <algorithm>
#include <array>
#include <cmath>

using namespace quern;

namespace {

constexpr std::array<std::pair<std::string_view, ClipRule>, 5> rules = {{
    {"minmax", ClipRule::MinMax},
    {"percentile", ClipRule::Percentile},
    {"mse", ClipRule::Mse},
    {"mse_grid", ClipRule::MseGrid},
    {"mse_golden", ClipRule::MseGolden},
}};

/// Above this many values one search over a histogram is cheaper than one over
/// the values, and as good: a bucket holds thousands of them.
constexpr size_t histogramFrom = 1 << 20;

double widest(Range range) {
  return std::max(std::fabs(range.lo), std::fabs(range.hi));
}

} // namespace

std::string_view quern::clipRuleName(ClipRule rule) {
  for (const auto &[name, known] : rules)
    if (known == rule)
      return name;
  return "?";
}

std::optional<ClipRule> quern::parseClipRule(std::string_view name) {
  for (const auto &[known, rule] : rules)
    if (known == name)
      return rule;
  return std::nullopt;
}

double quern::weightClip(const float *values, size_t size, unsigned bits,
                         const ClipSearch &search) {
  if (search.rule == ClipRule::MinMax) {
    double clip = 0;
    for (size_t i = 0; i < size; ++i)
      clip = std::max<double>(clip, std::fabs(values[i]));
    return clip;
  }
  if (search.rule != ClipRule::Percentile && size < histogramFrom) {
    if (search.rule == ClipRule::MseGrid)
      return mseGridClip(values, size, bits, search.candidates);
    return search.rule == ClipRule::Mse ? mseClip(values, size, bits)
                                        : mseGoldenClip(values, size, bits);
  }
  if (size == 0)
    return 0;
  Histogram histogram;
  histogram.add(values, size);
  if (search.rule == ClipRule::Percentile)
    return widest(percentileRange(histogram, search.percentile));
  if (search.rule == ClipRule::MseGrid)
    return widest(
        mseGridRange(histogram, bits, GridKind::Symmetric, search.candidates));
  return widest(mseGoldenRange(histogram, bits, GridKind::Symmetric));
}
