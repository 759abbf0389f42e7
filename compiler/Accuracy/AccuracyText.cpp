//===- AccuracyText.cpp - An accuracy report for a terminal and as JSON ---===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Accuracy/Accuracy.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <cstdio>

namespace json = llvm::json;

namespace quern {

/// "41.2", or "exact" where nothing is lost.
static std::string decibels(double value) {
  if (!std::isfinite(value))
    return "exact";
  return llvm::formatv("{0:f1}", value).str();
}

std::string fourDigits(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g", value);
  return text;
}

std::string codesOf(const SiteAccuracy &site) {
  if (site.bits == 0)
    return "f32";
  return "u" + std::to_string(site.bits) + (site.perToken ? "/token" : "");
}

static std::string layerName(int layer) {
  return layer < 0 ? "outside" : "layer " + std::to_string(layer);
}

/// The largest outliers of a site: "381: 290.1 (80x)".
static std::string outlierList(const SiteAccuracy &site, size_t limit) {
  std::string list;
  for (size_t i = 0; i < site.outliers.size() && i < limit; ++i) {
    const OutlierChannel &outlier = site.outliers[i];
    list +=
        llvm::formatv("{0}{1}: {2} ({3:f0}x)", i ? ", " : "", outlier.channel,
                      fourDigits(outlier.magnitude), outlier.ratio)
            .str();
  }
  if (site.outliers.size() > limit)
    list += ", and " + std::to_string(site.outliers.size() - limit) + " more";
  return list;
}

static void printHead(llvm::raw_ostream &out, const AccuracyReport &report) {
  out << llvm::formatv("{0}: recipe {1}, {2} texts, {3} tokens, against the "
                       "float model of {4}\n",
                       report.module, report.recipe, report.texts,
                       report.tokens, report.modelFolder);
  out << "output: SQNR " << decibels(report.outputs.sqnr());
  if (std::isfinite(report.outputs.sqnr()))
    out << " dB";
  if (report.agreement)
    out << llvm::formatv(", {0:f2} % of rows choose the float model's class",
                         100 * *report.agreement);
  if (report.cosine)
    out << llvm::formatv(", mean cosine {0:f5}", *report.cosine);
  out << "\n\n";
}

std::string accuracyText(const AccuracyReport &report) {
  std::string text;
  llvm::raw_string_ostream out(text);
  printHead(out, report);
  out << llvm::formatv("{0,-8} {1,8} {2,9} {3,11} {4,12} {5,12}  {6}\n", "site",
                       "codes", "SQNR dB", "clipped %", "lowest", "highest",
                       "outlier channels: magnitude (of the median)");
  for (const SiteAccuracy &site : report.sites)
    out << llvm::formatv("{0,-8} {1,8} {2,9} {3,11:f4} {4,12} {5,12}  {6}\n",
                         site.name, codesOf(site), decibels(site.sqnr()),
                         100 * site.clippedShare(), fourDigits(site.lo),
                         fourDigits(site.hi), outlierList(site, 3));
  out << llvm::formatv("\n{0,-10} {1,14} {2,10} {3,11} {4,9}\n", "layer",
                       "worst SQNR dB", "mean dB", "clipped %", "outliers");
  for (const LayerAccuracy &layer : report.layers)
    out << llvm::formatv(
        "{0,-10} {1,14} {2,10} {3,11:f4} {4,9}\n", layerName(layer.layer),
        layer.worstSite.empty() ? std::string("exact")
                                : layer.worstSite + " " + decibels(layer.worst),
        decibels(layer.mean), 100 * layer.clippedShare, layer.outliers);
  if (!report.notKept.empty()) {
    out << "\nnot kept by the module:";
    for (const std::string &name : report.notKept)
      out << ' ' << name;
    out << '\n';
  }
  return text;
}

/// Infinity is null: JSON has no other word for it.
static json::Value number(double value) {
  return std::isfinite(value) ? json::Value(value) : json::Value(nullptr);
}

static json::Object siteObject(const SiteAccuracy &site) {
  json::Array outliers;
  for (const OutlierChannel &outlier : site.outliers)
    outliers.push_back(json::Object{{"channel", outlier.channel},
                                    {"magnitude", outlier.magnitude},
                                    {"ratio", outlier.ratio}});
  return json::Object{{"name", site.name},
                      {"key", site.key},
                      {"layer", site.layer},
                      {"bits", site.bits},
                      {"per_token", site.perToken},
                      {"values", site.values},
                      {"sqnr_db", number(site.sqnr())},
                      {"exact", site.noise == 0},
                      {"clipped", site.clippedShare()},
                      {"min", number(site.lo)},
                      {"max", number(site.hi)},
                      {"median_channel", site.medianChannel},
                      {"outliers", std::move(outliers)}};
}

std::string accuracyJson(const AccuracyReport &report) {
  json::Array sites, layers, notKept;
  for (const SiteAccuracy &site : report.sites)
    sites.push_back(siteObject(site));
  for (const LayerAccuracy &layer : report.layers)
    layers.push_back(json::Object{{"layer", layer.layer},
                                  {"worst_site", layer.worstSite},
                                  {"worst_sqnr_db", number(layer.worst)},
                                  {"mean_sqnr_db", number(layer.mean)},
                                  {"clipped", layer.clippedShare},
                                  {"outliers", layer.outliers}});
  for (const std::string &name : report.notKept)
    notKept.push_back(name);
  json::Object output{{"sqnr_db", number(report.outputs.sqnr())},
                      {"exact", report.outputs.noise == 0}};
  if (report.agreement)
    output["agreement"] = *report.agreement;
  if (report.cosine)
    output["cosine"] = *report.cosine;
  json::Value all = json::Object{{"module", json::fixUTF8(report.module)},
                                 {"recipe", json::fixUTF8(report.recipe)},
                                 {"model", json::fixUTF8(report.modelFolder)},
                                 {"texts", report.texts},
                                 {"tokens", report.tokens},
                                 {"output", std::move(output)},
                                 {"sites", std::move(sites)},
                                 {"layers", std::move(layers)},
                                 {"not_kept", std::move(notKept)}};
  return llvm::formatv("{0:2}", all).str() + "\n";
}

} // namespace quern
