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

#include <cmath>
#include <cstdlib>
#include <fstream>
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

TEST(GlueMetrics, RegressionTakesTheScoreAsItIs) {
  const GlueTask *task = findGlueTask("stsb");
  auto metrics = glueMetrics(*task, {{-1}, {7}, {3}},
                             {{"a", "b", 0}, {"a", "b", 5}, {"a", "b", 2}});
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_NEAR(metrics[0].second, 0.9933992677987828, 1e-9);
  EXPECT_NEAR(metrics[1].second, 1, 1e-12);
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
  EXPECT_EQ(findGlueTask("mnli"), nullptr);
  EXPECT_EQ(glueTaskNames(), "sst2, cola, mrpc, rte, stsb, qnli");
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
