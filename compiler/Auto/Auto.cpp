//===- Auto.cpp - Measures recipes and chooses one ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Auto.h"

#include "compiler/Auto/Cost.h"
#include "compiler/BiasCorrection.h"
#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/FloatRun.h"
#include "compiler/GroupForms.h"
#include "compiler/Import/Import.h"
#include "compiler/Import/TokenizerImport.h"
#include "compiler/Levels.h"
#include "lib/Quantize/SchemeAttr.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

using namespace mlir;

namespace quern {

namespace {

/// Sites where 16 bits cost no multiply-adds: nothing multiplies them.
bool isFree(const std::string &key) {
  return key == "e" || key == "g" || key == "u" || key == "h" || key == "y";
}

/// LayerNorm outputs, which may have a range per channel.
bool isNormOutput(const std::string &key) {
  return key == "emb" || key == "x" || key == "z";
}

/// What a candidate compiles, once its scheme is attached.
struct Prepared {
  OwningOpRef<ModuleOp> module;
  bool correctsBias = false;
};

class Search {
public:
  explicit Search(const AutoRequest &request) : request(request) {}

  Expected<AutoResult> run();

private:
  Error import();
  Error observe();
  void rankSites();
  std::string recipeText(bool channels,
                         const std::vector<std::string> &wide) const;
  Error addCandidate(const std::string &name, const std::string &text);
  Error addCandidates();
  Error prepare(Prepared &prepared, const Recipe &recipe);
  Error correctCandidates();
  Error tryCandidates();
  Error addFloat();
  Expected<double> compileAndRun(AutoCandidate &candidate,
                                 const std::string &scheme);
  void progress(const std::string &stage, double fraction) {
    if (request.progress)
      request.progress(stage, fraction);
  }

