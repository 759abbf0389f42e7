//===- Choose.cpp - The front, and the candidate to take ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Auto.h"

#include <algorithm>

namespace quern {

/// Prices of which one is no more than this many times the other are the same:
/// predicted times are not that exact, and no one misses a hundredth of a file.
constexpr double sameTime = 1.01, sameSize = 1.01;

/// True if `a` is nowhere worse and somewhere better.
static bool beats(const AutoCandidate &a, const AutoCandidate &b) {
  return a.failure.empty() && a.cost <= b.cost && a.bytes <= b.bytes &&
         a.drop.points <= b.drop.points &&
         (a.cost < b.cost || a.bytes < b.bytes ||
          a.drop.points < b.drop.points);
}

void chooseCandidate(AutoResult &result) {
  std::vector<AutoCandidate> &all = result.candidates;
  double cheapest = std::numeric_limits<double>::infinity();
  for (const AutoCandidate &one : all)
    if (one.failure.empty())
      cheapest = std::min(cheapest, one.cost);
  for (AutoCandidate &one : all)
    one.cost /= cheapest;
  for (AutoCandidate &one : all)
    one.onFront =
        one.failure.empty() &&
        std::none_of(all.begin(), all.end(), [&](const AutoCandidate &other) {
          return beats(other, one);
        });
  auto isWithin = [&](const AutoCandidate &one) {
    return one.failure.empty() && one.drop.points <= result.maxDrop;
  };
  // The float model is the last one and always within the drop.
  size_t best = all.size() - 1;
  for (size_t i = 0; i < all.size(); ++i)
    if (isWithin(all[i]) && std::make_pair(all[i].cost, all[i].bytes) <
                                std::make_pair(all[best].cost, all[best].bytes))
      best = i;
  result.chosen = best;
  for (size_t i = 0; i < all.size(); ++i)
    if (isWithin(all[i]) && all[i].cost <= sameTime * all[best].cost &&
        double(all[i].bytes) <= sameSize * double(all[best].bytes) &&
        all[i].drop.points < all[result.chosen].drop.points)
      result.chosen = i;
}

} // namespace quern
