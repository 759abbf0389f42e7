//===- GroupForms.cpp - Groups kept or folded, by cost and error ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/GroupForms.h"

#include "compiler/Auto/Cost.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Reparameterize.h"
#include "lib/Quantize/Sites.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;

namespace quern {

namespace {

/// Sums over tokens, by channel.
struct MomentSums {
  std::vector<double> first, second;
  double tokens = 0;

  void add(const float *row, size_t columns) {
    first.resize(columns);
    second.resize(columns);
    for (size_t j = 0; j < columns; ++j) {
      first[j] += row[j];
      second[j] += double(row[j]) * row[j];
    }
    ++tokens;
  }

  ChannelMoments moments() const {
    ChannelMoments result;
    for (size_t j = 0; j < first.size(); ++j) {
      double mean = first[j] / tokens;
      result.mean.push_back(mean);
      result.variance.push_back(
          std::max(second[j] / tokens - mean * mean, 0.0));
    }
    return result;
  }
};

/// Variances settle within some texts.
constexpr uint64_t enoughTokens = 4096;

} // namespace

double FormNoise::addedDecibels() const {
  return 10 * std::log10(std::max(folded, 1e-300) / std::max(direct, 1e-300));
}

double worthOfGroups(size_t groups) {
  // 8 bits more take 20 log10(2^8) dB of noise away.
  double perProduct = 20 * std::log10(256.0) / (wideFactor - 1);
  return groupFactor * double(groups) * perProduct;
}

/// Sum of the squared errors of quantized weights, each by the energy of what
/// it is multiplied with.
static double weightNoise(const std::vector<float> &weights, size_t rows,
                          const WeightQuantizer &quantizer,
                          const std::vector<double> &energy) {
  size_t cols = energy.size();
  WeightCodes codes = quantizeWeight(weights.data(), rows, cols, quantizer);
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    double scale = codes.scales[codes.scales.size() > 1 ? i / cols : 0];
    double error = weights[i] - scale * codes.codes[i];
    sum += error * error * energy[i % cols];
  }
  return sum;
}

FormNoise formNoise(const std::vector<float> &weights, size_t rows,
                    const SiteQuantizer &groups,
                    const WeightQuantizer &quantizer,
                    const ChannelMoments &moments, bool keepsMeans) {
  size_t cols = groups.groupOf.size();
  FoldedGroups folded =
      foldGroups(groups.groupOf, groups.groupScales, groups.groupZeros);
  std::vector<double> direct(cols), scaled(cols), steps(cols);
  for (size_t k = 0; k < cols; ++k) {
    double scale = folded.channelScale[k];
    double mean = keepsMeans ? 0 : moments.mean[k];
    double middle =
        keepsMeans ? 0 : (moments.mean[k] - folded.channelShift[k]) / scale;
    direct[k] = moments.variance[k] + mean * mean;
    scaled[k] = moments.variance[k] / (scale * scale) + middle * middle;
    double step = groups.groupScales[groups.groupOf[k]];
    steps[k] = step * step / 12;
  }
  double codes = 0;
  for (size_t i = 0; i < weights.size(); ++i)
    codes += double(weights[i]) * weights[i] * steps[i % cols];
  FormNoise noise;
  noise.direct = codes + weightNoise(weights, rows, quantizer, direct);
  std::vector<float> taken = weights;
  scaleColumns(taken, folded.channelScale);
  noise.folded = codes + weightNoise(taken, rows, quantizer, scaled);
  return noise;
}

bool hasUndecidedForms(ModuleOp module) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  bool found = false;
  module.walk([&](tq::ObserveOp observe) {
    std::optional<SiteQuantizer> site;
    if (scheme && scheme->contains(observe.getSite()))
      site = scheme->site(observe.getSite());
    found |= site && site->isUndecided;
  });
  return found;
}

/// The mean squared error of the codes of a site; 0 where it has none.
static double roundingNoise(const SchemeAttr &scheme, StringRef name) {
  std::optional<SiteQuantizer> site;
  if (!name.empty() && scheme.contains(name))
    site = scheme.site(name);
  if (!site)
    return 0;
  if (site->groupOf.empty())
    return site->scale * site->scale / 12;
  double sum = 0;
  for (int64_t g : site->groupOf)
    sum += double(site->groupScales[g]) * site->groupScales[g] / 12;
  return sum / double(site->groupOf.size());
}

