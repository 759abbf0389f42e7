//===- RecipeWriter.cpp - A recipe as JSON --------------------------------===//
//
// The text that RecipeJson.cpp reads back to an equal recipe.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/PermuteJson.h"
#include "compiler/Recipe/Recipe.h"
#include "lib/Support/Json.h"

#include <algorithm>

using namespace quern;
using Json = nlohmann::json;

namespace {

template <typename Change> Json writeBits(const Change &change) {
  if (change.learnedBits.value_or(false))
    return Json("learned");
  return *change.bits ? Json(*change.bits) : Json("fp32");
}

Json writeWeight(const WeightChange &change) {
  Json json = Json::object();
  if (change.bits)
    json["bits"] = writeBits(change);
  if (change.perChannel)
    json["granularity"] = *change.perChannel ? "channel" : "tensor";
  if (change.estimator)
    json["estimator"] = clipRuleName(*change.estimator);
  if (change.percentile)
    json["percentile"] = *change.percentile;
  if (change.candidates)
    json["candidates"] = *change.candidates;
  if (change.adaptive)
    json["rounding"] = *change.adaptive ? "adaround" : "nearest";
  if (change.symmetric)
    json["symmetric"] = *change.symmetric;
  return json;
}

Json writeActivation(const ActivationChange &change) {
  Json json = Json::object();
  if (change.bits)
    json["bits"] = writeBits(change);
  if (change.estimator)
    json["estimator"] = estimatorName(*change.estimator);
  if (change.symmetric)
    json["symmetric"] = *change.symmetric;
  if (change.quantizer)
    json["quantizer"] = quantizerName(*change.quantizer);
  if (change.percentile)
    json["percentile"] = *change.percentile;
  if (change.candidates)
    json["candidates"] = *change.candidates;
  if (change.momentum)
    json["momentum"] = *change.momentum;
  if (change.perChannel)
    json["granularity"] = *change.perChannel ? "channel" : "tensor";
  if (change.perToken.value_or(false))
    json["granularity"] = "token";
  if (change.powersOfTwo.value_or(false)) {
    json["granularity"] = "power_of_two";
  } else if (change.groups.value_or(0) == ActivationScheme::everyChannel) {
    json["granularity"] = "per-embedding";
  } else if (change.groups.value_or(0)) {
    json["granularity"] = "groups";
    json["groups"] = *change.groups;
  }
  if (change.permute)
    json["permute"] = writePermute(*change.permute);
  if (change.form)
    json["form"] = groupFormName(*change.form);
  if (change.residualBits)
    json["residual"] = change.residualBits.value() ? Json(*change.residualBits)
                                                   : Json("codes");
  return json;
}

/// Takes out options that an object's own estimator or granularity, which came
/// later, made void: `parse` has none that nothing reads.
void eraseVoid(Json &json) {
  auto eraseUnless = [&](const char *key, const char *reader,
                         std::initializer_list<const char *> values) {
    if (!json.contains(key) || !json.contains(reader))
      return;
    for (const char *value : values)
      if (json[reader] == Json(value))
        return;
    json.erase(key);
  };
  eraseUnless("percentile", "estimator", {"percentile"});
  eraseUnless("momentum", "estimator", {"running_minmax"});
  eraseUnless("candidates", "estimator", {"mse_grid", "cross_entropy"});
  // Errors choose the groups of power_of_two.
  eraseUnless("permute", "granularity", {"groups", "per-embedding"});
  eraseUnless("residual", "granularity", {"channel"});
}

} // namespace

std::string Recipe::toJson() const {
  Json root;
  root["name"] = recipeName;
  // The text shows these values even where they are the usual ones.
  auto activations = changeFrom<ActivationChange>({}, activation);
  activations.bits = activation.bits;
  activations.estimator = activation.estimator;
  activations.percentile = activation.percentile;
  // Options that neither they nor a site with an estimator of its own reads.
  auto isUsed = [&](Estimator estimator) {
    return activation.estimator == estimator ||
           std::any_of(changes.begin(), changes.end(),
                       [&](const ActivationChange &change) {
                         return change.estimator == estimator;
                       });
  };
  if (!isUsed(Estimator::Percentile))
    activations.percentile = ActivationScheme().percentile;
  if (!isUsed(Estimator::RunningMinMax))
    activations.momentum = std::nullopt;
  if (!isUsed(Estimator::MseGrid) && !isUsed(Estimator::CrossEntropy))
    activations.candidates = std::nullopt;
  root["activation"] = writeActivation(activations);
  const CalibrationScheme allTexts;
  if (calibrated.batchSize != allTexts.batchSize)
    root["calibration"]["batch_size"] = calibrated.batchSize;
  if (calibrated.batches != allTexts.batches)
    root["calibration"]["batches"] = calibrated.batches;
  auto weights = changeFrom<WeightChange>({}, weight);
  weights.bits = weight.bits;
  weights.perChannel = weight.perChannel;
  weights.estimator = weight.estimator;
  weights.adaptive = weight.adaptive;
  auto isUsedBy = [&](ClipRule rule) {
    for (const WeightChange *change :
         {&wordTable, &tables, &norms, &pooler, &classifier})
      if (change->estimator == rule)
        return true;
    return weight.estimator == rule;
  };
  if (!isUsedBy(ClipRule::Percentile))
    weights.percentile = std::nullopt;
  if (!isUsedBy(ClipRule::MseGrid))
    weights.candidates = std::nullopt;
  root["weight"] = writeWeight(weights);
  if (weight.adaptive)
    root["adaround"] = {{"asym", adaRound.asym},
                        {"inputs", adaRound.codedInputs ? "codes" : "real"},
                        {"iterations", adaRound.iterations},
                        {"samples", adaRound.samples},
                        {"lr", adaRound.rate},
                        {"weight", adaRound.weight},
                        {"annealing", {adaRound.annealFrom, adaRound.annealTo}},
                        {"decay", adaRound.isLinear ? "linear" : "cosine"},
                        {"warmup", adaRound.warmUp}};
  root["bias_correction"] = correctsBiases;
  if (arithmeticForms.fixed) {
    root["arithmetic"] = "fixed";
    root["gelu"] = geluName(arithmeticForms.gelu);
    root["softmax"] = softmaxName(arithmeticForms.softmax);
  }
  for (const ActivationChange &change : changes) {
    Json &json = root["sites"][change.selector];
    // A later granularity ends the groups of an earlier one.
    if (change.perChannel && !json.is_null())
      json.erase("groups");
    json.update(writeActivation(change));
    eraseVoid(json);
  }
  const std::pair<const char *, const WeightChange *> named[] = {
      {"Et", &wordTable},
      {"tables", &tables},
      {"norms", &norms},
      {"wP", &pooler},
      {"wC", &classifier}};
  for (const auto &[name, change] : named)
    if (Json json = writeWeight(*change); !json.empty()) {
      eraseVoid(json);
      root["weights"][name] = json;
    }
  return root.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}
