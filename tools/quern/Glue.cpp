//===- Glue.cpp - GLUE rows and metrics -----------------------------------===//
//
// The table of tasks, the reader of their files and the metrics.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Glue.h"

#include "lib/Support/File.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <numeric>

namespace quern {

static const std::vector<GlueTask> &glueTasks() {
  using M = GlueMetric;
  // name, header, text, pair, label, columns, regression, classes, metrics
  static const std::vector<GlueTask> tasks = {
      {"sst2", true, 0, -1, 1, 2, false, {}, {M::Accuracy}},
      {"cola", false, 3, -1, 1, 4, false, {}, {M::Matthews, M::Accuracy}},
      {"mrpc", true, 3, 4, 0, 5, false, {}, {M::F1, M::Accuracy, M::Combined}},
      {"rte", true, 0, 1, 2, 4, false, {}, {M::Accuracy}},
      {"stsb",
       true,
       7,
       8,
       9,
       10,
       true,
       {},
       {M::Pearson, M::Spearman, M::Combined}},
      {"qqp", true, 3, 4, 5, 6, false, {}, {M::F1, M::Accuracy, M::Combined}},
      {"mnli",
       true,
       8,
       9,
       15,
       16,
       false,
       {"entailment", "neutral", "contradiction"},
       {M::Accuracy}},
      {"wnli", true, 1, 2, 3, 4, false, {}, {M::Accuracy}},
      {"qnli",
       true,
       1,
       2,
       3,
       4,
       false,
       {"entailment", "not_entailment"},
       {M::Accuracy}},
      {"images",
       true,
       0,
       -1,
       1,
       2,
       false,
       {},
       {M::Accuracy},
       /*isOfImages=*/true},
  };
  return tasks;
}

std::string_view glueMetricName(GlueMetric metric) {
  switch (metric) {
  case GlueMetric::Accuracy:
    return "accuracy";
  case GlueMetric::F1:
    return "f1";
  case GlueMetric::Matthews:
    return "matthews";
  case GlueMetric::Pearson:
    return "pearson";
  case GlueMetric::Spearman:
    return "spearman";
  case GlueMetric::Combined:
    return "combined";
  }
  return "";
}

const GlueTask *findGlueTask(std::string_view name) {
  for (const GlueTask &task : glueTasks())
    if (task.name == name)
      return &task;
  return nullptr;
}

std::string glueTaskNames() {
  std::string names;
  for (const GlueTask &task : glueTasks())
    names += (names.empty() ? "" : ", ") + std::string(task.name);
  return names;
}

static std::vector<std::string_view> splitAt(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  for (size_t at; (at = text.find(mark)) != text.npos;
       text.remove_prefix(at + 1))
    parts.push_back(text.substr(0, at));
  parts.push_back(text);
  return parts;
}

/// A class number or name, or a score; false when it is neither.
static bool parseLabel(const GlueTask &task, std::string_view field,
                       double &label) {
  if (!task.classes.empty()) {
    auto found = std::find(task.classes.begin(), task.classes.end(), field);
    label = double(found - task.classes.begin());
    return found != task.classes.end();
  }
  if (task.isOfImages) {
    unsigned number = 0;
    auto [end, error] =
        std::from_chars(field.data(), field.data() + field.size(), number);
    label = number;
    return error == std::errc() && end == field.data() + field.size();
  }
  if (!task.regression) {
    label = field == "1";
    return field == "0" || field == "1";
  }
  std::string text(field);
  char *end = nullptr;
  label = std::strtod(text.c_str(), &end);
  return end != text.c_str() && !*end && label >= 0 && label <= 5;
}

Expected<std::vector<GlueRow>> readGlueRows(const GlueTask &task,
                                            const std::string &path) {
  Expected<std::string> contents = readFile(path);
  if (!contents)
    return contents.takeError();
  std::string_view text = *contents;
  if (text.substr(0, 3) == "\xEF\xBB\xBF")
    text.remove_prefix(3);
  if (!text.empty() && text.back() == '\n')
    text.remove_suffix(1);
  if (text.empty())
    return Error::make(path, ": no rows were found");
  std::vector<GlueRow> rows;
  size_t number = 0;
  for (std::string_view line : splitAt(text, '\n')) {
    ++number;
    if (!line.empty() && line.back() == '\r')
      line.remove_suffix(1);
    std::vector<std::string_view> fields = splitAt(line, '\t');
    if (fields.size() != size_t(task.columns))
      return Error::make(path, ": line ", number, ": has ", fields.size(),
                         " columns, ", task.name, " files have ", task.columns);
    if (number == 1 && task.hasHeader)
      continue;
    GlueRow row;
    if (!parseLabel(task, fields[task.label], row.label))
      return Error::make(path, ": line ", number, ": '",
                         printable(fields[task.label]), "' is no label of ",
                         task.name);
    row.text = fields[task.text];
    if (task.pair >= 0)
      row.pair = fields[task.pair];
    rows.push_back(std::move(row));
  }
  if (rows.empty())
    return Error::make(path, ": no rows were found after the header");
  return rows;
}

double accuracy(const std::vector<double> &predictions,
                const std::vector<double> &labels) {
  assert(predictions.size() == labels.size() && "one prediction a label");
  size_t right = 0;
  for (size_t i = 0; i != labels.size(); ++i)
    right += predictions[i] == labels[i];
  return labels.empty() ? 0 : double(right) / double(labels.size());
}

double f1Score(const std::vector<double> &predictions,
               const std::vector<double> &labels) {
  assert(predictions.size() == labels.size() && "one prediction a label");
  size_t both = 0, either = 0;
  for (size_t i = 0; i != labels.size(); ++i) {
    both += predictions[i] == 1 && labels[i] == 1;
    either += (predictions[i] == 1) + (labels[i] == 1);
  }
  return either ? 2.0 * double(both) / double(either) : 0;
}

double matthewsCorrelation(const std::vector<double> &predictions,
                           const std::vector<double> &labels) {
  assert(predictions.size() == labels.size() && "one prediction a label");
  // With counts t of true and p of predicted rows by class k, c correct rows
  // and s rows: (c s - sum p t) / sqrt((s^2 - sum p^2) (s^2 - sum t^2)).
  std::map<double, std::pair<double, double>> counts;
  double correct = 0, rows = double(labels.size());
  for (size_t i = 0; i != labels.size(); ++i) {
    counts[predictions[i]].first += 1;
    counts[labels[i]].second += 1;
    correct += predictions[i] == labels[i];
  }
  double products = 0, predicted = 0, actual = 0;
  for (const auto &[label, count] : counts) {
    products += count.first * count.second;
    predicted += count.first * count.first;
    actual += count.second * count.second;
  }
  double scale = (rows * rows - predicted) * (rows * rows - actual);
  return scale > 0 ? (correct * rows - products) / std::sqrt(scale) : 0;
}

double pearsonCorrelation(const std::vector<double> &x,
                          const std::vector<double> &y) {
  assert(x.size() == y.size() && "one x a y");
  if (x.empty())
    return 0;
  double count = double(x.size());
  double meanX = std::accumulate(x.begin(), x.end(), 0.0) / count;
  double meanY = std::accumulate(y.begin(), y.end(), 0.0) / count;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i != x.size(); ++i) {
    double dx = x[i] - meanX, dy = y[i] - meanY;
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  if (xx == 0 || yy == 0)
    return 0;
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

static std::vector<double> ranks(const std::vector<double> &values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]])
      ++end;
    for (size_t i = begin; i != end; ++i)
      result[order[i]] = double(begin + end - 1) / 2 + 1;
  }
  return result;
}

