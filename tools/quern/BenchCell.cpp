//===- BenchCell.cpp - Times one cell of a grid ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchCell.h"

#include "tools/quern/BenchRun.h"

#include "compiler/Bench/DotPeak.h"
#include "compiler/Bench/Handoff.h"
#include "compiler/Bench/ReadBandwidth.h"
#include "compiler/Emit/Assemble.h"

#include <algorithm>
#include <array>
#include <map>

namespace quern::cli {

/// Calls `visit` for every step of the batch that ran last.
static void
eachStep(quern_session *session,
         const std::function<void(const quern_step_info &)> &visit) {
  for (uint32_t i = 0; i < quern_session_step_count(session); ++i) {
    quern_step_info info = {};
    if (!quern_session_step(session, i, &info, nullptr))
      visit(info);
  }
}

/// Time and operations of every op, summed over layers and batches, of a few
/// more runs.
static Expected<std::vector<BenchOp>> stepTimes(BenchRun &run, double peak) {
  quern_session_set_timing(run.session(), 1);
  // Operations, launches and bytes of one run.
  std::map<std::string, std::array<double, 3>> sums;
  std::vector<std::string> order;
  // Fewer where one run is many.
  const int rounds = run.input().batches.size() > 1 ? 3 : 9;
  std::map<std::string, std::vector<double>> perRound;
  for (int round = 0; round < rounds; ++round) {
    std::map<std::string, double> thisRound;
    auto take = [&](const quern_step_info &info) {
      // Done by the launch before.
      if (!*info.kernel)
        return;
      std::string name = std::string(info.op) + " " + info.kernel;
      if (!sums.count(name))
        order.push_back(name);
      thisRound[name] += info.nanoseconds;
      if (round)
        return;
      sums[name][0] += 2.0 * info.macs;
      sums[name][1] += 1;
      sums[name][2] += info.bytes;
    };
    if (Error error = run.run(
            [&](const quern_output &) { eachStep(run.session(), take); }))
      return error;
    for (auto &[name, time] : thisRound)
      perRound[name].push_back(time);
  }
  quern_session_set_timing(run.session(), 0);
  std::vector<BenchOp> ops;
  for (const std::string &name : order) {
    double time = quantile(perRound[name], 0.5) * 1e-9;
    // A step that the clock did not see has no speed.
    double speed = time > 0 ? sums[name][0] / time : 0;
    ops.push_back({name, unsigned(sums[name][1]), time * 1e3, speed * 1e-9,
                   peak ? speed / peak : 0, sums[name][2]});
  }
  return ops;
}

Error measureCell(const CellOptions &options, quern_module *module,
                  const std::string &path, BenchCell &cell) {
  bool onGpu = options.device == QUERN_DEVICE_CUDA;
  Expected<BenchInput> input =
      cellInput(module, path, options.texts, cell.batch, cell.length);
  if (!input)
    return input.takeError();
  cell.sequences = input->sequences();
  cell.tokens = input->images ? cell.sequences * cell.length : input->tokens();
  cell.length = input->length(cell.length);
  auto made = BenchRun::create(module, std::move(*input), cell.threads,
                               options.placement, options.device);
  if (!made)
    return made.takeError();
  BenchRun &run = *made;
  auto note = [&](const quern_output &output) {
    if (cell.firstRow.empty())
      cell.firstRow.assign(output.data, output.data + output.columns);
    eachStep(run.session(), [&](const quern_step_info &info) {
      cell.operations += 2.0 * info.macs;
    });
  };
  if (Error error = run.run(note))
    return error;
  for (unsigned i = 1; i < options.warmup; ++i)
    if (Error error = run.run())
      return error;
  cell.tier = run.tier();
  Tier tier = parseTier(cell.tier).value_or(Tier::Sse2);
  // Of a GPU what its driver says, in multiply-adds.
  auto peakNow = [&] {
    return onGpu ? 2 * quern_session_gpu_peak(run.session())
                 : measureDotPeak(tier);
  };
  cell.peakBefore = peakNow();
  long before = involuntarySwitches();
  std::vector<double> times;
  for (unsigned i = 0; i < options.runs; ++i) {
    double start = benchClock();
    if (Error error = run.run())
      return error;
    times.push_back(benchClock() - start);
  }
  cell.switches = involuntarySwitches() - before;
  cell.peakAfter = peakNow();
  cell.p50 = quantile(times, 0.5);
  cell.p90 = quantile(times, 0.9);
  cell.p99 = quantile(times, 0.99);
  cell.best = *std::min_element(times.begin(), times.end());
  if (options.ops) {
    auto ops = stepTimes(run, cell.peak());
    if (!ops)
      return ops.takeError();
    cell.ops = std::move(*ops);
  }
  // What follows are other threads than the session's.
  options.placement.release();
  cell.handoff = cell.threads > 1 ? measureHandoff() : 0;
  if (!options.ops)
    return Error::success();
  if (onGpu) {
    cell.bandwidth = quern_session_gpu_bandwidth(run.session());
    return Error::success();
  }
  double bytes = 0;
  for (const BenchOp &op : cell.ops)
    bytes += op.bytes;
  cell.bandwidth = measureReadBandwidth(size_t(bytes), cell.threads);
  return Error::success();
}

} // namespace quern::cli
