//===- BenchOptions.cpp - Command line of quern bench ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchOptions.h"

#include "compiler/Emit/Assemble.h"

namespace quern::cli {

void BenchOptions::addKernels(CLI::App &command) {
  CLI::Option *kernels =
      command.add_flag("--kernels", this->kernels,
                       "Time the matrix kernels on BERT-base shapes instead");
  command
      .add_flag("--overhead", overhead,
                "What groups of channels, 16-bit codes and weights of few "
                "bits add to one of them, by operations and in time")
      ->needs(kernels);
  command.add_option("--match", match, "Only kernels with this in their names")
      ->needs(kernels);
  command.add_option("--tokens", tokens, "Rows of the kernels' inputs")
      ->needs(kernels)
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 16));
}

void BenchOptions::addInputs(CLI::App &command) {
  command
      .add_option("--lengths", grid.lengths,
                  "Tokens of a sequence (128, or as many as the module "
                  "takes); of a vision model, all of an image's")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1u << 20));
  CLI::Option *text =
      command
          .add_option("--text", texts.path,
                      "Texts instead of made-up tokens, as they come: lines "
                      "or JSON lines. A run is one pass over all of them, in "
                      "batches of --batches")
          ->excludes("--kernels", "--lengths");
  command
      .add_flag("--pair", texts.pairs,
                "Lines hold two texts with a tab between")
      ->needs(text);
  command
      .add_option("--max-length", texts.maxLength,
                  "Cut texts to this many tokens")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(text);
  command.add_option("--samples", texts.samples, "Texts to take at most")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(text);
  command
      .add_option("--batches", grid.batches, "Sequences, or images, of a run")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1u << 20));
  command.add_option("--threads", grid.threads, "Threads")->delimiter(',');
  placement.addOptions(command);
  command
      .add_option("--grid", gridText,
                  "The three in one, BATCHES x LENGTHS @ THREADS: "
                  "1,8x32,128@1,2")
      ->excludes("--lengths", "--batches", "--threads", "--text");
  command
      .add_option("--device", device,
                  "cpu, or cuda, an NVIDIA GPU; the module must be compiled "
                  "with --target nvptx")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->excludes("--kernels");
  std::vector<std::string> names;
  for (Tier tier : allTiers)
    names.push_back(getTierName(tier).str());
  command
      .add_option("--tiers", tiers,
                  "Time these instruction tiers of a module in turns and "
                  "compare them with the first")
      ->delimiter(',')
      ->check(CLI::IsMember(names))
      ->excludes("--kernels", "--device");
}

void BenchOptions::addPeers(CLI::App &command) {
  CLI::Option *peer =
      command
          .add_option("--peer", peers.peers,
                      "Time these beside the module, at their fastest int8 "
                      "or bf16 settings, on the same ids and in turns, over "
                      "texts with padding in their order, sorted by length, "
                      "and one by one: "
                      "openvino, onnxruntime, ctranslate2")
          ->delimiter(',')
          ->check(CLI::IsMember({"openvino", "onnxruntime", "ctranslate2"}))
          ->excludes("--kernels", "--tiers");
  command
      .add_option("--model", peers.model,
                  "Checkpoint of the peers; by default the folder that the "
                  "module was made from")
      ->needs(peer);
  command
      .add_option("--rounds", peers.rounds,
                  "How often everyone's turn comes, each time in a new "
                  "process (5)")
      ->check(CLI::Range(1u, 1000u))
      ->needs(peer);
  command
      .add_option("--seconds", peers.seconds,
                  "Seconds of a turn, without its start (1.5)")
      ->check(CLI::Range(0.01, 600.0))
      ->needs(peer);
}

void BenchOptions::addReports(CLI::App &command) {
  command.add_option("--runs", runs, "Timed runs of a cell (30; 3 over texts)")
      ->check(CLI::Range(1u, 100000u))
      ->excludes("--peer");
  command.add_option("--warmup", warmup, "Runs before them (5; 1 over texts)");
  command.add_flag("--json", asJson,
                   "As JSON, with every kind of op; of kernels a row each");
  CLI::Option *ops = command.add_flag(
      "--ops", this->ops,
      "Time every kind of op too, and say of each whether its products or "
      "reading bound it (roofline)");
  CLI::Option *html = command.add_option(
      "--html", this->html, "Write a page with plots and every kind of op");
  CLI::Option *markdown =
      command.add_option("--markdown", this->markdown,
                         "Write all tables, also of every kind of op");
  for (CLI::Option *other : {ops, html, markdown})
    other->excludes("--peer", "--kernels", "--tiers");
}

void BenchOptions::addTo(CLI::App &command) {
  CLI::Option *names =
      command.add_option("modules", modules,
                         "Module file (.qbm); several are timed in turns and "
                         "compared with the first");
  addKernels(command);
  names->excludes("--kernels");
  addInputs(command);
  addPeers(command);
  addReports(command);
  command.footer("Example: quern bench m.qbm --lengths 32,128 --threads 1,2 "
                 "--ops\n"
                 "Example: quern bench m.qbm --peer openvino,onnxruntime "
                 "--threads 1,2\n"
                 "Example: quern bench m.qbm --grid 1,8x16,128@1,2 "
                 "--html speed.html\n"
                 "Example: quern bench m.qbm --text dev.txt --batches 32 "
                 "--peer openvino\n"
                 "Example: quern bench m.qbm --device cuda --batches 1,128\n"
                 "Example: quern bench m.qbm --tiers sse41,avx2\n"
                 "Example: quern bench plain.qbm other.qbm --runs 100");
}

void BenchOptions::settle(const CLI::App &command) {
  // A pass over a file is long already.
  if (!command.count("--text"))
    return;
  if (!command.count("--runs"))
    runs = 3;
  if (!command.count("--warmup"))
    warmup = 1;
}

} // namespace quern::cli
