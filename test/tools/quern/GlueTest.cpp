//===- GlueTest.cpp - GLUE rows and metrics -------------------------------===//
//
// Metrics against values recorded from scipy 1.x (pearsonr, spearmanr) and
// scikit-learn (accuracy_score, f1_score, matthews_corrcoef), and the reader
// on made files, good and bad, and on the real ones where they are present.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Glue.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <tuple>
#include <vector>

using namespace quern;
using testing::HasSubstr;

namespace {

using Values = std::vector<double>;

const Values scores = {1.95, 1.75, 2.66, 1.78, 2.32, 2.81, 3.14, 1.78,
                       1.43, 3.06, 2.48, 1.78, 1.69, 2.23, 1.31, 0.75,
                       2.58, 3.43, 2.21, 3.39, 2.02, 1.31, 0.67, 1.52};
const Values truth = {3, 2, 1, 3, 2, 2, 2, 2, 1, 1, 2, 2,
                      2, 3, 3, 2, 1, 4, 3, 3, 1, 1, 1, 2};
const Values labels2 = {1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1,
                        1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1};
const Values guesses2 = {1, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1,
                         1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1};
const Values labels3 = {0, 1, 0, 0, 0, 2, 2, 1, 0, 2, 0, 2, 0, 0, 0,
                        2, 2, 1, 2, 0, 0, 0, 0, 1, 0, 1, 0, 2, 1, 0};
const Values guesses3 = {0, 2, 0, 0, 0, 2, 2, 1, 0, 2, 0, 2, 0, 0, 0,
                         2, 2, 1, 2, 0, 0, 0, 2, 2, 2, 1, 0, 2, 2, 0};

std::string writeFile(const std::string &contents) {
  std::string path =
      testing::TempDir() + "/glue-" +
      testing::UnitTest::GetInstance()->current_test_info()->name() + ".tsv";
  std::ofstream(path, std::ios::binary) << contents;
  return path;
}

std::string sharedFolder() {
  if (const char *shared = std::getenv("QUERN_SHARED"))
    return shared;
  const char *source = std::getenv("QUERN_SOURCE_DIR");
  return std::string(source ? source : ".") + "/../shared";
}

TEST(GlueMetrics, MatchRecordedValues) {
  EXPECT_NEAR(pearsonCorrelation(scores, truth), 0.261358774467476, 1e-12);
  EXPECT_NEAR(spearmanCorrelation(scores, truth), 0.195533702557297, 1e-12);
  EXPECT_NEAR(accuracy(guesses2, labels2), 0.833333333333333, 1e-12);
  EXPECT_NEAR(f1Score(guesses2, labels2), 0.857142857142857, 1e-12);
  EXPECT_NEAR(matthewsCorrelation(guesses2, labels2), 0.674769903314964, 1e-12);
  EXPECT_NEAR(accuracy(guesses3, labels3), 0.833333333333333, 1e-12);
  EXPECT_NEAR(matthewsCorrelation(guesses3, labels3), 0.755247059726601, 1e-12);
}

TEST(GlueMetrics, ConstantPredictionsGiveZero) {
  Values same(labels2.size(), 1);
  EXPECT_EQ(matthewsCorrelation(same, labels2), 0);
  EXPECT_EQ(pearsonCorrelation(same, labels2), 0);
  EXPECT_EQ(spearmanCorrelation(same, labels2), 0);
  EXPECT_EQ(f1Score(Values(4, 0), Values(4, 0)), 0);
}

TEST(GlueMetrics, TiesShareTheirMeanRank) {
  // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
  EXPECT_NEAR(spearmanCorrelation({1, 2, 2, 3}, {1, 2, 3, 4}),
              0.9486832980505138, 1e-12);
}

TEST(GlueMetrics, TaskMetricsTakeTheLargestLogitFirstOnATie) {
  const GlueTask *task = findGlueTask("sst2");
  std::vector<GlueRow> rows = {{"a", "", 0}, {"b", "", 1}, {"c", "", 0}};
  auto metrics = glueMetrics(*task, {{1, 0}, {0, 1}, {2, 2}}, rows);
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_EQ(metrics[0].first, GlueMetric::Accuracy);
  EXPECT_EQ(metrics[0].second, 1);
}

TEST(GlueMetrics, RegressionIsClampedAsInThePublishedCode) {
  const GlueTask *task = findGlueTask("stsb");
  auto metrics = glueMetrics(*task, {{-1}, {7}, {3}},
                             {{"a", "b", 0}, {"a", "b", 5}, {"a", "b", 2}});
  ASSERT_EQ(metrics.size(), 3u);
  // -1 counts as 0 and 7 as 5.
  EXPECT_NEAR(metrics[0].second, pearsonCorrelation({0, 5, 3}, {0, 5, 2}),
              1e-12);
  EXPECT_NEAR(metrics[1].second, 1, 1e-12);
}

/// Metrics of two classes from the table of true and false answers.
struct Table {
  double tp = 0, fp = 0, fn = 0, tn = 0;

