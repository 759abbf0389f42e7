//===- BenchRun.h - Runs of a module that are timed -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A session with its input, and the timing of several modules in turns.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHRUN_H
#define QUERN_TOOLS_QUERN_BENCHRUN_H

#include "tools/quern/BenchInput.h"
#include "tools/quern/Handles.h"
#include "tools/quern/Placement.h"

#include "compiler/Bench/BenchReport.h"

#include <functional>
#include <vector>

namespace quern::cli {

/// A session and what it reads.
class BenchRun {
public:
  static Expected<BenchRun> create(quern_module *module, BenchInput input,
                                   uint32_t threads, const Placement &placement,
                                   quern_device device = QUERN_DEVICE_CPU);
  /// Runs all batches; `after` sees the output of each, before the next runs.
  Error run(const std::function<void(const quern_output &)> &after = {});
  /// Keeps to kernels of the tier of this name. Error: the module has none, or
  /// the machine cannot run them.
  Error limit(const std::string &tier);
  quern_session *session() const { return handle.get(); }
  const BenchInput &input() const { return batches; }
  /// Where it runs: `cuda`, or the tier of the CPU.
  std::string tier() const;

private:
  SessionHandle handle;
  BenchInput batches;
};

/// Gives the grid of a vision model the one length that its images have (an
/// error if another was asked for), and cuts the length that is taken where
/// none was asked for to what the model takes.
Error fitGrid(const quern_module *module, const std::string &path,
              BenchGrid &grid);

/// What a module reads in a cell of the grid.
Expected<BenchInput> cellInput(const quern_module *module,
                               const std::string &path, const BenchTexts &texts,
                               uint32_t batch, uint32_t length);

/// Seconds on a clock that never goes back.
double benchClock();
/// How often this process's threads were taken off a core so far.
long involuntarySwitches();
/// The number below which the share `q` of `times` lies.
double quantile(std::vector<double> times, double q);

/// How often to run.
struct TurnsOptions {
  BenchGrid grid;
  /// Instead of the grid's lengths, if it has a path.
  BenchTexts texts;
  unsigned runs = 30, warmup = 5;
  bool asJson = false;
  quern_device device = QUERN_DEVICE_CPU;
  /// Each module runs on each of these; empty: on the best only.
  std::vector<std::string> tiers;
  Placement placement;
};

/// Runs the modules in turns in every cell of the grid, and prints the time of
/// each and the median of its ratios to the first in the same round: clocks
/// and neighbours change within seconds, which a ratio of medians would show.
Error benchInTurns(const std::vector<std::string> &paths,
                   const TurnsOptions &options);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHRUN_H
