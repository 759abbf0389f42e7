//===- WeightJson.cpp - The values of a weight ----------------------------===//
//
// The keys that `weight` and each entry of `weights` may have.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/RecipeParser.h"

using namespace quern;
using Json = nlohmann::json;

Error RecipeParser::readWeight(const std::string &where, const Json &value,
                               WeightChange &change) {
  if (!value.is_object())
    return readBits(where, value, 8, change);
  for (const auto &[key, part] : value.items()) {
    std::string path = where + "." + key;
    if (key == "bits") {
      if (Error error = readBits(path, part, 8, change))
        return error;
    } else if (key == "granularity") {
      if (part != Json("tensor") && part != Json("channel"))
        return fail(path, part, "\"tensor\" or \"channel\"");
      change.perChannel = part == Json("channel");
    } else if (key == "estimator") {
      change.estimator = part.is_string()
                             ? parseClipRule(part.get<std::string>())
                             : std::nullopt;
      if (!change.estimator)
        return fail(path, part, clipRuleWords);
    } else if (key == "percentile") {
      if (Error error = readPercentile(path, part, change.percentile))
        return error;
    } else if (key == "candidates") {
      if (Error error = readCount(path, part, 2, 10000, change.candidates))
        return error;
    } else if (key == "rounding" && where == "weight") {
      if (part != Json("nearest") && part != Json("adaround"))
        return fail(path, part, "\"nearest\" or \"adaround\"");
      change.adaptive = part == Json("adaround");
    } else if (key == "symmetric") {
      bool isMatrix = &change != &recipe.tables &&
                      &change != &recipe.wordTable && &change != &recipe.norms;
      if (!part.is_boolean() || (!isMatrix && part != Json(true)))
        return fail(path, part, isMatrix ? "true or false" : "true");
      change.symmetric = part.get<bool>();
    } else {
      return unknown(key, where,
                     joinWords({"bits", "granularity", "estimator",
                                "percentile", "candidates", "symmetric"}));
    }
  }
  noteUnread(where, value, change);
  return Error::success();
}

void RecipeParser::noteUnread(const std::string &where, const Json &value,
                              const WeightChange &change) {
  WeightScheme scheme = recipe.weight;
  std::optional<WeightRole> role;
  for (auto [named, of] :
       {std::pair(&recipe.tables, WeightRole::Table),
        std::pair(&recipe.wordTable, WeightRole::WordTable),
        std::pair(&recipe.norms, WeightRole::Norm),
        std::pair(&recipe.pooler, WeightRole::Pooler),
        std::pair(&recipe.classifier, WeightRole::Classifier)})
    if (&change == named) {
      role = of;
      scheme = recipe.weightFor(of);
    }
  applyChange(change, scheme);
  for (auto [key, reader] : {std::pair("percentile", ClipRule::Percentile),
                             std::pair("candidates", ClipRule::MseGrid)})
    if (value.contains(key) && (scheme.isFloat() || scheme.estimator != reader))
      recipe.unread.push_back(
          {where + "." + key, value[key].dump(), reader, role});
}

WeightChange *RecipeParser::weightNamed(std::string_view name) {
  if (name == "Et")
    return &recipe.wordTable;
  if (name == "tables")
    return &recipe.tables;
  if (name == "norms")
    return &recipe.norms;
  if (name == "wP")
    return &recipe.pooler;
  return name == "wC" ? &recipe.classifier : nullptr;
}

Error RecipeParser::readWeightDefault(const Json &value) {
  if (!value.is_object() && value != Json("fp32"))
    return fail("weight", value, "an object or \"fp32\"");
  WeightChange change;
  if (Error error = readWeight("weight", value, change))
    return error;
  applyChange(change, recipe.weight);
  if (recipe.weight.adaptive)
    recipe.unreadRounding.clear();
  return Error::success();
}

Error RecipeParser::readWeights(const Json &value) {
  if (!value.is_object())
    return fail("weights", value, "an object");
  for (const auto &[name, change] : value.items()) {
    WeightChange *target = weightNamed(name);
    if (!target)
      return unknown(name, "weights",
                     joinWords({"Et", "tables", "norms", "wP", "wC"}));
    if (Error error = readWeight("weights." + name, change, *target))
      return error;
  }
  return Error::success();
}
