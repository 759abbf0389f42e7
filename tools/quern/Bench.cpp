//===- Bench.cpp - quern bench: time a module, or the kernels -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Speeds are given as shares of the dot-product peak that a loop of one
// instruction reaches in the same run: machines differ and are noisy, ratios
// can be compared.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchCell.h"
#include "tools/quern/BenchJson.h"
#include "tools/quern/BenchOptions.h"
#include "tools/quern/BenchRun.h"
#include "tools/quern/Commands.h"

#include "compiler/Bench/BenchReport.h"
#include "compiler/Bench/KernelBench.h"
#include "compiler/Bench/Overhead.h"
#include "compiler/Targets.h"
#include "lib/Support/File.h"
#include "lib/Support/SameFile.h"

#include <iostream>
#include <memory>

namespace quern::cli {

/// Where the module's constants lie: their pages decide how fast they come.
static std::string weightsSentence(const quern_module *module) {
  quern_weights_info info = {};
  quern_module_weights(module, &info);
  auto mb = [](uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.1f MB", double(bytes) * 1e-6);
    return std::string(text);
  };
  std::string text = "Weights: ";
  if (info.reason)
    text += std::string("in the mapped file, for ") + info.reason;
  else
    text += mb(info.read_bytes) + " read into memory";
  return text + ", " + mb(info.made_bytes) + " made; " + mb(info.huge_bytes) +
         " in huge pages.";
}

static int benchKernels(const BenchOptions &bench) {
  KernelBenchOptions options;
  options.repeats = int(bench.runs);
  options.match = bench.match;
  if (!bench.tokens.empty())
    options.tokens = bench.tokens;
  // The kernels that compile would choose.
  CompileRequest request;
  if (!bench.asJson)
    request.note = [](const std::string &line) { std::cout << line << '\n'; };
  Expected<ModuleTuning> tuning = chooseTuning(request);
  if (!tuning)
    return fail(tuning.message());
  options.tuning = std::move(*tuning);
  Expected<std::vector<KernelBenchRow>> rows = runKernelBench(options);
  if (!rows)
    return fail(rows.message());
  if (bench.asJson)
    std::cout << kernelsJson(*rows);
  else
    printKernelBench(*rows, std::cout);
  for (const KernelBenchRow &row : *rows)
    if (row.wrong != 0)
      return Mismatch;
  return Ok;
}

static int benchOverhead(const BenchOptions &bench) {
  OverheadOptions options;
  options.repeats = bench.runs;
  Expected<std::vector<OverheadRow>> rows = runOverhead(options);
  if (!rows)
    return fail(rows.message());
  if (bench.asJson)
    std::cout << overheadJson(options, *rows);
  else
    printOverhead(options, *rows, std::cout);
  for (const OverheadRow &row : *rows)
    if (row.wrong != 0)
      return Mismatch;
  return Ok;
}

/// Modules or tiers, each in its turn.
static int benchTurns(const BenchOptions &options, const BenchGrid &grid) {
  if (options.ops || !options.html.empty() || !options.markdown.empty() ||
      !options.peers.peers.empty()) {
    std::fprintf(stderr,
                 "quern: error: --ops, --html, --markdown and --peer are of "
                 "one module, found %zu\n",
                 options.modules.size());
    return Usage;
  }
  TurnsOptions turns{grid,           options.texts,    options.runs,
                     options.warmup, options.asJson,   options.deviceId(),
                     options.tiers,  options.placement};
  if (Error error = benchInTurns(options.modules, turns))
    return fail(error.message());
  return Ok;
}

/// One module over a grid, with the reports of it.
static int benchGrid(const BenchOptions &options, BenchGrid grid) {
  const std::string &path = options.modules.front();
  // Before minutes of work, not after.
  for (const std::string &page : {options.html, options.markdown}) {
    if (Error error = keepInputs(page, {path, options.texts.path}))
      return fail(error.message());
    if (!page.empty())
      if (Expected<OutputFile> file = OutputFile::create(page); !file)
        return fail(file.message());
  }
  Expected<ModuleHandle> module = openModule(path);
  if (!module)
    return fail(module.message());
  if (Error error = fitGrid(module->get(), path, grid))
    return fail(error.message());
  quern_description about;
  quern_module_describe(module->get(), &about);
  BenchReport report{path, about.recipe, weightsSentence(module->get()), {}};
  if (!options.asJson)
    std::printf("%s\n\n%s", report.weights.c_str(), gridHead().c_str());
  CellOptions timing{options.texts,      options.runs,      options.warmup,
                     options.deviceId(), options.placement, options.needsOps()};
  for (uint32_t threads : grid.threads)
    for (uint32_t batch : grid.batches)
      for (uint32_t length : grid.lengths) {
        BenchCell cell;
        cell.length = length;
        cell.batch = batch;
        cell.threads = threads;
        if (Error error = measureCell(timing, module->get(), path, cell))
          return fail(error.message());
        if (!options.asJson)
          std::printf("%s", gridRow(cell).c_str());
        if (!options.asJson && options.ops)
          std::printf("\n%s\n", opsTable(cell).c_str());
        report.cells.push_back(std::move(cell));
      }
  if (options.asJson)
    std::printf("%s", benchJson(report.cells, module->get()).c_str());
  if (!options.markdown.empty())
    if (Error error = writeFile(options.markdown, benchMarkdown(report)))
      return fail(error.message());
  if (!options.html.empty())
    if (Error error = writeFile(options.html, benchPage(report)))
      return fail(error.message());
  return Ok;
}

static int bench(BenchOptions &options) {
  if (options.overhead)
    return benchOverhead(options);
  if (options.kernels)
    return benchKernels(options);
  if (options.modules.empty()) {
    std::fprintf(stderr, "quern: error: give a module or --kernels\n");
    return Usage;
  }
  BenchGrid grid = options.grid;
  if (!options.gridText.empty()) {
    Expected<BenchGrid> parsed = parseGrid(options.gridText);
    if (!parsed) {
      std::fprintf(stderr, "quern: error: %s\n", parsed.message().c_str());
      return Usage;
    }
    grid = *parsed;
  }
  if (options.onGpu() && (grid.threads.size() != 1 || grid.threads[0] != 1)) {
    std::fprintf(stderr, "quern: error: --threads are of the CPU, found with "
                         "--device cuda\n");
    return Usage;
  }
  if (Error error = options.placement.take())
    return fail(error.message());
  if (options.modules.size() > 1 || !options.tiers.empty())
    return benchTurns(options, grid);
  if (!options.peers.peers.empty())
    return benchPeers(options.modules.front(), grid, options.texts,
                      options.asJson, options.peers);
  return benchGrid(options, grid);
}

void addBench(CLI::App &app, Action &action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *command =
      app.add_subcommand("bench", "Time a module over a grid of lengths, "
                                  "batches and threads, or the kernels alone");
  options->addTo(*command);
  command->callback([=, &action] {
    options->settle(*command);
    action = [options] { return bench(*options); };
  });
}

} // namespace quern::cli
