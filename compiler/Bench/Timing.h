//===- Timing.h - The clock of benchmarks, and medians ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_TIMING_H
#define QUERN_COMPILER_BENCH_TIMING_H

#include <algorithm>
#include <chrono>
#include <vector>

namespace quern {

/// Seconds on a clock that never goes back.
inline double clockSeconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

/// The middle of `values`, of which there is one at least; the upper of two.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

} // namespace quern

#endif // QUERN_COMPILER_BENCH_TIMING_H
