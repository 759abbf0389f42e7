//===- EvalReport.h - What eval says of logits ------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_EVALREPORT_H
#define QUERN_TOOLS_QUERN_EVALREPORT_H

#include "tools/quern/Glue.h"

#include <nlohmann/json.hpp>

#include <vector>

namespace quern::cli {

/// A list for each row.
using Logits = std::vector<std::vector<float>>;

/// Metrics of rows that came from files of the given sizes.
nlohmann::json metricsJson(const GlueTask &task, const Logits &logits,
                           const std::vector<GlueRow> &rows,
                           const std::vector<size_t> &sizes);

/// Share of rows with the same largest logit, and mean difference of logits.
nlohmann::json agreement(const Logits &a, const Logits &b);

/// Prints one column of metrics for each program that ran, and how they agree.
void printResult(const GlueTask &task, const nlohmann::json &result);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_EVALREPORT_H
