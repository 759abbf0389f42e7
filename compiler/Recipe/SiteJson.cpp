//===- SiteJson.cpp - The values of an activation site --------------------===//
//
// The keys that `activation` and each entry of `sites` may have.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/PermuteJson.h"
#include "compiler/Recipe/RecipeParser.h"
#include "compiler/Recipe/Selector.h"

using namespace quern;
using Json = nlohmann::json;

Error RecipeParser::readGranularity(const std::string &path, const Json &whole,
                                    const Json &part,
                                    ActivationChange &change) {
  // Ranges of whatever is run together.
  if (part == Json("dynamic") || part == Json("batch"))
    return fail(
        path, part,
        "\"token\" for ranges found at run time: those of a whole batch "
        "would make each answer depend on what else is in the batch");
  bool grouped = part == Json("groups") || part == Json("per-embedding");
  bool perToken = part == Json("token");
  bool powers = part == Json("power_of_two");
  if (part != Json("tensor") &&
      (part != Json("channel") || !namesNormOutput(change.selector)) &&
      (!perToken || !takesTokens(change.selector)) &&
      (!powers || !namesResidualSum(change.selector)) &&
      (!grouped || !takesGroups(change.selector)))
    return fail(
        path, part,
        "\"tensor\", or \"channel\" at the LayerNorm outputs "
        "emb, x and z, or \"groups\" or \"per-embedding\" at x, "
        "h and y, or \"power_of_two\" at the residual sums u and y and, "
        "of vision models, e, or "
        "\"token\" at the inputs of linear layers emb, x, z, c and f");
  if (powers && whole.contains("permute"))
    return fail(path, part,
                "no \"permute\" beside it: errors choose the group of a "
                "channel");
  change.perChannel = part == Json("channel");
  change.perToken = perToken;
  change.powersOfTwo = powers;
  if (part != Json("groups"))
    change.groups = grouped  ? ActivationScheme::everyChannel
                    : powers ? ActivationScheme::powerGroups
                             : 0;
  else if (!whole.contains("groups"))
    return Error::make(origin, ": ", path,
                       ": \"groups\" expects the number of groups "
                       "beside it, as in \"groups\": 6");
  return Error::success();
}

Error RecipeParser::readChange(const std::string &where, const Json &value,
                               ActivationChange &change) {
  if (!value.is_object())
    return readBits(where, value, 16, change);
  for (const auto &[key, part] : value.items()) {
    std::string path = where + "." + key;
    if (key == "bits") {
      if (Error error = readBits(path, part, 16, change))
        return error;
    } else if (key == "estimator") {
      change.estimator = part.is_string()
                             ? parseEstimator(part.get<std::string>())
                             : std::nullopt;
      if (!change.estimator)
        return fail(path, part,
                    "one of current_minmax, running_minmax, allminmax, "
                    "percentile, mse_grid, mse_golden, mse, cross_entropy, "
                    "log_percentile, dual_clip");
      if (*change.estimator == Estimator::LogPercentile &&
          !takesLog(change.selector))
        return fail(path, part,
                    "another estimator: log_percentile is for logarithmic "
                    "codes, at site p");
      if (*change.estimator == Estimator::DualClip &&
          !namesNormOutput(change.selector))
        return fail(path, part,
                    "another estimator: dual_clip is for the channels of emb, "
                    "x and z");
      if (*change.estimator == Estimator::CrossEntropy &&
          change.selector != "C")
        return fail(path, part,
                    "another estimator: cross_entropy is for the logits, "
                    "site C");
    } else if (key == "percentile") {
      if (Error error = readPercentile(path, part, change.percentile))
        return error;
    } else if (key == "candidates") {
      if (Error error = readCount(path, part, 2, 10000, change.candidates))
        return error;
    } else if (key == "momentum") {
      double share = part.is_number() ? part.get<double>() : -1;
      if (!(share >= 0 && share < 1))
        return fail(path, part, "a number of at least 0 and below 1");
      change.momentum = share;
    } else if (key == "symmetric") {
      if (!part.is_boolean())
        return fail(path, part, "true or false");
      change.symmetric = part.get<bool>();
    } else if (key == "quantizer") {
      if (!takesLog(change.selector))
        return fail(path, part,
                    "the key at p only: logarithmic codes are for attention "
                    "probabilities");
      change.quantizer = part.is_string()
                             ? parseQuantizer(part.get<std::string>())
                             : std::nullopt;
      if (!change.quantizer)
        return fail(path, part, "\"uniform\", \"log2\" or \"log_sqrt2\"");
    } else if (key == "granularity") {
      if (Error error = readGranularity(path, value, part, change))
        return error;
    } else if (key == "groups") {
      if (value.value("granularity", Json()) != Json("groups"))
        return fail(path, part, "\"granularity\": \"groups\" beside it");
      // Of the widest model, every channel.
      if (Error error = readCount(path, part, 1, 65535, change.groups))
        return error;
    } else if (key == "permute") {
      if (!takesGroups(change.selector))
        return fail(path, part, "the key at x, h and y only");
      change.permute = readPermute(part);
      if (!change.permute)
        return fail(path, part, permuteWords);
    } else if (key == "form") {
      if (!takesForm(change.selector))
        return fail(path, part,
                    "the key at x only, a LayerNorm output that products read: "
                    "h and y are read element by element, other sites have no "
                    "groups");
      change.form = part.is_string() ? parseGroupForm(part.get<std::string>())
                                     : std::nullopt;
      if (!change.form)
        return fail(path, part, "\"direct\", \"folded\" or \"auto\"");
    } else if (key == "residual") {
      if (!namesNormOutput(change.selector))
        return fail(path, part,
                    "the key at the LayerNorm outputs emb, x and z only");
      if (part == Json("codes"))
        change.residualBits = 0;
      else if (Error error = readCount(path, part, 2, 16, change.residualBits))
        return error;
    } else {
      return unknown(
          key, where,
          joinWords({"bits", "symmetric", "estimator", "percentile",
                     "candidates", "momentum", "quantizer", "granularity",
                     "groups", "permute", "form", "residual"}));
    }
  }
  return Error::success();
}

Error RecipeParser::readSite(const std::string &selector, const Json &value) {
  if (!isSelector(selector))
    return unknown(selector, "sites", selectorWords());
  ActivationChange change;
  change.selector = selector;
  if (Error error = readChange("sites." + selector, value, change))
    return error;
  recipe.changes.push_back(change);
  return Error::success();
}

Error RecipeParser::readQuantSetup(const Json &value) {
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

Error RecipeParser::readActivation(const Json &value) {
  if (!value.is_object() && value != Json("fp32"))
    return fail("activation", value, "an object or \"fp32\"");
  ActivationChange change;
  if (Error error = readChange("activation", value, change))
    return error;
  applyChange(change, recipe.activation);
  recipe.defaults.push_back(change);
  return Error::success();
}

Error RecipeParser::readSites(const Json &value) {
  if (!value.is_object())
    return fail("sites", value, "an object");
  for (const auto &[selector, change] : value.items())
    if (Error error = readSite(selector, change))
      return error;
  return Error::success();
}
