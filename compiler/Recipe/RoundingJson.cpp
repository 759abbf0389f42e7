//===- RoundingJson.cpp - How rounding is learned -------------------------===//
//
// The keys of `adaround`.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/RecipeParser.h"

using namespace quern;
using Json = nlohmann::json;

static bool isWithin(const Json &value, double low, double high) {
  return value.is_number() && value >= Json(low) && value <= Json(high);
}

Error RecipeParser::readRounding(const Json &value) {
  if (!value.is_object())
    return fail("adaround", value, "an object");
  RoundingScheme &scheme = recipe.adaRound;
  for (const auto &[key, part] : value.items()) {
    std::string path = "adaround." + key;
    if (key == "asym") {
      if (!part.is_boolean())
        return fail(path, part, "true or false");
      scheme.asym = part.get<bool>();
    } else if (key == "inputs") {
      if (part != Json("codes") && part != Json("real"))
        return fail(path, part, "\"codes\" or \"real\"");
      scheme.codedInputs = part == Json("codes");
    } else if (key == "iterations" || key == "samples") {
      bool isSteps = key == "iterations";
      std::optional<unsigned> count;
      if (Error error = readCount(path, part, isSteps ? 1 : 16,
                                  isSteps ? 1000000 : 65536, count))
        return error;
      (isSteps ? scheme.iterations : scheme.samples) = *count;
    } else if (key == "lr") {
      if (!isWithin(part, 1e-6, 1))
        return fail(path, part, "a number from 1e-6 to 1");
      scheme.rate = part.get<double>();
    } else if (key == "weight") {
      if (!isWithin(part, 0, 1000))
        return fail(path, part, "a number from 0 to 1000");
      scheme.weight = part.get<double>();
    } else if (key == "warmup") {
      if (!isWithin(part, 0, 0.99))
        return fail(path, part, "a number from 0 to 0.99");
      scheme.warmUp = part.get<double>();
    } else if (key == "annealing") {
      if (!part.is_array() || part.size() != 2 || !isWithin(part[0], 2, 100) ||
          !isWithin(part[1], 2, 100) || part[0] < part[1])
        return fail(path, part, "[from, to] with 100 >= from >= to >= 2");
      scheme.annealFrom = part[0].get<double>();
      scheme.annealTo = part[1].get<double>();
    } else if (key == "decay") {
      if (part != Json("cosine") && part != Json("linear"))
        return fail(path, part, "\"cosine\" or \"linear\"");
      scheme.isLinear = part == Json("linear");
    } else {
      return unknown(key, "adaround",
                     joinWords({"asym", "inputs", "iterations", "samples", "lr",
                                "weight", "annealing", "decay", "warmup"}));
    }
  }
  if (!recipe.weight.adaptive && !value.empty())
    recipe.unreadRounding = "adaround." + value.begin().key();
  return Error::success();
}
