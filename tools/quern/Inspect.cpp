//===- Inspect.cpp - quern inspect: what a module holds -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Reads the file through the checked, non-executing interface of the runtime:
// nothing of the module is loaded as code.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"
#include "tools/quern/Explain.h"
#include "tools/quern/Handles.h"
#include "tools/quern/InspectAccuracy.h"

#include "runtime/src/manifest_generated.h"

#include <nlohmann/json.hpp>

#include <cctype>
#include <cinttypes>
#include <map>

namespace fb = quern::manifest;
using nlohmann::json;

namespace quern::cli {

static std::string str(const flatbuffers::String *text) {
  return text ? text->str() : "";
}

static const char *sectionName(unsigned section) {
  static const char *const names[] = {"code", "manifest", "tokenizer",
                                      "weights"};
  return section < 4 ? names[section] : "?";
}

static std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, value);
  return text;
}

/// What a vision model sees; null of a text model.
static json imageJson(const fb::Image *image) {
  if (!image)
    return nullptr;
  auto numbers = [](const flatbuffers::Vector<float> *values) {
    return values ? json(std::vector<float>(values->begin(), values->end()))
                  : json::array();
  };
  return {{"channels", image->channels()},
          {"size", image->size()},
          {"patch", image->patch()},
          {"rescale", image->rescale()},
          {"mean", numbers(image->mean())},
          {"deviation", numbers(image->deviation())}};
}

static json modelJson(const fb::Model &model) {
  json labels = json::array();
  if (model.labels())
    for (const auto *label : *model.labels())
      labels.push_back(label->str());
  return {{"name", str(model.name())},
          {"family", str(model.family())},
          {"head", fb::EnumNameHead(model.head())},
          {"pooling", fb::EnumNamePooling(model.pooling())},
          {"normalize", model.normalize()},
          {"labels", labels},
          {"layers", model.layers()},
          {"hidden", model.hidden()},
          {"heads", model.heads()},
          {"intermediate", model.intermediate()},
          {"vocabulary", model.vocab()},
          {"max_length", model.max_length()},
          {"image", imageJson(model.image())},
          {"columns", model.columns()}};
}

static json sitesJson(const fb::Manifest &manifest) {
  json sites = json::array();
  if (!manifest.sites())
    return sites;
  for (const fb::Site *site : *manifest.sites()) {
    json entry = {{"name", str(site->name())},
                  {"key", str(site->key())},
                  {"layer", site->layer()},
                  {"bits", site->bits()},
                  {"scheme", str(site->scheme())}};
    if (site->scale() && site->scale()->size() == 1) {
      entry["scale"] = site->scale()->Get(0);
      entry["zero"] = site->zero() ? site->zero()->Get(0) : 0.0f;
    }
    if (site->buffer() >= 0)
      entry["buffer"] = str(manifest.buffers()->Get(site->buffer())->name());
    sites.push_back(std::move(entry));
  }
  return sites;
}

static json stepsJson(const fb::Manifest &manifest) {
  json steps = json::array();
  for (const fb::Step *step : *manifest.steps()) {
    const fb::Kernel *kernel = manifest.kernels()->Get(step->kernel());
    json families = json::array();
    if (kernel->tiers())
      for (const fb::KernelTier *tier : *kernel->tiers())
        families.push_back({{"tier", quern_tier_name(tier->tier())},
                            {"family", str(tier->family())},
                            {"reason", str(tier->reason())}});
    json entry = {{"name", str(step->name())},
                  {"op", str(step->op())},
                  {"layer", step->layer()},
                  {"kernel", str(kernel->name())},
                  {"families", families},
                  {"macs_per_token", step->macs_per_token()},
                  {"macs_per_pair", step->macs_per_pair()},
                  {"macs_per_sequence", step->macs_per_sequence()}};
    if (step->gemm_n())
      entry["gemm"] = {{"n", step->gemm_n()}, {"k", step->gemm_k()}};
    steps.push_back(std::move(entry));
  }
  return steps;
}

static json extentJson(const fb::Extent *extent) {
  if (!extent)
    return nullptr;
  return {{"per_token", extent->per_token()},
          {"per_sequence", extent->per_sequence()},
          {"constant", extent->constant()}};
}

