//===- RangeJson.cpp - ranges.json ----------------------------------------===//
//
// Strict reading, with messages that name site and key, and writing.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Recipe/PermuteJson.h"
#include "lib/Support/File.h"
#include "lib/Support/Json.h"

#include <cmath>

using namespace quern;
using Json = nlohmann::json;

namespace {

constexpr int formatVersion = 1;

/// A pair of numbers for a message.
std::string describePair(const Json &value) {
  if (!value.is_array() || value.size() != 2)
    return describeJson(value);
  return "[" + describeJson(value[0]) + ", " + describeJson(value[1]) + "]";
}

/// Two finite numbers in order.
bool readRange(const Json &value, Range &range) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number() ||
      !value[1].is_number())
    return false;
  range = {value[0].get<double>(), value[1].get<double>()};
  return std::isfinite(range.lo) && std::isfinite(range.hi) &&
         range.lo <= range.hi;
}

/// Reads the entry of one site.
class SiteReader {
public:
  SiteReader(std::string where, SiteRange &site)
      : where(std::move(where)), site(site) {}

  Error read(const Json &value) {
    if (!value.is_object())
      return Error::make(where, ": found ", describeJson(value),
                         ", expected an object");
    for (const auto &[key, part] : value.items())
      if (Error error = readKey(key, part))
        return error;
    if (!value.contains("bits") || !value.contains("estimator") ||
        !value.contains("range"))
      return Error::make(where, ": expected bits, estimator and range");
    site.scheme.perChannel = !site.channels.empty();
    site.scheme.groups = static_cast<unsigned>(site.groups.size());
    return checkGroups();
  }

private:
  Error fail(const std::string &key, const std::string &found,
             const std::string &expected) {
    return Error::make(where, '.', key, ": found ", found, ", expected ",
                       expected);
  }

  Error readKey(const std::string &key, const Json &part) {
    ActivationScheme &scheme = site.scheme;
    if (key == "bits")
      return readCount(key, part, 2, 16, scheme.bits);
    if (key == "candidates")
      return readCount(key, part, 2, 10000, scheme.candidates);
    if (key == "estimator")
      return readEstimator(key, part, scheme.estimator);
    if (key == "channel_estimator")
      return readEstimator(key, part, scheme.channelEstimator);
    if (key == "percentile")
      return readNumber(key, part, scheme.percentile);
    if (key == "momentum")
      return readNumber(key, part, scheme.momentum);
    if (key == "symmetric") {
      if (!part.is_boolean())
        return fail(key, describeJson(part), "true or false");
      scheme.symmetric = part.get<bool>();
    } else if (key == "quantizer") {
      auto parsed = part.is_string() ? parseQuantizer(part.get<std::string>())
                                     : std::nullopt;
      if (!parsed)
        return fail(key, describeJson(part), "uniform, log2 or log_sqrt2");
      scheme.quantizer = *parsed;
    } else if (key == "permute") {
      std::optional<Permute> permute = readPermute(part);
      if (!permute)
        return fail(key, describeJson(part), permuteWords);
      scheme.permute = *permute;
    } else if (key == "power_of_two") {
      if (!part.is_boolean())
        return fail(key, describeJson(part), "true or false");
      scheme.powersOfTwo = part.get<bool>();
    } else if (key == "range" || key == "observed") {
      Range &target = key == "range" ? site.range : site.observed;
      if (!readRange(part, target))
        return fail(key, describePair(part),
                    "two finite numbers, the lower one first");
      // A quantizer of a constant has one code.
      if (key == "range" && target.lo == target.hi)
        return fail(key, describePair(part), "a range wider than nothing");
    } else if (key == "channels") {
      return readRanges(key, part, site.channels);
    } else if (key == "residual") {
      return readRanges(key, part, site.residual);
    } else if (key == "groups") {
      return readRanges(key, part, site.groups);
    } else if (key == "group_of") {
      return readGroupOf(part);
    } else if (key == "values") {
      if (!part.is_number_unsigned())
        return fail(key, describeJson(part), "a count");
      site.values = part.get<uint64_t>();
    } else {
      return Error::make(
          where, ": unknown key '", printable(key),
          "', expected one of bits, symmetric, estimator, percentile, "
          "candidates, momentum, range, observed, values, channel_estimator, "
          "channels, residual, group_of, groups, permute, power_of_two, "
          "quantizer");
    }
    return Error::success();
  }

  Error readCount(const std::string &key, const Json &part, unsigned low,
                  unsigned high, unsigned &target) {
    if (!part.is_number_unsigned() || part.get<uint64_t>() < low ||
        part.get<uint64_t>() > high)
      return fail(key, describeJson(part),
                  std::to_string(low) + " to " + std::to_string(high));
    target = part.get<unsigned>();
    return Error::success();
  }

  Error readNumber(const std::string &key, const Json &part, double &target) {
    if (!part.is_number())
      return fail(key, describeJson(part), "a number");
    target = part.get<double>();
    return Error::success();
  }

  Error readEstimator(const std::string &key, const Json &part,
                      Estimator &target) {
    auto parsed = part.is_string() ? parseEstimator(part.get<std::string>())
                                   : std::nullopt;
    if (!parsed)
      return fail(key, describeJson(part),
                  "the name of an estimator such as mse_grid");
    target = *parsed;
    return Error::success();
  }

