//===- BenchReport.h - What quern bench found about a module ----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Times over a grid of batches, lengths and threads, beside the peak of the
// dot-product instruction in the same run, as Markdown and as one HTML page.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_BENCHREPORT_H
#define QUERN_COMPILER_BENCH_BENCHREPORT_H

#include "lib/Support/Status.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// What to time: every batch with every length on every number of threads.
struct BenchGrid {
  std::vector<uint32_t> batches = {1}, lengths = {128}, threads = {1};
};

/// Reads "1,8x32,128@1,2": batches x lengths @ threads, the last optional.
Expected<BenchGrid> parseGrid(const std::string &text);

/// All launches of one kernel for one op.
struct BenchOp {
  std::string op;
  unsigned launches = 0;
  /// Median milliseconds of a run, 10^9 operations a second, and their part of
  /// the peak; the part is 0 where the tier has no dot-product instruction.
  double ms = 0, gops = 0, share = 0;
  /// Bytes that a run must move at least.
  double bytes = 0;
  double bytesPerSecond() const { return ms ? bytes / ms * 1e3 : 0; }
};

/// What keeps an op from being faster: the shorter of two times that it cannot
/// beat does not count.
struct BenchBound {
  /// "products", "reading" or, where neither is known, "".
  const char *by = "";
  /// The part of its time that this alone would take.
  double share = 0;
};

/// One cell of the grid. Times are in seconds.
struct BenchCell {
  /// Tokens of a sequence in the mean, sequences of a batch, threads.
  uint32_t length = 0, batch = 0, threads = 0;
  /// What a run reads, in all its batches.
  uint64_t sequences = 0, tokens = 0;
  std::string tier;
  double p50 = 0, p90 = 0, p99 = 0, best = 0;
  double operations = 0;
  /// Operations a second of one core, before and after.
  double peakBefore = 0, peakAfter = 0;
  /// Bytes a second that all threads read, of as many as a run moves, or that
  /// the memory of a GPU can move; 0 where no ops were timed, or where that is
  /// not known.
  double bandwidth = 0;
  /// Involuntary context switches of the timed runs.
  long switches = 0;
  /// Seconds from one core to the other; 0 on one thread.
  double handoff = 0;
  /// What the module gave for the first sequence.
  std::vector<float> firstRow;
  std::vector<BenchOp> ops;

  double peak() const { return std::max(peakBefore, peakAfter) * threads; }
  BenchBound boundOf(const BenchOp &op) const;
  double share() const { return peak() ? operations / p50 / peak() : 0; }
  double sequencesPerSecond() const { return sequences / p50; }
  double tokensPerSecond() const { return tokens / p50; }
};

struct BenchReport {
  std::string module, recipe;
  /// Where the weights lie, in a sentence.
  std::string weights;
  std::vector<BenchCell> cells;
};

/// The table's head, a row of it, and the table of a cell's ops.
std::string gridHead();
std::string gridRow(const BenchCell &cell);
std::string opsTable(const BenchCell &cell);

/// All tables.
std::string benchMarkdown(const BenchReport &report);

/// One page with plots that needs no other file.
std::string benchPage(const BenchReport &report);

} // namespace quern

#endif // QUERN_COMPILER_BENCH_BENCHREPORT_H
