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
#include "tools/quern/BenchPeers.h"
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

namespace {
struct BenchOptions {
  std::vector<std::string> modules;
  std::string gridText, html, markdown, match, device = "cpu";
  std::vector<int64_t> tokens;
  BenchGrid grid;
  BenchTexts texts;
  unsigned runs = 30, warmup = 5;
  PeerOptions peers;
  Placement placement;
  bool kernels = false, overhead = false, asJson = false, ops = false;

  bool onGpu() const { return device == "cuda"; }
  quern_device deviceId() const {
    return onGpu() ? QUERN_DEVICE_CUDA : QUERN_DEVICE_CPU;
  }
  bool needsOps() const {
    return ops || asJson || !html.empty() || !markdown.empty();
  }
};
} // namespace

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
  if (options.modules.size() > 1) {
    if (options.ops || !options.html.empty() || !options.markdown.empty() ||
        !options.peers.peers.empty()) {
      std::fprintf(stderr,
                   "quern: error: --ops, --html, --markdown and --peer are of "
                   "one module, found %zu\n",
                   options.modules.size());
      return Usage;
    }
    if (Error error = benchInTurns(options.modules,
                                   {grid, options.texts, options.runs,
                                    options.warmup, options.asJson,
                                    options.deviceId(), options.placement}))
      return fail(error.message());
    return Ok;
  }
  const std::string &path = options.modules.front();
  if (!options.peers.peers.empty())
    return benchPeers(path, grid, options.texts, options.asJson, options.peers);
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

void addBench(CLI::App &app, Action &action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *command =
      app.add_subcommand("bench", "Time a module over a grid of lengths, "
                                  "batches and threads, or the kernels alone");
  CLI::Option *modules =
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
                   "Tokens of a sequence (128, or as many as the module "
                   "takes); of a vision model, all of an image's")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1u << 20));
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
  options->placement.addOptions(*command);
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
                    "As JSON, with every kind of op; of kernels a row each");
  CLI::Option *html = command->add_option(
      "--html", options->html, "Write a page with plots and every kind of op");
  CLI::Option *markdown =
      command->add_option("--markdown", options->markdown,
                          "Write all tables, also of every kind of op");
  for (CLI::Option *other : {runs, ops, html, markdown})
    peer->excludes(other);
  for (CLI::Option *other : {ops, html, markdown, modules})
    kernels->excludes(other);
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