  Error readRanges(const std::string &key, const Json &part,
                   std::vector<Range> &target) {
    target.resize(part.is_array() ? part.size() : 0);
    bool good = !target.empty();
    for (size_t i = 0; good && i < part.size(); ++i)
      if (!(good = readRange(part[i], target[i])))
        return fail(key + "[" + std::to_string(i) + "]", describePair(part[i]),
                    "two finite numbers, the lower one first");
    if (!good)
      return fail(key, describeJson(part),
                  "a list of pairs of finite numbers, the lower one first");
    return Error::success();
  }

  Error readGroupOf(const Json &part) {
    bool good = part.is_array() && !part.empty();
    for (size_t i = 0; good && i < part.size(); ++i) {
      good = part[i].is_number_unsigned() && part[i].get<uint64_t>() < 65536;
      if (good)
        site.groupOf.push_back(part[i].get<int64_t>());
    }
    if (!good)
      return fail("group_of", describeJson(part),
                  "a list with the group of each channel");
    return Error::success();
  }

  /// Every group has a channel and every channel a group.
  Error checkGroups() {
    std::vector<bool> used(site.groups.size());
    for (int64_t group : site.groupOf) {
      if (size_t(group) >= used.size())
        return fail("group_of", "group " + std::to_string(group),
                    "one of the " + std::to_string(used.size()) +
                        " that groups has");
      used[group] = true;
    }
    for (size_t g = 0; g < used.size(); ++g)
      if (!used[g])
        return fail("group_of", "no channel of group " + std::to_string(g),
                    "one at least");
    return Error::success();
  }

  std::string where;
  SiteRange &site;
};

Json toJson(const std::vector<Range> &ranges) {
  Json json = Json::array();
  for (const Range &range : ranges)
    json.push_back({range.lo, range.hi});
  return json;
}

Json toJson(const SiteRange &site) {
  const ActivationScheme &scheme = site.scheme;
  Json json = {{"bits", scheme.bits},
               {"estimator", estimatorName(scheme.estimator)},
               {"range", {site.range.lo, site.range.hi}},
               {"observed", {site.observed.lo, site.observed.hi}},
               {"values", site.values}};
  if (scheme.symmetric)
    json["symmetric"] = true;
  if (scheme.isLog())
    json["quantizer"] = quantizerName(scheme.quantizer);
  auto reads = [&](Estimator estimator) {
    return scheme.estimator == estimator ||
           (scheme.needsChannels() && scheme.channelEstimator == estimator);
  };
  if (reads(Estimator::Percentile))
    json["percentile"] = scheme.percentile;
  if (reads(Estimator::RunningMinMax) && scheme.momentum != 0.9)
    json["momentum"] = scheme.momentum;
  if (scheme.candidates != 100 &&
      (reads(Estimator::MseGrid) || reads(Estimator::CrossEntropy)))
    json["candidates"] = scheme.candidates;
  if (scheme.needsChannels() && scheme.channelEstimator != Estimator::AllMinMax)
    json["channel_estimator"] = estimatorName(scheme.channelEstimator);
  if (!site.channels.empty())
    json["channels"] = toJson(site.channels);
  if (!site.residual.empty())
    json["residual"] = toJson(site.residual);
  if (!site.groups.empty()) {
    json["group_of"] = site.groupOf;
    json["groups"] = toJson(site.groups);
    if (scheme.powersOfTwo)
      json["power_of_two"] = true;
    else if (scheme.permute != Permute::None)
      json["permute"] = writePermute(scheme.permute);
  }
  return json;
}

} // namespace

std::string quern::writeRanges(const RangeTable &table) {
  Json root;
  root["version"] = formatVersion;
  if (!table.texts.empty())
    root["texts"] = table.texts;
  Json &sites = root["sites"] = Json::object();
  for (const auto &[name, site] : table.sites)
    sites[name] = toJson(site);
  return root.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Expected<RangeTable> quern::parseRanges(std::string_view text,
                                        std::string_view origin) {
  Expected<Json> parsed = parseJson(text, std::string(origin));
  if (!parsed)
    return parsed.takeError();
  const Json &root = *parsed;
  if (!root.is_object())
    return Error::make(origin, ": found ", describeJson(root),
                       ", expected a ranges object");
  for (const auto &[key, value] : root.items())
    if (key != "version" && key != "texts" && key != "sites")
      return Error::make(origin, ": unknown key '", printable(key),
                         "', expected one of version, texts, sites");
  if (root.value("version", Json()) != Json(formatVersion))
    return Error::make(origin, ": version: expected ", formatVersion);
  Json sites = root.value("sites", Json());
  if (!sites.is_object())
    return Error::make(origin, ": sites: expected an object");
  Json texts = root.value("texts", Json(""));
  if (!texts.is_string())
    return Error::make(origin, ": texts: found ", describeJson(texts),
                       ", expected a string");
  RangeTable table;
  table.origin = std::string(origin);
  table.texts = texts.get<std::string>();
  for (const auto &[name, value] : sites.items()) {
    SiteRange site;
    std::string where = std::string(origin) + ": sites." + printable(name);
    if (Error error = SiteReader(where, site).read(value))
      return error;
    table.sites[name] = site;
  }
  return table;
}

Expected<RangeTable> quern::loadRanges(const std::string &path) {
  Expected<std::string> text = readFile(path);
  if (!text)
    return text.takeError();
  return parseRanges(*text, path);
}
