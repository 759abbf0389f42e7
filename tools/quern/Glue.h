//===- Glue.h - GLUE rows and metrics -------------------------------------===//
//
// What `quern eval` needs: reads the tab-separated files of the GLUE tasks,
// whose columns differ from task to task, and computes the metrics that GLUE
// defines for them. One more task, `images`, is for vision models. Entry
// points: findGlueTask, readGlueRows, glueMetrics.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_GLUE_H
#define QUERN_TOOLS_QUERN_GLUE_H

#include "lib/Support/Status.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern {

/// The quantities GLUE reports, each in [-1, 1].
enum class GlueMetric {
  Accuracy,
  F1,
  Matthews,
  Pearson,
  Spearman,
  Combined ///< mean of the task's other metrics
};

/// The name of a metric as it is printed: `accuracy`, `f1`, ...
std::string_view glueMetricName(GlueMetric metric);

/// Where a task's file keeps what, and how it is judged.
struct GlueTask {
  /// Lower case: `sst2`, `cola`, ...
  std::string_view name;
  /// The first line names the columns.
  bool hasHeader;
  /// The column of the first text, and of the second or -1.
  int text, pair;
  /// The column of the label, and how many columns a line has.
  int label, columns;
  /// The labels are scores, not classes.
  bool regression;
  /// Names of the classes where the file spells them out, by class.
  std::vector<std::string_view> classes;
  /// The metrics of the task: the published code reports `combined` where it
  /// is there, else the first.
  std::vector<GlueMetric> metrics;
  /// Texts are paths of images, relative to the file, and labels are numbers of
  /// classes, as many as the model has.
  bool isOfImages = false;

  /// Outputs that a model of the task has; 0 for any number.
  size_t outputs() const {
    return isOfImages        ? 0
           : regression      ? 1
           : classes.empty() ? 2
                             : classes.size();
  }
};

/// One line of a task's file.
struct GlueRow {
  std::string text;
  /// The second text of a pair task, else empty.
  std::string pair;
  /// The class number, or the score of a regression.
  double label;
};

/// The task of that name, or null.
const GlueTask *findGlueTask(std::string_view name);

/// The names of all tasks, for messages and --help.
std::string glueTaskNames();

/// Reads a task's file: no quoting, a byte order mark and a missing last
/// newline are accepted, a line with other columns or another label is not.
Expected<std::vector<GlueRow>> readGlueRows(const GlueTask &task,
                                            const std::string &path);

/// Share of rows with prediction == label.
double accuracy(const std::vector<double> &predictions,
                const std::vector<double> &labels);

/// F1 of class 1; 0 where neither side has it.
double f1Score(const std::vector<double> &predictions,
               const std::vector<double> &labels);

/// Matthews correlation of any number of classes; 0 where one side is
/// constant.
double matthewsCorrelation(const std::vector<double> &predictions,
                           const std::vector<double> &labels);

/// Pearson's correlation; 0 where one side is constant.
double pearsonCorrelation(const std::vector<double> &x,
                          const std::vector<double> &y);

/// Pearson's correlation of the ranks, equal values sharing their mean rank.
double spearmanCorrelation(const std::vector<double> &x,
                           const std::vector<double> &y);

/// Metrics with their values.
using GlueResults = std::vector<std::pair<GlueMetric, double>>;

/// The task's metrics, in its order. A row's prediction is the class with the
/// largest of its logits, the first on a tie, or for a regression the single
/// logit, clamped to [0, 5] as in the published code.
GlueResults glueMetrics(const GlueTask &task,
                        const std::vector<std::vector<float>> &logits,
                        const std::vector<GlueRow> &rows);

/// The mean of each metric over several files of a task: MNLI has a matched
/// and a mismatched one.
GlueResults meanOfFiles(const std::vector<GlueResults> &files);

/// Where a model names its classes as the file does but in another order, the
/// columns of its outputs by class; otherwise empty.
std::vector<size_t> classColumns(const GlueTask &task,
                                 const std::vector<std::string> &labels);

} // namespace quern

#endif // QUERN_TOOLS_QUERN_GLUE_H