  double all() const { return tp + fp + fn + tn; }
  double accuracy() const { return (tp + tn) / all(); }
  double f1() const {
    double precision = tp / (tp + fp), recall = tp / (tp + fn);
    return 2 * precision * recall / (precision + recall);
  }
  double matthews() const {
    return (tp * tn - fp * fn) /
           std::sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn));
  }
};

/// Logits and labels of a task that agree more often than not.
void makeRows(const GlueTask &task, std::vector<std::vector<float>> &logits,
              std::vector<GlueRow> &rows) {
  std::mt19937 random(45);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 400; ++i) {
    std::vector<float> row(task.outputs());
    for (float &value : row)
      value = normal(random);
    double label = std::max_element(row.begin(), row.end()) - row.begin();
    if (random() % 4 == 0)
      label = random() % task.outputs();
    if (task.regression) {
      row[0] = 2.5f + 2 * row[0];
      label = std::clamp(std::round(2 * row[0] + normal(random)) / 2, 0.f, 5.f);
    }
    logits.push_back(row);
    rows.push_back({"a", "b", label});
  }
}

TEST(E45, MetricsOfTheEightTasksEqualTheirDefinitions) {
  using M = GlueMetric;
  const std::pair<const char *, M> finals[] = {
      {"cola", M::Matthews}, {"sst2", M::Accuracy}, {"mrpc", M::Combined},
      {"stsb", M::Combined}, {"qqp", M::Combined},  {"mnli", M::Accuracy},
      {"qnli", M::Accuracy}, {"rte", M::Accuracy},  {"wnli", M::Accuracy}};
  for (auto [name, final] : finals) {
    const GlueTask *task = findGlueTask(name);
    ASSERT_TRUE(task) << name;
    std::vector<std::vector<float>> logits;
    std::vector<GlueRow> rows;
    makeRows(*task, logits, rows);
    GlueResults results = glueMetrics(*task, logits, rows);
    double found = -2;
    for (auto [metric, value] : results)
      if (metric == final)
        found = value;
    Table table;
    Values x, y;
    double right = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::vector<float> &row = logits[i];
      size_t best = std::max_element(row.begin(), row.end()) - row.begin();
      (best            ? rows[i].label ? table.tp : table.fp
       : rows[i].label ? table.fn
                       : table.tn) += 1;
      right += double(best) == rows[i].label;
      x.push_back(std::min(std::max(double(row[0]), 0.0), 5.0));
      y.push_back(rows[i].label);
    }
    double expected = right / double(rows.size());
    if (task->regression)
      expected = (pearsonCorrelation(x, y) + spearmanCorrelation(x, y)) / 2;
    else if (final == M::Matthews)
      expected = table.matthews();
    else if (final == M::Combined)
      expected = (table.accuracy() + table.f1()) / 2;
    EXPECT_NEAR(found, expected, 1e-6) << name;
    EXPECT_GT(found, 0.3) << name;
  }
}

TEST(E45, MnliIsTheMeanOfBothFiles) {
  const GlueTask *task = findGlueTask("mnli");
  ASSERT_TRUE(task);
  std::string line = "0\t0\t0\tfiction\t(a)\t(b)\t(a)\t(b)\tA man.\tHe ran.";
  for (int i = 0; i < 5; ++i)
    line += "\tneutral";
  std::string path = writeFile("index\tpromptID\tpairID\tgenre\ts1b\ts2b\ts1p"
                               "\ts2p\tsentence1\tsentence2\tlabel1\tlabel2"
                               "\tlabel3\tlabel4\tlabel5\tgold_label\n" +
                               line + "\tcontradiction\n");
  auto rows = readGlueRows(*task, path);
  ASSERT_TRUE(bool(rows)) << rows.message();
  EXPECT_EQ((*rows)[0].text, "A man.");
  EXPECT_EQ((*rows)[0].pair, "He ran.");
  EXPECT_EQ((*rows)[0].label, 2);
  GlueResults matched = {{GlueMetric::Accuracy, 0.84}};
  GlueResults other = {{GlueMetric::Accuracy, 0.85}};
  EXPECT_NEAR(meanOfFiles({matched, other})[0].second, 0.845, 1e-12);
}

