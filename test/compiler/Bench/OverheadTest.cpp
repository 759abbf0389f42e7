//===- OverheadTest.cpp - The report of overheads, row E48 ----------------===//
//
// Forms, predictions and outputs; never times.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/Overhead.h"

#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

using namespace quern;
using testing::HasSubstr;

namespace {

TEST(Overhead, E48FormsAndPredictions) {
  const std::vector<std::pair<std::string, double>> expected = {
      {"W8A8", 0},
      {"PEG K=1", 1. / 768},
      {"PEG K=2", 2. / 768},
      {"PEG K=3", 3. / 768},
      {"PEG K=4", 4. / 768},
      {"PEG K=6", 6. / 768},
      {"PEG K=8", 8. / 768},
      {"PEG K=12", 12. / 768},
      {"W8A16", 1},
      {"W4A8", 0},
      {"W2A8", 0}};
  // The kernels have tests of their own on every tier.
  OverheadOptions options;
  options.tokens = 5;
  options.repeats = 1;
  Expected<std::vector<OverheadRow>> rows = runOverhead(options);
  ASSERT_TRUE(rows) << rows.message();
  ASSERT_EQ(rows->size(), expected.size());
  for (size_t i = 0; i < rows->size(); ++i) {
    const OverheadRow &row = (*rows)[i];
    EXPECT_EQ(row.form, expected[i].first);
    EXPECT_DOUBLE_EQ(row.predicted, expected[i].second) << row.form;
    EXPECT_EQ(row.wrong, 0) << row.form;
    EXPECT_TRUE(std::isfinite(row.measured)) << row.form;
    EXPECT_GT(row.milliseconds, 0) << row.form;
  }
  std::ostringstream text;
  printOverhead(options, *rows, text);
  // The figure of quantization.md 9.2.
  EXPECT_THAT(text.str(), HasSubstr("| PEG K=6 | linear_u8_768x3072"));
  EXPECT_THAT(text.str(), HasSubstr("| 0.78 % |"));
  EXPECT_THAT(text.str(), HasSubstr("| 100.00 % |"));
  std::string json = overheadJson(options, *rows);
  EXPECT_THAT(json, HasSubstr("\"form\": \"PEG K=6\""));
  EXPECT_THAT(json, HasSubstr("\"predicted\": 0.0078125"));
}

} // namespace
