//===- Rounding.cpp - Learned rounding of a model's weights ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Rounding.h"

#include "compiler/HostProgram.h"
#include "compiler/RoundingCache.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/AdaRound.h"
#include "lib/Quantize/RoundedCodes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Quantize/Sites.h"
#include "runtime/src/manifest_generated.h"

#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

#include <random>
#include <thread>

using namespace mlir;

namespace quern {

namespace {

/// Tokens that a layer is looked at with. More only cost time: a batch draws
/// from them, and those of one sentence are much alike.
constexpr size_t maxSamples = 2048;

/// A uniform choice of the rows that a site had.
struct Samples {
  std::vector<float> values;
  size_t columns = 0, seen = 0;
  std::mt19937 random{7};

  size_t rows() const { return columns ? values.size() / columns : 0; }

  void add(const float *row) {
    size_t at = seen++;
    if (at < maxSamples) {
      values.insert(values.end(), row, row + columns);
      return;
    }
    at = random() % seen;
    if (at < maxSamples)
      std::copy_n(row, columns, values.data() + at * columns);
  }
};

/// A layer to round, the site of its input and the name of its output's.
struct Layer {
  tq::LinearOp op;
  std::string input, name;
};

class Rounding {
public:
  Rounding(ModuleOp module, const SchemeAttr &scheme)
      : module(module), scheme(scheme) {}

  void findLayers();
  Error sample(const std::string &tokenizer,
               const std::vector<CalibrationText> &texts, unsigned threads,
               const std::function<void(double)> &progress);
  Error round(RoundingCache &cache, unsigned threads,
              const std::function<void(double)> &progress,
              const std::function<void(const std::string &)> &note);

private:
  Error keepRows(const HostProgram &program);
  std::vector<float> effectiveWeights(const Layer &layer) const;
  std::vector<float> effectiveInputs(const Layer &layer) const;

  ModuleOp module;
  const SchemeAttr &scheme;
  std::vector<Layer> layers;
  llvm::MapVector<StringRef, Samples> samples;
};

} // namespace

void Rounding::findLayers() {
  module.walk([&](tq::LinearOp op) {
    StringRef output = siteBehind(op.getResult());
    auto input = op.getX().getDefiningOp<tq::ObserveOp>();
    // Pooler and classifier are small and see one row of a text.
    if (!input || output == "P" || output == "C" || output.empty())
      return;
    layers.push_back({op, input.getSite().str(), output.str()});
    samples[input.getSite()];
  });
}

Error Rounding::keepRows(const HostProgram &program) {
  for (auto &[site, kept] : samples) {
    std::optional<quern_view> view = program.site(site.str());
    if (!view || view->element != uint32_t(manifest::Element::F32))
      return Error::make(site.str(),
                         ": the float program does not keep this site");
    kept.columns = view->columns;
    for (uint64_t row = 0; row < view->rows; ++row)
      kept.add(reinterpret_cast<const float *>(
          static_cast<const char *>(view->data) + row * view->stride));
  }
  return Error::success();
}

Error Rounding::sample(const std::string &tokenizer,
                       const std::vector<CalibrationText> &texts,
                       unsigned threads,
                       const std::function<void(double)> &progress) {
  // Without the scheme, by which sites would be taken for codes.
  OwningOpRef<ModuleOp> plain = module.clone();
  (*plain)->removeAttr(SchemeAttr::name);
  Expected<HostProgram> program =
      HostProgram::compileFloat(*plain, tokenizer, threads);
  if (!program)
    return program.takeError();
  program->capture();
  constexpr size_t batch = 16;
  for (size_t from = 0; from < texts.size(); from += batch) {
    size_t count = std::min(batch, texts.size() - from);
    Expected<quern_output> output = program->run(&texts[from], count);
    if (!output)
      return output.takeError();
    if (Error error = keepRows(*program))
      return error;
    if (progress)
      progress(double(from + count) / double(texts.size()));
  }
  return Error::success();
}

/// The weights that tq-quantize will see: with channel scales of the input
/// moved in.
std::vector<float> Rounding::effectiveWeights(const Layer &layer) const {
  auto data = tq::getConstantData<float>(tq::LinearOp(layer.op).getW());
  if (!data)
    return {};
  std::vector<float> weights(data->array().begin(), data->array().end());
  std::optional<SiteQuantizer> site = scheme.site(layer.input);
  if (!site || site->channelScale.empty())
    return weights;
  size_t cols = site->channelScale.size();
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] =
        static_cast<float>(double(weights[i]) * site->channelScale[i % cols]);
  return weights;
}

