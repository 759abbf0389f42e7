//===- AccuracyPage.cpp - An accuracy report as one HTML page -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Plots are inline SVG: the page needs no other file and no script.
//
//===----------------------------------------------------------------------===//
#include "compiler/Accuracy/Accuracy.h"
#include "compiler/Accuracy/HtmlPage.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace quern {

namespace {

/// Colours of the heat map: a step for each doubling over the median.
constexpr const char *heat[] = {"#fee8c8", "#fdbb84", "#fc8d59", "#e34a33",
                                "#b30000", "#7f0000", "#4a0012", "#1a0006"};
constexpr int heatSteps = sizeof(heat) / sizeof(*heat);

/// The step of a channel's ratio to the median; below twice the median: -1.
int heatStep(double ratio) {
  if (!(ratio >= 2))
    return -1;
  return std::min(static_cast<int>(std::log2(ratio)) - 1, heatSteps - 1);
}

/// A colour for each key, the same in all plots.
const char *colourOf(const std::string &key) {
  static const std::map<std::string, const char *> colours = {
      {"q", "#aec7e8"}, {"k", "#98df8a"}, {"v", "#c5b0d5"}, {"s", "#17becf"},
      {"p", "#9edae5"}, {"c", "#bcbd22"}, {"g", "#8c564b"}, {"u", "#e377c2"},
      {"x", "#1f77b4"}, {"f", "#ff9896"}, {"h", "#ff7f0e"}, {"y", "#d62728"},
      {"z", "#2ca02c"}};
  auto found = colours.find(key);
  return found == colours.end() ? "#7f7f7f" : found->second;
}

class Page {
public:
  explicit Page(const AccuracyReport &report) : report(report), out(text) {}

  std::string print(const std::string &section);

private:
  void escaped(const std::string &words) { llvm::printHTMLEscaped(words, out); }
  void printSummary();
  void printNoise();
  void printHeatMaps();
  void printHeatMap(const std::string &key,
                    const std::vector<const SiteAccuracy *> &rows);
  void printHeatRow(const SiteAccuracy &site, double top, double width);
  void printTable();

  const AccuracyReport &report;
  std::string text;
  llvm::raw_string_ostream out;
};

} // namespace

static std::string decibels(double value) {
  return std::isfinite(value) ? llvm::formatv("{0:f1}", value).str() : "exact";
}

void Page::printSummary() {
  out << "<h1>Accuracy of ";
  escaped(report.module);
  out << "</h1>\n<p>Recipe ";
  escaped(report.recipe);
  out << llvm::formatv(", {0} texts, {1} tokens, against the float model of ",
                       report.texts, report.tokens);
  escaped(report.modelFolder);
  out << ".</p>\n<p>Output: SQNR " << decibels(report.outputs.sqnr()) << " dB";
  if (report.agreement)
    out << llvm::formatv("; {0:f2} % of rows choose the float model's class",
                         100 * *report.agreement);
  if (report.cosine)
    out << llvm::formatv("; mean cosine {0:f5}", *report.cosine);
  out << ".</p>\n";
}

/// A dot for each site over the order of the program.
void Page::printNoise() {
  double low = 0, high = 60;
  for (const SiteAccuracy &site : report.sites)
    if (std::isfinite(site.sqnr())) {
      low = std::min(low, site.sqnr());
      high = std::max(high, site.sqnr());
    }
  const double step = 8, left = 45, height = 300, top = 10;
  double width = left + step * report.sites.size() + 20;
  auto y = [&](double value) {
    return top + height * (high - value) / (high - low);
  };
  out << "<h2>Signal to quantization noise by site</h2>\n"
         "<p class=\"note\">dB against the float model, noise of all steps "
         "before included; 6 dB are one bit. Exact sites are drawn at the "
         "top.</p>\n";
  out << llvm::formatv("<svg width=\"{0:f0}\" height=\"{1:f0}\">\n", width,
                       height + 50);
  for (double line = std::ceil(low / 10) * 10; line <= high; line += 10)
    out << llvm::formatv("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:f1}\" "
                         "y2=\"{2:f1}\" stroke=\"#ddd\"/><text x=\"5\" "
                         "y=\"{3:f1}\">{4:f0}</text>\n",
                         left, width, y(line), y(line) + 4, line);
  int layer = -2;
  for (size_t i = 0; i < report.sites.size(); ++i) {
    const SiteAccuracy &site = report.sites[i];
    double x = left + step * (i + 0.5);
    if (site.layer != layer) {
      layer = site.layer;
      out << llvm::formatv(
          "<line x1=\"{0:f1}\" x2=\"{0:f1}\" y1=\"{1}\" y2=\"{2}\" "
          "stroke=\"#bbb\"/><text x=\"{3:f1}\" y=\"{4}\">{5}</text>\n",
          x - step / 2, top, top + height + 12, x, top + height + 14,
          layer < 0 ? std::string("-") : std::to_string(layer));
    }
    double value = std::isfinite(site.sqnr()) ? site.sqnr() : high;
    out << llvm::formatv(
        "<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"3.5\" fill=\"{2}\"><title>"
        "{3}: {4} dB, {5}</title></circle>\n",
        x, y(value), colourOf(site.key), site.name, decibels(site.sqnr()),
        codesOf(site));
  }
  double x = left;
  std::vector<std::string> keys;
  for (const SiteAccuracy &site : report.sites)
    if (std::find(keys.begin(), keys.end(), site.key) == keys.end())
      keys.push_back(site.key);
  for (const std::string &key : keys) {
    out << llvm::formatv("<circle cx=\"{0:f1}\" cy=\"{1}\" r=\"3.5\" "
                         "fill=\"{2}\"/><text x=\"{3:f1}\" y=\"{4}\">{5}"
                         "</text>\n",
                         x, top + height + 32, colourOf(key), x + 6,
                         top + height + 36, key);
    x += 22 + 7 * key.size();
  }
  out << "</svg>\n";
}

