//===- GemmGroups.cpp - Columns in groups, cut into steps -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Gemm.h"

#include <algorithm>

namespace quern::nvptx {

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

GroupSteps getGroupSteps(llvm::ArrayRef<ColumnGroup> groups, int64_t k) {
  GroupSteps steps;
  int64_t width = roundUp(k, kGemmStep);
  for (auto [begin, end] : groups) {
    // Copies begin at multiples of 16, and stay within the row.
    int64_t first = begin / 16 * 16;
    int64_t count = roundUp(end - first, kGemmStep) / kGemmStep;
    first = std::max<int64_t>(0, std::min(first, width - count * kGemmStep));
    for (int64_t i = 0; i < count; ++i) {
      auto column = int32_t(first + i * kGemmStep);
      steps.columns.push_back(column);
      steps.columns.push_back(int32_t(steps.sources.size()) * kGemmStep);
      if (i % 2 == 0)
        steps.tiles.push_back(column);
      steps.sources.push_back(column);
    }
    if (count % 2)
      steps.sources.push_back(-1);
    steps.ends.push_back(int32_t(steps.columns.size() / 2));
    steps.tileEnds.push_back(int32_t(steps.tiles.size()));
  }
  return steps;
}

std::vector<int8_t> packGroupWeights(const int8_t *w, int64_t n, int64_t k,
                                     llvm::ArrayRef<ColumnGroup> groups) {
  GroupSteps steps = getGroupSteps(groups, k);
  int64_t width = int64_t(steps.sources.size()) * kGemmStep, step = 0;
  std::vector<int8_t> packed(size_t(roundUp(n, kGemmColumns) * width), 0);
  for (size_t g = 0; g != groups.size(); ++g)
    for (; step < 2 * steps.tileEnds[g]; ++step)
      for (int64_t j = 0; j != kGemmStep; ++j) {
        int64_t column = steps.sources[size_t(step)] + j;
        if (steps.sources[size_t(step)] < 0 || column < groups[g].first ||
            column >= groups[g].second)
          continue;
        for (int64_t i = 0; i < n; ++i)
          packed[size_t(i * width + step * kGemmStep + j)] = w[i * k + column];
      }
  return packed;
}

} // namespace quern::nvptx
