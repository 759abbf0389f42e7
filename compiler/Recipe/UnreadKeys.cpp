//===- UnreadKeys.cpp - Values of a recipe that nothing reads -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// An option of an estimator that is not in use, or one of ranges that are found
// at run time, is a mistake. What a later or more specific value made void is
// none: presets are changed so.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/Recipe.h"
#include "compiler/Recipe/Selector.h"

#include <array>

using namespace quern;

namespace {

/// A value of a change that only some schemes read.
struct Option {
  const char *key;
  /// Whether the change sets it.
  bool (*isSet)(const ActivationChange &change);
  /// Whether a scheme whose range is estimated reads it.
  bool (*isRead)(const ActivationScheme &scheme, Estimator estimator);
  const char *expected;
};

constexpr std::array<Option, 5> options = {{
    {"percentile",
     [](const ActivationChange &change) { return bool(change.percentile); },
     [](const ActivationScheme &, Estimator estimator) {
       return estimator == Estimator::Percentile;
     },
     "\"estimator\": \"percentile\""},
    {"momentum",
     [](const ActivationChange &change) { return bool(change.momentum); },
     [](const ActivationScheme &, Estimator estimator) {
       return estimator == Estimator::RunningMinMax;
     },
     "\"estimator\": \"running_minmax\""},
    {"candidates",
     [](const ActivationChange &change) { return bool(change.candidates); },
     [](const ActivationScheme &, Estimator estimator) {
       return estimator == Estimator::MseGrid ||
              estimator == Estimator::CrossEntropy;
     },
     "\"estimator\": \"mse_grid\" or \"cross_entropy\""},
    {"permute",
     [](const ActivationChange &change) {
       return change.permute.value_or(Permute::None) != Permute::None;
     },
     [](const ActivationScheme &scheme, Estimator) {
       return scheme.groups > 1 && !scheme.powersOfTwo;
     },
     "\"granularity\": \"groups\""},
    {"residual",
     [](const ActivationChange &change) {
       return change.residualBits.value_or(0) != 0;
     },
     [](const ActivationScheme &scheme, Estimator) {
       return scheme.perChannel;
     },
     "\"granularity\": \"channel\""},
}};

/// Whether a site reads an option. Every channel's own group needs no order.
bool reads(const ActivationScheme &scheme, const Option &option) {
  if (!scheme.needsRange())
    return false;
  return option.isRead(scheme, scheme.estimator) ||
         (scheme.needsChannels() &&
          option.isRead(scheme, scheme.channelEstimator));
}

/// What a site has in place of what the option wants.
std::string describe(const ActivationScheme &scheme, const Option &option) {
  if (scheme.isFloat())
    return "\"fp32\"";
  if (scheme.perToken)
    return "\"granularity\": \"token\"";
  std::string_view key = option.key;
  if (key == "permute" || key == "residual")
    return scheme.groups > 1   ? "\"granularity\": \"power_of_two\""
           : scheme.perChannel ? "\"granularity\": \"channel\""
                               : "\"granularity\": \"tensor\"";
  return "\"estimator\": \"" +
         std::string(estimatorName(scheme.needsChannels()
                                       ? scheme.channelEstimator
                                       : scheme.estimator)) +
         "\"";
}

} // namespace

Error Recipe::checkUnread(const std::vector<Site> &sites) const {
  auto check = [&](const ActivationChange &change, const std::string &path,
                   auto &&covers, auto &&then) {
    for (const Option &option : options) {
      if (!option.isSet(change))
        continue;
      const Site *unread = nullptr;
      bool isRead = false;
      for (const Site &site : sites) {
        if (!covers(site))
          continue;
        isRead |=
            reads(activationFor(site), option) || reads(then(site), option);
        if (!unread)
          unread = &site;
      }
      if (unread && !isRead)
        return Error::make(origin, ": ", path, ".", option.key, ": found ",
                           describe(activationFor(*unread), option), " at ",
                           unread->name, ", which does not read it, expected ",
                           option.expected, " there");
    }
    return Error::success();
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    const ActivationChange &change = changes[i];
    if (Error error = check(
            change, "sites." + change.selector,
            [&](const Site &site) {
              return selectorCovers(change.selector, site);
            },
            [&](const Site &site) { return schemeFor(site, i + 1); }))
      return error;
  }
  // The usual values may be written out.
  const ActivationScheme usual;
  ActivationScheme then;
  for (ActivationChange change : defaults) {
    applyChange(change, then);
    if (change.percentile == usual.percentile)
      change.percentile = std::nullopt;
    if (Error error = check(
            change, "activation", [](const Site &) { return true; },
            [&](const Site &) { return then; }))
      return error;
  }
  return Error::success();
}

Error Recipe::checkUnreadWeights() const {
  if (!unreadRounding.empty() && !weight.adaptive)
    return Error::make(origin, ": ", unreadRounding,
                       ": found weights of \"rounding\": \"nearest\", which "
                       "do not read it, expected \"adaround\" there");
  for (const UnreadOption &option : unread) {
    bool isRead = false;
    for (WeightRole role :
         {WeightRole::Table, WeightRole::WordTable, WeightRole::Norm,
          WeightRole::Linear, WeightRole::Pooler, WeightRole::Classifier})
      isRead |= (!option.role || *option.role == role) &&
                !weightFor(role).isFloat() &&
                weightFor(role).estimator == option.reader;
    if (!isRead)
      return Error::make(
          origin, ": ", option.path, ": found ", option.value,
          " beside another estimator, expected \"estimator\": \"",
          std::string(clipRuleName(option.reader)), "\" there");
  }
  return Error::success();
}
