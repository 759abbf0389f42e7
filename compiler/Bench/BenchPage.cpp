//===- BenchPage.cpp - A bench report as one HTML page --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Accuracy/HtmlPage.h"
#include "compiler/Bench/BenchReport.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <functional>
#include <map>

using llvm::formatv;

namespace quern {

namespace {

constexpr const char *colours[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728",
                                   "#9467bd", "#8c564b", "#e377c2", "#7f7f7f",
                                   "#bcbd22", "#17becf"};
constexpr size_t colourCount = sizeof(colours) / sizeof(*colours);

using Measure = std::function<double(const BenchCell &)>;

/// Lines over the length, both axes logarithmic, one line for each batch and
/// number of threads.
class LinePlot {
public:
  LinePlot(llvm::raw_ostream &out, const BenchReport &report, Measure measure)
      : out(out), measure(std::move(measure)) {
    for (const BenchCell &cell : report.cells) {
      lines[{cell.batch, cell.threads}].push_back(&cell);
      take(cell.length, lowX, highX);
      take(this->measure(cell), lowY, highY);
    }
    highX = std::max(highX, lowX * 2);
    highY = std::max(highY, lowY * 2);
  }

  void print(const char *title);

private:
  static void take(double value, double &low, double &high) {
    low = low == 0 ? value : std::min(low, value);
    high = std::max(high, value);
  }
  double x(double value) const {
    return left + width * std::log(value / lowX) / std::log(highX / lowX);
  }
  double y(double value) const {
    return top + height * std::log(highY / value) / std::log(highY / lowY);
  }
  void printAxes();

  static constexpr double left = 70, top = 12, width = 480, height = 260;
  llvm::raw_ostream &out;
  Measure measure;
  std::map<std::pair<uint32_t, uint32_t>, std::vector<const BenchCell *>> lines;
  double lowX = 0, highX = 0, lowY = 0, highY = 0;
};

class Page {
public:
  explicit Page(const BenchReport &report) : report(report), out(text) {}

  std::string print();

private:
  void escaped(const std::string &words) { llvm::printHTMLEscaped(words, out); }
  void printGrid();
  void printOps(const BenchCell &cell);
  void printBar(const BenchCell &cell);

