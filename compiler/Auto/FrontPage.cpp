//===- FrontPage.cpp - The front of auto as a plot ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Front.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace quern {

namespace {

constexpr double width = 460, height = 280, left = 50, top = 16, gap = 90;

using Measure = std::function<double(const FrontPoint &)>;

/// Draws points over one measure. Candidates crowd at low drops and low times:
/// drops go by their square root, the measure by its logarithm.
class Plot {
public:
  Plot(llvm::raw_ostream &out, const Front &front, double x0, Measure measure)
      : out(out), front(front), x0(x0), measure(std::move(measure)) {
    low = high = this->measure(front.points.front());
    mostDrop = std::max(2 * front.maxDrop, 0.01);
    for (const FrontPoint &point : front.points) {
      low = std::min(low, this->measure(point));
      high = std::max(high, this->measure(point));
      mostDrop = std::max(mostDrop, point.drop);
    }
    low = std::max(low, 1e-9);
    high = std::max(high, low * 1.01);
  }

  void print(const char *title, const char *unit);

private:
  double x(double value) const {
    double part = std::log(std::max(value, low) / low) / std::log(high / low);
    return x0 + 12 + (width - 24) * part;
  }
  double y(double drop) const {
    return top + height * (1 - std::sqrt(std::max(drop, 0.0) / mostDrop));
  }
  void printAxes(const char *title, const char *unit);
  void printPoints();

  llvm::raw_ostream &out;
  const Front &front;
  double x0;
  Measure measure;
  double low = 0, high = 0, mostDrop = 0;
};

} // namespace

void Plot::printAxes(const char *title, const char *unit) {
  for (double part : {0.0, 0.0625, 0.25, 0.5625, 1.0})
    out << llvm::formatv(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:f1}\" y2=\"{2:f1}\" "
        "stroke=\"#ddd\"/><text x=\"{3}\" y=\"{4:f1}\">{5:f2}</text>\n",
        x0, x0 + width, y(part * mostDrop), x0 - left + 4,
        y(part * mostDrop) + 4, part * mostDrop);
  for (int i = 0; i <= 4; ++i) {
    double value = low * std::pow(high / low, i / 4.0);
    out << llvm::formatv("<text x=\"{0:f1}\" y=\"{1}\" text-anchor=\"middle\">"
                         "{2:f2}{3}</text>\n",
                         x(value), top + height + 16, value, unit);
  }
  out << llvm::formatv("<text x=\"{0}\" y=\"{1}\">{2}</text>\n", x0,
                       top + height + 34, title);
  out << llvm::formatv(
      "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:f1}\" y2=\"{2:f1}\" "
      "stroke=\"#d62728\" stroke-dasharray=\"4 3\"><title>allowed drop "
      "{3}</title></line>\n",
      x0, x0 + width, y(front.maxDrop), front.maxDrop);
}

void Plot::printPoints() {
  for (size_t i = 0; i < front.points.size(); ++i) {
    const FrontPoint &point = front.points[i];
    double px = x(measure(point)), py = y(point.drop);
    if (point.isChosen)
      out << llvm::formatv("<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"9\" "
                           "fill=\"none\" stroke=\"#d62728\" "
                           "stroke-width=\"2\"/>\n",
                           px, py);
    out << llvm::formatv("<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"4.5\" "
                         "stroke=\"#1f77b4\" fill=\"{2}\"><title>",
                         px, py, point.isOnFront ? "#1f77b4" : "#fff");
    llvm::printHTMLEscaped(point.name, out);
    out << llvm::formatv(": drop {0:f3}, {1:f3}x, {2:f2} MB</title></circle>"
                         "<text x=\"{3:f1}\" y=\"{4:f1}\">{5}</text>\n",
                         point.drop, point.time, point.bytes / 1e6, px + 7,
                         py - 6, i + 1);
  }
}

void Plot::print(const char *title, const char *unit) {
  printAxes(title, unit);
  printPoints();
}

static void printFrontTable(llvm::raw_ostream &out, const Front &front) {
  out << "<table><tr><th>candidate</th><th>drop</th><th>predicted time</th>"
         "<th>MB</th><th></th></tr>\n";
  for (size_t i = 0; i < front.points.size(); ++i) {
    const FrontPoint &point = front.points[i];
    out << "<tr><td>" << i + 1 << ". ";
    llvm::printHTMLEscaped(point.name, out);
    out << llvm::formatv("</td><td>{0:f3}</td><td>{1:f3}x</td><td>{2:f2}</td>"
                         "<td>{3}</td></tr>\n",
                         point.drop, point.time, point.bytes / 1e6,
                         point.isChosen    ? "chosen"
                         : point.isOnFront ? "front"
                                           : "");
  }
  out << "</table>\n";
}

std::string frontHtml(const Front &front) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "<h2>Accuracy against predicted time and size</h2>\n"
      << llvm::formatv("<p class=\"note\">Candidates of the recipe auto on {0} "
                       "texts: points of accuracy that the float model expects "
                       "to be lost (square root scale), time relative to the "
                       "cheapest candidate and size of the module (logarithmic "
                       "scales). Filled: no other candidate is better in all "
                       "three. Ringed: chosen. Dashed: the drop that was "
                       "allowed, {1}.</p>\n",
                       front.texts, front.maxDrop)
      << llvm::formatv("<svg width=\"{0}\" height=\"{1}\">\n",
                       2 * (left + width) + gap, top + height + 44);
  Plot(out, front, left, [](const FrontPoint &point) {
    return point.time;
  }).print("predicted time", "x");
  Plot(out, front, 2 * left + width + gap / 2, [](const FrontPoint &point) {
    return double(point.bytes) / 1e6;
  }).print("size of the module", " MB");
  out << "</svg>\n";
  printFrontTable(out, front);
  return text;
}

} // namespace quern
