//===- ArenaPlan.cpp - Offsets of activations in one arena ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Greedy placement by size: the largest buffers first, each into the smallest
// gap between the buffers already placed whose lifetimes overlap its own.
//
//===----------------------------------------------------------------------===//
#include "lib/Analysis/ArenaPlan.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace quern {

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

static bool aliveTogether(const ArenaBuffer &a, const ArenaBuffer &b) {
  return a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
}

ArenaPlan planArena(const std::vector<ArenaBuffer> &buffers,
                    int64_t alignment) {
  ArenaPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    int64_t first = buffers[a].bytesPerUnit, second = buffers[b].bytesPerUnit;
    return first != second ? first > second : a < b;
  });

  std::vector<size_t> placed;
  for (size_t index : order) {
    int64_t size = roundUp(buffers[index].bytesPerUnit, alignment);
    std::vector<std::pair<int64_t, int64_t>> busy;
    for (size_t other : placed)
      if (aliveTogether(buffers[index], buffers[other]))
        busy.push_back({plan.offsets[other],
                        plan.offsets[other] +
                            roundUp(buffers[other].bytesPerUnit, alignment)});
    std::sort(busy.begin(), busy.end());

    int64_t best = -1, bestGap = 0, end = 0;
    for (auto [from, to] : busy) {
      int64_t gap = from - end;
      if (gap >= size && (best < 0 || gap < bestGap)) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, to);
    }
    plan.offsets[index] = best < 0 ? end : best;
    plan.bytesPerUnit = std::max(plan.bytesPerUnit, plan.offsets[index] + size);
    placed.push_back(index);
  }
  return plan;
}

int64_t arenaLowerBound(const std::vector<ArenaBuffer> &buffers,
                        int64_t alignment) {
  std::map<int64_t, int64_t> change;
  for (const ArenaBuffer &buffer : buffers) {
    int64_t size = roundUp(buffer.bytesPerUnit, alignment);
    change[buffer.firstStep] += size;
    change[buffer.lastStep + 1] -= size;
  }
  int64_t now = 0, most = 0;
  for (auto [step, delta] : change)
    most = std::max(most, now += delta);
  return most;
}

} // namespace quern
