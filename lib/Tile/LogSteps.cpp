//===- LogSteps.cpp - Logarithmic codes by the sum of their row -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/LogSteps.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace quern {

static constexpr int kScores = 256;
/// A rank that no sum reaches.
static constexpr uint8_t kNever = 255;
/// Ranks below kNever.
static constexpr int kMostShift = 7;

namespace {

/// The code of score d grows where the sum is `sum`.
using Growth = std::pair<int64_t, int>;

} // namespace

/// The least sum in [first, last] whose limit c reaches e, if any.
static int64_t leastSum(const qi_log_probs &probs, int c, int32_t e,
                        int64_t first, int64_t last) {
  if (qi_log_limit(last, c, &probs) < e)
    return INT64_MAX;
  while (first < last) {
    int64_t middle = first + (last - first) / 2;
    if (qi_log_limit(middle, c, &probs) < e)
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

/// Fills tables for runs of 2^shift sums; false if a code grows twice in one.
static bool fillTables(const std::vector<Growth> &growths,
                       const std::vector<uint8_t> &least, LogSteps &steps) {
  size_t run = size_t(1) << steps.shift;
  std::vector<uint8_t> codes = least;
  steps.tables.clear();
  size_t next = 0;
  for (size_t from = 0; from <= steps.sums.size(); from += run) {
    std::vector<uint8_t> ranks(kScores, kNever), before = codes;
    for (size_t i = from; i < std::min(from + run, steps.sums.size()); ++i)
      for (; next < growths.size() && growths[next].first == steps.sums[i];
           ++next) {
        int d = growths[next].second;
        // The last of a run counts from the next run on.
        if (run > 1 && ranks[size_t(d)] != kNever)
          return false;
        ranks[size_t(d)] = uint8_t(i - from);
        ++codes[size_t(d)];
      }
    steps.tables.insert(steps.tables.end(), before.begin(), before.end());
    steps.tables.insert(steps.tables.end(), ranks.begin(), ranks.end());
  }
  return true;
}

LogSteps makeLogSteps(const qi_log_probs &probs, int64_t maxLength) {
  // The largest score of a row is 0 below itself.
  int64_t first = probs.exps[0];
  int64_t last = *std::max_element(probs.exps, probs.exps + kScores);
  last = std::max(first, last * maxLength);
  if (!probs.published)
    last = std::min(last, INT64_MAX / probs.limits[0].mantissa);
  std::vector<Growth> growths;
  std::vector<uint8_t> least(kScores);
  for (int d = 0; d < kScores; ++d)
    for (int c = 0; c < 1 << probs.bits; ++c) {
      int64_t sum = leastSum(probs, c, probs.exps[d], first, last);
      if (sum == first)
        ++least[size_t(d)];
      else if (sum != INT64_MAX)
        growths.push_back({sum, d});
    }
  llvm::sort(growths);
  LogSteps steps;
  for (const Growth &g : growths)
    if (steps.sums.empty() || steps.sums.back() != g.first)
      steps.sums.push_back(g.first);
  // Runs of one sum need no rank.
  for (steps.shift = kMostShift; !fillTables(growths, least, steps);)
    --steps.shift;
  return steps;
}

int32_t LogSteps::codeAt(int64_t sum, int d) const {
  size_t count =
      size_t(std::upper_bound(sums.begin(), sums.end(), sum) - sums.begin());
  const uint8_t *table = tables.data() + (count >> shift) * 2 * kScores;
  size_t r = count & ((size_t(1) << shift) - 1);
  return table[d] + (table[kScores + d] < r);
}

std::vector<int8_t> packLogSteps(const LogSteps &steps, int64_t at) {
  size_t padded = size_t(llvm::NextPowerOf2(steps.sums.size()));
  std::vector<int64_t> numbers(8 + padded, INT64_MAX);
  numbers[0] = int64_t(padded / 2);
  numbers[1] = llvm::Log2_64(padded);
  numbers[2] = steps.shift;
  numbers[3] = at + int64_t(numbers.size() * sizeof(int64_t));
  std::copy(steps.sums.begin(), steps.sums.end(), numbers.begin() + 8);
  std::vector<int8_t> bytes(numbers.size() * sizeof(int64_t));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  bytes.insert(bytes.end(), steps.tables.begin(), steps.tables.end());
  return bytes;
}

} // namespace quern
