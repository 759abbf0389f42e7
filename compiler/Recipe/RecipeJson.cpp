//===- RecipeJson.cpp - Recipe files and presets --------------------------===//
//
// The text form of a recipe: strict reading with messages that name the key
// and list what is allowed, and writing. Presets are the files of presets/,
// placed in the program at build time.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/QuantDict.h"
#include "compiler/Recipe/Recipe.h"
#include "lib/Support/File.h"
#include "lib/Support/Json.h"

#include <initializer_list>

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

std::string join(std::initializer_list<std::string_view> words) {
  std::string text;
  for (std::string_view word : words)
    text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

/// The letters of quantization.md 4.1 that take a layer number, then ours.
constexpr std::initializer_list<std::string_view> layerKeys = {
    "s", "p", "c", "g", "u", "x", "h", "y", "z", "q", "k", "v", "f", "L"};
constexpr std::initializer_list<std::string_view> otherKeys = {
    "e", "emb", "P", "C", "E.t", "E.e", "E.z"};

bool contains(std::initializer_list<std::string_view> words,
              std::string_view word) {
  for (std::string_view known : words)
    if (known == word)
      return true;
  return false;
}

bool isNumber(std::string_view text) {
  return !text.empty() && text.size() < 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether any model could have the selector.
bool isSelector(std::string_view text) {
  if (contains(layerKeys, text) || contains(otherKeys, text))
    return true;
  if (text.size() > 1 && contains(layerKeys, text.substr(0, 1)) &&
      isNumber(text.substr(1)))
    return true;
  size_t dot = text.find('.');
  return dot != std::string_view::npos && text[0] == 'L' &&
         isNumber(text.substr(1, dot - 1)) && text.substr(dot + 1) != "L" &&
         contains(layerKeys, text.substr(dot + 1));
}

/// Whether a selector names outputs of LayerNorms.
bool isNormOutput(std::string_view selector) {
  if (selector == "emb" || selector == "E.z")
    return true;
  size_t dot = selector.find('.');
  char key = selector.empty() || selector == "E.e" || selector == "E.t" ? ' '
             : dot == std::string_view::npos ? selector[0]
                                             : selector[dot + 1];
  return key == 'x' || key == 'z';
}

/// Whether a selector names sites whose channels can have groups.
bool takesGroups(std::string_view selector) {
  size_t dot = selector.find('.');
  char key = selector.empty() || selector[0] == 'E' ? ' '
             : dot == std::string_view::npos        ? selector[0]
                                                    : selector[dot + 1];
  return key == 'x' || key == 'h' || key == 'y';
}

/// A value for a message. Containers may be very deep and are only named.
std::string shown(const Json &value) {
  if (value.is_structured())
    return value.is_object() ? "an object" : "an array";
  return printable(value.dump(-1, ' ', true, Json::error_handler_t::replace),
                   60);
}

} // namespace

namespace quern {

/// Reads one JSON document into a Recipe. Every method returns the first error.
class RecipeParser {
public:
  RecipeParser(Recipe &recipe, std::string_view origin)
      : recipe(recipe), origin(origin) {}

  Error read(const Json &root) {
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
      else if (key == "name" || key == "description") {
        if (!value.is_string())
          return fail(key, value, "a string");
      } else if (key != "base")
        error =
            unknown(key, "",
                    join({"base", "activation", "weight", "sites", "weights",
                          "quant_setup", "name", "description"}));
      if (error)
        return error;
    }
    if (root.contains("name"))
      recipe.recipeName = root["name"].get<std::string>();
    return Error::success();
  }

  /// A preset by name; `key` says where the name was found.
  Expected<Recipe> preset(const std::string &name, std::string_view key) {
    for (const Preset &known : presetTable)
      if (name == known.name)
        return Recipe::parse(known.text, name);
    std::string list;
    for (const std::string &known : Recipe::presets())
      list += (list.empty() ? "" : ", ") + known;
    return Error::make(origin, ": ", key, ": '", printable(name),
                       "' is no preset, expected one of ", list);
  }

  Error readChange(const std::string &where, const Json &value,
                   ActivationChange &change) {
    if (!value.is_object())
      return readBits(where, value, {8, 16}, change.bits);
    for (const auto &[key, part] : value.items()) {
      std::string path = where + "." + key;
      if (key == "bits") {
        if (Error error = readBits(path, part, {8, 16}, change.bits))
          return error;
      } else if (key == "estimator") {
        change.estimator = part.is_string()
                               ? parseEstimator(part.get<std::string>())
                               : std::nullopt;
        if (!change.estimator)
          return fail(path, part,
                      "one of current_minmax, running_minmax, allminmax, "
                      "percentile, mse_grid, mse_golden, mse, cross_entropy");
        if (*change.estimator == Estimator::CrossEntropy &&
            change.selector != "C")
          return fail(path, part,
                      "another estimator: cross_entropy is for the logits, "
                      "site C");
      } else if (key == "percentile") {
        double percent = part.is_number() ? part.get<double>() : 0;
        if (!(percent > 50 && percent <= 100))
          return fail(path, part, "a number above 50, at most 100");
        change.percentile = percent;
      } else if (key == "symmetric") {
        if (part != Json(false))
          return fail(path, part, "false");
      } else if (key == "granularity") {
        bool grouped = part == Json("groups") || part == Json("per-embedding");
        if (part != Json("tensor") &&
            (part != Json("channel") || !isNormOutput(change.selector)) &&
            (!grouped || !takesGroups(change.selector)))
          return fail(path, part,
                      "\"tensor\", or \"channel\" at the LayerNorm outputs "
                      "emb, x and z, or \"groups\" or \"per-embedding\" at x, "
                      "h and y");
        change.perChannel = part == Json("channel");
        if (part != Json("groups"))
          change.groups = grouped ? ActivationScheme::everyChannel : 0;
        else if (!value.contains("groups"))
          return Error::make(origin, ": ", path,
                             ": \"groups\" expects the number of groups "
                             "beside it, as in \"groups\": 6");
      } else if (key == "groups") {
        // Of the widest model, every channel.
        bool good = part.is_number_unsigned() && part.get<uint64_t>() >= 1 &&
                    part.get<uint64_t>() <= 65535;
        if (!good || value.value("granularity", Json()) != Json("groups"))
          return fail(path, part,
                      "a number of groups of 1 or more, beside "
                      "\"granularity\": \"groups\"");
        change.groups = part.get<unsigned>();
      } else if (key == "permute") {
        if (!part.is_boolean() && part != Json("shared-h"))
          return fail(path, part, "true, false or \"shared-h\"");
        change.permute = part == Json("shared-h") ? Permute::SharedH
                         : part == Json(true)     ? Permute::Own
                                                  : Permute::None;
      } else {
        return unknown(key, where,
                       join({"bits", "estimator", "percentile", "symmetric",
                             "granularity", "groups", "permute"}));
      }
    }
    return Error::success();
  }

  Error readWeight(const std::string &where, const Json &value,
                   WeightChange &change) {
    static constexpr std::initializer_list<unsigned> allowed = {2, 3, 4, 5,
                                                                6, 7, 8};
    if (!value.is_object())
      return readBits(where, value, allowed, change.bits);
    for (const auto &[key, part] : value.items()) {
      std::string path = where + "." + key;
      if (key == "bits") {
        if (Error error = readBits(path, part, allowed, change.bits))
          return error;
      } else if (key == "granularity") {
        if (part != Json("tensor") && part != Json("channel"))
          return fail(path, part, "\"tensor\" or \"channel\"");
        change.perChannel = part == Json("channel");
      } else if (key == "estimator") {
        if (part != Json("minmax") && part != Json("mse"))
          return fail(path, part, "\"minmax\" or \"mse\"");
        change.mse = part == Json("mse");
      } else if (key == "rounding" && where == "weight") {
        if (part != Json("nearest") && part != Json("adaround"))
          return fail(path, part, "\"nearest\" or \"adaround\"");
        change.adaptive = part == Json("adaround");
      } else if (key == "symmetric") {
        if (part != Json(true))
          return fail(path, part, "true");
      } else {
        return unknown(key, where,
                       join({"bits", "granularity", "estimator", "symmetric"}));
      }
    }
    return Error::success();
  }

  /// The change record of a weight name, or null.
  WeightChange *weightNamed(std::string_view name) {
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

  Error readSite(const std::string &selector, const Json &value) {
    if (!isSelector(selector))
      return unknown(selector, "sites",
                     join(layerKeys) +
                         " (each alone, with a layer number as "
                         "in x3, or as a full name L3.x), " +
                         join(otherKeys));
    ActivationChange change;
    change.selector = selector;
    if (Error error = readChange("sites." + selector, value, change))
      return error;
    recipe.changes.push_back(change);
    return Error::success();
  }

  /// What the published code does with the logits, by its names.
  Error readQuantSetup(const Json &value) {
    ActivationChange change;
    change.selector = "C";
    if (value == Json("FP_logits"))
      change.bits = 0;
    else if (value == Json("MSE_logits"))
      change.estimator = Estimator::MseGolden;
    else if (value != Json("all"))
      return fail("quant_setup", value,
                  "\"all\", \"FP_logits\" or \"MSE_logits\"");
    if (value != Json("all"))
      recipe.changes.push_back(change);
    return Error::success();
  }

  Error fail(std::string_view key, const Json &found,
             std::string_view expected) {
    return Error::make(origin, ": ", key, ": found ", shown(found),
                       ", expected ", expected);
  }

private:
  Error unknown(std::string_view key, std::string_view where,
                std::string_view known) {
    return Error::make(origin, ": ", where, where.empty() ? "" : ": ",
                       "unknown key '", printable(key), "', expected one of ",
                       known);
  }

  Error readBits(const std::string &where, const Json &value,
                 std::initializer_list<unsigned> allowed,
                 std::optional<unsigned> &bits) {
    if (value == Json("fp32")) {
      bits = 0;
      return Error::success();
    }
    std::string list;
    for (unsigned each : allowed) {
      list += std::to_string(each) + ", ";
      if (value.is_number_integer() && value == Json(each)) {
        bits = each;
        return Error::success();
      }
    }
    return fail(where, value, list + "or \"fp32\"");
  }

  Error readActivation(const Json &value) {
    if (!value.is_object() && value != Json("fp32"))
      return fail("activation", value, "an object or \"fp32\"");
    ActivationChange change;
    if (Error error = readChange("activation", value, change))
      return error;
    ActivationScheme &scheme = recipe.activation;
    scheme.bits = change.bits.value_or(scheme.bits);
    scheme.estimator = change.estimator.value_or(scheme.estimator);
    scheme.percentile = change.percentile.value_or(scheme.percentile);
    return Error::success();
  }

  Error readWeightDefault(const Json &value) {
    if (!value.is_object() && value != Json("fp32"))
      return fail("weight", value, "an object or \"fp32\"");
    WeightChange change;
    if (Error error = readWeight("weight", value, change))
      return error;
    WeightScheme &scheme = recipe.weight;
    scheme.bits = change.bits.value_or(scheme.bits);
    scheme.perChannel = change.perChannel.value_or(scheme.perChannel);
    scheme.mse = change.mse.value_or(scheme.mse);
    scheme.adaptive = change.adaptive.value_or(scheme.adaptive);
    return Error::success();
  }

  Error readSites(const Json &value) {
    if (!value.is_object())
      return fail("sites", value, "an object");
    for (const auto &[selector, change] : value.items())
      if (Error error = readSite(selector, change))
        return error;
    return Error::success();
  }

  Error readWeights(const Json &value) {
    if (!value.is_object())
      return fail("weights", value, "an object");
    for (const auto &[name, change] : value.items()) {
      WeightChange *target = weightNamed(name);
      if (!target)
        return unknown(name, "weights",
                       join({"Et", "tables", "norms", "wP", "wC"}));
      if (Error error = readWeight("weights." + name, change, *target))
        return error;
    }
    return Error::success();
  }

  Recipe &recipe;
  std::string origin;
};

} // namespace quern

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
  Json value = scheme;
  if (isNumber(scheme))
    value = std::stoi(scheme);
  if (site == "quant_setup")
    return parser.readQuantSetup(value);
  if (WeightChange *weight = parser.weightNamed(site)) {
    if (scheme == "channel" || scheme == "tensor")
      value = Json{{"granularity", scheme}};
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
  root["weight"] =
      weightJson({weight.bits, weight.perChannel, weight.mse, weight.adaptive});
  for (const ActivationChange &change : changes) {
    Json &json = root["sites"][change.selector];
    if (change.bits)
      json["bits"] = bitsOf(*change.bits);
    if (change.estimator)
      json["estimator"] = estimatorName(*change.estimator);
    if (change.percentile)
      json["percentile"] = *change.percentile;
    if (change.perChannel)
      json["granularity"] = *change.perChannel ? "channel" : "tensor";
    if (change.groups.value_or(0) == ActivationScheme::everyChannel) {
      json["granularity"] = "per-embedding";
    } else if (change.groups.value_or(0)) {
      json["granularity"] = "groups";
      json["groups"] = *change.groups;
    }
    if (change.permute)
      json["permute"] = *change.permute == Permute::SharedH
                            ? Json("shared-h")
                            : Json(*change.permute == Permute::Own);
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