  const AutoRequest &request;
  LevelContext context;
  ImportedModel model;
  std::string tokenizer;
  std::optional<FloatModel> floatModel;
  std::vector<Site> sites;
  std::optional<Calibrator> calibrator;
  Outputs real;
  AutoResult result;
  /// One for each candidate.
  std::vector<Prepared> prepared;
};

} // namespace

Error Search::import() {
  progress("import", 0.01);
  Expected<ImportedModel> imported =
      importTextModel(*context, request.modelFolder);
  if (!imported)
    return context.firstError().empty()
               ? imported.takeError()
               : context.failed(request.modelFolder, imported.message());
  model = std::move(*imported);
  Expected<ImportedTokenizer> found =
      importTokenizer(request.modelFolder, model.info.vocab);
  if (!found)
    return found.takeError();
  tokenizer.assign(reinterpret_cast<const char *>(found->blob.data()),
                   found->blob.size());
  floatModel.emplace(*model.module, tokenizer, request.threads);
  sites = collectSites(*model.module);
  return Error::success();
}

Error Search::observe() {
  std::vector<ObservedSite> all;
  for (const Site &site : sites)
    all.push_back({site.name, ActivationScheme()});
  calibrator.emplace(all);
  if (Error error = observeModel(
          *floatModel, *calibrator, request.texts,
          [&](double part) { progress("measure sites", 0.02 + 0.2 * part); },
          [&](const quern_output &output) { real.add(output); }))
    return context.firstError().empty()
               ? std::move(error)
               : context.failed(request.modelFolder, error.message());
  // Finds what is not finite, too.
  return calibrator->finish().takeError();
}

/// Sum of squares of a histogram.
static double energyOf(const std::vector<Bucket> &buckets) {
  double sum = 0;
  for (const Bucket &bucket : buckets)
    sum += double(bucket.count) *
           (bucket.lo * bucket.lo + bucket.lo * bucket.hi +
            bucket.hi * bucket.hi) /
           3;
  return sum;
}

/// Noise with a range for each channel. The ranges hold all values, so that a
/// twelfth of a squared step is all there is.
static double channelNoise(const std::vector<Range> &channels,
                           uint64_t values) {
  double sum = 0;
  for (const Range &channel : channels) {
    double step = 1.1 * (channel.hi - channel.lo) / 255;
    sum += step * step / 12;
  }
  return sum * double(values) / double(channels.size());
}

void Search::rankSites() {
  for (const Site &site : sites) {
    const Histogram &histogram = *calibrator->histogramOf(site.name);
    std::vector<Bucket> buckets = histogram.buckets();
    double signal = std::max(energyOf(buckets), 1e-300);
    auto decibels = [&](double noise) {
      return 10 * std::log10(signal / std::max(noise, 1e-300));
    };
    SiteSensitivity entry;
    entry.name = site.name;
    entry.key = site.key;
    entry.tensor8 = decibels(quantizationLoss(
        buckets,
        asymmetricParams(mseGridRange(histogram, 8, GridKind::Asymmetric), 8)));
    entry.wide16 = decibels(quantizationLoss(
        buckets, asymmetricParams({histogram.min(), histogram.max()}, 16)));
    std::vector<Range> channels = calibrator->channelRanges(site.name);
    if (isNormOutput(site.key) && !channels.empty())
      entry.channel8 = decibels(channelNoise(channels, histogram.count()));
    result.sites.push_back(std::move(entry));
  }
  std::sort(result.sites.begin(), result.sites.end(),
            [](const SiteSensitivity &a, const SiteSensitivity &b) {
              return std::tie(a.tensor8, a.name) < std::tie(b.tensor8, b.name);
            });
}

/// A recipe of 8 bits with `wide` sites in 16.
std::string Search::recipeText(bool channels,
                               const std::vector<std::string> &wide) const {
  std::string text = "{\"name\": \"auto\", \"activation\": {\"bits\": 8, "
                     "\"estimator\": \"mse\"}, \"weight\": {\"bits\": 8, "
                     "\"granularity\": \"";
  text += channels ? "channel" : "tensor";
  text += "\", \"estimator\": \"mse\"}, \"sites\": {";
  if (channels)
    for (const char *key : {"emb", "x", "z"})
      text += std::string("\"") + key + "\": {\"granularity\": \"channel\"}, ";
  for (const std::string &site : wide)
    text += "\"" + site +
            "\": {\"bits\": 16, \"estimator\": \"allminmax\", "
            "\"granularity\": \"tensor\"}, ";
  return text + "\"C\": \"fp32\"}, \"bias_correction\": true}";
}

/// The preset of so many groups, under the name of the others. Folded groups
/// cost its products nothing, but noise of their weights.
static std::string groupedText(unsigned groups, bool isFolded) {
  std::string x = isFolded ? "\"x\": {\"form\": \"folded\"}, " : "";
  return "{\"name\": \"auto\", \"base\": \"peg" + std::to_string(groups) +
         "\", \"sites\": {" + x + "\"C\": \"fp32\"}}";
}

/// Gives a candidate its ranges and forms.
Error Search::prepare(Prepared &prepared, const Recipe &recipe) {
  Expected<RangeTable> ranges =
      calibrator->finish(observedSites(sites, recipe));
  if (!ranges)
    return ranges.takeError();
  prepared.module = model.module->clone();
  prepared.correctsBias = recipe.correctsBias();
  if (Error error = attachScheme(*prepared.module, recipe, *ranges))
    return error;
  if (!hasUndecidedForms(*prepared.module))
    return Error::success();
  auto chosen = chooseForms(*prepared.module, recipe.correctsBias(),
                            *floatModel, request.texts, {});
  return chosen ? Error::success() : chosen.takeError();
}

/// Corrects the biases of all candidates in one run of the float model, which
/// takes longer than those of the candidates together.
Error Search::correctCandidates() {
  std::vector<ModuleOp> modules;
  for (size_t i = 0; i < prepared.size(); ++i)
    if (result.candidates[i].failure.empty() && prepared[i].correctsBias)
      modules.push_back(*prepared[i].module);
  if (modules.empty())
    return Error::success();
  return correctBiases(modules, *floatModel, request.texts, [&](double part) {
    progress("correct biases", 0.3 + 0.2 * part);
  });
}

/// Compiles for this machine, runs all texts; gives the predicted cost. In a
/// context of its own, with which all that lowering makes of the weights goes
/// away.
Expected<double> Search::compileAndRun(AutoCandidate &candidate,
                                       const std::string &scheme) {
  LevelContext own;
  Expected<ImportedModel> copy = importTextModel(*own, request.modelFolder);
  if (!copy)
    return copy.takeError();
  ModuleOp module = *copy->module;
  module->setAttr(SchemeAttr::name, readScheme(*own, scheme));
  if (!lowerTo(Level::Simulation, module) || !lowerTo(Level::Integer, module))
    return Error(own.firstError());
  double cost = predictedCost(module);
  if (!lowerTo(Level::Tiles, module))
    return Error(own.firstError());
  Expected<HostProgram> program =
      HostProgram::compileTiles(module, tokenizer, request.threads);
  if (!program)
    return own.failed(candidate.name, program.message());
  candidate.bytes = program->bytes();

  Outputs ours;
  auto started = std::chrono::steady_clock::now();
  constexpr size_t batch = 16;
  for (size_t from = 0; from < request.texts.size(); from += batch) {
    size_t count = std::min(batch, request.texts.size() - from);
    Expected<quern_output> output = program->run(&request.texts[from], count);
    if (!output)
      return output.takeError();
    ours.add(*output);
  }
  std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - started;
  candidate.millisecondsPerText = time.count() / double(request.texts.size());
  quern_description about;
  quern_module_describe(program->getModule(), &about);
  candidate.drop = measureDrop(real, ours, about.head, about.problem);
  return cost;
}

Error Search::addCandidate(const std::string &name, const std::string &text) {
  Expected<Recipe> recipe = Recipe::parse(text, "auto");
  if (!recipe)
    return recipe.takeError();
  for (const std::string &assignment : request.overrides)
    if (Error error = recipe->set(assignment))
      return error;
  if (Error error = recipe->check(sites))
    return error;
  progress("prepare candidates", 0.22);
  AutoCandidate candidate;
  candidate.name = name;
  candidate.recipe = recipe->toJson();
  Prepared one;
  if (Error error = prepare(one, *recipe))
    candidate.failure = error.message();
  result.candidates.push_back(std::move(candidate));
  prepared.push_back(std::move(one));
  return Error::success();
}

Error Search::tryCandidates() {
  if (Error error = correctCandidates())
    return error;
  for (size_t i = 0; i < prepared.size(); ++i) {
    AutoCandidate &candidate = result.candidates[i];
    if (!candidate.failure.empty())
      continue;
    progress("try " + candidate.name,
             0.5 + 0.4 * double(i) / double(prepared.size()));
    Expected<double> cost =
        compileAndRun(candidate, writeScheme(*prepared[i].module));
    if (cost)
      candidate.cost = *cost;
    else
      candidate.failure = cost.message();
  }
  return Error::success();
}

/// The float model loses nothing.
Error Search::addFloat() {
  AutoCandidate candidate;
  candidate.name = "f32";
  Expected<Recipe> recipe = Recipe::load("fp32");
  if (!recipe)
    return recipe.takeError();
  candidate.recipe = recipe->toJson();
  candidate.cost = predictedCost(*model.module);
  model.module->walk([&](Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>())
      if (auto type = dyn_cast<ShapedType>(op->getResult(0).getType()))
        candidate.bytes += uint64_t(type.getNumElements()) * 4;
  });
  result.candidates.push_back(std::move(candidate));
  return Error::success();
}

