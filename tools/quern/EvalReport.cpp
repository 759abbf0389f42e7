//===- EvalReport.cpp - What eval says of logits --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/EvalReport.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using nlohmann::json;

namespace quern::cli {

json metricsJson(const GlueTask &task, const Logits &logits,
                 const std::vector<GlueRow> &rows,
                 const std::vector<size_t> &sizes) {
  std::vector<GlueResults> files;
  size_t from = 0;
  for (size_t size : sizes) {
    files.push_back(
        glueMetrics(task, {logits.begin() + from, logits.begin() + from + size},
                    {rows.begin() + from, rows.begin() + from + size}));
    from += size;
  }
  json metrics;
  for (auto [metric, value] : meanOfFiles(files))
    metrics[std::string(glueMetricName(metric))] = value;
  return metrics;
}

json agreement(const Logits &a, const Logits &b) {
  size_t same = 0, values = 0;
  double difference = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    auto best = [](const std::vector<float> &row) {
      return std::max_element(row.begin(), row.end()) - row.begin();
    };
    same += best(a[i]) == best(b[i]);
    for (size_t j = 0; j < a[i].size(); ++j, ++values) {
      double d = std::fabs(double(a[i][j]) - b[i][j]);
      difference += d;
      largest = std::max(largest, d);
    }
  }
  return {{"same_prediction", double(same) / a.size()},
          {"mean_logit_difference", difference / values},
          {"max_logit_difference", largest}};
}

void printResult(const GlueTask &task, const json &result) {
  const std::pair<const char *, const char *> columns[] = {
      {"metrics", "module"},
      {"simulation_metrics", "simulation"},
      {"reference_metrics", "f32"}};
  std::printf("%-10s", "metric");
  for (auto [key, title] : columns)
    if (result.contains(key))
      std::printf(" %10s", title);
  std::printf("\n");
  for (auto &[name, value] : result["metrics"].items()) {
    std::printf("%-10s", name.c_str());
    for (auto [key, title] : columns)
      if (result.contains(key))
        std::printf(" %10.2f", 100 * result[key][name].get<double>());
    std::printf("\n");
  }
  const std::pair<const char *, const char *> comparisons[] = {
      {"against_reference", "module and f32"},
      {"simulation_against_reference", "simulation and f32"},
      {"against_simulation", "module and simulation"}};
  for (auto [key, title] : comparisons) {
    if (!result.contains(key))
      continue;
    const json &against = result[key];
    std::printf("%s: ", title);
    if (!task.regression)
      std::printf("same prediction %.1f %%, ",
                  100 * against["same_prediction"].get<double>());
    std::printf("logits differ by %.4f on average, %.4f at most\n",
                against["mean_logit_difference"].get<double>(),
                against["max_logit_difference"].get<double>());
  }
}

} // namespace quern::cli
