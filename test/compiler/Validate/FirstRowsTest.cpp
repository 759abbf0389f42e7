//===- FirstRowsTest.cpp - Runs before and after tq-slice-rows ------------===//

#include "compiler/Validate/FirstRows.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

/// Sequences of 2, 1 and 3 tokens.
const std::vector<int32_t> offsets = {0, 2, 3, 6};

Tensor counted(int64_t rows, int64_t width) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < rows * width; ++i)
    values.push_back(int32_t(i));
  return Tensor::of(std::move(values), {rows, width});
}

TEST(FirstRows, OfTokens) {
  Tensor all = counted(6, 2);
  for (int i = 0; i < 6; ++i)
    all.ranges.push_back({1, i});
  auto rows = takeFirstRows(all, counted(3, 2), offsets);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->toVector<int32_t>(),
            (std::vector<int32_t>{0, 1, 4, 5, 6, 7}));
  ASSERT_EQ(rows->ranges.size(), 3u);
  EXPECT_EQ(rows->ranges[1].zero, 2);
  EXPECT_EQ(rows->ranges[2].zero, 3);
}

TEST(FirstRows, OfScores) {
  // Two heads, 4 + 1 + 9 pairs each; the first row of each block is kept.
  auto rows = takeFirstRows(counted(2, 14), counted(2, 6), offsets);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->toVector<int32_t>(),
            (std::vector<int32_t>{0, 1, 4, 5, 6, 7, 14, 15, 18, 19, 20, 21}));
}

TEST(FirstRows, NothingElse) {
  EXPECT_FALSE(takeFirstRows(counted(6, 2), counted(6, 2), offsets));
  EXPECT_FALSE(takeFirstRows(counted(6, 2), counted(2, 2), offsets));
  EXPECT_FALSE(takeFirstRows(counted(6, 2), counted(3, 1), offsets));
  EXPECT_FALSE(takeFirstRows(counted(2, 14), counted(2, 5), offsets));
  EXPECT_FALSE(takeFirstRows(counted(2, 15), counted(2, 6), offsets));
}

} // namespace
