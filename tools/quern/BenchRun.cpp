//===- BenchRun.cpp - Runs of a module that are timed ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchRun.h"

#include "compiler/Bench/Handoff.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sys/resource.h>

using nlohmann::json;

namespace quern::cli {

Expected<BenchRun> BenchRun::create(quern_module *module, BenchInput input,
                                    uint32_t threads,
                                    const Placement &placement,
                                    quern_device device) {
  Expected<SessionHandle> session = createSession(module, threads, device);
  if (!session)
    return session.takeError();
  if (Error error = placement.bind(session->get()))
    return std::move(error);
  BenchRun run;
  run.handle = std::move(*session);
  run.batches = std::move(input);
  return Expected<BenchRun>(std::move(run));
}

Error BenchRun::run(const std::function<void(const quern_output &)> &after) {
  quern_output output = {};
  quern_error error = {};
  auto done = [&](int failed) {
    if (!failed && after)
      after(output);
    return failed;
  };
  for (const BenchBatch &batch : batches.batches)
    if (done(quern_run_ids(session(), batch.ids.data(), batch.types.data(),
                           batch.offsets.data(), batch.sequences(), &output,
                           &error)))
      return Error(error.message);
  if (batches.images && done(quern_run_images(session(), batches.pixels.data(),
                                              batches.images, &output, &error)))
    return Error(error.message);
  return Error::success();
}

Error BenchRun::limit(const std::string &tier) {
  quern_error error = {};
  if (quern_session_force_tier(
          session(), uint32_t(quern_tier_from_name(tier.c_str())), &error))
    return Error(error.message);
  if (this->tier() != tier)
    return Error::make("tier ", tier, ": found ", this->tier(),
                       " as the best up to it that the module has and this "
                       "machine can run");
  return Error::success();
}

std::string BenchRun::tier() const {
  if (quern_session_device(session(), nullptr) == QUERN_DEVICE_CUDA)
    return "cuda";
  return quern_tier_name(quern_session_tier(session()));
}

Error fitGrid(const quern_module *module, const std::string &path,
              BenchGrid &grid) {
  quern_description about;
  quern_module_describe(module, &about);
  if (!about.image.channels) {
    // A short model must not fail on a length that nobody asked for.
    if (grid.lengths == BenchGrid().lengths)
      for (uint32_t &length : grid.lengths)
        length = std::min(length, about.max_length);
    for (uint32_t length : grid.lengths)
      if (length > about.max_length)
        return Error::make(path, ": found a length of ", length,
                           " tokens, expected at most ", about.max_length,
                           ", the limit of this model");
    return Error::success();
  }
  const std::vector<uint32_t> only = {about.max_length};
  if (grid.lengths != BenchGrid().lengths && grid.lengths != only)
    return Error::make(path, ": found a length of ", grid.lengths.front(),
                       " tokens, expected ", about.max_length,
                       ", those of an image of this vision model");
  grid.lengths = only;
  return Error::success();
}

Expected<BenchInput> cellInput(const quern_module *module,
                               const std::string &path, const BenchTexts &texts,
                               uint32_t batch, uint32_t length) {
  if (texts.path.empty())
    return madeUpInput(module, batch, length);
  return textInput(path, module, texts, batch);
}

double benchClock() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

long involuntarySwitches() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

double quantile(std::vector<double> times, double q) {
  std::sort(times.begin(), times.end());
  return times[std::min(times.size() - 1, size_t(q * times.size()))];
}

namespace {
/// What one module showed in one cell, on one tier.
struct Turn {
  size_t module = 0;
  std::string tier;
  /// Tokens of a sequence in the mean.
  uint32_t length = 0;
  std::vector<double> times, ratios;
  /// While it was timed.
  long switches = 0;
};
} // namespace

/// Times all modules in one cell, on each of the tiers.
static Error measure(const std::vector<ModuleHandle> &modules,
                     const std::vector<std::string> &paths, uint32_t batch,
                     uint32_t length, uint32_t threads,
                     const TurnsOptions &options, std::vector<Turn> &turns) {
  std::vector<BenchRun> runs;
  turns.clear();
  const std::vector<std::string> best = {""};
  for (size_t m = 0; m < modules.size(); ++m)
    for (const std::string &tier :
         options.tiers.empty() ? best : options.tiers) {
      Expected<BenchInput> input =
          cellInput(modules[m].get(), paths[m], options.texts, batch, length);
      if (!input)
        return input.takeError();
      auto run = BenchRun::create(modules[m].get(), std::move(*input), threads,
                                  options.placement, options.device);
      if (!run)
        return run.takeError();
      if (!tier.empty())
        if (Error error = run->limit(tier))
          return error;
      for (unsigned i = 0; i < options.warmup; ++i)
        if (Error error = run->run())
          return error;
      turns.push_back({m, run->tier(), run->input().length(length), {}, {}, 0});
      runs.push_back(std::move(*run));
    }
  for (unsigned round = 0; round < options.runs; ++round)
    for (size_t m = 0; m < runs.size(); ++m) {
      long before = involuntarySwitches();
      double start = benchClock();
      if (Error error = runs[m].run())
        return error;
      turns[m].switches += involuntarySwitches() - before;
      turns[m].times.push_back(benchClock() - start);
      turns[m].ratios.push_back(turns[m].times.back() / turns[0].times.back());
    }
  return Error::success();
}

static json describe(const Turn &turn) {
  return {{"length", turn.length},
          {"tier", turn.tier},
          {"p50_ms", 1e3 * quantile(turn.times, 0.5)},
          {"ratio_to_first", quantile(turn.ratios, 0.5)},
          {"ratio_quarter", quantile(turn.ratios, 0.25)},
          {"ratio_three_quarters", quantile(turn.ratios, 0.75)},
          {"involuntary_switches", turn.switches}};
}

static void print(const json &row) {
  double handoff = row["handoff_ns"];
  std::printf(
      "| %s | %u | %u | %u | %s | %.2f | %.3f | %.3f to %.3f | %ld | "
      "%s |\n",
      row["module"].get<std::string>().c_str(), row["batch"].get<unsigned>(),
      row["length"].get<unsigned>(), row["threads"].get<unsigned>(),
      row["tier"].get<std::string>().c_str(), row["p50_ms"].get<double>(),
      row["ratio_to_first"].get<double>(), row["ratio_quarter"].get<double>(),
      row["ratio_three_quarters"].get<double>(),
      row["involuntary_switches"].get<long>(),
      handoff ? std::to_string(int(handoff)).c_str() : "-");
}

Error benchInTurns(const std::vector<std::string> &paths,
                   const TurnsOptions &options) {
  std::vector<ModuleHandle> modules;
  BenchGrid grid = options.grid;
  for (const std::string &path : paths) {
    Expected<ModuleHandle> module = openModule(path);
    if (!module)
      return module.takeError();
    if (Error error = fitGrid(module->get(), path, grid))
      return error;
    modules.push_back(std::move(*module));
  }
  json all = json::array();
  if (!options.asJson)
    std::printf("| module | batch | tokens | threads | tier | p50 ms | "
                "of the first | quarter to three quarters | preempted | "
                "hand-off ns |\n"
                "|---|---|---|---|---|---|---|---|---|---|\n");
  for (uint32_t threads : grid.threads)
    for (uint32_t batch : grid.batches)
      for (uint32_t length : grid.lengths) {
        std::vector<Turn> turns;
        if (Error error =
                measure(modules, paths, batch, length, threads, options, turns))
          return error;
        options.placement.release();
        double handoff = threads > 1 ? 1e9 * measureHandoff() : 0;
        for (const Turn &turn : turns) {
          json row = describe(turn);
          row["module"] = paths[turn.module];
          row["batch"] = batch;
          row["threads"] = threads;
          row["handoff_ns"] = handoff;
          if (!options.asJson)
            print(row);
          all.push_back(std::move(row));
        }
        std::fflush(stdout);
      }
  if (options.asJson)
    std::printf("%s\n", all.dump(1).c_str());
  return Error::success();
}

} // namespace quern::cli