/// The noise of all products that read a site, and of the codes that they end
/// in, which drown some of it.
static Expected<FormNoise> noiseOf(tq::ObserveOp observe,
                                   const SchemeAttr &scheme,
                                   const ChannelMoments &moments,
                                   bool correctsBias) {
  SiteQuantizer site = *scheme.site(observe.getSite());
  FormNoise noise;
  for (Operation *user : observe->getUsers()) {
    auto linear = dyn_cast<tq::LinearOp>(user);
    if (!linear)
      continue;
    auto data = tq::getConstantData<float>(linear.getW());
    std::optional<WeightQuantizer> quantizer =
        scheme.weight(weightRole(linear));
    size_t cols = site.groupOf.size();
    if (!data || !quantizer || moments.mean.size() != cols ||
        data->size() % cols)
      return Error::make(observe.getSite().str(),
                         ": found no quantized weights for ", cols, " inputs");
    std::vector<float> weights(data->array().begin(), data->array().end());
    FormNoise one = formNoise(weights, weights.size() / cols, site, *quantizer,
                              moments, correctsBias);
    double rounding = double(weights.size() / cols) *
                      roundingNoise(scheme, siteBehind(linear.getResult()));
    noise.direct += one.direct + rounding;
    noise.folded += one.folded + rounding;
  }
  return noise;
}

/// The start of a line about a site.
static std::string formLine(tq::ObserveOp observe, const SiteQuantizer &site,
                            bool folds) {
  return llvm::formatv("{0} of layer {1}: {2} groups {3}: ", observe.getKey(),
                       observe.getLayer(), site.groupScales.size(),
                       folds ? "folded into LayerNorm and weights" : "kept")
      .str();
}

static void say(tq::ObserveOp observe, const std::string &line, bool folds) {
  auto options = remark::RemarkOpts::name("GroupForm").category("quantize");
  if (folds)
    remark::passed(observe.getLoc(), options) << remark::add("{0}", line);
  else
    remark::missed(observe.getLoc(), options) << remark::add("{0}", line);
}

/// Compares the two and says what was found; true to fold.
static bool decide(tq::ObserveOp observe, const SiteQuantizer &site,
                   const FormNoise &noise, std::string &line) {
  size_t groups = site.groupScales.size();
  double added = noise.addedDecibels(), worth = worthOfGroups(groups);
  bool folds = added <= worth;
  line = formLine(observe, site, folds) +
         llvm::formatv("folding adds {0:f2} dB to the noise of its products, "
                       "without it they cost {1:f1} % more, which is worth "
                       "{2:f2} dB",
                       added, 100 * groupFactor * double(groups), worth)
             .str();
  say(observe, line, folds);
  return folds;
}

/// Puts the decisions into tq.scheme: a form, or none for direct groups.
static void writeForms(ModuleOp module, const llvm::StringMap<bool> &folds) {
  Builder builder(module.getContext());
  NamedAttrList scheme(module->getAttrOfType<DictionaryAttr>(SchemeAttr::name));
  NamedAttrList sites(cast<DictionaryAttr>(scheme.get("sites")));
  for (const auto &[name, isFolded] : folds) {
    NamedAttrList entry(cast<DictionaryAttr>(sites.get(name)));
    if (isFolded)
      entry.set("form", builder.getStringAttr("folded"));
    else
      entry.erase("form");
    sites.set(name, entry.getDictionary(module.getContext()));
  }
  scheme.set("sites", sites.getDictionary(module.getContext()));
  module->setAttr(SchemeAttr::name, scheme.getDictionary(module.getContext()));
}

Expected<std::vector<std::string>>
chooseForms(ModuleOp module, bool correctsBias, FloatModel &model,
            const std::vector<CalibrationText> &texts,
            const std::function<void(double)> &progress) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  if (!scheme)
    return Error("the scheme cannot be read");
  llvm::MapVector<tq::ObserveOp, MomentSums> undecided;
  module.walk([&](tq::ObserveOp observe) {
    std::optional<SiteQuantizer> site = scheme->site(observe.getSite());
    if (site && site->isUndecided)
      undecided[observe];
  });
  std::vector<std::string> lines;
  llvm::StringMap<bool> folds;
  if (scheme->givesScales()) {
    for (auto &[observe, sums] : undecided) {
      lines.push_back(
          formLine(observe, *scheme->site(observe.getSite()), false) +
          "the scales of its weights were learned, and folded "
          "weights need others");
      say(observe, lines.back(), false);
      folds[observe.getSite()] = false;
    }
    writeForms(module, folds);
    return std::move(lines);
  }
  uint64_t tokens = 0;
  auto listen = [&](const HostProgram &program,
                    const quern_output &output) -> Expected<bool> {
    for (auto &[observe, sums] : undecided) {
      Expected<quern_view> view = floatSite(program, observe.getSite().str());
      if (!view)
        return view.takeError();
      for (uint64_t row = 0; row < view->rows; ++row)
        sums.add(rowOf(*view, row), view->columns);
    }
    tokens += output.tokens;
    return tokens < enoughTokens;
  };
  if (Error error = model.run(texts, listen, progress))
    return std::move(error);
  for (auto &[observe, sums] : undecided) {
    Expected<FormNoise> noise =
        noiseOf(observe, *scheme, sums.moments(), correctsBias);
    if (!noise)
      return noise.takeError();
    lines.emplace_back();
    folds[observe.getSite()] =
        decide(observe, *scheme->site(observe.getSite()), *noise, lines.back());
  }
  writeForms(module, folds);
  return std::move(lines);
}

} // namespace quern
