//===- RangeTable.cpp - The ranges found by calibration -------------------===//
//
// Whether a table serves a scheme. RangeJson.cpp has the text form.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Recipe/PermuteJson.h"

using namespace quern;

namespace {

/// An estimator with the options that it reads.
std::string describe(const ActivationScheme &scheme, Estimator estimator) {
  std::string text(estimatorName(estimator));
  if (estimator == Estimator::Percentile)
    text += " " + std::to_string(scheme.percentile);
  if (estimator == Estimator::RunningMinMax)
    text += " of momentum " + std::to_string(scheme.momentum);
  if (estimator == Estimator::MseGrid || estimator == Estimator::CrossEntropy)
    if (scheme.candidates != 100)
      text += " of " + std::to_string(scheme.candidates) + " candidates";
  if (scheme.symmetric)
    text = "symmetric " + text;
  if (scheme.isLog())
    text = std::string(quantizerName(scheme.quantizer)) + " by " + text;
  return text + " at " + std::to_string(scheme.bits) + " bits";
}

std::string describeGroups(const SiteRange &range) {
  if (range.scheme.powersOfTwo)
    return "groups of power_of_two, " +
           describe(range.scheme, range.scheme.channelEstimator);
  return std::to_string(range.groups.size()) + " groups with permute " +
         writePermute(range.scheme.permute).dump() + ", " +
         describe(range.scheme, range.scheme.channelEstimator);
}

bool usesBits(Estimator estimator) {
  return estimator == Estimator::MseGrid || estimator == Estimator::MseGolden ||
         estimator == Estimator::CrossEntropy ||
         estimator == Estimator::LogPercentile ||
         estimator == Estimator::DualClip;
}

/// Whether ranges made for `a` are those of `b`: extremes hold for any bits.
bool fits(const ActivationScheme &a, const ActivationScheme &b, Estimator made,
          Estimator asked) {
  return made == asked && a.symmetric == b.symmetric &&
         a.quantizer == b.quantizer && (!usesBits(asked) || a.bits == b.bits) &&
         a.sameOptions(b, asked);
}

} // namespace

std::string RangeTable::prefix() const {
  return origin.empty() ? "calibration" : origin;
}

Expected<const SiteRange *>
RangeTable::find(const std::string &site,
                 const ActivationScheme &scheme) const {
  auto it = sites.find(site);
  if (it == sites.end())
    return Error::make(prefix(), ": sites: no range for site ", site);
  const SiteRange &found = it->second;
  // A learned table was made for the recipe itself.
  if (!found.learned.empty())
    return &found;
  std::string where = prefix() + ": sites." + site;
  if (scheme.groups > 1) {
    size_t wanted = scheme.groups == ActivationScheme::everyChannel
                        ? found.groupOf.size()
                        : scheme.groups;
    // Powers of two have the groups that their channels need.
    bool isOther = found.groups.size() != wanted ||
                   (found.scheme.permute != scheme.permute &&
                    wanted != found.groupOf.size());
    if (found.groups.empty() ||
        found.scheme.powersOfTwo != scheme.powersOfTwo ||
        (isOther && !scheme.powersOfTwo) ||
        (scheme.powersOfTwo && found.scheme.bits != scheme.bits) ||
        !fits(found.scheme, scheme, found.scheme.channelEstimator,
              scheme.channelEstimator)) {
      SiteRange asked;
      asked.scheme = scheme;
      asked.groups.resize(wanted);
      return Error::make(where, ": found ",
                         found.groups.empty() ? "no groups"
                                              : describeGroups(found),
                         ", the recipe expects ", describeGroups(asked));
    }
    return &found;
  }
  if (!fits(found.scheme, scheme, found.scheme.estimator, scheme.estimator))
    return Error::make(
        where, ": found ", describe(found.scheme, found.scheme.estimator),
        ", the recipe expects ", describe(scheme, scheme.estimator));
  if (scheme.perChannel &&
      (found.channels.empty() ||
       !fits(found.scheme, scheme, found.scheme.channelEstimator,
             scheme.channelEstimator)))
    return Error::make(
        where, ": found ",
        found.channels.empty()
            ? "no channels"
            : describe(found.scheme, found.scheme.channelEstimator),
        ", the recipe expects channels by ",
        describe(scheme, scheme.channelEstimator));
  if (scheme.residualBits && found.residual.size() != found.channels.size())
    return Error::make(where, ": found ", found.residual.size(),
                       " channels for residual sums, the recipe expects ",
                       found.channels.size());
  return &found;
}
