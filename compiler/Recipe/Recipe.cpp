//===- Recipe.cpp - Resolving a recipe against the sites of a model -------===//
//
// The order of precedence of changes and the lookups by site and role.
// RecipeJson.cpp reads the text form, RecipeWriter.cpp writes it.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/Recipe.h"
#include "compiler/Recipe/Selector.h"

#include <algorithm>
#include <array>
#include <set>

using namespace quern;

namespace {

constexpr std::array<std::pair<std::string_view, Estimator>, 10> estimators = {{
    {"current_minmax", Estimator::CurrentMinMax},
    {"running_minmax", Estimator::RunningMinMax},
    {"allminmax", Estimator::AllMinMax},
    {"percentile", Estimator::Percentile},
    {"mse_grid", Estimator::MseGrid},
    {"mse_golden", Estimator::MseGolden},
    {"cross_entropy", Estimator::CrossEntropy},
    {"log_percentile", Estimator::LogPercentile},
    {"dual_clip", Estimator::DualClip},
    {"mse", Estimator::MseGrid},
}};

constexpr std::array<std::pair<std::string_view, GroupForm>, 3> groupForms = {{
    {"direct", GroupForm::Direct},
    {"folded", GroupForm::Folded},
    {"auto", GroupForm::Auto},
}};

constexpr std::array<std::pair<std::string_view, Quantizer>, 3> quantizers = {{
    {"uniform", Quantizer::Uniform},
    {"log2", Quantizer::Log2},
    {"log_sqrt2", Quantizer::LogSqrt2},
}};

/// Whether an estimator finds the scale of logarithmic codes, which is the
/// upper end of a range.
bool findsLogScale(Estimator estimator) {
  return estimator == Estimator::LogPercentile ||
         estimator == Estimator::Percentile ||
         estimator == Estimator::AllMinMax ||
         estimator == Estimator::RunningMinMax ||
         estimator == Estimator::CurrentMinMax;
}

} // namespace

std::string_view quern::groupFormName(GroupForm form) {
  for (const auto &[name, value] : groupForms)
    if (value == form)
      return name;
  return "?";
}

std::optional<GroupForm> quern::parseGroupForm(std::string_view name) {
  for (const auto &[known, value] : groupForms)
    if (known == name)
      return value;
  return std::nullopt;
}

std::string_view quern::quantizerName(Quantizer quantizer) {
  for (const auto &[name, value] : quantizers)
    if (value == quantizer)
      return name;
  return "?";
}

std::optional<Quantizer> quern::parseQuantizer(std::string_view name) {
  for (const auto &[known, value] : quantizers)
    if (known == name)
      return value;
  return std::nullopt;
}

std::string_view quern::estimatorName(Estimator estimator) {
  for (const auto &[name, value] : estimators)
    if (value == estimator)
      return name;
  return "?";
}

std::optional<Estimator> quern::parseEstimator(std::string_view name) {
  for (const auto &[known, value] : estimators)
    if (known == name)
      return value;
  return std::nullopt;
}

/// An error when nothing gives groups to the sites whose groups are to be
/// folded. A later change may take the groups away again.
Error Recipe::checkForm(const ActivationChange &form,
                        const std::vector<Site> &sites) const {
  for (const Site &site : sites)
    for (const ActivationChange &change : changes)
      if (selectorCovers(form.selector, site) &&
          selectorCovers(change.selector, site) &&
          change.groups.value_or(0) > 1)
        return Error::success();
  return Error::make(origin, ": sites.", form.selector, ".form: found \"",
                     groupFormName(*form.form),
                     "\" at a site without groups, expected \"granularity\": "
                     "\"groups\" or \"per-embedding\" there");
}

