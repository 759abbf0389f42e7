//===- Bench.cpp - quern bench: time a module, or the kernels -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Speeds are given as shares of the dot-product peak that a loop of one
// instruction reaches in the same run: machines differ and are noisy, ratios
// can be compared.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchPeers.h"
#include "tools/quern/BenchRun.h"
#include "tools/quern/Commands.h"

#include "compiler/Bench/BenchReport.h"
#include "compiler/Bench/DotPeak.h"
#include "compiler/Bench/Handoff.h"
#include "compiler/Bench/KernelBench.h"
#include "compiler/Bench/Overhead.h"
#include "compiler/Bench/ReadBandwidth.h"
#include "compiler/Emit/Assemble.h"
#include "lib/Support/File.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sys/resource.h>

using nlohmann::json;

namespace quern::cli {

namespace {
struct BenchOptions {
  std::vector<std::string> modules;
  std::string gridText, html, markdown, match, device = "cpu";
  std::vector<int64_t> tokens;
  BenchGrid grid;
  BenchTexts texts;
  unsigned runs = 30, warmup = 5;
  PeerOptions peers;
  bool kernels = false, overhead = false, asJson = false, ops = false;

  bool onGpu() const { return device == "cuda"; }
  bool needsOps() const {
    return ops || asJson || !html.empty() || !markdown.empty();
  }
};
} // namespace

static long involuntarySwitches() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

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

/// Times one cell of the grid.
static Error measure(const BenchOptions &options, quern_module *module,
                     const std::string &path, BenchCell &cell) {
  Expected<BenchInput> input =
      cellInput(module, path, options.texts, cell.batch, cell.length);
  if (!input)
    return input.takeError();
  cell.sequences = input->sequences();
  cell.tokens = input->images ? cell.sequences * cell.length : input->tokens();
  cell.length = input->length(cell.length);
  auto made =
      BenchRun::create(module, std::move(*input), cell.threads,
                       options.onGpu() ? QUERN_DEVICE_CUDA : QUERN_DEVICE_CPU);
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
  Tier tier = parseTier(cell.tier).value_or(Tier::Scalar);
  // Of a GPU what its driver says, in multiply-adds.
  auto peakNow = [&] {
    return options.onGpu() ? 2 * quern_session_gpu_peak(run.session())
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
  cell.handoff = cell.threads > 1 ? measureHandoff() : 0;
  cell.p50 = quantile(times, 0.5);
  cell.p90 = quantile(times, 0.9);
  cell.p99 = quantile(times, 0.99);
  cell.best = *std::min_element(times.begin(), times.end());
  if (!options.needsOps())
    return Error::success();
  auto ops = stepTimes(run, cell.peak());
  if (!ops)
    return ops.takeError();
  cell.ops = std::move(*ops);
  if (options.onGpu()) {
    cell.bandwidth = quern_session_gpu_bandwidth(run.session());
    return Error::success();
  }
  double bytes = 0;
  for (const BenchOp &op : cell.ops)
    bytes += op.bytes;
  cell.bandwidth = measureReadBandwidth(size_t(bytes), cell.threads);
  return Error::success();
}

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

static json weightsJson(const quern_module *module) {
  quern_weights_info info = {};
  quern_module_weights(module, &info);
  return {{"read_bytes", info.read_bytes},
          {"made_bytes", info.made_bytes},
          {"huge_bytes", info.huge_bytes},
          {"mapped_because", info.reason ? json(info.reason) : json()}};
}

static json cellJson(const BenchCell &cell) {
  json ops = json::array();
  for (const BenchOp &op : cell.ops) {
    BenchBound bound = cell.boundOf(op);
    ops.push_back({{"op", op.op},
                   {"launches", op.launches},
                   {"ms", op.ms},
                   {"gops", op.gops},
                   {"share_of_peak", op.share},
                   {"bytes", op.bytes},
                   {"gbytes_per_second", op.bytesPerSecond() * 1e-9},
                   {"bound", *bound.by ? json(bound.by) : json()},
                   {"share_of_bound", bound.share}});
  }
  return {{"length", cell.length},
          {"batch", cell.batch},
          {"sequences", cell.sequences},
          {"tokens", cell.tokens},
          {"threads", cell.threads},
          {"tier", cell.tier},
          {"p50_ms", cell.p50 * 1e3},
          {"p90_ms", cell.p90 * 1e3},
          {"p99_ms", cell.p99 * 1e3},
          {"min_ms", cell.best * 1e3},
          {"sequences_per_second", cell.sequencesPerSecond()},
          {"tokens_per_second", cell.tokensPerSecond()},
          {"gops", cell.operations / cell.p50 * 1e-9},
          {"peak_gops_one_core", cell.peak() / cell.threads * 1e-9},
          {"share_of_peak", cell.share()},
          {"read_gbytes_per_second", cell.bandwidth * 1e-9},
          {"involuntary_switches", cell.switches},
          {"handoff_ns", cell.handoff * 1e9},
          {"output", cell.firstRow},
          {"ops", ops}};
}

static int benchKernels(const BenchOptions &bench) {
  KernelBenchOptions options;
  options.repeats = int(bench.runs);
  options.match = bench.match;
  if (!bench.tokens.empty())
    options.tokens = bench.tokens;
  Expected<std::vector<KernelBenchRow>> rows = runKernelBench(options);
  if (!rows)
    return fail(rows.message());
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

static int bench(const BenchOptions &options) {
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
  if (options.modules.size() > 1) {
    if (options.ops || !options.html.empty() || !options.markdown.empty() ||
        !options.peers.peers.empty()) {
      std::fprintf(stderr,
                   "quern: error: --ops, --html, --markdown and --peer are of "
                   "one module, found %zu\n",
                   options.modules.size());
      return Usage;
    }
    if (Error error = benchInTurns(
            options.modules,
            {grid, options.texts, options.runs, options.warmup, options.asJson,
             options.onGpu() ? QUERN_DEVICE_CUDA : QUERN_DEVICE_CPU}))
      return fail(error.message());
    return Ok;
  }
  const std::string &path = options.modules.front();
  if (!options.peers.peers.empty())
    return benchPeers(path, grid, options.texts, options.asJson, options.peers);
  // Before minutes of work, not after.
  for (const std::string &page : {options.html, options.markdown})
    if (!page.empty())
      if (Error error = writeFile(page, ""))
        return fail(error.message());
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
  for (uint32_t threads : grid.threads)
    for (uint32_t batch : grid.batches)
      for (uint32_t length : grid.lengths) {
        BenchCell cell;
        cell.length = length;
        cell.batch = batch;
        cell.threads = threads;
        if (Error error = measure(options, module->get(), path, cell))
          return fail(error.message());
        if (!options.asJson)
          std::printf("%s", gridRow(cell).c_str());
        if (!options.asJson && options.ops)
          std::printf("\n%s\n", opsTable(cell).c_str());
        report.cells.push_back(std::move(cell));
      }
  if (options.asJson) {
    json all = json::array();
    for (const BenchCell &cell : report.cells) {
      all.push_back(cellJson(cell));
      all.back()["weights"] = weightsJson(module->get());
    }
    std::printf("%s\n", all.dump(1).c_str());
  }
  if (!options.markdown.empty())
    if (Error error = writeFile(options.markdown, benchMarkdown(report)))
      return fail(error.message());
  if (!options.html.empty())
    if (Error error = writeFile(options.html, benchPage(report)))
      return fail(error.message());
  return Ok;
}

void addBench(CLI::App &app, Action &action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *command =
      app.add_subcommand("bench", "Time a module over a grid of lengths, "
                                  "batches and threads, or the kernels alone");
  command->add_option("modules", options->modules,
                      "Module file (.qbm); several are timed in turns and "
                      "compared with the first");
  CLI::Option *kernels =
      command->add_flag("--kernels", options->kernels,
                        "Time the matrix kernels on BERT-base shapes instead");
  command
      ->add_flag("--overhead", options->overhead,
                 "What groups of channels, 16-bit codes and weights of few "
                 "bits add to one of them, by operations and in time")
      ->needs(kernels);
  command
      ->add_option("--match", options->match,
                   "Only kernels with this in their names")
      ->needs(kernels);
  command
      ->add_option("--tokens", options->tokens, "Rows of the kernels' inputs")
      ->needs(kernels)
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 16));
  command
      ->add_option("--lengths", options->grid.lengths,
                   "Tokens of a sequence; of a vision model, all of "
                   "an image's")
      ->delimiter(',');
  BenchTexts &texts = options->texts;
  CLI::Option *text =
      command
          ->add_option("--text", texts.path,
                       "Texts instead of made-up tokens, as they come: lines "
                       "or JSON lines. A run is one pass over all of them, in "
                       "batches of --batches")
          ->excludes(kernels, "--lengths");
  command
      ->add_flag("--pair", texts.pairs,
                 "Lines hold two texts with a tab between")
      ->needs(text);
  command
      ->add_option("--max-length", texts.maxLength,
                   "Cut texts to this many tokens")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(text);
  command->add_option("--samples", texts.samples, "Texts to take at most")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(text);
  command
      ->add_option("--batches", options->grid.batches,
                   "Sequences, or images, of a run")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1u << 20));
  command->add_option("--threads", options->grid.threads, "Threads")
      ->delimiter(',');
  command
      ->add_option("--grid", options->gridText,
                   "The three in one, BATCHES x LENGTHS @ THREADS: "
                   "1,8x32,128@1,2")
      ->excludes("--lengths", "--batches", "--threads", "--text");
  command
      ->add_option("--device", options->device,
                   "cpu, or cuda, an NVIDIA GPU; the module must be compiled "
                   "with --target nvptx")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->excludes(kernels);
  PeerOptions &peers = options->peers;
  CLI::Option *peer =
      command
          ->add_option("--peer", peers.peers,
                       "Time these beside the module, at their fastest int8 "
                       "or bf16 settings, on the same ids and in turns, over "
                       "texts with padding in their order, sorted by length, "
                       "and one by one: "
                       "openvino, onnxruntime, ctranslate2")
          ->delimiter(',')
          ->check(CLI::IsMember({"openvino", "onnxruntime", "ctranslate2"}))
          ->excludes(kernels);
  command
      ->add_option("--model", peers.model,
                   "Checkpoint of the peers; by default the folder that the "
                   "module was made from")
      ->needs(peer);
  command
      ->add_option("--rounds", peers.rounds,
                   "How often everyone's turn comes, each time in a new "
                   "process (5)")
      ->check(CLI::Range(1u, 1000u))
      ->needs(peer);
  command
      ->add_option("--seconds", peers.seconds,
                   "Seconds of a turn, without its start (1.5)")
      ->check(CLI::Range(0.01, 600.0))
      ->needs(peer);
  CLI::Option *runs =
      command
          ->add_option("--runs", options->runs,
                       "Timed runs of a cell (30; 3 over texts)")
          ->check(CLI::Range(1u, 100000u));
  CLI::Option *warmup = command->add_option(
      "--warmup", options->warmup, "Runs before them (5; 1 over texts)");
  CLI::Option *ops =
      command->add_flag("--ops", options->ops,
                        "Time every kind of op too, and say of each "
                        "whether its products or reading bound "
                        "it (roofline)");
  command->add_flag("--json", options->asJson,
                    "As JSON, with every kind of op");
  CLI::Option *html = command->add_option(
      "--html", options->html, "Write a page with plots and every kind of op");
  CLI::Option *markdown =
      command->add_option("--markdown", options->markdown,
                          "Write all tables, also of every kind of op");
  for (CLI::Option *other : {runs, ops, html, markdown})
    peer->excludes(other);
  command->footer("Example: quern bench m.qbm --lengths 32,128 --threads 1,2 "
                  "--ops\n"
                  "Example: quern bench m.qbm --peer openvino,onnxruntime "
                  "--threads 1,2\n"
                  "Example: quern bench m.qbm --grid 1,8x16,128@1,2 "
                  "--html speed.html\n"
                  "Example: quern bench m.qbm --text dev.txt --batches 32 "
                  "--peer openvino\n"
                  "Example: quern bench m.qbm --device cuda --batches 1,128\n"
                  "Example: quern bench plain.qbm other.qbm --runs 100");
  command->callback([=, &action] {
    // A pass over a file is long already.
    if (text->count() && !runs->count())
      options->runs = 3;
    if (text->count() && !warmup->count())
      options->warmup = 1;
    action = [options] { return bench(*options); };
  });
}

} // namespace quern::cli
