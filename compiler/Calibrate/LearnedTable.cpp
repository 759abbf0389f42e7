//===- LearnedTable.cpp - Learned quantizers as ranges --------------------===//
//
// quantization.md 3.1: s = max(delta, 1e-8), z = clamp(round(z_float)); 3.2 for
// learned steps, whose signed codes become unsigned ones.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/LearnedTable.h"
#include "lib/Quantize/GroupMap.h"
#include "quern/quant_math.h"

#include <algorithm>
#include <array>

using namespace quern;

namespace {

/// The smallest scale of the published code.
constexpr float leastScale = 1e-8f;

/// The nearest code, ties to even.
int64_t roundedZero(float zero, int64_t top) {
  return qm_rne(std::clamp(zero, 0.0f, static_cast<float>(top)));
}

/// Whether a site may have codes with a real offset: not where kernels have
/// integer zero points.
bool takesOffset(const std::string &key) {
  constexpr std::array<std::string_view, 8> keys = {"emb", "c", "g", "x",
                                                    "f",   "h", "z", "P"};
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Whether a site may have a step for each head: what attention has by heads,
/// one at a time, but for the scores, whose exponentials all heads share.
bool takesHeads(const std::string &key) {
  constexpr std::array<std::string_view, 5> keys = {"q", "k", "v", "p", "c"};
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Whether a site may have a step for each block of its channels, which are
/// groups: what products and sums outside of attention make.
bool takesBlocks(const std::string &key) {
  constexpr std::array<std::string_view, 8> keys = {"emb", "g", "u", "x",
                                                    "f",   "h", "y", "z"};
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// The bits of a quantizer's codes: of heads, those of the widest.
unsigned bitsOf(const LearnedQuantizer &quantizer) {
  return *std::max_element(quantizer.bits.begin(), quantizer.bits.end());
}

/// The role that a weight has by its name.
WeightRole roleOf(const std::string &name) {
  auto has = [&](const char *part) {
    return name.find(part) != std::string::npos;
  };
  if (has("word_embeddings"))
    return WeightRole::WordTable;
  if (has("_embeddings"))
    return WeightRole::Table;
  if (has("LayerNorm"))
    return WeightRole::Norm;
  if (has("pooler"))
    return WeightRole::Pooler;
  return has("classifier") || has("qa_outputs") ? WeightRole::Classifier
                                                : WeightRole::Linear;
}

class Table {
public:
  Table(const LearnedQuantizers &learned, const Recipe &recipe)
      : learned(learned), recipe(recipe) {
    table.origin = learned.path;
  }

  Error addSite(const Site &site) {
    ActivationScheme scheme = recipe.activationFor(site);
    auto found = learned.sites.find(site.name);
    if (found == learned.sites.end()) {
      if (!scheme.needsRange())
        return Error::success();
      return Error::make(learned.path, ": site ", site.name,
                         ": found no quantizer, the recipe expects ",
                         scheme.bits, " bits; --set ", site.name,
                         "=fp32 leaves the site in f32");
    }
    const LearnedQuantizer &quantizer = found->second;
    auto refuse = [&](const std::string &what, const std::string &expected) {
      return Error::make(
          learned.path, ": tensor ", printable(quantizer.name, 120), ": found ",
          what, " at site ", site.name, ", the recipe expects ", expected);
    };
    if (scheme.isFloat())
      return refuse("a quantizer", "none");
    bool hasSteps = !quantizer.bits.empty();
    bool isByHeads = quantizer.bits.size() > 1;
    if (hasSteps && bitsOf(quantizer) != scheme.bits)
      return refuse(std::to_string(bitsOf(quantizer)) + " bits",
                    std::to_string(scheme.bits));
    if (isByHeads && !takesHeads(site.key) && !takesBlocks(site.key))
      return refuse(std::to_string(quantizer.bits.size()) + " steps of heads",
                    "one: those are for q, k, v, p and c, and, as blocks of "
                    "channels, for emb, g, u, x, f, h, y and z");
    if (isByHeads && (scheme.isLog() || scheme.groups > 1))
      return refuse("steps of heads", "codes of another form");
    if (isByHeads && site.key == "p" && quantizer.isSigned)
      return refuse("signed codes of heads", "unsigned ones");
    if (scheme.perToken)
      return refuse("a learned range", "ranges of tokens, found at run time");
    // Learned steps are what they are, centred or not.
    if (!hasSteps && quantizer.zero.empty() != scheme.symmetric)
      return refuse(scheme.symmetric ? "zero points" : "a symmetric quantizer",
                    scheme.symmetric ? "\"symmetric\": true"
                                     : "\"symmetric\": false");
    if (scheme.perChannel)
      return refuse("learned ranges", "ranges of channels that move into "
                                      "weights, which only calibration gives");

    SiteRange range;
    range.scheme = scheme;
    int64_t top = (int64_t(1) << scheme.bits) - 1;
    std::vector<float> scales;
    std::vector<int64_t> zeros;
    for (size_t i = 0; i < quantizer.delta.size(); ++i) {
      scales.push_back(std::max(quantizer.delta[i], leastScale));
      zeros.push_back(!quantizer.zero.empty()
                          ? roundedZero(quantizer.zero[i], top)
                      : quantizer.isSigned ? (top + 1) / 2
                                           : 0);
    }
    if (isByHeads) {
      range.headBits = quantizer.bits;
    } else if (scales.size() > 1) {
      RecoveredGroups groups = recoverGroups(scales, zeros);
      size_t wanted = scheme.groups == ActivationScheme::everyChannel
                          ? groups.scales.size()
                          : std::max(scheme.groups, 1u);
      if (wanted != groups.scales.size())
        return refuse(std::to_string(groups.scales.size()) + " groups of " +
                          std::to_string(scales.size()) + " channels",
                      scheme.groups > 1 ? std::to_string(wanted) + " groups"
                                        : "one scale");
      range.groupOf = std::move(groups.groupOf);
      scales = std::move(groups.scales);
      zeros = std::move(groups.zeros);
    } else if (scheme.groups > 1) {
      return refuse("one scale", "groups of channels");
    }
    for (size_t g = 0; g < scales.size(); ++g) {
      UniformParams params;
      params.scale = scales[g];
      params.zero = static_cast<int32_t>(zeros[g]);
      params.qmax = static_cast<int32_t>(top);
      range.learned.push_back(params);
    }
    if (quantizer.offset) {
      if (scheme.isLog() || !takesOffset(site.key))
        return refuse("a real offset",
                      "none: it is for emb, c, g, x, f, h, z and P, whose "
                      "readers fold it into their biases");
      // x = delta (q + middle) + offset, of unsigned codes from 0.
      UniformParams &params = range.learned.front();
      range.offset =
          double(*quantizer.offset) - double(params.scale) * params.zero;
      params.zero = 0;
    }
    table.sites[site.name] = std::move(range);
    return Error::success();
  }

  Error addWeight(const std::string &name, const LearnedQuantizer &quantizer) {
    WeightScheme scheme = recipe.weightFor(roleOf(name));
    auto refuse = [&](const std::string &what, const std::string &expected) {
      return Error::make(learned.path, ": tensor ",
                         printable(quantizer.name, 120), ": found ", what, ", ",
                         expected);
    };
    if (scheme.isFloat())
      return refuse("a quantizer", "the recipe leaves this weight in f32");
    size_t count = quantizer.delta.size();
    bool isByHeads = quantizer.bits.size() > 1;
    if (scheme.learnedBits && quantizer.bits.empty())
      return refuse("no bits of its own",
                    "the recipe expects those of learned steps");
    for (unsigned bits : quantizer.bits)
      if (!scheme.learnedBits && bits != scheme.bits)
        return refuse(std::to_string(bits) + " bits",
                      "the recipe expects " + std::to_string(scheme.bits));
    if (scheme.adaptive)
      return refuse("a learned scale", "the recipe expects rounding adaround");
    if (!quantizer.isSigned && roleOf(name) != WeightRole::Norm)
      return refuse("unsigned codes", "expected signed ones");
    if (isByHeads && roleOf(name) != WeightRole::Linear)
      return refuse(std::to_string(count) + " scales of heads",
                    "expected one scale: those are for linear layers");
    // The scales of heads are what they are, whatever the recipe's are.
    if (!isByHeads && (scheme.perChannel ? count == 1 : count != 1))
      return refuse(std::to_string(count) + " scales",
                    "the recipe expects granularity " +
                        std::string(scheme.perChannel ? "channel" : "tensor"));
    WeightScales scales;
    scales.isSigned = quantizer.isSigned;
    scales.bits.assign(quantizer.bits.begin(), quantizer.bits.end());
    scales.ofColumns = quantizer.ofColumns;
    for (float delta : quantizer.delta)
      scales.scales.push_back(std::max(delta, leastScale));
    table.weights[name] = std::move(scales);
    return Error::success();
  }

  RangeTable table;

private:
  const LearnedQuantizers &learned;
  const Recipe &recipe;
};

} // namespace

Error quern::adoptBits(const LearnedQuantizers &learned,
                       const std::vector<Site> &sites, Recipe &recipe) {
  for (const Site &site : sites) {
    if (!recipe.activationFor(site).learnedBits)
      continue;
    auto found = learned.sites.find(site.name);
    bool isThere = found != learned.sites.end();
    if (!isThere || found->second.bits.empty())
      return Error::make(
          learned.path, ": site ", site.name, ": found ",
          isThere ? "no bits beside its quantizer" : "no quantizer",
          ", the recipe expects learned bits; --set ", site.name,
          isThere ? "=8 gives it 8" : "=fp32 leaves the site in f32");
    if (Error error =
            recipe.set(site.name + "=" + std::to_string(bitsOf(found->second))))
      return error;
  }
  return Error::success();
}

Expected<RangeTable> quern::learnedRanges(const LearnedQuantizers &learned,
                                          const std::vector<Site> &sites,
                                          const Recipe &recipe) {
  Table table(learned, recipe);
  for (const Site &site : sites)
    if (Error error = table.addSite(site))
      return error;
  for (const auto &[name, quantizer] : learned.sites) {
    auto isNamed = [wanted = name](const Site &site) {
      return site.name == wanted;
    };
    if (std::none_of(sites.begin(), sites.end(), isNamed))
      return Error::make(
          learned.path, ": tensor ", printable(quantizer.name, 120),
          ": found a quantizer of site ", name, ", which the model lacks");
  }
  for (const auto &[name, quantizer] : learned.weights)
    if (Error error = table.addWeight(name, quantizer))
      return error;
  return std::move(table.table);
}
