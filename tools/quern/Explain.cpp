//===- Explain.cpp - quern inspect --explain ------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Explain.h"

#include "lib/Support/File.h"
#include "quern/introspect.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

namespace fb = quern::manifest;
using nlohmann::json;

namespace quern::cli {

static std::string str(const flatbuffers::String *text) {
  return text ? text->str() : "";
}

namespace {
/// The tier of a module that is explained.
struct ChosenTier {
  uint32_t id = 0;
  /// Why none of the better tiers.
  json reasons = json::array();
};
} // namespace

/// The tier asked for, or the last that this machine can run.
static Expected<ChosenTier> chooseTier(const fb::Manifest &manifest,
                                       const std::string &name,
                                       const std::string &asked) {
  ChosenTier chosen;
  std::vector<uint32_t> tiers;
  if (manifest.tiers())
    tiers.assign(manifest.tiers()->begin(), manifest.tiers()->end());
  std::string known;
  for (uint32_t tier : tiers)
    known += (known.empty() ? "" : ", ") + std::string(quern_tier_name(tier));
  std::optional<uint32_t> found;
  for (uint32_t tier : tiers) {
    const char *why = nullptr;
    bool usable = quern_tier_usable(tier, &why);
    if (asked.empty() ? usable : asked == quern_tier_name(tier))
      found = tier;
    else if (asked.empty())
      chosen.reasons.push_back(std::string("not ") + quern_tier_name(tier) +
                               ": " + (why ? why : "this machine has it not"));
  }
  if (!found)
    return Error::make(name, ": tier: found ",
                       asked.empty() ? "none that this machine can run" : asked,
                       ", expected one of ", known);
  chosen.id = *found;
  // Tiers that this version knows and the module has no code for.
  for (const char *better :
       {"sse41", "avx2", "avxvnni", "avx512bw", "avx512vnni", "amx"}) {
    int id = quern_tier_from_name(better);
    if (id < 0)
      chosen.reasons.push_back(std::string("not ") + better +
                               ": this version has no such tier");
    else if (uint32_t(id) > chosen.id &&
             std::find(tiers.begin(), tiers.end(), uint32_t(id)) == tiers.end())
      chosen.reasons.push_back(std::string("not ") + better +
                               ": the module has no code for it, "
                               "compile with --target x86");
  }
  return Expected<ChosenTier>(std::move(chosen));
}

/// What a bench of the same run found, by "OP KERNEL".
static Expected<std::map<std::string, json>>
readMeasured(const ExplainOptions &options) {
  std::map<std::string, json> found;
  if (options.measured.empty())
    return found;
  Expected<std::string> text = readFile(options.measured);
  if (!text)
    return text.takeError();
  json cells = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  auto bad = [&](const char *what) {
    return Error::make(options.measured, ": found ", what,
                       ", expected what quern bench --json writes");
  };
  if (!cells.is_array())
    return bad("no array of cells");
  std::string others;
  for (const json &cell : cells) {
    if (!cell.is_object() || !cell.contains("batch") ||
        !cell.contains("length") || !cell.contains("ops") ||
        !cell["batch"].is_number() || !cell["length"].is_number() ||
        !cell["ops"].is_array())
      return bad("a cell without batch, length and ops");
    if (cell["batch"] != options.batch || cell["length"] != options.length) {
      others += (others.empty() ? "" : ", ") + cell["batch"].dump() + "x" +
                cell["length"].dump();
      continue;
    }
    for (const json &op : cell["ops"]) {
      if (!op.is_object() || !op.contains("op") || !op["op"].is_string())
        return bad("an op without a name");
      found.try_emplace(op["op"].get<std::string>(), op);
    }
  }
  if (found.empty())
    return Error::make(options.measured, ": found runs of ",
                       others.empty() ? "nothing" : others,
                       ", expected one of ", options.batch, "x", options.length,
                       " (--batch, --length)");
  return found;
}

/// The first token of each sequence, of all tokens, or pairs of them.
static const char *rowsOf(const fb::Step &step) {
  if (step.macs_per_pair())
    return "pairs";
  if (step.macs_per_sequence())
    return "sequences";
  if (step.macs_per_token())
    return "tokens";
  return step.base() == fb::ChunkBase::Sequences ? "sequences" : "tokens";
}

static json reasonsOf(const fb::Kernel &kernel, const fb::KernelTier *tier) {
  json reasons = json::array();
  if (tier && !str(tier->reason()).empty())
    reasons.push_back(str(tier->reason()));
  if (kernel.reasons())
    for (const auto *reason : *kernel.reasons())
      reasons.push_back(reason->str());
  return reasons;
}

/// The instructions of the tier's code; of steps that multiply nothing only the
/// registers.
static std::string familyOf(const fb::Step &step, const fb::KernelTier *tier) {
  std::string family = tier ? str(tier->family()) : "";
  bool multiplies =
      step.macs_per_token() || step.macs_per_pair() || step.macs_per_sequence();
  return multiplies ? family : family.substr(family.rfind(' ') + 1);
}

/// That of the tier's code.
static std::string tileOf(const fb::Kernel &kernel,
                          const fb::KernelTier *tier) {
  std::string own = tier ? str(tier->tile()) : "";
  return own.empty() ? str(kernel.tile()) : own;
}

/// The share of the dot products' peak that a kernel is predicted to reach on
/// so many rows, or 0: the compiler counts for dot products of 512 bits only.
static double predict(const fb::Kernel &kernel, const fb::KernelTier *tier,
                      uint64_t rows) {
  bool counts = tier && str(tier->tile()).empty() &&
                str(tier->family()) == "vpdpbusd zmm";
  if (!counts || !kernel.tile_rows() || !rows)
    return 0;
  uint64_t tile = kernel.tile_rows();
  uint64_t computed = (rows + tile - 1) / tile * tile;
  return 1e-3 * kernel.predicted() * double(rows) / double(computed);
}

Expected<json> explain(const fb::Manifest &manifest, const std::string &name,
                       ExplainOptions options) {
  uint32_t most = manifest.model()->max_length();
  if (options.length > most)
    return Error::make(name, ": --length: found ", options.length,
                       ", expected at most ", most, ", the model's limit");
  if (options.length == 0)
    options.length = manifest.model()->image() ? most : std::min(128u, most);
  Expected<ChosenTier> tier = chooseTier(manifest, name, options.tier);
  if (!tier)
    return tier.takeError();
  Expected<std::map<std::string, json>> measured = readMeasured(options);
  if (!measured)
    return measured.takeError();
  uint64_t sequences = options.batch, tokens = sequences * options.length;
  uint64_t pairs = tokens * options.length, total = 0;
  json steps = json::array();
  for (const fb::Step *step : *manifest.steps()) {
    const fb::Kernel &kernel = *manifest.kernels()->Get(step->kernel());
    const fb::KernelTier *form = nullptr;
    if (kernel.tiers())
      for (const fb::KernelTier *each : *kernel.tiers())
        if (each->tier() == tier->id)
          form = each;
    uint64_t macs = step->macs_per_token() * tokens +
                    step->macs_per_pair() * pairs +
                    step->macs_per_sequence() * sequences;
    total += macs;
    json entry = {{"name", str(step->name())},
                  {"op", str(step->op())},
                  {"layer", step->layer()},
                  {"kernel", str(kernel.name())},
                  {"family", familyOf(*step, form)},
                  {"tile", tileOf(kernel, form)},
                  {"layout", str(kernel.layout())},
                  {"rows", rowsOf(*step)},
                  {"macs", macs},
                  {"reasons", reasonsOf(kernel, form)}};
    uint64_t rows = step->macs_per_pair()    ? options.length
                    : step->macs_per_token() ? tokens
                                             : sequences;
    if (double share = predict(kernel, form, rows))
      entry["predicted_share_of_peak"] = share;
    if (step->gemm_n())
      entry["gemm"] = {{"n", step->gemm_n()}, {"k", step->gemm_k()}};
    auto found = measured->find(str(step->op()) + " " + str(kernel.name()));
    if (found != measured->end())
      for (const char *key : {"share_of_peak", "gops"})
        if (found->second.contains(key))
          entry["measured"][key] = found->second[key];
    steps.push_back(std::move(entry));
  }
  for (json &step : steps)
    step["share"] =
        total ? step["macs"].get<double>() / static_cast<double>(total) : 0.0;
  return json{{"module", name},
              {"tier", quern_tier_name(tier->id)},
              {"tier_reasons", tier->reasons},
              {"batch", options.batch},
              {"length", options.length},
              {"macs", total},
              {"steps", steps}};
}

namespace {
/// Steps of one kernel.
struct KernelSteps {
  const json *first = nullptr;
  double share = 0;
  std::string names;
  int count = 0;
};
} // namespace

static std::string text(const json &value) { return value.get<std::string>(); }

static void printKernel(const KernelSteps &kernel) {
  const json &step = *kernel.first;
  std::printf("%5.1f %%  %-10s %s\n", 100 * kernel.share,
              text(step["op"]).c_str(), text(step["kernel"]).c_str());
  std::printf("         %s: %s\n", kernel.count == 1 ? "step" : "steps",
              kernel.names.c_str());
  std::string how = text(step["family"]);
  if (!text(step["tile"]).empty())
    how += ", tile " + text(step["tile"]);
  if (!text(step["layout"]).empty())
    how += ", " + text(step["layout"]);
  std::printf("         %s\n", how.c_str());
  if (step.contains("predicted_share_of_peak"))
    std::printf("         predicted: at most %.1f %% of peak\n",
                100 * step["predicted_share_of_peak"].get<double>());
  if (step.contains("measured")) {
    const json &found = step["measured"];
    std::printf("         measured: %.1f %% of peak, %.1f GOP/s\n",
                100 * found.value("share_of_peak", 0.0),
                found.value("gops", 0.0));
  }
  for (const json &reason : step["reasons"])
    std::printf("         - %s\n", text(reason).c_str());
}

void printExplanation(const json &all) {
  std::printf("%s on tier %s, a batch of %s with %s tokens each: %.3f "
              "G multiply-adds\n",
              text(all["module"]).c_str(), text(all["tier"]).c_str(),
              all["batch"].dump().c_str(), all["length"].dump().c_str(),
              all["macs"].get<double>() * 1e-9);
  for (const json &reason : all["tier_reasons"])
    std::printf("  %s\n", text(reason).c_str());
  std::printf("\nkernels by their part of the operations\n");
  std::vector<KernelSteps> kernels;
  std::map<std::string, size_t> index;
  constexpr int shown = 4;
  for (const json &step : all["steps"]) {
    std::string key = text(step["op"]) + " " + text(step["kernel"]);
    auto [at, added] = index.try_emplace(key, kernels.size());
    if (added) {
      kernels.emplace_back();
      kernels.back().first = &step;
    }
    KernelSteps &kernel = kernels[at->second];
    kernel.share += step["share"].get<double>();
    if (++kernel.count <= shown)
      kernel.names += (kernel.count > 1 ? ", " : "") + text(step["name"]);
  }
  for (KernelSteps &kernel : kernels)
    if (kernel.count > shown)
      kernel.names += " and " + std::to_string(kernel.count - shown) + " more";
  // Equal shares keep the order of their first steps, which lie in one array.
  std::sort(kernels.begin(), kernels.end(),
            [](const KernelSteps &a, const KernelSteps &b) {
              return a.share != b.share ? a.share > b.share : a.first < b.first;
            });
  for (const KernelSteps &kernel : kernels)
    printKernel(kernel);
}

} // namespace quern::cli
