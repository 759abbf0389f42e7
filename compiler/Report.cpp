//===- Report.cpp - What a compilation decided ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// All formats are made from one JSON object, so that they say the same.
//
//===----------------------------------------------------------------------===//
#include "compiler/Report.h"

#include "compiler/Emit/Assemble.h"
#include "dialects/TK/TKDialect.h"
#include "lib/Quantize/SchemeAttr.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
namespace json = llvm::json;

namespace quern {

static std::string attrText(Operation *op, StringRef name) {
  auto attr = op->getAttrOfType<StringAttr>(name);
  return attr ? attr.str() : "";
}

/// Text that JSON can hold: paths are any bytes.
static std::string utf8(StringRef bytes) { return json::fixUTF8(bytes); }

static json::Object siteObject(ModuleOp module, StringRef name) {
  json::Object site{{"name", utf8(name)}, {"scheme", "f32"}};
  auto schemes = module->getAttrOfType<DictionaryAttr>("tq.scheme");
  auto sites = schemes ? schemes.getAs<DictionaryAttr>("sites") : nullptr;
  auto scheme = sites ? sites.getAs<DictionaryAttr>(name) : nullptr;
  auto bits = scheme ? scheme.getAs<IntegerAttr>("bits") : nullptr;
  if (!bits || bits.getInt() == 0)
    return site;
  std::string codes = "u" + std::to_string(bits.getInt());
  SiteQuantizer quantizer = SchemeAttr::siteOf(scheme);
  size_t groups = quantizer.groupScales.size();
  if (groups + quantizer.foldedGroups)
    codes += " in " + std::to_string(groups + quantizer.foldedGroups) +
             (groups ? " groups" : " groups, folded");
  if (quantizer.logBase)
    codes += *quantizer.logBase == tq::LogBase::Two ? " log2" : " log_sqrt2";
  if (quantizer.perToken)
    codes += " per token";
  site["scheme"] = std::move(codes);
  // Groups have several, tokens find their own.
  if (!groups && !quantizer.perToken) {
    site["scale"] = quantizer.scale;
    site["zero"] = quantizer.zero;
  }
  return site;
}

static json::Object launchObject(tk::LaunchOp launch,
                                 const std::vector<Tier> &tiers) {
  json::Object families;
  for (Tier tier : tiers) {
    TierInfo info = describeTier(tier);
    families[info.name] = info.family;
  }
  json::Array sites;
  if (auto array = launch->getAttrOfType<ArrayAttr>("sites"))
    for (Attribute site : array)
      sites.push_back(utf8(
          cast<DictionaryAttr>(site).getAs<StringAttr>("name").getValue()));
  json::Object entry{{"step", utf8(attrText(launch, "step"))},
                     {"op", attrText(launch, "op")},
                     {"kernel", launch.getKernel().str()},
                     {"families", std::move(families)},
                     {"sites", std::move(sites)}};
  if (auto gemm = launch->getAttrOfType<DenseI64ArrayAttr>("gemm"))
    entry["gemm"] = json::Array{gemm[0], gemm[1]};
  return entry;
}

static json::Array namesOf(const std::vector<std::string> &names) {
  json::Array array;
  for (const std::string &name : names)
    array.push_back(utf8(name));
  return array;
}

static json::Object reportObject(const CompileRequest &request,
                                 const CompileResult &result,
                                 const std::vector<Tier> &tiers,
                                 ModuleOp module) {
  json::Object seconds;
  json::Array order;
  for (const auto &[stage, time] : result.seconds) {
    if (!seconds.get(stage))
      order.push_back(stage);
    seconds[stage] = seconds.getNumber(stage).value_or(0) + time;
  }
  json::Array launches, sites, decisions;
  for (const std::string &line : result.decisions)
    decisions.push_back(line);
  module.walk([&](tk::LaunchOp launch) {
    json::Object entry = launchObject(launch, tiers);
    for (const json::Value &site : *entry.getArray("sites"))
      sites.push_back(siteObject(module, *site.getAsString()));
    launches.push_back(std::move(entry));
  });
  const FloatParts &real = result.floatParts;
  json::Object left{{"line", utf8(real.line())},
                    {"sites", namesOf(real.sites)},
                    {"linear_layers", namesOf(real.linears)},
                    {"tables", namesOf(real.tables)}};
  return json::Object{
      {"model", utf8(request.modelFolder)},
      {"output", utf8(request.output)},
      {"bytes", result.bytes},
      {"recipe", utf8(result.recipe)},
      {"calibration", utf8(request.rangesIn.empty() ? request.calibrationName
                                                    : request.rangesIn)},
      {"quantized_sites", result.quantizedSites},
      {"float_sites", result.floatSites},
      {"left_in_f32", std::move(left)},
      {"kernels", result.kernels},
      {"stages", std::move(order)},
      {"seconds", std::move(seconds)},
      {"decisions", std::move(decisions)},
      {"launches", std::move(launches)},
      {"sites", std::move(sites)},
  };
}

/// A JSON value as a cell of a table.
static std::string cell(const json::Value *value) {
  if (!value)
    return "";
  if (auto text = value->getAsString())
    return text->str();
  if (auto integer = value->getAsInteger())
    return std::to_string(*integer);
  if (auto number = value->getAsNumber()) {
    std::string digits;
    llvm::raw_string_ostream(digits) << llvm::format("%.6g", *number);
    return digits;
  }
  std::string joined;
  auto add = [&](const std::string &part) {
    joined += (joined.empty() ? "" : ", ") + part;
  };
  if (const json::Array *array = value->getAsArray())
    for (const json::Value &part : *array)
      add(cell(&part));
  if (const json::Object *object = value->getAsObject())
    for (const auto &[key, part] : *object)
      add(key.str() + ": " + cell(&part));
  return joined;
}

static std::string summary(const json::Object &report) {
  return llvm::formatv("{0}, recipe {1}, calibrated on {2}: {3} sites "
                       "quantized, {4} in f32, {5} kernels, {6} bytes",
                       cell(report.get("model")), cell(report.get("recipe")),
                       cell(report.get("calibration")),
                       cell(report.get("quantized_sites")),
                       cell(report.get("float_sites")),
                       cell(report.get("kernels")), cell(report.get("bytes")));
}

/// What the recipe leaves in f32, or "".
static std::string leftInFloat(const json::Object &report) {
  std::string line = report.getObject("left_in_f32")->getString("line")->str();
  return line.empty() ? "" : "left in f32 by the recipe: " + line;
}

static double secondsOf(const json::Object &report, StringRef stage) {
  return report.getObject("seconds")->getNumber(stage).value_or(0);
}

static void printText(llvm::raw_ostream &out, const json::Object &report) {
  out << summary(report) << '\n';
  if (std::string line = leftInFloat(report); !line.empty())
    out << line << '\n';
  for (const json::Value &stage : *report.getArray("stages"))
    out << llvm::formatv("{0,-10} {1,8:f2} s\n", *stage.getAsString(),
                         secondsOf(report, *stage.getAsString()));
  for (const json::Value &line : *report.getArray("decisions"))
    out << *line.getAsString() << '\n';
  for (const json::Value &value : *report.getArray("launches")) {
    const json::Object &launch = *value.getAsObject();
    out << llvm::formatv("{0,-16} {1,-12} {2,-12} {3} ({4})\n",
                         cell(launch.get("step")), cell(launch.get("op")),
                         cell(launch.get("gemm")), cell(launch.get("kernel")),
                         cell(launch.get("families")));
  }
  for (const json::Value &value : *report.getArray("sites")) {
    const json::Object &site = *value.getAsObject();
    out << llvm::formatv("{0,-10} {1,-6} {2,14} {3,8}\n",
                         cell(site.get("name")), cell(site.get("scheme")),
                         cell(site.get("scale")), cell(site.get("zero")));
  }
}

static void printEscaped(llvm::raw_ostream &out, StringRef text) {
  llvm::printHTMLEscaped(text, out);
}

static void printTable(llvm::raw_ostream &out, StringRef title,
                       const json::Array &rows,
                       llvm::ArrayRef<StringRef> columns) {
  out << "<h2>" << title << "</h2>\n<table><tr>";
  for (StringRef column : columns)
    out << "<th>" << column << "</th>";
  out << "</tr>\n";
  for (const json::Value &row : rows) {
    out << "<tr>";
    for (StringRef column : columns) {
      out << "<td>";
      printEscaped(out, cell(row.getAsObject()->get(column)));
      out << "</td>";
    }
    out << "</tr>\n";
  }
  out << "</table>\n";
}

static void printHtml(llvm::raw_ostream &out, const json::Object &report) {
  out << "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">"
         "<title>quern compile</title>\n<style>body{font:14px sans-serif;"
         "margin:2em}table{border-collapse:collapse}td,th{border-bottom:1px "
         "solid #ccc;padding:2px 10px;text-align:left}</style></head>\n"
         "<body><h1>quern compile</h1>\n<p>";
  printEscaped(out, summary(report));
  out << "</p>\n<p>";
  printEscaped(out, leftInFloat(report));
  out << "</p>\n";
  json::Array stages;
  for (const json::Value &stage : *report.getArray("stages"))
    stages.push_back(json::Object{
        {"stage", *stage.getAsString()},
        {"seconds",
         llvm::formatv("{0:f2}", secondsOf(report, *stage.getAsString()))
             .str()}});
  printTable(out, "Time", stages, {"stage", "seconds"});
  json::Array decisions;
  for (const json::Value &line : *report.getArray("decisions"))
    decisions.push_back(json::Object{{"decision", *line.getAsString()}});
  if (!decisions.empty())
    printTable(out, "Decisions", decisions, {"decision"});
  printTable(out, "Launches", *report.getArray("launches"),
             {"step", "op", "gemm", "kernel", "families", "sites"});
  printTable(out, "Sites", *report.getArray("sites"),
             {"name", "scheme", "scale", "zero"});
  out << "</body></html>\n";
}

std::string compileReport(const CompileRequest &request,
                          const CompileResult &result,
                          const std::vector<Tier> &tiers, ModuleOp module,
                          ReportFormat format) {
  json::Object report = reportObject(request, result, tiers, module);
  std::string text;
  llvm::raw_string_ostream out(text);
  switch (format) {
  case ReportFormat::Text:
    printText(out, report);
    break;
  case ReportFormat::Json:
    out << llvm::formatv("{0:2}", json::Value(std::move(report))) << '\n';
    break;
  case ReportFormat::Html:
    printHtml(out, report);
    break;
  }
  return text;
}

} // namespace quern