Error Search::addCandidates() {
  if (Error error = addCandidate("8 bits per tensor", recipeText(false, {})))
    return error;
  if (Error error = addCandidate("8 bits per channel", recipeText(true, {})))
    return error;
  for (unsigned groups : {3, 6})
    for (bool isFolded : {false, true})
      if (Error error =
              addCandidate(std::to_string(groups) + " groups at x, h and y" +
                               (isFolded ? ", folded at x" : ""),
                           groupedText(groups, isFolded)))
        return error;
  std::vector<std::string> wide;
  for (const SiteSensitivity &site : result.sites)
    if (isFree(site.key))
      wide.push_back(site.name);
  size_t last = 0;
  for (size_t part : {8, 4, 2, 1}) {
    size_t count = (wide.size() + part - 1) / part;
    if (count == last)
      continue;
    last = count;
    std::vector<std::string> some(wide.begin(), wide.begin() + count);
    if (Error error = addCandidate(std::to_string(count) + " sites in 16 bits",
                                   recipeText(true, some)))
      return error;
  }
  // Then inputs of matrix products, where 16 bits cost a second product.
  for (const SiteSensitivity &site : result.sites)
    if (site.key == "x")
      wide.push_back(site.name);
  if (wide.size() == last)
    return Error::success();
  return addCandidate(std::to_string(wide.size()) +
                          " sites in 16 bits, FFN inputs too",
                      recipeText(true, wide));
}

Expected<AutoResult> Search::run() {
  if (request.texts.empty())
    return Error("recipe auto: found no calibration texts, expected "
                 "--calibrate FILE: accuracy is measured on them");
  if (!(request.maxDrop >= 0 && request.maxDrop <= 100))
    return Error("--max-drop: expected a number from 0 to 100");
  result.maxDrop = request.maxDrop;
  result.texts = request.texts.size();
  if (Error error = import())
    return error;
  if (Error error = observe())
    return error;
  rankSites();
  if (Error error = addCandidates())
    return error;
  if (Error error = tryCandidates())
    return error;
  if (Error error = addFloat())
    return error;
  chooseCandidate(result);
  return std::move(result);
}

Expected<AutoResult> chooseRecipe(const AutoRequest &request) {
  return Search(request).run();
}

} // namespace quern
