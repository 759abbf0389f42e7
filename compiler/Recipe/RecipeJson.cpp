//===- RecipeJson.cpp - Recipe files and presets --------------------------===//
//
// The text form of a recipe: strict reading with messages that name the key
// and list what is allowed. Presets are the files of presets/, placed in the
// program at build time.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/QuantDict.h"
#include "compiler/Recipe/RecipeParser.h"
#include "compiler/Recipe/Selector.h"
#include "lib/Support/File.h"

using namespace quern;
using Json = nlohmann::json;

namespace {

struct Preset {
  const char *name;
  const char *text;
};

constexpr Preset presetTable[] = {
#include "compiler/Recipe/Presets.inc"
};

} // namespace

std::string quern::joinWords(std::initializer_list<std::string_view> words) {
  std::string text;
  for (std::string_view word : words)
    text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

Error RecipeParser::read(const Json &root) {
  if (!root.is_object())
    return fail("recipe", root, "an object");
  if (root.contains("base")) {
    const Json &base = root["base"];
    if (!base.is_string())
      return fail("base", base, "the name of a preset");
    Expected<Recipe> loaded = preset(base.get<std::string>(), "base");
    if (!loaded)
      return loaded.takeError();
    recipe = std::move(*loaded);
  }
  recipe.origin = origin;
  for (const auto &[key, value] : root.items()) {
    Error error = Error::success();
    if (key == "activation")
      error = readActivation(value);
    else if (key == "weight")
      error = readWeightDefault(value);
    else if (key == "sites")
      error = readSites(value);
    else if (key == "weights")
      error = readWeights(value);
    else if (key == "quant_setup")
      error = readQuantSetup(value);
    else if (key == "calibration")
      error = readCalibration(value);
    else if (key == "adaround")
      error = readRounding(value);
    else if (isArithmetic(key))
      error = readArithmetic(key, value);
    else if (key == "bias_correction") {
      if (!value.is_boolean())
        return fail(key, value, "true or false");
      recipe.correctsBiases = value.get<bool>();
    } else if (key == "name" || key == "description") {
      if (!value.is_string())
        return fail(key, value, "a string");
    } else if (key != "base")
      error = unknown(key, "",
                      joinWords({"base", "activation", "weight", "sites",
                                 "weights", "quant_setup", "calibration",
                                 "adaround", "arithmetic", "gelu", "softmax",
                                 "bias_correction", "name", "description"}));
    if (error)
      return error;
  }
  if (root.contains("name"))
    recipe.recipeName = root["name"].get<std::string>();
  return Error::success();
}

Expected<Recipe> RecipeParser::preset(const std::string &name,
                                      std::string_view key) {
  for (const Preset &known : presetTable)
    if (name == known.name)
      return Recipe::parse(known.text, name);
  std::string list;
  for (const std::string &known : Recipe::presets())
    list += (list.empty() ? "" : ", ") + known;
  return Error::make(origin, ": ", key, ": '", printable(name),
                     "' is no preset, expected one of ", list);
}

Error RecipeParser::fail(std::string_view key, const Json &found,
                         std::string_view expected) {
  return Error::make(origin, ": ", key, ": found ", describeJson(found),
                     ", expected ", expected);
}

Error RecipeParser::unknown(std::string_view key, std::string_view where,
                            std::string_view known) {
  return Error::make(origin, ": ", where, where.empty() ? "" : ": ",
                     "unknown key '", printable(key), "', expected one of ",
                     known);
}

Error RecipeParser::readCount(const std::string &path, const Json &value,
                              unsigned low, unsigned high,
                              std::optional<unsigned> &target) {
  if (!value.is_number_integer() || value < Json(low) || value > Json(high))
    return fail(path, value,
                "a number from " + std::to_string(low) + " to " +
                    std::to_string(high));
  target = value.get<unsigned>();
  return Error::success();
}

Error RecipeParser::readPercentile(const std::string &path, const Json &value,
                                   std::optional<double> &target) {
  double percent = value.is_number() ? value.get<double>() : 0;
  if (!(percent > 50 && percent <= 100))
    return fail(path, value, "a number above 50, at most 100");
  target = percent;
  return Error::success();
}

Error RecipeParser::readCalibration(const Json &value) {
  if (!value.is_object())
    return fail("calibration", value, "an object");
  for (const auto &[key, part] : value.items()) {
    bool isSize = key == "batch_size";
    if (!isSize && key != "batches")
      return unknown(key, "calibration", joinWords({"batch_size", "batches"}));
    std::optional<unsigned> count;
    if (Error error = readCount("calibration." + key, part, 1,
                                isSize ? 1024 : 1000000, count))
      return error;
    (isSize ? recipe.calibrated.batchSize : recipe.calibrated.batches) = *count;
  }
  return Error::success();
}

Error RecipeParser::readSetting(const std::string &target,
                                const std::string &key, const Json &value) {
  Json changed = {{key, value}};
  if (target == "calibration")
    return readCalibration(changed);
  if (target == "adaround")
    return readRounding(changed);
  if (target == "activation")
    return readActivation(changed);
  if (target == "weight")
    return readWeightDefault(changed);
  if (WeightChange *weight = weightNamed(target))
    return readWeight(target, changed, *weight);
  // One key cannot say this otherwise.
  if (key == "groups")
    changed["granularity"] = "groups";
  if (key == "granularity" && value == Json("groups"))
    return fail("sites." + target + "." + key, value,
                "the number of groups alone, which says as much, as in " +
                    target + ".groups=6");
  return readSite(target, changed);
}

Error RecipeParser::readBits(const std::string &where, const Json &value,
                             unsigned most, std::optional<unsigned> &bits) {
  if (value == Json("fp32")) {
    bits = 0;
    return Error::success();
  }
  if (value.is_number_integer() && value >= Json(2) && value <= Json(most)) {
    bits = value.get<unsigned>();
    return Error::success();
  }
  std::string expected =
      "2 to " + std::to_string(most) + ", \"learned\" or \"fp32\"";
  if (value.is_number())
    expected = "a bit-width that has a kernel, " + expected;
  return fail(where, value, expected);
}

Expected<Recipe> Recipe::parse(std::string_view text, std::string_view origin) {
  Expected<Json> root = parseJson(text, std::string(origin));
  if (!root)
    return root.takeError();
  Recipe recipe;
  recipe.recipeName = std::string(origin);
  recipe.origin = std::string(origin);
  RecipeParser parser(recipe, origin);
  if (Error error = parser.read(*root))
    return error;
  return recipe;
}

Expected<Recipe> Recipe::load(const std::string &nameOrPath) {
  bool isPath = nameOrPath.find('/') != std::string::npos ||
                (nameOrPath.size() > 5 &&
                 nameOrPath.compare(nameOrPath.size() - 5, 5, ".json") == 0);
  if (!isPath) {
    Recipe unused;
    return RecipeParser(unused, "--recipe").preset(nameOrPath, "name");
  }
  Expected<std::string> text = readFile(nameOrPath, 1 << 20);
  if (!text)
    return text.takeError();
  return parse(*text, nameOrPath);
}

std::vector<std::string> Recipe::presets() {
  std::vector<std::string> names;
  for (const Preset &preset : presetTable)
    names.push_back(preset.name);
  return names;
}

Error Recipe::set(std::string_view assignment) {
  RecipeParser parser(*this, "--set");
  size_t equal = assignment.find('=');
  if (equal == std::string_view::npos)
    return Error::make("--set: found '", printable(assignment),
                       "', expected SITE=SCHEME");
  std::string site(assignment.substr(0, equal));
  std::string scheme(assignment.substr(equal + 1));
  // A number, true and false; anything else is a word.
  Json value = Json::parse(scheme, nullptr, /*allow_exceptions=*/false);
  if (!value.is_number() && !value.is_boolean())
    value = scheme;
  if (site == "quant_setup")
    return parser.readQuantSetup(value);
  if (RecipeParser::isArithmetic(site))
    return parser.readArithmetic(site, value);
  if (site == "bias_correction")
    return parser.read({{site, value}});
  size_t dot = site.rfind('.');
  std::string target = site.substr(0, dot);
  bool isTarget = target == "activation" || target == "weight" ||
                  target == "calibration" || target == "adaround" ||
                  isSelector(target) || parser.weightNamed(target);
  if (dot != std::string::npos && isTarget && !isSelector(site))
    return parser.readSetting(target, site.substr(dot + 1), value);
  if (WeightChange *weight = parser.weightNamed(site)) {
    if (scheme == "channel" || scheme == "tensor")
      value = Json{{"granularity", scheme}};
    else if (parseClipRule(scheme))
      value = Json{{"estimator", scheme}};
    return parser.readWeight(site, value, *weight);
  }
  if (parseEstimator(scheme))
    value = Json{{"estimator", scheme}};
  return parser.readSite(site, value);
}

Error Recipe::setQuantDict(std::string_view dict) {
  Expected<std::string> text = readQuantDict(dict);
  if (!text)
    return text.takeError();
  Expected<Json> changes = parseJson(*text, "--quant-dict");
  if (!changes)
    return changes.takeError();
  return RecipeParser(*this, "--quant-dict").read(*changes);
}