  const BenchReport &report;
  std::string text;
  llvm::raw_string_ostream out;
};

} // namespace

void LinePlot::printAxes() {
  for (int i = 0; i <= 4; ++i) {
    double value = lowY * std::pow(highY / lowY, i / 4.0);
    out << formatv("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:f1}\" y2=\"{2:f1}\" "
                   "stroke=\"#ddd\"/><text x=\"2\" y=\"{3:f1}\">",
                   left, left + width, y(value), y(value) + 4);
    out << (value < 100 ? formatv("{0:f2}", value) : formatv("{0:f0}", value))
        << "</text>\n";
  }
  for (double length = lowX; length <= highX; length *= 2)
    out << formatv("<text x=\"{0:f1}\" y=\"{1}\" text-anchor=\"middle\">{2:f0}"
                   "</text>\n",
                   x(length), top + height + 16, length);
}

void LinePlot::print(const char *title) {
  out << "<h2>" << title << "</h2>\n"
      << formatv("<svg width=\"{0}\" height=\"{1}\">\n", left + width + 170,
                 top + height + 30);
  printAxes();
  size_t index = 0;
  for (const auto &[key, cells] : lines) {
    const char *colour = colours[index % colourCount];
    out << "<polyline fill=\"none\" stroke=\"" << colour << "\" points=\"";
    for (const BenchCell *cell : cells)
      out << formatv("{0:f1},{1:f1} ", x(cell->length), y(measure(*cell)));
    out << "\"/>\n";
    for (const BenchCell *cell : cells)
      out << formatv("<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"3.5\" "
                     "fill=\"{2}\"><title>batch {3}, {4} tokens, threads {5}: "
                     "{6:f2}</title></circle>\n",
                     x(cell->length), y(measure(*cell)), colour, cell->batch,
                     cell->length, cell->threads, measure(*cell));
    double at = top + 14 + 16 * double(index);
    out << formatv(
        "<circle cx=\"{0}\" cy=\"{1}\" r=\"3.5\" fill=\"{2}\"/><text "
        "x=\"{3}\" y=\"{4}\">batch {5}, threads {6}</text>\n",
        left + width + 16, at, colour, left + width + 24, at + 4, key.first,
        key.second);
    ++index;
  }
  out << "</svg>\n";
}

void Page::printGrid() {
  out << "<h2>Grid</h2>\n<table><tr><th>batch</th><th>tokens</th><th>threads"
         "</th><th>p50 ms</th><th>p90 ms</th><th>p99 ms</th><th>sequences/s"
         "</th><th>tokens/s</th><th>GOP/s</th><th>% of peak</th><th>preempted"
         "</th><th>tier</th></tr>\n";
  for (const BenchCell &cell : report.cells) {
    out << formatv("<tr><td>{0}</td><td>{1}</td><td>{2}</td><td>{3:f3}</td>"
                   "<td>{4:f3}</td><td>{5:f3}</td><td>{6:f1}</td><td>{7:f0}"
                   "</td><td>{8:f1}</td>",
                   cell.batch, cell.length, cell.threads, cell.p50 * 1e3,
                   cell.p90 * 1e3, cell.p99 * 1e3, cell.sequencesPerSecond(),
                   cell.tokensPerSecond(), cell.operations / cell.p50 * 1e-9);
    out << formatv("<td>{0:f1}</td><td>{1}</td><td>", 100 * cell.share(),
                   cell.switches);
    escaped(cell.tier);
    out << "</td></tr>\n";
  }
  out << "</table>\n";
}

/// The ops of a run side by side, as wide as they are long.
void Page::printBar(const BenchCell &cell) {
  double total = 0, at = 0;
  for (const BenchOp &op : cell.ops)
    total += op.ms;
  if (total <= 0)
    return;
  constexpr double width = 900;
  out << "<svg width=\"900\" height=\"26\">\n";
  for (size_t i = 0; i < cell.ops.size(); ++i) {
    const BenchOp &op = cell.ops[i];
    double part = width * op.ms / total;
    out << formatv("<rect x=\"{0:f1}\" y=\"2\" width=\"{1:f1}\" height=\"22\" "
                   "fill=\"{2}\"><title>",
                   at, part, colours[i % colourCount]);
    escaped(op.op);
    out << formatv(": {0:f3} ms, {1:f1} % of the time</title></rect>\n", op.ms,
                   100 * op.ms / total);
    at += part;
  }
  out << "</svg>\n";
}

void Page::printOps(const BenchCell &cell) {
  out << formatv("<h3>Batch {0}, {1} tokens, threads {2}</h3>\n", cell.batch,
                 cell.length, cell.threads);
  printBar(cell);
  out << "<table><tr><th>op</th><th>launches</th><th>ms</th><th>GOP/s</th>"
         "<th>% of peak</th><th>GB/s</th><th>bound</th><th>% of it</th></tr>\n";
  for (size_t i = 0; i < cell.ops.size(); ++i) {
    const BenchOp &op = cell.ops[i];
    out << formatv("<tr><td><span style=\"color:{0}\">&#9632;</span> ",
                   colours[i % colourCount]);
    escaped(op.op);
    BenchBound bound = cell.boundOf(op);
    out << formatv("</td><td>{0}</td><td>{1:f3}</td><td>{2:f1}</td><td>{3:f1}"
                   "</td><td>{4:f1}</td><td>{5}</td><td>{6:f1}</td></tr>\n",
                   op.launches, op.ms, op.gops, 100 * op.share,
                   op.bytesPerSecond() * 1e-9, bound.by, 100 * bound.share);
  }
  out << "</table>\n";
}

std::string Page::print() {
  beginPage(out, "quern bench");
  out << "<h1>Speed of ";
  escaped(report.module);
  out << "</h1>\n<p>Recipe ";
  escaped(report.recipe);
  out << ".</p>\n<p class=\"note\">Shares are of the dot-product peak that a "
         "loop of one instruction reaches in the same run: machines differ and "
         "are noisy, ratios can be compared.</p>\n";
  printGrid();
  if (!report.cells.empty()) {
    LinePlot(out, report, [](const BenchCell &cell) {
      return cell.p50 * 1e3;
    }).print("Median milliseconds by tokens");
    LinePlot(out, report, [](const BenchCell &cell) {
      return cell.tokensPerSecond();
    }).print("Tokens a second by tokens of a sequence");
  }
  out << "<h2>Operations</h2>\n";
  for (const BenchCell &cell : report.cells)
    if (!cell.ops.empty())
      printOps(cell);
  endPage(out);
  return std::move(text);
}

std::string benchPage(const BenchReport &report) {
  return Page(report).print();
}

} // namespace quern
