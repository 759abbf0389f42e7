//===- RecipeParser.h - Reads recipe JSON --------------------------*- C++ -*-//
//
// Inside Recipe/: one reader of the keys of a recipe, shared by files, presets,
// --set and --quant-dict. RecipeJson.cpp has the whole document,
// SiteJson.cpp the values of a site and WeightJson.cpp those of a weight; a new
// key of one of them goes there.
// Include it from .cpp files only: it pulls in the JSON library.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_RECIPE_RECIPEPARSER_H
#define QUERN_COMPILER_RECIPE_RECIPEPARSER_H

#include "compiler/Recipe/Recipe.h"
#include "lib/Support/Json.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace quern {

/// The words with commas between them, for messages.
std::string joinWords(std::initializer_list<std::string_view> words);

/// Reads one JSON document into a Recipe. Every method returns the first error.
class RecipeParser {
public:
  /// `origin` (a file or an option) starts every message.
  RecipeParser(Recipe &recipe, std::string_view origin)
      : recipe(recipe), origin(origin) {}

  /// A whole recipe.
  Error read(const nlohmann::json &root);

  /// A preset by name; `key` says where the name was found.
  Expected<Recipe> preset(const std::string &name, std::string_view key);

  /// One entry of `sites`.
  Error readSite(const std::string &selector, const nlohmann::json &value);

  /// One entry of `weights`, or `weight` itself.
  Error readWeight(const std::string &where, const nlohmann::json &value,
                   WeightChange &change);

  /// Remembers the options of a weight that its estimator does not read now.
  void noteUnread(const std::string &where, const nlohmann::json &value,
                  const WeightChange &change);

  /// The change record of a weight name, or null.
  WeightChange *weightNamed(std::string_view name);

  /// What the published code does with the logits, by its names.
  Error readQuantSetup(const nlohmann::json &value);

  /// One of the keys `arithmetic`, `gelu` and `softmax`.
  Error readArithmetic(const std::string &key, const nlohmann::json &value);
  static bool isArithmetic(std::string_view key);

  /// One `TARGET.KEY=VALUE` of the command line.
  Error readSetting(const std::string &target, const std::string &key,
                    const nlohmann::json &value);

private:
  using Json = nlohmann::json;

  Error readChange(const std::string &where, const Json &value,
                   ActivationChange &change);
  Error readGranularity(const std::string &path, const Json &whole,
                        const Json &part, ActivationChange &change);
  Error readActivation(const Json &value);
  Error readCalibration(const Json &value);
  Error readRounding(const Json &value);
  Error readWeightDefault(const Json &value);
  Error readSites(const Json &value);
  Error readWeights(const Json &value);
  Error readCount(const std::string &path, const Json &value, unsigned low,
                  unsigned high, std::optional<unsigned> &target);
  Error readPercentile(const std::string &path, const Json &value,
                       std::optional<double> &target);
  /// A number of bits that kernels exist for, 2 to `most`, or "fp32".
  /// A number, "fp32", or "learned" for that of a checkpoint's quantizer; both
  /// of a change's values are set.
  template <typename Change>
  Error readBits(const std::string &where, const Json &value, unsigned most,
                 Change &change) {
    change.learnedBits = value == Json("learned");
    if (*change.learnedBits) {
      change.bits = 8;
      return Error::success();
    }
    return readBits(where, value, most, change.bits);
  }
  Error readBits(const std::string &where, const Json &value, unsigned most,
                 std::optional<unsigned> &bits);

  /// `ORIGIN: KEY: found VALUE, expected WHAT`.
  Error fail(std::string_view key, const Json &found,
             std::string_view expected);
  Error unknown(std::string_view key, std::string_view where,
                std::string_view known);

  Recipe &recipe;
  std::string origin;
};

} // namespace quern

#endif // QUERN_COMPILER_RECIPE_RECIPEPARSER_H