/// Channels of the same colour beside each other are one rectangle; those
/// below twice the median are none.
void Page::printHeatRow(const SiteAccuracy &site, double top, double width) {
  if (site.medianChannel <= 0)
    return;
  auto stepOf = [&](size_t j) {
    return heatStep(site.channels[j] / site.medianChannel);
  };
  for (size_t j = 0; j < site.channels.size();) {
    size_t end = j + 1;
    int step = stepOf(j);
    while (end < site.channels.size() && stepOf(end) == step &&
           site.channels[j] <= outlierRatio * site.medianChannel)
      ++end;
    if (step >= 0) {
      // A single channel would vanish at its true width.
      double drawn = std::max(width * (end - j), 3.0);
      out << llvm::formatv("<rect x=\"{0:f1}\" y=\"{1}\" width=\"{2:f1}\" "
                           "height=\"15\" fill=\"{3}\"><title>{4} channel {5}: "
                           "{6}, {7:f1}x the median</title></rect>\n",
                           60 + width * j, top, drawn, heat[step], site.name, j,
                           fourDigits(site.channels[j]),
                           site.channels[j] / site.medianChannel);
    }
    j = end;
  }
}

void Page::printHeatMap(const std::string &key,
                        const std::vector<const SiteAccuracy *> &rows) {
  double width = 1000.0 / rows.front()->channels.size();
  out << "<h3>Site " << key << "</h3>\n"
      << llvm::formatv("<svg width=\"1080\" height=\"{0}\">\n",
                       16 * rows.size() + 24);
  double top = 2;
  for (const SiteAccuracy *site : rows) {
    out << llvm::formatv("<text x=\"2\" y=\"{0}\">{1}</text><rect x=\"60\" "
                         "y=\"{2}\" width=\"1000\" height=\"15\" "
                         "fill=\"#f7f7f7\"/>\n",
                         top + 12, site->name, top);
    printHeatRow(*site, top, width);
    top += 16;
  }
  size_t count = rows.front()->channels.size();
  for (int i = 0; i <= 4; ++i)
    out << llvm::formatv("<text x=\"{0:f0}\" y=\"{1}\">{2}</text>\n",
                         60 + 250.0 * i - 6, top + 14, count * i / 4);
  out << "</svg>\n";
}

void Page::printHeatMaps() {
  out << "<h2>Outlier channels</h2>\n<p class=\"note\">Largest magnitude of "
         "each channel of the float model over that of the median channel, "
         "layer by layer; a darker colour for each doubling from 2 on:";
  for (int i = 0; i < heatSteps; ++i)
    out << llvm::formatv(" <span style=\"background:{0};color:{1}\">&nbsp;{2}x"
                         "&nbsp;</span>",
                         heat[i], i < 3 ? "#222" : "#fff", 2 << i);
  out << "</p>\n";
  // Rows are the layers of a key; x, h and y first: there outliers live.
  std::vector<std::string> keys = {"x", "h", "y"};
  for (const SiteAccuracy &site : report.sites)
    if (!site.outliers.empty() &&
        std::find(keys.begin(), keys.end(), site.key) == keys.end())
      keys.push_back(site.key);
  for (const std::string &key : keys) {
    std::vector<const SiteAccuracy *> rows;
    for (const SiteAccuracy &site : report.sites)
      if (site.key == key && !site.channels.empty())
        rows.push_back(&site);
    if (!rows.empty())
      printHeatMap(key, rows);
  }
}

void Page::printTable() {
  out << "<h2>Sites</h2>\n<table><tr><th>site</th><th>codes</th><th>SQNR dB"
         "</th><th>clipped %</th><th>lowest</th><th>highest</th><th>median "
         "channel</th><th>outlier channels</th></tr>\n";
  for (const SiteAccuracy &site : report.sites) {
    out << llvm::formatv(
        "<tr><td>{0}</td><td>{1}</td><td>{2}</td><td>{3:f4}</td><td>{4}"
        "</td><td>{5}</td><td>{6}</td><td>",
        site.name, codesOf(site), decibels(site.sqnr()),
        100 * site.clippedShare(), fourDigits(site.lo), fourDigits(site.hi),
        fourDigits(site.medianChannel));
    for (size_t i = 0; i < site.outliers.size() && i < 8; ++i)
      out << llvm::formatv("{0}{1}: {2}", i ? ", " : "",
                           site.outliers[i].channel,
                           fourDigits(site.outliers[i].magnitude));
    out << "</td></tr>\n";
  }
  out << "</table>\n";
}

std::string Page::print(const std::string &section) {
  beginPage(out, "quern inspect --accuracy");
  printSummary();
  out << section;
  printNoise();
  printHeatMaps();
  printTable();
  endPage(out);
  return std::move(text);
}

std::string accuracyPage(const AccuracyReport &report,
                         const std::string &section) {
  return Page(report).print(section);
}

} // namespace quern
