//===- Rounding.cpp - Learned rounding of a model's weights ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Rounding.h"

#include "compiler/Import/Import.h"
#include "compiler/InputCodes.h"
#include "compiler/Levels.h"
#include "compiler/RoundingCache.h"
#include "compiler/SiteSamples.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/AdaRound.h"
#include "lib/Quantize/ChosenCodes.h"
#include "lib/Quantize/Reparameterize.h"
#include "lib/Quantize/RoundedCodes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Quantize/Sites.h"

#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace quern {

namespace {

/// A layer to round, the site of its input and the name of its output's.
struct Layer {
  tq::LinearOp op;
  std::string input, name;
  /// Its number among the linear layers of the model.
  size_t index = 0;
  /// Nearest codes until those are learned.
  WeightCodes codes = {};
  bool isLearned = false;

  /// The encoder layer: "L3" of "L3.g".
  StringRef encoder() const { return StringRef(name).split('.').first; }
};

class Rounding {
public:
  Rounding(ModuleOp module, const SchemeAttr &scheme,
           const RoundingScheme &settings, const std::string &modelFolder,
           const std::vector<CalibrationText> &texts)
      : module(module), scheme(scheme), settings(settings),
        modelFolder(modelFolder), texts(texts) {}

  Error findLayers();
  Error sample(FloatModel &model, const std::function<void(double)> &progress);
  Error round(FloatModel &model, RoundingCache &cache,
              const std::function<void(double)> &progress,
              const std::function<void(const std::string &)> &note);
  void attach();

private:
  Error run(FloatModel &model, SiteSamples &samples,
            const std::function<void(double)> &progress) const;
  Error sampleRounded(StringRef encoder, const FloatModel &model);
  void writeRounded(ModuleOp copy) const;
  std::vector<float> effectiveWeights(const Layer &layer) const;
  std::vector<float> effectiveInputs(const Layer &layer,
                                     const SiteSamples &samples) const;
  Error roundLayer(Layer &layer, unsigned threads, RoundingCache &cache,
                   const std::function<void(double)> &progress,
                   const std::function<void(const std::string &)> &note);

  ModuleOp module;
  const SchemeAttr &scheme;
  RoundingScheme settings;
  std::string modelFolder;
  std::vector<CalibrationText> texts;
  std::vector<Layer> layers;
  /// What sites hold in the float model, and behind rounded layers.
  SiteSamples samples, rounded;
};

} // namespace

Error Rounding::findLayers() {
  size_t index = 0;
  module.walk([&](tq::LinearOp op) {
    StringRef output = siteBehind(op.getResult());
    auto input = op.getX().getDefiningOp<tq::ObserveOp>();
    size_t number = index++;
    // Pooler and classifier are small and see one row of a text.
    if (!input || output == "P" || output == "C" || output.empty())
      return;
    layers.push_back({op, input.getSite().str(), output.str(), number});
    samples[input.getSite()].most = settings.samples;
  });
  WeightQuantizer quantizer = *scheme.weight("linear");
  for (Layer &layer : layers) {
    std::vector<float> weights = effectiveWeights(layer);
    if (weights.empty())
      return Error::make(layer.name, ": no weights to round");
    for (float weight : weights)
      if (!std::isfinite(weight))
        return Error::make(layer.name, ": found a weight of ", weight,
                           ", expected finite ones");
    auto shape = layer.op.getW().getType().getShape();
    FailureOr<WeightCodes> codes =
        chooseCodes(layer.op.getW(), weights, shape[0], quantizer, scheme);
    if (failed(codes))
      return Error::make(layer.name, ": the scales of its weights do not fit");
    layer.codes = std::move(*codes);
  }
  return Error::success();
}

Error Rounding::run(FloatModel &model, SiteSamples &samples,
                    const std::function<void(double)> &progress) const {
  // Run again for every encoder layer, few texts must do.
  uint64_t tokens = 0, enough = settings.asym ? 4 * settings.samples : ~0ull;
  auto keep = [&](const HostProgram &program,
                  const quern_output &output) -> Expected<bool> {
    if (Error error = keepRows(program, samples))
      return error;
    tokens += output.tokens;
    return tokens < enough;
  };
  return model.run(texts, keep, progress);
}

Error Rounding::sample(FloatModel &model,
                       const std::function<void(double)> &progress) {
  return run(model, samples, progress);
}