TEST(GlueMetrics, ClassesInAnotherOrder) {
  const GlueTask *task = findGlueTask("mnli");
  EXPECT_EQ(classColumns(*task, {"CONTRADICTION", "NEUTRAL", "ENTAILMENT"}),
            (std::vector<size_t>{2, 1, 0}));
  EXPECT_TRUE(classColumns(*task, {"LABEL_0", "LABEL_1", "LABEL_2"}).empty());
  EXPECT_TRUE(classColumns(*findGlueTask("sst2"), {"NO", "YES"}).empty());
}

TEST(GlueReader, ReadsQuotesLiterallyAndSkipsTheByteOrderMark) {
  std::string path = writeFile("\xEF\xBB\xBFQuality\tid\tid\ta\tb\n"
                               "1\t1\t2\t\"He said\t\"so\" it was\n"
                               "0\t3\t4\tx\ty");
  auto rows = readGlueRows(*findGlueTask("mrpc"), path);
  ASSERT_TRUE(bool(rows)) << rows.message();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].text, "\"He said");
  EXPECT_EQ((*rows)[0].pair, "\"so\" it was");
  EXPECT_EQ((*rows)[0].label, 1);
  EXPECT_EQ((*rows)[1].pair, "y");
}

TEST(GlueReader, ColaHasNoHeader) {
  std::string path = writeFile("gj04\t1\t\tThe first line.\n");
  auto rows = readGlueRows(*findGlueTask("cola"), path);
  ASSERT_TRUE(bool(rows)) << rows.message();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].text, "The first line.");
}

TEST(GlueReader, QnliSpellsItsLabels) {
  std::string path = writeFile("index\tquestion\tsentence\tlabel\n"
                               "0\tq\ts\tnot_entailment\n");
  auto rows = readGlueRows(*findGlueTask("qnli"), path);
  ASSERT_TRUE(bool(rows)) << rows.message();
  EXPECT_EQ((*rows)[0].label, 1);
}

TEST(GlueReader, RefusesAWrongColumnCount) {
  std::string path = writeFile("sentence\tlabel\ngood\n");
  auto rows = readGlueRows(*findGlueTask("sst2"), path);
  ASSERT_FALSE(bool(rows));
  EXPECT_THAT(rows.message(),
              HasSubstr("line 2: has 1 columns, sst2 files have 2"));
}

TEST(GlueReader, RefusesAnotherTasksFile) {
  std::string path = writeFile("sentence1\tsentence2\tlabel\tidx\n");
  auto rows = readGlueRows(*findGlueTask("sst2"), path);
  ASSERT_FALSE(bool(rows));
  EXPECT_THAT(rows.message(), HasSubstr("line 1: has 4 columns"));
}

TEST(GlueReader, RefusesAnUnknownLabel) {
  std::string path = writeFile("sentence\tlabel\ngood\tyes\n");
  auto rows = readGlueRows(*findGlueTask("sst2"), path);
  ASSERT_FALSE(bool(rows));
  EXPECT_THAT(rows.message(), HasSubstr("'yes' is no label of sst2"));
}

TEST(GlueReader, RefusesAnEmptyFileAndAHeaderAlone) {
  EXPECT_FALSE(bool(readGlueRows(*findGlueTask("rte"), writeFile(""))));
  auto rows = readGlueRows(*findGlueTask("rte"), writeFile("a\tb\tc\td\n"));
  ASSERT_FALSE(bool(rows));
  EXPECT_THAT(rows.message(), HasSubstr("no rows were found"));
}

TEST(GlueReader, NamesAllTasks) {
  EXPECT_EQ(findGlueTask("glue"), nullptr);
  EXPECT_EQ(glueTaskNames(),
            "sst2, cola, mrpc, rte, stsb, qqp, mnli, wnli, qnli, images");
}

TEST(GlueReader, ReadsEveryRowOfTheDevSets) {
  const std::vector<std::tuple<const char *, const char *, size_t>> files = {
      {"sst2", "SST-2", 872}, {"cola", "CoLA", 1043},  {"mrpc", "MRPC", 408},
      {"rte", "RTE", 277},    {"stsb", "STS-B", 1500}, {"qnli", "QNLI", 5463}};
  if (!std::ifstream(sharedFolder() + "/glue/README.md"))
    GTEST_SKIP() << "no GLUE files at " << sharedFolder() << "/glue";
  for (const auto &[name, folder, count] : files) {
    auto rows = readGlueRows(*findGlueTask(name),
                             sharedFolder() + "/glue/" + folder + "/dev.tsv");
    ASSERT_TRUE(bool(rows)) << rows.message();
    EXPECT_EQ(rows->size(), count) << name;
    for (const GlueRow &row : *rows)
      ASSERT_FALSE(row.text.empty()) << name;
  }
}

} // namespace