static json buffersJson(const fb::Manifest &manifest) {
  json buffers = json::array();
  for (const fb::Buffer *buffer : *manifest.buffers())
    buffers.push_back({{"name", str(buffer->name())},
                       {"unit", fb::EnumNameUnit(buffer->unit())},
                       {"role", fb::EnumNameRole(buffer->role())},
                       {"element", fb::EnumNameElement(buffer->element())},
                       {"bytes_per_unit", buffer->bytes_per_unit()},
                       {"arena", buffer->role() == fb::Role::Arena
                                     ? extentJson(buffer->arena())
                                     : json()}});
  return buffers;
}

/// Parameters and bytes of the weights, by bits.
static json weightsJson(const fb::Manifest &manifest) {
  std::map<int, std::pair<uint64_t, uint64_t>> byBits;
  for (const fb::Data *data : *manifest.data()) {
    byBits[data->bits()].first += data->parameters();
    if (data->making() == fb::Making::Stored)
      byBits[data->bits()].second += data->bytes();
  }
  json weights = json::array();
  for (const auto &[bits, sum] : byBits)
    weights.push_back(
        {{"bits", bits}, {"parameters", sum.first}, {"bytes", sum.second}});
  return weights;
}

/// Bytes of the constants that are made when the module is opened.
static uint64_t madeBytes(const fb::Manifest &manifest) {
  uint64_t bytes = 0;
  for (const fb::Data *data : *manifest.data())
    if (data->making() != fb::Making::Stored)
      bytes += data->bytes();
  return bytes;
}

static json constantsJson(const fb::Manifest &manifest) {
  json constants = json::array();
  for (const fb::Data *data : *manifest.data()) {
    bool isStored = data->making() == fb::Making::Stored;
    json entry = {{"name", str(data->name())},
                  {"element", fb::EnumNameElement(data->element())},
                  {"bits", data->bits()},
                  {"bytes", data->bytes()},
                  {"stored", isStored ? data->bytes() : 0},
                  {"making", fb::EnumNameMaking(data->making())}};
    if (data->from() && data->from()->size() != 0) {
      entry["from"] = json::array();
      for (uint32_t part : *data->from())
        entry["from"].push_back(str(manifest.data()->Get(part)->name()));
    }
    constants.push_back(std::move(entry));
  }
  return constants;
}

/// What a module has for GPUs; null if nothing.
static json deviceJson(const fb::Device *device) {
  if (!device)
    return nullptr;
  json code = json::array(), kernels = json::array();
  for (const fb::DeviceCode *each : *device->code())
    code.push_back({{"variant", str(each->variant())},
                    {"ptx_bytes", each->ptx()->size()}});
  for (const fb::DeviceKernel *kernel : *device->kernels())
    kernels.push_back({{"name", str(kernel->name())},
                       {"threads", kernel->threads()},
                       {"shared_bytes", kernel->shared_bytes()},
                       {"shared_bytes_per_key", kernel->shared_per_key()}});
  return {{"code", code}, {"kernels", kernels}};
}

static json inspectionJson(const quern_inspection *inspection) {
  uint64_t bytes = 0;
  const void *data =
      quern_inspect_section(inspection, QUERN_SECTION_MANIFEST, &bytes);
  const fb::Manifest &manifest = *fb::GetManifest(data);
  const quern_trailer &trailer = *quern_inspect_trailer(inspection);
  json sections = json::array();
  for (unsigned i = 0; i < QUERN_SECTION_COUNT; ++i)
    sections.push_back({{"name", sectionName(i)},
                        {"offset", trailer.sections[i].offset},
                        {"bytes", trailer.sections[i].bytes},
                        {"xxh64", hex(trailer.sections[i].xxh64)}});
  json tiers = json::array();
  if (manifest.tiers())
    for (uint16_t tier : *manifest.tiers())
      tiers.push_back(quern_tier_name(tier));
  json provenance = json::object();
  if (manifest.provenance())
    for (const fb::Property *property : *manifest.provenance())
      provenance[str(property->key())] = str(property->value());
  return {{"file_bytes", trailer.file_bytes},
          {"abi_version", manifest.abi_version()},
          {"model", modelJson(*manifest.model())},
          {"recipe", str(manifest.recipe_name())},
          {"recipe_json", str(manifest.recipe_json())},
          {"target", str(manifest.target())},
          {"tiers", tiers},
          {"sections", sections},
          {"weights", weightsJson(manifest)},
          {"made_bytes", madeBytes(manifest)},
          {"constants", constantsJson(manifest)},
          {"arena", extentJson(manifest.arena())},
          {"scratch_bytes_per_thread", manifest.scratch_bytes()},
          {"sites", sitesJson(manifest)},
          {"steps", stepsJson(manifest)},
          {"buffers", buffersJson(manifest)},
          {"gpu", deviceJson(manifest.device())},
          {"provenance", provenance}};
}