double spearmanCorrelation(const std::vector<double> &x,
                           const std::vector<double> &y) {
  return pearsonCorrelation(ranks(x), ranks(y));
}

GlueResults glueMetrics(const GlueTask &task,
                        const std::vector<std::vector<float>> &logits,
                        const std::vector<GlueRow> &rows) {
  assert(logits.size() == rows.size() && "one vector of logits a row");
  std::vector<double> predictions, labels;
  for (size_t i = 0; i != rows.size(); ++i) {
    const std::vector<float> &row = logits[i];
    predictions.push_back(
        task.regression
            ? std::clamp(double(row.front()), 0.0, 5.0)
            : double(std::max_element(row.begin(), row.end()) - row.begin()));
    labels.push_back(rows[i].label);
  }
  GlueResults results;
  for (GlueMetric metric : task.metrics) {
    double value = 0;
    switch (metric) {
    case GlueMetric::Accuracy:
      value = accuracy(predictions, labels);
      break;
    case GlueMetric::F1:
      value = f1Score(predictions, labels);
      break;
    case GlueMetric::Matthews:
      value = matthewsCorrelation(predictions, labels);
      break;
    case GlueMetric::Pearson:
      value = pearsonCorrelation(predictions, labels);
      break;
    case GlueMetric::Spearman:
      value = spearmanCorrelation(predictions, labels);
      break;
    case GlueMetric::Combined:
      for (const auto &[other, part] : results)
        value += part / double(results.size());
      break;
    }
    results.emplace_back(metric, value);
  }
  return results;
}

GlueResults meanOfFiles(const std::vector<GlueResults> &files) {
  GlueResults mean = files.front();
  for (size_t m = 0; m != mean.size(); ++m) {
    mean[m].second = 0;
    for (const GlueResults &file : files)
      mean[m].second += file[m].second / double(files.size());
  }
  return mean;
}

std::vector<size_t> classColumns(const GlueTask &task,
                                 const std::vector<std::string> &labels) {
  std::vector<size_t> columns;
  if (labels.size() != task.outputs() || task.classes.empty())
    return columns;
  for (std::string_view name : task.classes) {
    auto found = std::find_if(
        labels.begin(), labels.end(), [&](const std::string &label) {
          return std::equal(name.begin(), name.end(), label.begin(),
                            label.end(), [](char a, char b) {
                              return a == std::tolower(
                                              static_cast<unsigned char>(b));
                            });
        });
    if (found == labels.end())
      return {};
    columns.push_back(size_t(found - labels.begin()));
  }
  return columns;
}

} // namespace quern
