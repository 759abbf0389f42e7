//===- BenchJson.h - Measured cells as JSON -------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHJSON_H
#define QUERN_TOOLS_QUERN_BENCHJSON_H

#include "compiler/Bench/BenchReport.h"
#include "compiler/Bench/KernelBench.h"

#include "quern/quern.h"

#include <string>
#include <vector>

namespace quern::cli {

/// An array with an object a cell: times in ms, speeds, every kind of op, the
/// first row of the output, and where the module's weights lie.
std::string benchJson(const std::vector<BenchCell> &cells,
                      const quern_module *module);

/// An array with an object a kernel and number of tokens.
std::string kernelsJson(const std::vector<KernelBenchRow> &rows);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHJSON_H