std::vector<float> Rounding::effectiveInputs(const Layer &layer) const {
  std::vector<float> inputs = samples.find(layer.input)->second.values;
  std::optional<SiteQuantizer> site = scheme.site(layer.input);
  if (!site || site->channelScale.empty())
    return inputs;
  size_t cols = site->channelScale.size();
  for (size_t i = 0; i < inputs.size(); ++i)
    inputs[i] = (inputs[i] - site->channelShift[i % cols]) /
                site->channelScale[i % cols];
  return inputs;
}

Error Rounding::round(RoundingCache &cache, unsigned threads,
                      const std::function<void(double)> &progress,
                      const std::function<void(const std::string &)> &note) {
  WeightQuantizer quantizer = *scheme.weight("linear");
  AdaRoundOptions options;
  options.threads =
      threads ? threads : std::max(1u, std::thread::hardware_concurrency());
  double work = 0, done = 0;
  for (Layer &layer : layers)
    work += double(layer.op.getW().getType().getNumElements());
  for (Layer &layer : layers) {
    std::vector<float> weights = effectiveWeights(layer);
    std::vector<float> inputs = effectiveInputs(layer);
    auto shape = layer.op.getW().getType().getShape();
    size_t rows = shape[0], cols = shape[1];
    if (weights.empty() || inputs.empty())
      return Error::make(layer.name, ": no weights or no inputs to round with");
    for (float weight : weights)
      if (!std::isfinite(weight))
        return Error::make(layer.name, ": found a weight of ", weight,
                           ", expected finite ones");
    WeightCodes codes = quantizeWeight(weights.data(), rows, cols, quantizer);
    uint64_t key = RoundingCache::key(layer.name, weights, inputs, codes.scales,
                                      quantizer.bits, options);
    if (const std::vector<int8_t> *known = cache.find(key, rows * cols)) {
      codes.codes = *known;
    } else {
      AdaRoundErrors errors;
      codes.codes = adaRound(
          {weights.data(), rows, cols, inputs.data(), inputs.size() / cols},
          codes.scales, quantizer.bits, options, &errors, [&](double part) {
            progress((done + part * double(rows * cols)) / work);
          });
      if (note)
        note(llvm::formatv("{0}: squared error {1:e3} by nearest rounding, "
                           "{2:e3} by AdaRound",
                           layer.name, errors.nearest, errors.chosen)
                 .str());
      if (Error error = cache.add(key, codes.codes))
        return error;
    }
    attachCodes(layer.op, codes);
    done += double(rows * cols);
    progress(done / work);
  }
  return Error::success();
}

bool needsRounding(ModuleOp module) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  std::optional<WeightQuantizer> linear;
  if (scheme)
    linear = scheme->weight("linear");
  return linear && linear->adaptive;
}

Error roundWeights(ModuleOp module, const std::string &tokenizer,
                   const std::vector<CalibrationText> &texts,
                   const std::string &cacheFile, unsigned threads,
                   const std::function<void(double)> &progress,
                   const std::function<void(const std::string &)> &note) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  if (!scheme)
    return Error("the scheme cannot be read");
  Expected<RoundingCache> cache = RoundingCache::open(cacheFile);
  if (!cache)
    return cache.takeError();
  Rounding rounding(module, *scheme);
  rounding.findLayers();
  auto tell = [&](double part) {
    if (progress)
      progress(part);
  };
  constexpr double sampling = 0.1;
  if (Error error =
          rounding.sample(tokenizer, texts, threads,
                          [&](double part) { tell(sampling * part); }))
    return error;
  return rounding.round(
      *cache, threads,
      [&](double part) { tell(sampling + (1 - sampling) * part); }, note);
}

} // namespace quern
