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

namespace {

/// Sum of squared errors of the grid over `range`, which is not moved to hold
/// zero: the lowest code stands for its lower end, rounded to a step.
double asymmetricLoss(const float *values, size_t size, double steps,
                      Range range) {
  constexpr float magic = 0x1.8p23f;
  auto scale = static_cast<float>((range.hi - range.lo) / steps);
  auto zero = static_cast<float>(std::nearbyint(-range.lo / scale));
  float inverse = 1 / scale, lo = -zero, hi = static_cast<float>(steps) - zero;
  // A fixed number of partial sums, whatever the width of vectors.
  constexpr size_t lanes = 8;
  double sums[lanes] = {};
  for (size_t i = 0; i < size; ++i) {
    float t = values[i] * inverse;
    t = t > hi ? hi : t;
    t = t < lo ? lo : t;
    float error = ((t + magic) - magic) * scale - values[i];
    sums[i % lanes] += double(error) * error;
  }
  double total = 0;
  for (double sum : sums)
    total += sum;
  return total;
}

Range leastSquaresRange(const float *values, size_t size, unsigned bits,
                        Range extremes) {
  double steps = std::ldexp(1.0, static_cast<int>(bits)) - 1;
  double middle = (extremes.lo + extremes.hi) / 2;
  Range best = extremes;
  double least = asymmetricLoss(values, size, steps, extremes);
  auto consider = [&](Range range) {
    double loss = asymmetricLoss(values, size, steps, range);
    if (loss < least) {
      least = loss;
      best = range;
    }
  };
  constexpr int parts = 16;
  auto shrunk = [&](double end, int part) {
    return middle + (end - middle) * (1 - 0.7 * part / parts);
  };
  for (int part = 1; part <= parts; ++part)
    consider({shrunk(extremes.lo, part), shrunk(extremes.hi, part)});
  for (int part = 0; part <= parts; ++part)
    consider({shrunk(extremes.lo, part), best.hi});
  for (int part = 0; part <= parts; ++part)
    consider({best.lo, shrunk(extremes.hi, part)});
  return best;
}

} // namespace

Range quern::weightRange(const float *values, size_t size, unsigned bits,
                         const ClipSearch &search) {
  if (size == 0)
    return {};
  if (search.rule == ClipRule::Percentile) {
    Histogram histogram;
    histogram.add(values, size);
    return percentileRange(histogram, search.percentile);
  }
  auto [lo, hi] = std::minmax_element(values, values + size);
  Range extremes{*lo, *hi};
  if (search.rule == ClipRule::MinMax || extremes.lo == extremes.hi)
    return extremes;
  return leastSquaresRange(values, size, bits, extremes);
}