/// An error when a site's bits or estimator are not those of its quantizer.
Error Recipe::checkLog(const Site &site) const {
  ActivationScheme scheme = activationFor(site);
  std::string_view name = quantizerName(scheme.quantizer);
  if (scheme.isLog() && (scheme.bits < 3 || scheme.bits > 8))
    return Error::make(origin, ": sites.", site.name, ".bits: found ",
                       scheme.bits, " beside \"quantizer\": \"", name,
                       "\", expected 3 to 8");
  if (scheme.isLog() && !findsLogScale(scheme.estimator))
    return Error::make(origin, ": sites.", site.name, ".estimator: found \"",
                       estimatorName(scheme.estimator),
                       "\" beside \"quantizer\": \"", name,
                       "\", expected one of log_percentile, percentile, "
                       "allminmax, running_minmax, current_minmax");
  if (!scheme.isLog() && !scheme.isFloat() &&
      scheme.estimator == Estimator::LogPercentile)
    return Error::make(origin, ": sites.", site.name, ".estimator: found \"",
                       estimatorName(scheme.estimator),
                       "\" beside \"quantizer\": \"", name,
                       "\", expected log2 or log_sqrt2 there");
  return Error::success();
}

/// Forms of integers need a recipe without f32, and some of them the codes of
/// 8 bits that they were made for.
Error Recipe::checkArithmetic(const std::vector<Site> &sites) const {
  const ArithmeticScheme usual;
  if (!arithmeticForms.fixed) {
    if (arithmeticForms.gelu != usual.gelu)
      return Error::make(origin, ": gelu: found \"",
                         geluName(arithmeticForms.gelu),
                         "\", expected \"arithmetic\": \"fixed\" beside it");
    if (arithmeticForms.softmax != usual.softmax)
      return Error::make(origin, ": softmax: found \"",
                         softmaxName(arithmeticForms.softmax),
                         "\", expected \"arithmetic\": \"fixed\" beside it");
    return Error::success();
  }
  std::string_view softmax = softmaxName(arithmeticForms.softmax);
  for (const Site &site : sites) {
    ActivationScheme scheme = activationFor(site);
    // Not before minutes of calibration: layers have no float at all.
    if (scheme.isFloat() && site.layer >= 0)
      return Error::make(origin, ": sites.", site.name,
                         ": found \"fp32\" beside \"arithmetic\": \"fixed\", "
                         "expected a number of bits");
    if (site.key != "p")
      continue;
    if (!scheme.isLog()) {
      if (arithmeticForms.probabilityScale() != 0 && scheme.bits != 8)
        return Error::make(origin, ": softmax: found \"", softmax, "\" with ",
                           scheme.bits, " bits at ", site.name, ", expected 8");
      continue;
    }
    if (scheme.quantizer != Quantizer::Log2 || scheme.bits > 4)
      return Error::make(origin, ": sites.", site.name,
                         ": found \"quantizer\": \"",
                         quantizerName(scheme.quantizer), "\" in ", scheme.bits,
                         " bits beside \"arithmetic\": \"fixed\", expected "
                         "\"log2\" in 3 or 4 bits, or \"uniform\"");
    if (arithmeticForms.softmax == ArithmeticScheme::Softmax::Shiftmax)
      return Error::make(origin, ": softmax: found \"", softmax,
                         "\" beside \"quantizer\": \"log2\" at ", site.name,
                         ", expected \"table\" or \"i_exp\"");
  }
  return Error::success();
}

/// Kernels with zero points of weights take 8-bit codes of one scale only.
Error Recipe::checkZeroPoints(const std::vector<Site> &sites) const {
  if (weightFor(WeightRole::Linear).symmetric)
    return Error::success();
  static const std::set<std::string> inputs = {"emb", "c", "x", "f", "z"};
  for (const Site &site : sites) {
    ActivationScheme scheme = activationFor(site);
    const char *found = scheme.groups > 1 && !scheme.powersOfTwo &&
                                scheme.form != GroupForm::Folded
                            ? "groups"
                        : scheme.perToken        ? "ranges of tokens"
                        : scheme.bits <= 8       ? nullptr
                        : inputs.count(site.key) ? "more than 8 bits"
                                                 : nullptr;
    if (found)
      return Error::make(origin,
                         ": weight.symmetric: found false, expected "
                         "true beside ",
                         found, " at ", site.name);
  }
  return Error::success();
}

bool Recipe::readsBits(const std::vector<Site> &sites) const {
  for (WeightRole role :
       {WeightRole::Table, WeightRole::WordTable, WeightRole::Norm,
        WeightRole::Linear, WeightRole::Pooler, WeightRole::Classifier})
    if (weightFor(role).learnedBits)
      return true;
  for (const Site &site : sites)
    if (activationFor(site).learnedBits)
      return true;
  return false;
}

