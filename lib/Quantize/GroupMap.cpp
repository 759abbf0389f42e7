//===- GroupMap.cpp - Channels, groups and orders -------------------------===//
//
// See GroupMap.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/GroupMap.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

using namespace quern;

std::vector<int64_t> quern::equalGroups(size_t channels, size_t groups) {
  std::vector<int64_t> groupOf(channels);
  for (size_t g = 0; g < groups; ++g)
    for (size_t k = g * channels / groups; k < (g + 1) * channels / groups; ++k)
      groupOf[k] = static_cast<int64_t>(g);
  return groupOf;
}

/// Channels by width, the narrowest first; equal widths stay in order.
static Order widthOrder(const std::vector<double> &widths) {
  Order sorted = identityOrder(widths.size());
  std::sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) {
    return std::pair(widths[a], a) < std::pair(widths[b], b);
  });
  return sorted;
}

std::vector<int64_t> quern::fittedGroups(const std::vector<double> &widths,
                                         size_t groups, size_t unit) {
  size_t channels = widths.size();
  assert(channels % unit == 0 && groups * unit <= channels &&
         "every group has a unit");
  Order sorted = widthOrder(widths);
  // least[n]: the least sum of the n narrowest channels in the groups so far;
  // first[g][n]: where the last of g + 1 groups begins then.
  std::vector<double> least(channels + 1, INFINITY);
  least[0] = 0;
  std::vector<std::vector<size_t>> first(groups,
                                         std::vector<size_t>(channels + 1));
  for (size_t g = 0; g < groups; ++g) {
    std::vector<double> next(channels + 1, INFINITY);
    for (size_t n = (g + 1) * unit; n <= channels; n += unit)
      for (size_t from = g * unit; from < n; from += unit) {
        double width = widths[sorted[n - 1]];
        double sum = least[from] + width * width * double(n - from);
        if (sum < next[n]) {
          next[n] = sum;
          first[g][n] = from;
        }
      }
    least = std::move(next);
  }
  std::vector<int64_t> groupOf(channels);
  size_t end = channels;
  for (size_t g = groups; g-- > 0;) {
    for (size_t i = first[g][end]; i < end; ++i)
      groupOf[sorted[i]] = static_cast<int64_t>(g);
    end = first[g][end];
  }
  return groupOf;
}

size_t quern::fittingUnit(size_t channels, size_t groups) {
  size_t unit = 16;
  while (unit > 1 && (channels % unit != 0 || channels / unit < 4 * groups))
    unit /= 2;
  return unit;
}

std::vector<int64_t> quern::groupsByWidth(const std::vector<double> &widths,
                                          size_t groups) {
  Order sorted = widthOrder(widths);
  std::vector<int64_t> byPosition = equalGroups(widths.size(), groups);
  std::vector<int64_t> groupOf(widths.size());
  for (size_t i = 0; i < sorted.size(); ++i)
    groupOf[sorted[i]] = byPosition[i];
  return groupOf;
}

Order quern::groupOrder(const std::vector<int64_t> &groupOf) {
  Order order = identityOrder(groupOf.size());
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::pair(groupOf[a], a) < std::pair(groupOf[b], b);
  });
  return order;
}

Order quern::identityOrder(size_t channels) {
  Order order(channels);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

bool quern::isIdentity(const Order &order) {
  return order == identityOrder(order.size());
}

Order quern::reorderFrom(const Order &from, const Order &to) {
  Order position(from.size()), result(from.size());
  for (size_t i = 0; i < from.size(); ++i)
    position[from[i]] = static_cast<int64_t>(i);
  for (size_t i = 0; i < to.size(); ++i)
    result[i] = position[to[i]];
  return result;
}

RecoveredGroups quern::recoverGroups(const std::vector<float> &scales,
                                     const std::vector<int64_t> &zeros) {
  RecoveredGroups groups;
  std::map<std::pair<uint32_t, int64_t>, int64_t> known;
  for (size_t k = 0; k < scales.size(); ++k) {
    uint32_t bits;
    std::memcpy(&bits, &scales[k], sizeof(bits));
    auto [found, added] = known.try_emplace(
        {bits, zeros[k]}, static_cast<int64_t>(groups.scales.size()));
    if (added) {
      groups.scales.push_back(scales[k]);
      groups.zeros.push_back(zeros[k]);
    }
    groups.groupOf.push_back(found->second);
  }
  return groups;
}

FoldedGroups quern::foldGroups(const std::vector<int64_t> &groupOf,
                               const std::vector<float> &scales,
                               const std::vector<int64_t> &zeros) {
  double exponent = 0, zero = 0;
  for (int64_t g : groupOf) {
    exponent += std::log2(double(scales[g]));
    zero += double(zeros[g]);
  }
  double channels = double(groupOf.size());
  FoldedGroups folded;
  folded.scale = std::exp2(std::floor(exponent / channels + 0.5));
  folded.zero = static_cast<int64_t>(std::floor(zero / channels + 0.5));
  for (int64_t g : groupOf) {
    folded.channelScale.push_back(
        static_cast<float>(double(scales[g]) / folded.scale));
    folded.channelShift.push_back(
        static_cast<float>(scales[g] * double(folded.zero - zeros[g])));
  }
  return folded;
}
