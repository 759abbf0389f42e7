//===- KernelBench.h - Time single kernels against the peak ---------------===//
//
// Compiles the GEMM kernels of BERT-base shapes, checks every output bit for
// bit against a plain reference, and times them next to a loop of nothing but
// the dot-product instruction: the share of that peak is what can be compared
// between machines and between runs.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_KERNELBENCH_H
#define QUERN_COMPILER_BENCH_KERNELBENCH_H

#include "compiler/Emit/KernelJit.h"
#include "lib/Tile/ModuleTuning.h"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace quern {

/// What to time.
struct KernelBenchOptions {
  Tier tier = bestHostTier();
  std::vector<int64_t> tokens = {8, 16, 32, 128, 384};
  /// Kernels whose names contain this.
  std::string match;
  /// The machine's choices; without any, the default kernels.
  ModuleTuning tuning;
  /// Timings of one case; their median counts.
  int repeats = 21;
};

/// One timed kernel.
struct KernelBenchRow {
  std::string kernel;
  int64_t tokens = 0, k = 0, n = 0;
  /// Operations (two for each multiply-add) in a second.
  double speed = 0;
  /// Median share of the peak timed before and after; 0 where the tier has no
  /// dot-product instruction. Timings in which the peaks before and after
  /// differ by more than a tenth do not count, if there are others: the clock,
  /// or who shares the core, changed between them.
  double share = 0;
  /// Outputs that differ from the reference.
  int64_t wrong = 0;
};

/// Runs all cases on the calling thread. Fails only where kernels cannot be
/// made; wrong outputs are counted in the rows.
Expected<std::vector<KernelBenchRow>>
runKernelBench(const KernelBenchOptions &options);

/// The table that `quern bench --kernels` prints.
void printKernelBench(const std::vector<KernelBenchRow> &rows,
                      std::ostream &out);

} // namespace quern

#endif // QUERN_COMPILER_BENCH_KERNELBENCH_H