/// Replaces an f32 constant by what its codes stand for.
static void writeValues(OpOperand &weight, const WeightCodes &codes,
                        ArrayRef<float> channelScale) {
  auto type = cast<RankedTensorType>(weight.get().getType());
  size_t cols = type.getDimSize(1);
  std::vector<float> values(codes.codes.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = codes.scales[codes.scales.size() == 1 ? 0 : i / cols] *
                float(codes.codes[i] - codes.zeroOf(i / cols));
    if (!channelScale.empty())
      values[i] /= channelScale[i % cols];
  }
  OpBuilder builder(weight.getOwner());
  weight.set(tq::createConstant<float>(builder, weight.getOwner()->getLoc(),
                                       type, tq::getConstantName(weight.get()),
                                       std::move(values)));
}

/// Writes the codes found so far into an L0 module, and those of the tables.
void Rounding::writeRounded(ModuleOp copy) const {
  size_t index = 0, next = 0;
  copy.walk([&](tq::LinearOp op) {
    if (next == layers.size() || layers[next].index != index++)
      return;
    const Layer &layer = layers[next++];
    // What is rounded later will err far less than its nearest codes do.
    if (!layer.isLearned)
      return;
    std::optional<SiteQuantizer> site = scheme.site(layer.input);
    writeValues(op.getWMutable(), layer.codes,
                site ? ArrayRef<float>(site->channelScale) : ArrayRef<float>());
  });
  copy.walk([&](tq::EmbeddingOp op) {
    std::optional<WeightQuantizer> quantizer = scheme.weight(weightRole(op));
    auto data = tq::getConstantData<float>(op.getTable());
    if (!quantizer || !data)
      return;
    auto shape = op.getTable().getType().getShape();
    FailureOr<WeightCodes> codes =
        chooseCodes(op.getTable(), data->array(), shape[0], *quantizer, scheme);
    if (succeeded(codes))
      writeValues(op.getTableMutable(), *codes, {});
  });
}

/// What the layers of an encoder layer read where those before are rounded.
Error Rounding::sampleRounded(StringRef encoder, const FloatModel &model) {
  rounded.clear();
  for (const Layer &layer : layers)
    if (layer.encoder() == encoder)
      rounded[layer.input].most = settings.samples;
  // In a context of its own, with which all these weights go away.
  LevelContext context;
  Expected<ImportedModel> copy = importModel(*context, modelFolder);
  if (!copy)
    return copy.takeError();
  writeRounded(*copy->module);
  FloatModel changed(*copy->module, model.getTokenizer(), model.getThreads());
  return run(changed, rounded, [](double) {});
}

/// The weights that tq-quantize will see: with channel scales of the input
/// moved in.
std::vector<float> Rounding::effectiveWeights(const Layer &layer) const {
  auto data = tq::getConstantData<float>(tq::LinearOp(layer.op).getW());
  if (!data)
    return {};
  std::vector<float> weights(data->array().begin(), data->array().end());
  std::optional<SiteQuantizer> site = scheme.site(layer.input);
  if (site && !site->channelScale.empty())
    scaleColumns(weights, site->channelScale);
  return weights;
}

std::vector<float> Rounding::effectiveInputs(const Layer &layer,
                                             const SiteSamples &samples) const {
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

static void scaleRows(std::vector<float> &rows,
                      const std::vector<float> &factors, size_t cols) {
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] *= factors[i / cols];
}

/// Replaces what a layer reads by what its codes stand for. `rows` hold values
/// with channel scales moved out, as effectiveInputs gives them.
static void roundInputs(std::vector<float> &rows,
                        const std::optional<SiteQuantizer> &site, size_t cols) {
  if (!site)
    return;
  SiteQuantizer plain = *site;
  plain.channelScale.clear();
  plain.channelShift.clear();
  InputCodes codes(plain, cols);
  for (size_t at = 0; at + cols <= rows.size(); at += cols) {
    codes.enter(rows.data() + at);
    for (size_t j = 0; j < cols; ++j)
      rows[at + j] = static_cast<float>(codes.coded(rows[at + j], j));
  }
}