static std::string text(const json &value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

static void printSummary(const std::string &path, const json &all) {
  const json &model = all["model"];
  std::printf("%s: %s, %s, %s layers of %s, %s heads, up to %s tokens\n",
              path.c_str(), text(model["family"]).c_str(),
              text(model["head"]).c_str(), text(model["layers"]).c_str(),
              text(model["hidden"]).c_str(), text(model["heads"]).c_str(),
              text(model["max_length"]).c_str());
  if (const json &image = model["image"]; !image.is_null())
    std::printf("images of %s x %s x %s (channels, height, width)\n",
                text(image["channels"]).c_str(), text(image["size"]).c_str(),
                text(image["size"]).c_str());
  std::printf("recipe %s, target %s, tiers", text(all["recipe"]).c_str(),
              text(all["target"]).c_str());
  for (const json &tier : all["tiers"])
    std::printf(" %s", text(tier).c_str());
  std::printf("\n");
  if (const json &gpu = all["gpu"]; !gpu.is_null())
    for (const json &code : gpu["code"]) {
      // Variants with a letter are for one generation.
      std::string variant = text(code["variant"]);
      bool alone = std::isalpha(static_cast<unsigned char>(variant.back()));
      std::printf("GPUs %s %s: of %zu kernels, %s bytes of PTX\n",
                  alone ? "of" : "from",
                  (variant + (alone ? "" : " on")).c_str(),
                  gpu["kernels"].size(), text(code["ptx_bytes"]).c_str());
    }
  std::printf("\nsections\n");
  for (const json &section : all["sections"])
    std::printf("  %-10s %12s bytes  xxh64 %s\n", text(section["name"]).c_str(),
                text(section["bytes"]).c_str(), text(section["xxh64"]).c_str());
  std::printf("\nweights by bits (0: tables and vectors of the machine)\n");
  for (const json &row : all["weights"])
    std::printf("  %2s bits %12s parameters %12s bytes\n",
                text(row["bits"]).c_str(), text(row["parameters"]).c_str(),
                text(row["bytes"]).c_str());
  std::printf("  made of these when opened: %s bytes\n",
              text(all["made_bytes"]).c_str());
  std::printf("\narena: %s bytes per token, %s per sequence; scratch %s bytes "
              "per thread\n",
              text(all["arena"]["per_token"]).c_str(),
              text(all["arena"]["per_sequence"]).c_str(),
              text(all["scratch_bytes_per_thread"]).c_str());
  for (const json &buffer : all["buffers"])
    if (!buffer["arena"].is_null())
      std::printf("  %-24s %-10s %-4s %6s bytes per unit at %s per token\n",
                  text(buffer["name"]).c_str(), text(buffer["unit"]).c_str(),
                  text(buffer["element"]).c_str(),
                  text(buffer["bytes_per_unit"]).c_str(),
                  text(buffer["arena"]["per_token"]).c_str());
  std::printf("\nsteps\n");
  for (const json &step : all["steps"]) {
    std::string family;
    for (const json &tier : step["families"])
      family += (family.empty() ? "" : ", ") + text(tier["tier"]) + ": " +
                text(tier["family"]);
    std::printf("  %-16s %-12s %-32s %s\n", text(step["name"]).c_str(),
                text(step["op"]).c_str(), text(step["kernel"]).c_str(),
                family.c_str());
  }
  std::printf("\nsites\n");
  for (const json &site : all["sites"])
    std::printf("  %-8s %-24s %s\n", text(site["name"]).c_str(),
                text(site["scheme"]).c_str(),
                site.contains("scale") ? ("scale " + text(site["scale"]) +
                                          " zero " + text(site["zero"]))
                                             .c_str()
                                       : "");
}

static void printJson(const json &value) {
  std::printf(
      "%s\n",
      value.dump(1, ' ', false, json::error_handler_t::replace).c_str());
}

static int inspect(const InspectOptions &options) {
  quern_inspection *inspection = nullptr;
  quern_error error = {};
  if (quern_inspect_open(options.module.c_str(), &inspection, &error))
    return fail(error.message);
  InspectionHandle handle(inspection);
  if (options.explain) {
    uint64_t bytes = 0;
    const void *data =
        quern_inspect_section(inspection, QUERN_SECTION_MANIFEST, &bytes);
    Expected<json> found =
        explain(*fb::GetManifest(data), options.module, options.explanation);
    if (!found)
      return fail(found.message());
    if (options.json)
      printJson(*found);
    else
      printExplanation(*found);
    return Ok;
  }
  json all = inspectionJson(inspection);
  if (options.json)
    printJson(all);
  else
    printSummary(options.module, all);
  return Ok;
}

void addInspect(CLI::App &app, Action &action, AccuracyCommand accuracy) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App *command = app.add_subcommand(
      "inspect", "Show what a module holds, without executing anything of it; "
                 "with --explain, why every kernel is the one it is; with "
                 "--accuracy, how far the module is from its float model");
  command->add_option("module", options->module, "Module file (.qbm)")
      ->required();
  command->add_flag("--json", options->json, "As one JSON object");
  CLI::Option *text = command->add_option(
      "--text", options->text,
      "File of lines or JSON lines to run; - is standard input");
  CLI::Option *flag = command->add_flag(
      "--accuracy", options->accuracy,
      "Run the module and its float model on texts and report signal to "
      "quantization noise, clipping and outlier channels by site");
  flag->needs(text);
  text->needs(flag);
  command
      ->add_option("--model", options->model,
                   "Model folder; by default the one that the module was "
                   "made from")
      ->needs(flag);
  CLI::Option *html = command->add_option(
      "--html", options->html,
      "Write a page with plots: noise by site, outlier heat maps");
  html->needs(flag);
  command
      ->add_option("--front", options->front,
                   "File of compile --recipe auto --save-front, which the page "
                   "shows too")
      ->needs(html);
  command
      ->add_option("--samples", options->samples,
                   "How many texts of the file are run (32)")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(flag);
  command
      ->add_flag("--pair", options->pairs,
                 "Two columns with a tab between are a pair")
      ->needs(flag);
  command
      ->add_option("--threads", options->threads,
                   "Threads of the runs; 0 is one per CPU")
      ->needs(flag);
  ExplainOptions &why = options->explanation;
  CLI::Option *explains = command->add_flag(
      "--explain", options->explain,
      "Kernel, tile, layout, instructions and part of the operations of every "
      "step, and why nothing better");
  explains->excludes(flag);
  command
      ->add_option("--tier", why.tier,
                   "Tier to explain; by default the one that runs here")
      ->needs(explains);
  command->add_option("--batch", why.batch, "Sequences of the run (1)")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(explains);
  command
      ->add_option(
          "--length", why.length,
          "Tokens of each sequence (128, or as many as the module takes)")
      ->check(CLI::Range(1u, 1u << 20))
      ->needs(explains);
  command
      ->add_option("--measured", why.measured,
                   "File of quern bench --json: the measured parts of the peak")
      ->needs(explains);
  command->add_flag("-q,--quiet", options->quiet, "No progress");
  command->footer("Example: quern inspect m.qbm\n"
                  "Example: quern inspect m.qbm --explain --length 32\n"
                  "Example: quern inspect m.qbm --accuracy --text lines.txt "
                  "--html accuracy.html");
  command->callback([options, accuracy, &action] {
    action = [options, accuracy] {
      if (!options->accuracy)
        return inspect(*options);
      return accuracy ? accuracy(*options)
                      : fail("inspect --accuracy is done by quern-compiler");
    };
  });
}

} // namespace quern::cli
