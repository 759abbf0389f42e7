//===- Report.cpp - What a compilation decided ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Report.h"

#include "dialects/TK/TKDialect.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace quern {

static std::string attrText(Operation *op, StringRef name) {
  auto attr = op->getAttrOfType<StringAttr>(name);
  return attr ? attr.str() : "";
}

static llvm::json::Array sitesOf(tk::LaunchOp launch) {
  llvm::json::Array sites;
  if (auto array = launch->getAttrOfType<ArrayAttr>("sites"))
    for (Attribute site : array)
      sites.push_back(
          cast<DictionaryAttr>(site).getAs<StringAttr>("name").str());
  return sites;
}

static llvm::json::Object reportObject(const CompileRequest &request,
                                       const CompileResult &result,
                                       ModuleOp module) {
  llvm::json::Object seconds;
  for (const auto &[stage, time] : result.seconds)
    seconds[stage] = seconds.getNumber(stage).value_or(0) + time;
  llvm::json::Array launches;
  module.walk([&](tk::LaunchOp launch) {
    llvm::json::Object entry{
        {"step", attrText(launch, "step")},
        {"op", attrText(launch, "op")},
        {"kernel", launch.getKernel().str()},
        {"sites", sitesOf(launch)},
    };
    if (auto gemm = launch->getAttrOfType<DenseI64ArrayAttr>("gemm"))
      entry["gemm"] = llvm::json::Array{gemm[0], gemm[1]};
    launches.push_back(std::move(entry));
  });
  return llvm::json::Object{
      {"model", request.modelFolder},
      {"output", request.output},
      {"recipe", result.recipe},
      {"calibration", request.rangesIn.empty() ? request.calibrationName
                                               : request.rangesIn},
      {"quantized_sites", result.quantizedSites},
      {"float_sites", result.floatSites},
      {"kernels", result.kernels},
      {"seconds", std::move(seconds)},
      {"launches", std::move(launches)},
  };
}

std::string compileReport(const CompileRequest &request,
                          const CompileResult &result, ModuleOp module,
                          bool json) {
  std::string text;
  llvm::raw_string_ostream out(text);
  if (json) {
    out << llvm::formatv("{0:2}", llvm::json::Value(reportObject(
                                      request, result, module)))
        << '\n';
    return text;
  }
  out << "model " << request.modelFolder << ", recipe " << result.recipe
      << ": " << result.quantizedSites << " sites quantized, "
      << result.floatSites << " in f32\n";
  for (const auto &[stage, time] : result.seconds)
    out << llvm::formatv("{0,-10} {1,8:f2} s\n", stage, time);
  module.walk([&](tk::LaunchOp launch) {
    out << llvm::formatv("{0,-16} {1,-12} {2}\n", attrText(launch, "step"),
                         attrText(launch, "op"), launch.getKernel());
  });
  return text;
}

} // namespace quern
