//===- BiasCorrection.cpp - Biases that keep the means of outputs ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/BiasCorrection.h"

#include "compiler/InputCodes.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/ChosenCodes.h"
#include "lib/Quantize/Reparameterize.h"
#include "lib/Quantize/RoundedCodes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Quantize/Sites.h"
#include "lib/Support/Parallel.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

#include <cmath>

using namespace mlir;

namespace quern {

namespace {

/// What a linear layer reads: means of the values of a site and of the values
/// that their codes stand for, by channel (InputCodes.h). A token counts by the
/// inverse of its sum of squares: the LayerNorm behind divides by about as
/// much, and the few tokens with outliers must not move all others.
class InputMeans {
public:
  InputMeans() = default;
  explicit InputMeans(std::optional<SiteQuantizer> quantizer)
      : quantizer(std::move(quantizer)) {}

  void add(const float *row, size_t columns) {
    if (reals.empty()) {
      codes = InputCodes(quantizer, columns);
      reals.assign(columns, 0);
      codeds.assign(columns, 0);
    }
    double energy = 1e-30;
    for (size_t j = 0; j < columns; ++j)
      energy += double(row[j]) * row[j];
    double weight = 1 / energy;
    weights += weight;
    codes.enter(row);
    for (size_t j = 0; j < columns; ++j) {
      double x = codes.real(row[j], j);
      reals[j] += weight * x;
      codeds[j] += weight * codes.coded(x, j);
    }
  }

  size_t columns() const { return reals.size(); }
  double realMean(size_t j) const { return reals[j] / weights; }
  double codedMean(size_t j) const { return codeds[j] / weights; }

private:
  std::optional<SiteQuantizer> quantizer;
  InputCodes codes;
  double weights = 0;
  std::vector<double> reals, codeds;
};

class Correction {
public:
  Correction(ModuleOp module, SchemeAttr scheme)
      : module(module), scheme(std::move(scheme)) {}

  void findLayers();
  /// Adds what the sites hold in the last run of the float model.
  Error addRows(const HostProgram &program, unsigned threads);
  Error attach();

private:
  Expected<std::optional<WeightCodes>>
  codesOf(tq::LinearOp linear, const std::vector<float> &weights,
          size_t rows) const;
  Expected<std::vector<float>> changeOf(tq::LinearOp linear, StringRef input,
                                        StringRef output);

