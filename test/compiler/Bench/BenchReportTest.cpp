//===- BenchReportTest.cpp - Tables and the page of quern bench -----------===//

#include "compiler/Bench/BenchReport.h"
#include "compiler/Bench/ReadBandwidth.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

using Numbers = std::vector<uint32_t>;

TEST(BenchGrid, ThreeInOne) {
  Expected<BenchGrid> grid = parseGrid("1,8x32,128@1,2");
  ASSERT_TRUE(bool(grid)) << grid.message();
  EXPECT_EQ(grid->batches, (Numbers{1, 8}));
  EXPECT_EQ(grid->lengths, (Numbers{32, 128}));
  EXPECT_EQ(grid->threads, (Numbers{1, 2}));
  Expected<BenchGrid> short_ = parseGrid("4x16");
  ASSERT_TRUE(bool(short_)) << short_.message();
  EXPECT_EQ(short_->threads, (Numbers{1}));
}

TEST(BenchGrid, SaysWhatIsWrong) {
  for (auto [text, message] :
       {std::pair<const char *, const char *>{"8", "found '8'"},
        {"", "found ''"},
        {"1x2x3", "found '1x2x3'"},
        {"1@2", "found '1@2'"},
        {"0x16", "batches: found '0'"},
        {"1x", "lengths: found ''"},
        {"1x16@", "threads: found ''"},
        {"1x16@-1", "threads: found '-1'"},
        {"1x9999999", "lengths: found '9999999'"}}) {
    Expected<BenchGrid> grid = parseGrid(text);
    ASSERT_FALSE(bool(grid)) << text;
    EXPECT_NE(grid.message().find(message), std::string::npos)
        << grid.message();
    EXPECT_NE(grid.message().find("expected"), std::string::npos);
  }
}

BenchReport example() {
  BenchReport report{"<m>.qbm", "default", "Weights: here.", {}};
  for (uint32_t length : {32u, 128u}) {
    BenchCell cell;
    cell.batch = 2;
    cell.length = length;
    // Two batches: what a second gives counts both.
    cell.sequences = 4;
    cell.tokens = 4 * length;
    cell.threads = 1;
    cell.tier = "avx512vnni";
    cell.p50 = length * 1e-4;
    cell.p90 = 2 * cell.p50;
    cell.p99 = 3 * cell.p50;
    cell.operations = length * 1e8;
    cell.peakBefore = 1e12;
    cell.peakAfter = 2e12;
    cell.handoff = length == 32 ? 0 : 71e-9;
    cell.ops = {{"linear a&b", 12, 1.5, 900, 0.45}, {"pool c", 1, 0.5, 0, 0}};
    // 6 GB/s of 10, and nothing.
    cell.bandwidth = 1e10;
    cell.ops[0].bytes = 9e6;
    report.cells.push_back(cell);
  }
  return report;
}

TEST(BenchReport, NumbersOfACell) {
  BenchCell cell = example().cells[0];
  EXPECT_DOUBLE_EQ(cell.sequencesPerSecond(), 4 / 3.2e-3);
  EXPECT_DOUBLE_EQ(cell.tokensPerSecond(), 128 / 3.2e-3);
  // The larger peak of the two counts.
  EXPECT_DOUBLE_EQ(cell.share(), 0.5);
  cell.peakBefore = cell.peakAfter = 0;
  EXPECT_EQ(cell.share(), 0);
}

TEST(BenchReport, Markdown) {
  std::string text = benchMarkdown(example());
  EXPECT_NE(text.find("| 2 | 32 | 1 | avx512vnni | 3.20 | 6.40 | 9.60 | 1250.0 "
                      "| 40000 | 1000 | 50.0 % | 0 | - |"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| 0 | 71 |"), std::string::npos) << text;
  EXPECT_NE(text.find("Weights: here."), std::string::npos) << text;
  EXPECT_NE(text.find("## Batch 2, 128 tokens, threads 1"), std::string::npos);
  EXPECT_NE(
      text.find("| linear a&b | 12 | 1.500 | 900 | 45.0 % | 6.0 | reading "
                "| 60.0 % |"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("| pool c | 1 | 0.500 | 0 | - | 0.0 | - | - |"),
            std::string::npos);
  EXPECT_NE(text.find("are read at 10.0 GB/s"), std::string::npos);
}

TEST(BenchReport, TheLongerOfTwoTimesBounds) {
  BenchCell cell = example().cells[0];
  EXPECT_STREQ(cell.boundOf(cell.ops[0]).by, "reading");
  EXPECT_DOUBLE_EQ(cell.boundOf(cell.ops[0]).share, 0.6);
  cell.ops[0].bytes = 6e6;
  EXPECT_STREQ(cell.boundOf(cell.ops[0]).by, "products");
  EXPECT_DOUBLE_EQ(cell.boundOf(cell.ops[0]).share, 0.45);
  EXPECT_STREQ(cell.boundOf(cell.ops[1]).by, "");
  cell.bandwidth = 0;
  EXPECT_STREQ(cell.boundOf(cell.ops[0]).by, "products");
}

TEST(ReadBandwidth, GrowsNotWithTheBuffer) {
  double small = measureReadBandwidth(1 << 20, 1, 3);
  EXPECT_GT(small, 1e8);
  EXPECT_LT(small, 1e13);
  EXPECT_GT(measureReadBandwidth(5000, 3, 2), 0);
}

TEST(BenchReport, PageNeedsNothingElse) {
  std::string page = benchPage(example());
  EXPECT_EQ(page.find("<!DOCTYPE html>"), 0u);
  EXPECT_NE(page.find("</html>"), std::string::npos);
  for (const char *outside : {"http", "<script", "src=", "@import", "url("})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_NE(page.find("&lt;m&gt;.qbm"), std::string::npos);
  EXPECT_EQ(page.find("<m>"), std::string::npos);
  EXPECT_NE(page.find("linear a&amp;b"), std::string::npos);
  EXPECT_NE(page.find("<polyline"), std::string::npos);
  EXPECT_NE(page.find("1.500 ms, 75.0 % of the time"), std::string::npos);
}

TEST(BenchReport, OneCellIsAPage) {
  BenchReport report = example();
  report.cells.resize(1);
  std::string page = benchPage(report);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("inf"), std::string::npos);
}

} // namespace
