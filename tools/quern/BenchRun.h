//===- BenchRun.h - Runs of a module that are timed -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A session with its input, and the timing of several modules in turns.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHRUN_H
#define QUERN_TOOLS_QUERN_BENCHRUN_H

#include "tools/quern/Handles.h"

#include "compiler/Bench/BenchReport.h"

#include <vector>

namespace quern::cli {

/// A session and a batch of made-up tokens, or images, for it.
class BenchRun {
public:
  static Expected<BenchRun> create(quern_module *module, uint32_t batch,
                                   uint32_t length, uint32_t threads,
                                   quern_device device = QUERN_DEVICE_CPU);
  /// `output` is valid until the next run.
  Error run(quern_output *output = nullptr);
  quern_session *session() const { return handle.get(); }
  /// Where it runs: `cuda`, or the tier of the CPU.
  std::string tier() const;

private:
  SessionHandle handle;
  std::vector<int32_t> ids, offsets;
  std::vector<float> pixels;
};

/// Gives the grid of a vision model the one length that its images have; an
/// error if another was asked for.
Error fitGrid(const quern_module *module, const std::string &path,
              BenchGrid &grid);

/// Seconds on a clock that never goes back.
double benchClock();
/// The number below which the share `q` of `times` lies.
double quantile(std::vector<double> times, double q);

/// How often to run.
struct TurnsOptions {
  BenchGrid grid;
  unsigned runs = 30, warmup = 5;
  bool asJson = false;
  quern_device device = QUERN_DEVICE_CPU;
};

/// Runs the modules in turns in every cell of the grid, and prints the time of
/// each and the median of its ratios to the first in the same round: clocks
/// and neighbours change within seconds, which a ratio of medians would show.
Error benchInTurns(const std::vector<std::string> &paths,
                   const TurnsOptions &options);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHRUN_H
