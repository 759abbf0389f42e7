//===- RecipeWriter.cpp - A recipe as JSON --------------------------------===//
//
// The text that RecipeJson.cpp reads back to an equal recipe.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/PermuteJson.h"
#include "compiler/Recipe/Recipe.h"
#include "lib/Support/Json.h"

using namespace quern;
using Json = nlohmann::json;

std::string Recipe::toJson() const {
  auto bitsOf = [](unsigned bits) { return bits ? Json(bits) : Json("fp32"); };
  auto weightJson = [&](const WeightChange &change) {
    Json json = Json::object();
    if (change.bits)
      json["bits"] = bitsOf(*change.bits);
    if (change.perChannel)
      json["granularity"] = *change.perChannel ? "channel" : "tensor";
    if (change.mse)
      json["estimator"] = *change.mse ? "mse" : "minmax";
    if (change.adaptive)
      json["rounding"] = *change.adaptive ? "adaround" : "nearest";
    return json;
  };
  Json root;
  root["name"] = recipeName;
  root["activation"] = {{"bits", bitsOf(activation.bits)},
                        {"estimator", estimatorName(activation.estimator)},
                        {"percentile", activation.percentile}};
  const ActivationScheme usual;
  if (activation.symmetric)
    root["activation"]["symmetric"] = true;
  if (activation.candidates != usual.candidates)
    root["activation"]["candidates"] = activation.candidates;
  if (activation.momentum != usual.momentum)
    root["activation"]["momentum"] = activation.momentum;
  const CalibrationScheme allTexts;
  if (calibrated.batchSize != allTexts.batchSize)
    root["calibration"]["batch_size"] = calibrated.batchSize;
  if (calibrated.batches != allTexts.batches)
    root["calibration"]["batches"] = calibrated.batches;
  root["weight"] =
      weightJson({weight.bits, weight.perChannel, weight.mse, weight.adaptive});
  if (weight.adaptive)
    root["adaround"] = {{"asym", adaRound.asym},
                        {"iterations", adaRound.iterations},
                        {"samples", adaRound.samples},
                        {"lr", adaRound.rate},
                        {"weight", adaRound.weight},
                        {"annealing", {adaRound.annealFrom, adaRound.annealTo}},
                        {"decay", adaRound.isLinear ? "linear" : "cosine"},
                        {"warmup", adaRound.warmUp}};
  root["bias_correction"] = correctsBiases;
  for (const ActivationChange &change : changes) {
    Json &json = root["sites"][change.selector];
    if (change.bits)
      json["bits"] = bitsOf(*change.bits);
    if (change.estimator)
      json["estimator"] = estimatorName(*change.estimator);
    if (change.symmetric)
      json["symmetric"] = *change.symmetric;
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
    if (change.groups.value_or(0) == ActivationScheme::everyChannel) {
      json["granularity"] = "per-embedding";
    } else if (change.groups.value_or(0)) {
      json["granularity"] = "groups";
      json["groups"] = *change.groups;
    }
    if (change.permute)
      json["permute"] = writePermute(*change.permute);
    if (change.form)
      json["form"] = groupFormName(*change.form);
    if (json.is_null())
      json = Json::object();
  }
  const std::pair<const char *, const WeightChange *> named[] = {
      {"Et", &wordTable},
      {"tables", &tables},
      {"norms", &norms},
      {"wP", &pooler},
      {"wC", &classifier}};
  for (const auto &[name, change] : named)
    if (Json json = weightJson(*change); !json.empty())
      root["weights"][name] = json;
  return root.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}
