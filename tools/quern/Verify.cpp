//===- Verify.cpp - quern verify: simulation, integers and machine --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Prints what compiler/Verify found. Exit code 3 where a comparison fails.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/Verifier.h"

#include "tools/quern/CalibrationInput.h"
#include "tools/quern/Commands.h"
#include "tools/quern/Handles.h"
#include "tools/quern/Progress.h"

#include <nlohmann/json.hpp>

using nlohmann::json;

namespace quern::cli {

namespace {
struct VerifyOptions {
  std::string module, text, images, model;
  unsigned samples = 8;
  bool pairs = false, asJson = false, quiet = false;
};
} // namespace

static json differenceJson(const Difference &difference) {
  return {{"values", difference.values},
          {"differ", difference.differ},
          {"largest", difference.largest}};
}

static json siteJson(const VerifyReport &report, const SiteReport &site) {
  json machine = json::object();
  for (size_t i = 0; i < report.tiers.size(); ++i)
    machine[report.tiers[i]] = differenceJson(site.machine[i]);
  return {{"site", site.name},
          {"bits", site.bits},
          {"simulation_to_integer", differenceJson(site.simulation)},
          {"simulation_to_integer_from_equal_codes",
           differenceJson(site.equalCodes)},
          {"integer_to_machine", machine}};
}

static json reportJson(const VerifyReport &report) {
  json sites = json::array();
  for (const SiteReport &site : report.sites)
    sites.push_back(siteJson(report, site));
  json skipped = json::object();
  for (const auto &[tier, reason] : report.skipped)
    skipped[tier] = reason;
  return {{"recipe", report.recipe},
          {"texts", report.texts},
          {"tokens", report.tokens},
          {"tiers", report.tiers},
          {"skipped_tiers", skipped},
          {"threads", report.threads},
          {"sites", sites},
          {"output", siteJson(report, report.outputs)},
          {"not_compared", report.hidden},
          {"failures", report.failures},
          {"passed", report.failures.empty()}};
}

/// "12.34 % 3": the share that differs and the largest difference.
static std::string cell(const Difference &difference, bool codes) {
  if (difference.values == 0)
    return "-";
  if (difference.differ == 0)
    return "0";
  char text[64];
  std::snprintf(
      text, sizeof(text), codes ? "%.3f %% max %.0f" : "%.3f %% max %.2g",
      100.0 * difference.differ / difference.values, difference.largest);
  return text;
}

static void printRow(const SiteReport &site) {
  bool codes = site.bits != 0;
  std::printf("%-8s %4s %10llu %20s %20s", site.name.c_str(),
              codes ? ("u" + std::to_string(site.bits)).c_str() : "f32",
              static_cast<unsigned long long>(site.machine[0].values),
              cell(site.simulation, codes).c_str(),
              cell(site.equalCodes, codes).c_str());
  for (const Difference &machine : site.machine)
    std::printf(" %14s", cell(machine, codes).c_str());
  std::printf("\n");
}

static void printReport(const VerifyReport &report) {
  std::string threads;
  for (uint32_t count : report.threads)
    threads += (threads.empty() ? "" : " and ") + std::to_string(count);
  std::printf("recipe %s, %llu texts, %llu tokens, on %s threads\n"
              "values that differ, and by how much at most\n",
              report.recipe.c_str(),
              static_cast<unsigned long long>(report.texts),
              static_cast<unsigned long long>(report.tokens), threads.c_str());
  for (const auto &[tier, reason] : report.skipped)
    std::printf("not run: %s (%s)\n", tier.c_str(), reason.c_str());
  std::printf("%-8s %4s %10s %20s %20s %s\n", "", "", "", "simulation",
              "from equal codes", "  integer graph / machine code");
  std::printf("%-8s %4s %10s %20s %20s", "site", "", "values",
              "/ integer graph", "/ integer graph");
  for (const std::string &tier : report.tiers)
    std::printf(" %14s", tier.c_str());
  std::printf("\n");
  for (const SiteReport &site : report.sites)
    printRow(site);
  printRow(report.outputs);
  for (const auto &[site, reason] : report.hidden)
    std::printf("not compared: %s (%s)\n", site.c_str(), reason.c_str());
  for (const std::string &failure : report.failures)
    std::printf("FAILED %s\n", failure.c_str());
  if (report.failures.empty())
    std::printf("verified: machine code equals the integer graph in every "
                "value\n");
}

/// The texts or images that the module takes.
static Expected<std::vector<CalibrationText>>
readInputs(const VerifyOptions &options, const quern_module *module) {
  quern_description about;
  quern_module_describe(module, &about);
  if (about.image.channels && options.images.empty())
    return Error::make(options.module, ": found a vision model, expected "
                                       "--images PATH");
  if (!about.image.channels && options.text.empty())
    return Error::make(options.module,
                       ": found a text model, expected --text FILE");
  return about.image.channels
             ? readImages(options.images, options.samples, about.image)
             : readTexts(options.text, options.pairs, options.samples);
}

static int verify(const VerifyOptions &options) {
  if (options.text.empty() == options.images.empty())
    return misuse("expected either --text FILE or --images PATH");
  Expected<ModuleHandle> module = openModule(options.module);
  if (!module)
    return fail(module.message());
  Expected<std::vector<CalibrationText>> texts =
      readInputs(options, module->get());
  if (!texts)
    return fail(texts.message());
  Progress progress(!options.quiet);
  VerifyRequest request;
  request.module = module->get();
  request.name = options.module;
  request.modelFolder = options.model;
  request.texts = std::move(*texts);
  request.progress = [&](double part) { progress.update("verify", part); };
  Expected<VerifyReport> report = verifyModule(request);
  progress.finish();
  if (!report)
    return fail(report.message());
  if (options.asJson)
    std::printf("%s\n", reportJson(*report).dump(1).c_str());
  else
    printReport(*report);
  return report->failures.empty() ? Ok : Mismatch;
}

void addVerify(CLI::App &app, Action &action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App *command = app.add_subcommand(
      "verify", "Compare a module with its integer graph and its simulation, "
                "site by site");
  command->add_option("module", options->module, "Module file (.qbm)")
      ->required();
  command->add_option("--text", options->text,
                      "File of lines or JSON lines; - is standard input");
  command->add_option("--images", options->images,
                      "Of a vision model: a folder of images, or a file with "
                      "a path on each line");
  command->add_option("--model", options->model,
                      "Model folder; by default the one that the module was "
                      "made from");
  command
      ->add_option("--samples", options->samples,
                   "How many texts or images are run (8)")
      ->check(CLI::Range(1u, 1u << 20));
  command->add_flag("--pair", options->pairs,
                    "Two columns with a tab between are a pair");
  command->add_flag("--json", options->asJson, "As one JSON object");
  command->add_flag("-q,--quiet", options->quiet, "No progress");
  command->footer("Exit code 3: a value of the machine code differs from the "
                  "integer graph, or the integer graph by more than one code "
                  "from the simulation where both start from equal codes.\n"
                  "Example: quern verify m.qbm --text lines.txt");
  command->callback(
      [options, &action] { action = [options] { return verify(*options); }; });
}

} // namespace quern::cli
