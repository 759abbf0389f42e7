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

Expected<BenchRun> BenchRun::create(quern_module *module, uint32_t batch,
                                    uint32_t length, uint32_t threads,
                                    quern_device device) {
  quern_description about;
  quern_module_describe(module, &about);
  Expected<SessionHandle> session = createSession(module, threads, device);
  if (!session)
    return session.takeError();
  BenchRun run;
  run.handle = std::move(*session);
  run.offsets.push_back(0);
  for (uint32_t s = 0; s < batch; ++s) {
    for (uint32_t i = 0; i < length && about.vocabulary > 1; ++i)
      run.ids.push_back(1 + (s * 131 + i * 7919) % (about.vocabulary - 1));
    run.offsets.push_back(int32_t(run.ids.size()));
  }
  const quern_image_format &image = about.image;
  size_t numbers = size_t(image.channels) * image.height * image.width * batch;
  for (size_t i = 0; i < numbers; ++i)
    run.pixels.push_back(float((37 * i + 11 * i * i) % 256) / 128 - 1);
  return Expected<BenchRun>(std::move(run));
}

Error BenchRun::run(quern_output *result) {
  quern_output output = {};
  quern_error error = {};
  auto sequences = uint32_t(offsets.size() - 1);
  if (pixels.empty() ? quern_run_ids(session(), ids.data(), nullptr,
                                     offsets.data(), sequences, &output, &error)
                     : quern_run_images(session(), pixels.data(), sequences,
                                        &output, &error))
    return Error(error.message);
  if (result)
    *result = output;
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
  if (!about.image.channels)
    return Error::success();
  const std::vector<uint32_t> only = {about.max_length};
  if (grid.lengths != BenchGrid().lengths && grid.lengths != only)
    return Error::make(path, ": found a length of ", grid.lengths.front(),
                       " tokens, expected ", about.max_length,
                       ", those of an image of this vision model");
  grid.lengths = only;
  return Error::success();
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
  std::vector<double> times, ratios;
};
} // namespace

/// Times all modules in one cell.
static Error measure(const std::vector<ModuleHandle> &modules, uint32_t batch,
                     uint32_t length, uint32_t threads,
                     const TurnsOptions &options, std::vector<Turn> &turns) {
  std::vector<BenchRun> runs;
  for (const ModuleHandle &module : modules) {
    auto run =
        BenchRun::create(module.get(), batch, length, threads, options.device);
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
  for (size_t m = 0; m < runs.size(); ++m)
    turns[m].tier = runs[m].tier();
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
                measure(modules, batch, length, threads, options, turns))
          return error;
        for (size_t m = 0; m < turns.size(); ++m) {
          double p50 = 1e3 * quantile(turns[m].times, 0.5);
          double ratio = quantile(turns[m].ratios, 0.5);
          double low = quantile(turns[m].ratios, 0.25);
          double high = quantile(turns[m].ratios, 0.75);
          if (options.asJson)
            all.push_back({{"module", paths[m]},
                           {"batch", batch},
                           {"length", length},
                           {"threads", threads},
                           {"tier", turns[m].tier},
                           {"p50_ms", p50},
                           {"ratio_to_first", ratio},
                           {"ratio_quarter", low},
                           {"ratio_three_quarters", high}});
          else
            std::printf("| %s | %u | %u | %u | %s | %.2f | %.3f | "
                        "%.3f to %.3f |\n",
                        paths[m].c_str(), batch, length, threads,
                        turns[m].tier.c_str(), p50, ratio, low, high);
        }
        std::fflush(stdout);
      }
  if (options.asJson)
    std::printf("%s\n", all.dump(1).c_str());
  return Error::success();
}

} // namespace quern::cli
