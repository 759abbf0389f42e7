//===- RangeTable.cpp - The ranges found by calibration -------------------===//
//
// Lookup and the JSON form of a range table.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/RangeTable.h"
#include "lib/Support/File.h"
#include "lib/Support/Json.h"

#include <cmath>

using namespace quern;
using Json = nlohmann::json;

namespace {

constexpr int formatVersion = 1;

std::string describe(const ActivationScheme &scheme) {
  return std::string(estimatorName(scheme.estimator)) + " at " +
         std::to_string(scheme.bits) + " bits";
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

Error readSite(const std::string &where, const Json &value, SiteRange &site) {
  if (!value.is_object())
    return Error::make(where, ": expected an object");
  bool bits = false, estimator = false, range = false;
  for (const auto &[key, part] : value.items()) {
    if (key == "bits") {
      bits = part.is_number_unsigned() && part.get<uint64_t>() >= 2 &&
             part.get<uint64_t>() <= 16;
      if (!bits)
        return Error::make(where, ".bits: found ", describeJson(part),
                           ", expected 2 to 16");
      site.scheme.bits = part.get<unsigned>();
    } else if (key == "estimator") {
      auto parsed = part.is_string() ? parseEstimator(part.get<std::string>())
                                     : std::nullopt;
      if (!parsed)
        return Error::make(where, ".estimator: expected the name of an "
                                  "estimator such as mse_grid");
      site.scheme.estimator = *parsed;
      estimator = true;
    } else if (key == "percentile") {
      if (!part.is_number())
        return Error::make(where, ".percentile: expected a number");
      site.scheme.percentile = part.get<double>();
    } else if (key == "range" || key == "observed") {
      Range &target = key == "range" ? site.range : site.observed;
      if (!readRange(part, target))
        return Error::make(where, '.', key,
                           ": expected two finite numbers, the lower one "
                           "first");
      range |= key == "range";
    } else if (key == "channels") {
      site.channels.resize(part.is_array() ? part.size() : 0);
      bool good = !site.channels.empty();
      for (size_t i = 0; good && i < part.size(); ++i)
        good = readRange(part[i], site.channels[i]);
      if (!good)
        return Error::make(where, ".channels: expected a list of pairs of "
                                  "finite numbers, the lower one first");
    } else if (key == "values") {
      if (!part.is_number_unsigned())
        return Error::make(where, ".values: expected a count");
      site.values = part.get<uint64_t>();
    } else {
      return Error::make(where, ": unknown key '", printable(key),
                         "', expected one of bits, estimator, percentile, "
                         "range, observed, values, channels");
    }
  }
  if (!bits || !estimator || !range)
    return Error::make(where, ": expected bits, estimator and range");
  return Error::success();
}

} // namespace

Expected<Range> RangeTable::lookup(const std::string &site,
                                   const ActivationScheme &scheme) const {
  std::string prefix = origin.empty() ? "calibration" : origin;
  auto it = sites.find(site);
  if (it == sites.end())
    return Error::make(prefix, ": sites: no range for site ", site);
  const ActivationScheme &made = it->second.scheme;
  bool usesBits = scheme.estimator == Estimator::MseGrid ||
                  scheme.estimator == Estimator::MseGolden ||
                  scheme.estimator == Estimator::CrossEntropy;
  bool fits = made.estimator == scheme.estimator &&
              (!usesBits || made.bits == scheme.bits) &&
              (scheme.estimator != Estimator::Percentile ||
               made.percentile == scheme.percentile);
  if (!fits)
    return Error::make(prefix, ": sites.", site, ": found ", describe(made),
                       ", the recipe expects ", describe(scheme));
  return it->second.range;
}

std::string quern::writeRanges(const RangeTable &table) {
  Json root;
  root["version"] = formatVersion;
  if (!table.texts.empty())
    root["texts"] = table.texts;
  Json &sites = root["sites"] = Json::object();
  for (const auto &[name, site] : table.sites) {
    Json json;
    json["bits"] = site.scheme.bits;
    json["estimator"] = estimatorName(site.scheme.estimator);
    if (site.scheme.estimator == Estimator::Percentile)
      json["percentile"] = site.scheme.percentile;
    json["range"] = {site.range.lo, site.range.hi};
    json["observed"] = {site.observed.lo, site.observed.hi};
    json["values"] = site.values;
    for (const Range &channel : site.channels)
      json["channels"].push_back({channel.lo, channel.hi});
    sites[name] = std::move(json);
  }
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
    if (Error error = readSite(where, value, site))
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