Error Recipe::check(const std::vector<Site> &sites) const {
  if (Error error = checkArithmetic(sites))
    return error;
  if (Error error = checkZeroPoints(sites))
    return error;
  for (const ActivationChange &change : changes) {
    bool used = std::any_of(sites.begin(), sites.end(), [&](const Site &site) {
      return selectorCovers(change.selector, site);
    });
    // What is not there is in f32 anyway, so that the same recipe serves models
    // with a head and without.
    bool asksNothing = change.bits && *change.bits == 0;
    if (used ||
        (asksNothing && (change.selector == "P" || change.selector == "C")))
      continue;
    std::set<std::string> keys;
    int layers = 0;
    for (const Site &site : sites) {
      keys.insert(site.key);
      layers = std::max(layers, site.layer + 1);
    }
    std::string list;
    for (const std::string &key : keys)
      list += (list.empty() ? "" : ", ") + key;
    return Error::make(origin, ": sites: '", printable(change.selector),
                       "' names no site of this model, expected one of ", list,
                       ", L, with a layer number of 0 to ", layers - 1,
                       " (x0), or a full name (L0.x)");
  }
  for (const ActivationChange &change : changes)
    if (change.form.value_or(GroupForm::Direct) != GroupForm::Direct)
      if (Error error = checkForm(change, sites))
        return error;
  for (const Site &site : sites)
    if (Error error = checkLog(site))
      return error;
  if (Error error = checkUnread(sites))
    return error;
  return checkUnreadWeights();
}

ActivationScheme Recipe::activationFor(const Site &site) const {
  return schemeFor(site, changes.size());
}

/// That of the first changes.
ActivationScheme Recipe::schemeFor(const Site &site, size_t changeCount) const {
  ActivationScheme scheme = activation;
  std::optional<Estimator> own;
  // From the general to the specific; within a level the later change wins.
  for (int level = 0; level <= highestSelectorRank; ++level)
    for (size_t i = 0; i < changeCount; ++i) {
      const ActivationChange &change = changes[i];
      if (!selectorCovers(change.selector, site) ||
          selectorRank(change.selector, site) != level)
        continue;
      applyChange(change, scheme);
      if (change.estimator)
        own = change.estimator;
    }
  scheme.channelEstimator = own.value_or(scheme.channelEstimator);
  if (scheme.isLog()) {
    scheme.estimator = own.value_or(Estimator::LogPercentile);
    // Probabilities have no sign.
    scheme.symmetric = false;
  }
  // What a more general change says of groups is void where there are none.
  if (scheme.groups < 2)
    scheme.form = GroupForm::Direct;
  if (!scheme.perChannel || scheme.isFloat())
    scheme.residualBits = 0;
  return scheme;
}

WeightScheme Recipe::weightFor(WeightRole role) const {
  WeightScheme scheme = weight;
  auto apply = [&](const WeightChange &change) { applyChange(change, scheme); };
  scheme.adaptive &= role == WeightRole::Linear && !scheme.isFloat();
  scheme.symmetric |= role == WeightRole::Table ||
                      role == WeightRole::WordTable || role == WeightRole::Norm;
  switch (role) {
  case WeightRole::Table:
    apply(tables);
    break;
  case WeightRole::WordTable:
    apply(tables);
    apply(wordTable);
    break;
  case WeightRole::Norm:
    apply(norms);
    scheme.perChannel = false;
    break;
  case WeightRole::Linear:
    break;
  case WeightRole::Pooler:
    apply(pooler);
    break;
  case WeightRole::Classifier:
    apply(classifier);
    break;
  }
  return scheme;
}

bool Recipe::isFloat() const {
  auto quantizes = [](const auto &change) { return change.bits.value_or(0); };
  if (activation.bits || weight.bits)
    return false;
  return !std::any_of(changes.begin(), changes.end(), quantizes) &&
         !quantizes(wordTable) && !quantizes(tables) && !quantizes(norms) &&
         !quantizes(pooler) && !quantizes(classifier);
}
