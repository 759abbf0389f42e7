//===- BenchReport.cpp - What quern bench found about a module ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/BenchReport.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"

using llvm::formatv;
using llvm::StringRef;

namespace quern {

/// The largest number of a grid: no session takes more.
static constexpr uint32_t largest = 1 << 20;

static Error parseNumbers(StringRef text, const char *what,
                          std::vector<uint32_t> &numbers) {
  llvm::SmallVector<StringRef> parts;
  text.split(parts, ',');
  numbers.clear();
  for (StringRef part : parts) {
    uint32_t number = 0;
    if (part.getAsInteger(10, number) || number < 1 || number > largest)
      return Error::make("--grid: ", what, ": found '", part.str(),
                         "', expected numbers from 1 to ", largest,
                         " with commas between");
    numbers.push_back(number);
  }
  return Error::success();
}

Expected<BenchGrid> parseGrid(const std::string &text) {
  BenchGrid grid;
  auto [cells, threads] = StringRef(text).split('@');
  if (!StringRef(text).contains('x') || cells.count('x') != 1)
    return Error::make("--grid: found '", text,
                       "', expected BATCHES x LENGTHS @ THREADS, such as "
                       "1,8x32,128@1,2");
  auto [batches, lengths] = cells.split('x');
  if (Error error = parseNumbers(batches, "batches", grid.batches))
    return error;
  if (Error error = parseNumbers(lengths, "lengths", grid.lengths))
    return error;
  if (StringRef(text).contains('@'))
    if (Error error = parseNumbers(threads, "threads", grid.threads))
      return error;
  return grid;
}

/// A share in per cent, or a dash for none.
static std::string percent(double share) {
  return share ? formatv("{0:f1} %", 100 * share).str() : "-";
}

BenchBound BenchCell::boundOf(const BenchOp &op) const {
  double reading = bandwidth ? op.bytesPerSecond() / bandwidth : 0;
  if (!reading && !op.share)
    return {};
  if (reading > op.share)
    return {"reading", reading};
  return {"products", op.share};
}

std::string gridHead() {
  return "| batch | tokens | threads | tier | p50 ms | p90 ms | p99 ms | seq/s "
         "| tok/s | GOP/s | of peak | preempted | hand-off ns |\n"
         "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
}

std::string gridRow(const BenchCell &cell) {
  return formatv(
             "| {0} | {1} | {2} | {3} | {4:f2} | {5:f2} | {6:f2} | {7:f1} "
             "| {8:f0} | {9:f0} | {10} | {11} | {12} |\n",
             cell.batch, cell.length, cell.threads, cell.tier, cell.p50 * 1e3,
             cell.p90 * 1e3, cell.p99 * 1e3, cell.sequencesPerSecond(),
             cell.tokensPerSecond(), cell.operations / cell.p50 * 1e-9,
             percent(cell.share()), cell.switches,
             cell.handoff ? formatv("{0:f0}", cell.handoff * 1e9).str() : "-")
      .str();
}

std::string opsTable(const BenchCell &cell) {
  std::string text =
      "| op | launches | ms | GOP/s | of peak | GB/s | bound | of it |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const BenchOp &op : cell.ops) {
    BenchBound bound = cell.boundOf(op);
    text += formatv("| {0} | {1} | {2:f3} | {3:f0} | {4} | {5:f1} | {6} | {7} "
                    "|\n",
                    op.op, op.launches, op.ms, op.gops, percent(op.share),
                    op.bytesPerSecond() * 1e-9, *bound.by ? bound.by : "-",
                    percent(bound.share))
                .str();
  }
  const char *sentence =
      cell.tier == "cuda"
          ? "\nThe device's memory can move {0:f1} GB/s, says its driver; what "
            "its cache holds may come faster.\n"
          : "\nAs many bytes as a run moves at least are read at {0:f1} "
            "GB/s.\n";
  if (cell.bandwidth)
    text += formatv(sentence, cell.bandwidth * 1e-9).str();
  return text;
}

std::string benchMarkdown(const BenchReport &report) {
  std::string text = formatv("# Speed of {0}\n\nRecipe {1}; shares are of the "
                             "dot-product peak in the same run. {2}\n\n",
                             report.module, report.recipe, report.weights)
                         .str();
  text += gridHead();
  for (const BenchCell &cell : report.cells)
    text += gridRow(cell);
  for (const BenchCell &cell : report.cells)
    if (!cell.ops.empty())
      text += formatv("\n## Batch {0}, {1} tokens, threads {2}\n\n", cell.batch,
                      cell.length, cell.threads)
                  .str() +
              opsTable(cell);
  return text;
}

} // namespace quern
