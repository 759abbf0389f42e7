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

GroupSteps getGroupSteps(llvm::ArrayRef<int64_t> ends, int64_t unit) {
  GroupSteps steps;
  int64_t begin = 0, width = roundUp(ends.back(), kGemmStep);
  for (int64_t end : ends) {
    // Copies begin at multiples of 16, and stay within the row.
    int64_t first = begin / 16 * 16;
    int64_t count = roundUp(end - first, unit) / kGemmStep;
    first = std::min(first, width - count * kGemmStep);
    for (int64_t i = 0; i < count; ++i)
      steps.columns.push_back(int32_t(first + i * kGemmStep));
    steps.ends.push_back(int32_t(steps.columns.size()));
    begin = end;
  }
  return steps;
}

std::vector<int8_t> packGroupWeights(const int8_t *w, int64_t n,
                                     llvm::ArrayRef<int64_t> ends,
                                     int64_t unit) {
  GroupSteps steps = getGroupSteps(ends, unit);
  int64_t k = ends.back(), width = int64_t(steps.columns.size()) * kGemmStep;
  std::vector<int8_t> packed(size_t(roundUp(n, kGemmColumns) * width), 0);
  int64_t begin = 0, step = 0;
  for (size_t g = 0; g != ends.size(); begin = ends[g++])
    for (; step < steps.ends[g]; ++step)
      for (int64_t j = 0; j != kGemmStep; ++j) {
        int64_t column = steps.columns[size_t(step)] + j;
        if (column < begin || column >= ends[g])
          continue;
        for (int64_t i = 0; i < n; ++i)
          packed[size_t(i * width + step * kGemmStep + j)] = w[i * k + column];
      }
  return packed;
}

} // namespace quern::nvptx