Error Rounding::roundLayer(
    Layer &layer, unsigned threads, RoundingCache &cache,
    const std::function<void(double)> &progress,
    const std::function<void(const std::string &)> &note) {
  unsigned bits = scheme.weight("linear")->bits;
  AdaRoundOptions options;
  options.iterations = settings.iterations;
  options.rate = settings.rate;
  options.lambda = settings.weight;
  options.betaFrom = settings.annealFrom;
  options.betaTo = settings.annealTo;
  options.isLinear = settings.isLinear;
  options.warmUp = settings.warmUp;
  options.threads = threads;
  std::vector<float> weights = effectiveWeights(layer);
  std::vector<float> inputs = effectiveInputs(layer, samples), reals;
  bool differ = settings.asym || settings.codedInputs;
  if (differ)
    reals = inputs;
  if (settings.asym)
    inputs = effectiveInputs(layer, rounded);
  auto shape = layer.op.getW().getType().getShape();
  size_t rows = shape[0], cols = shape[1];
  if (inputs.empty())
    return Error::make(layer.name, ": no inputs to round with");
  if (settings.codedInputs)
    roundInputs(inputs, scheme.site(layer.input), cols);
  std::vector<float> factors = inverseMagnitudes(differ ? reals : inputs, cols);
  scaleRows(inputs, factors, cols);
  scaleRows(reals, factors, cols);
  uint64_t key =
      RoundingCache::key(layer.name, weights, inputs, reals, layer.codes.scales,
                         layer.codes.zeros, bits, options);
  if (const std::vector<int8_t> *known = cache.find(key, rows * cols)) {
    layer.codes.codes = *known;
    layer.isLearned = true;
    return Error::success();
  }
  AdaRoundErrors errors;
  layer.codes.codes =
      adaRound({weights.data(), rows, cols, inputs.data(), inputs.size() / cols,
                differ ? reals.data() : nullptr,
                layer.codes.zeros.empty() ? nullptr : layer.codes.zeros.data()},
               layer.codes.scales, bits, options, &errors, progress);
  layer.isLearned = true;
  if (note)
    note(llvm::formatv("{0}: squared error {1:e3} by nearest rounding, "
                       "{2:e3} by AdaRound",
                       layer.name, errors.nearest, errors.chosen)
             .str());
  return cache.add(key, layer.codes.codes);
}

Error Rounding::round(FloatModel &model, RoundingCache &cache,
                      const std::function<void(double)> &progress,
                      const std::function<void(const std::string &)> &note) {
  double work = 0, done = 0;
  for (Layer &layer : layers)
    work += double(layer.codes.codes.size());
  StringRef encoder;
  for (Layer &layer : layers) {
    if (settings.asym && layer.encoder() != encoder) {
      encoder = layer.encoder();
      if (Error error = sampleRounded(encoder, model))
        return error;
    }
    double size = double(layer.codes.codes.size());
    if (Error error = roundLayer(
            layer, model.getThreads(), cache,
            [&](double part) { progress((done + part * size) / work); }, note))
      return error;
    done += size;
    progress(done / work);
  }
  attach();
  return Error::success();
}

void Rounding::attach() {
  for (Layer &layer : layers)
    attachCodes(layer.op, std::move(layer.codes));
}

bool needsRounding(ModuleOp module) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  std::optional<WeightQuantizer> linear;
  if (scheme)
    linear = scheme->weight("linear");
  return linear && linear->adaptive;
}

Error roundWeights(ModuleOp module, const std::string &modelFolder,
                   const RoundingScheme &settings, FloatModel &model,
                   const std::vector<CalibrationText> &texts,
                   const std::string &cacheFile,
                   const std::function<void(double)> &progress,
                   const std::function<void(const std::string &)> &note) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  if (!scheme)
    return Error("the scheme cannot be read");
  Expected<RoundingCache> cache = RoundingCache::open(cacheFile);
  if (!cache)
    return cache.takeError();
  Rounding rounding(module, *scheme, settings, modelFolder, texts);
  if (Error error = rounding.findLayers())
    return error;
  auto tell = [&](double part) {
    if (progress)
      progress(part);
  };
  constexpr double sampling = 0.1;
  if (Error error =
          rounding.sample(model, [&](double part) { tell(sampling * part); }))
    return error;
  return rounding.round(
      model, *cache,
      [&](double part) { tell(sampling + (1 - sampling) * part); }, note);
}

Error attachNearestCodes(ModuleOp module) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  if (!scheme)
    return Error("the scheme cannot be read");
  Rounding rounding(module, *scheme, {}, "", {});
  if (Error error = rounding.findLayers())
    return error;
  rounding.attach();
  return Error::success();
}

} // namespace quern