  ModuleOp module;
  SchemeAttr scheme;
  llvm::MapVector<StringRef, InputMeans> means;
};

} // namespace

void Correction::findLayers() {
  module.walk([&](tq::LinearOp linear) {
    auto input = linear.getX().getDefiningOp<tq::ObserveOp>();
    StringRef output = siteBehind(linear.getResult());
    if (!input || output.empty())
      return;
    StringRef site = input.getSite();
    if (scheme.site(site) || scheme.weight(weightRole(linear)))
      means.try_emplace(site, scheme.site(site));
  });
}

Error Correction::addRows(const HostProgram &program, unsigned threads) {
  std::vector<std::pair<InputMeans *, quern_view>> sites;
  for (auto &[site, mean] : means) {
    Expected<quern_view> view = floatSite(program, site.str());
    if (!view)
      return view.takeError();
    sites.emplace_back(&mean, *view);
  }
  forEachParallel(sites.size(), threads, [&](size_t i) {
    auto [mean, view] = sites[i];
    for (uint64_t row = 0; row < view.rows; ++row)
      mean->add(rowOf(view, row), view.columns);
  });
  return Error::success();
}

/// The weights' codes, where their error is to be corrected: not where one
/// scale serves all rows. That one clips the rows that make outliers, an error
/// of few tokens that is no business of the others.
Expected<std::optional<WeightCodes>>
Correction::codesOf(tq::LinearOp linear, const std::vector<float> &weights,
                    size_t rows) const {
  std::optional<WeightQuantizer> quantizer = scheme.weight(weightRole(linear));
  if (!quantizer || !quantizer->perRow)
    return std::optional<WeightCodes>();
  if (std::optional<WeightCodes> rounded = readCodes(linear))
    return rounded;
  FailureOr<WeightCodes> chosen =
      chooseCodes(linear.getW(), weights, rows, *quantizer, scheme);
  if (failed(chosen))
    return Error("the codes of a weight cannot be chosen");
  // Blocks of columns have one scale for all rows.
  if (!chosen->blocks.empty())
    return std::optional<WeightCodes>();
  return std::optional<WeightCodes>(std::move(*chosen));
}

/// W m - Q(W) m', with m the mean of what the layer reads and m' that of what
/// the codes stand for.
Expected<std::vector<float>>
Correction::changeOf(tq::LinearOp linear, StringRef input, StringRef output) {
  auto data = tq::getConstantData<float>(linear.getW());
  const InputMeans &mean = means.find(input)->second;
  size_t cols = mean.columns();
  if (!data || !cols || data->size() % cols)
    return Error::make(output.str(), ": found no weights for ", cols,
                       " inputs");
  size_t rows = data->size() / cols;
  std::vector<float> weights(data->array().begin(), data->array().end());
  std::optional<SiteQuantizer> site = scheme.site(input);
  if (site && !site->channelScale.empty())
    scaleColumns(weights, site->channelScale);
  Expected<std::optional<WeightCodes>> chosen = codesOf(linear, weights, rows);
  if (!chosen)
    return chosen.takeError();
  const std::optional<WeightCodes> &codes = *chosen;
  std::vector<float> change(rows);
  for (size_t n = 0; n < rows; ++n) {
    double sum = 0;
    for (size_t k = 0; k < cols; ++k) {
      size_t i = n * cols + k;
      double coded = weights[i];
      if (codes)
        coded = double(codes->codes[i] - codes->zeroOf(n)) *
                codes->scales[codes->scales.size() > 1 ? n : 0];
      sum += weights[i] * mean.realMean(k) - coded * mean.codedMean(k);
    }
    change[n] = static_cast<float>(sum);
  }
  return change;
}

Error Correction::attach() {
  Builder builder(module.getContext());
  NamedAttrList biases;
  Error error = Error::success();
  module.walk([&](tq::LinearOp linear) {
    auto input = linear.getX().getDefiningOp<tq::ObserveOp>();
    StringRef output = siteBehind(linear.getResult());
    if (!input || output.empty() || !means.contains(input.getSite()))
      return WalkResult::advance();
    Expected<std::vector<float>> change =
        changeOf(linear, input.getSite(), output);
    if (!change) {
      error = change.takeError();
      return WalkResult::interrupt();
    }
    // A share of an output's error, for which eight bits are plenty: the
    // module keeps all of them.
    SmallVector<APFloat> rounded;
    for (float value : *change) {
      bool loses = false;
      rounded.emplace_back(value);
      rounded.back().convert(APFloat::BFloat(), APFloat::rmNearestTiesToEven,
                             &loses);
      if (!rounded.back().isFinite()) {
        error = Error::make("bias correction: site ", output.str(),
                            ": found a change of ", std::to_string(value),
                            ", expected a finite one: the layer's weights or "
                            "inputs are too large");
        return WalkResult::interrupt();
      }
    }
    auto type =
        RankedTensorType::get({int64_t(rounded.size())}, builder.getBF16Type());
    biases.set(output, DenseElementsAttr::get(type, rounded));
    return WalkResult::advance();
  });
  if (error)
    return error;
  NamedAttrList entries(
      module->getAttrOfType<DictionaryAttr>(SchemeAttr::name));
  entries.set("biases", biases.getDictionary(module.getContext()));
  module->setAttr(SchemeAttr::name, entries.getDictionary(module.getContext()));
  return Error::success();
}

Error correctBiases(ArrayRef<ModuleOp> modules, FloatModel &model,
                    const std::vector<CalibrationText> &texts,
                    const std::function<void(double)> &progress) {
  std::vector<Correction> corrections;
  for (ModuleOp module : modules) {
    std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
    if (!scheme)
      return Error("the scheme cannot be read");
    corrections.emplace_back(module, std::move(*scheme));
    corrections.back().findLayers();
  }
  auto add = [&](const HostProgram &program,
                 const quern_output &) -> Expected<bool> {
    for (Correction &correction : corrections)
      if (Error error = correction.addRows(program, model.getThreads()))
        return error;
    return true;
  };
  if (Error error = model.run(texts, add, progress))
    return error;
  for (Correction &correction : corrections)
    if (Error error = correction.attach())
      return error;
  return Error::success();
}

Error correctBiases(ModuleOp module, FloatModel &model,
                    const std::vector<CalibrationText> &texts,
                    const std::function<void(double)> &progress) {
  return correctBiases(ArrayRef<ModuleOp>(module), model, texts, progress);
}

} // namespace quern
