//===- BenchRun.cpp - Runs of a module that are timed ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchRun.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

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

double quantile(std::vector<double> times, double q) {
  std::sort(times.begin(), times.end());
  return times[std::min(times.size() - 1, size_t(q * times.size()))];
}

namespace {
/// What one module showed in one cell.
struct Turn {
  std::string tier;
  /// Tokens of a sequence in the mean.
  uint32_t length = 0;
  std::vector<double> times, ratios;
};
} // namespace

/// Times all modules in one cell.
static Error measure(const std::vector<ModuleHandle> &modules,
                     const std::vector<std::string> &paths, uint32_t batch,
                     uint32_t length, uint32_t threads,
                     const TurnsOptions &options, std::vector<Turn> &turns) {
  std::vector<BenchRun> runs;
  for (size_t m = 0; m < modules.size(); ++m) {
    Expected<BenchInput> input =
        cellInput(modules[m].get(), paths[m], options.texts, batch, length);
    if (!input)
      return input.takeError();
    auto run = BenchRun::create(modules[m].get(), std::move(*input), threads,
                                options.placement, options.device);
    if (!run)
      return run.takeError();
    for (unsigned i = 0; i < options.warmup; ++i)
      if (Error error = run->run())
        return error;
    runs.push_back(std::move(*run));
  }
  turns.assign(runs.size(), {});
  for (unsigned round = 0; round < options.runs; ++round)
    for (size_t m = 0; m < runs.size(); ++m) {
      double start = benchClock();
      if (Error error = runs[m].run())
        return error;
      turns[m].times.push_back(benchClock() - start);
      turns[m].ratios.push_back(turns[m].times.back() / turns[0].times.back());
    }
  for (size_t m = 0; m < runs.size(); ++m) {
    turns[m].tier = runs[m].tier();
    turns[m].length = runs[m].input().length(length);
  }
  return Error::success();
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
                "of the first | quarter to three quarters |\n"
                "|---|---|---|---|---|---|---|---|\n");
  for (uint32_t threads : grid.threads)
    for (uint32_t batch : grid.batches)
      for (uint32_t length : grid.lengths) {
        std::vector<Turn> turns;
        if (Error error =
                measure(modules, paths, batch, length, threads, options, turns))
          return error;
        for (size_t m = 0; m < turns.size(); ++m) {
          double p50 = 1e3 * quantile(turns[m].times, 0.5);
          double ratio = quantile(turns[m].ratios, 0.5);
          double low = quantile(turns[m].ratios, 0.25);
          double high = quantile(turns[m].ratios, 0.75);
          if (options.asJson)
            all.push_back({{"module", paths[m]},
                           {"batch", batch},
                           {"length", turns[m].length},
                           {"threads", threads},
                           {"tier", turns[m].tier},
                           {"p50_ms", p50},
                           {"ratio_to_first", ratio},
                           {"ratio_quarter", low},
                           {"ratio_three_quarters", high}});
          else
            std::printf("| %s | %u | %u | %u | %s | %.2f | %.3f | "
                        "%.3f to %.3f |\n",
                        paths[m].c_str(), batch, turns[m].length, threads,
                        turns[m].tier.c_str(), p50, ratio, low, high);
        }
        std::fflush(stdout);
      }
  if (options.asJson)
    std::printf("%s\n", all.dump(1).c_str());
  return Error::success();
}

} // namespace quern::cli
