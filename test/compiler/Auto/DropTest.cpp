//===- DropTest.cpp - Estimated drops on outputs made by hand -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Drop.h"

#include "gtest/gtest.h"
#include <cmath>

using namespace quern;

namespace {

Outputs outputsOf(std::vector<float> values, uint32_t columns) {
  Outputs outputs;
  quern_output output = {};
  output.data = values.data();
  output.columns = columns;
  output.rows = output.sequences = values.size() / columns;
  outputs.add(output);
  return outputs;
}

TEST(Drop, EqualOutputsLoseNothing) {
  Outputs real = outputsOf({1, -1, 0.5f, 2}, 2);
  for (quern_head head :
       {QUERN_HEAD_CLASSIFICATION, QUERN_HEAD_REGRESSION, QUERN_HEAD_EMBEDDING,
        QUERN_HEAD_QUESTION_ANSWERING, QUERN_HEAD_TOKEN_CLASSIFICATION}) {
    Drop drop = measureDrop(real, real, head, "");
    EXPECT_NEAR(drop.points, 0, 1e-9) << head;
    EXPECT_EQ(drop.agreement, 1) << head;
    EXPECT_EQ(drop.difference, 0) << head;
  }
}

TEST(Drop, AChangedClassCountsByTheFloatModelsDoubt) {
  // Four rows, one of them changed: probabilities 0.75 and 0.25.
  float odds = std::log(3.0f);
  Outputs real = outputsOf({odds, 0, 5, 0, 0, 5, 5, 0}, 2);
  Outputs ours = outputsOf({0, odds, 5, 0, 0, 5, 5, 0}, 2);
  Drop drop = measureDrop(real, ours, QUERN_HEAD_CLASSIFICATION, "");
  EXPECT_EQ(drop.decisions, 4u);
  EXPECT_EQ(drop.agreement, 0.75);
  EXPECT_NEAR(drop.points, 100 * 0.5 / 4, 1e-4);
}

TEST(Drop, LabelsThatHoldOrNot) {
  Outputs real = outputsOf({std::log(3.0f), -4}, 2);
  Outputs ours = outputsOf({-1, -3}, 2);
  Drop drop = measureDrop(real, ours, QUERN_HEAD_CLASSIFICATION, "multi_label");
  EXPECT_EQ(drop.agreement, 0.5);
  EXPECT_NEAR(drop.points, 100 * 0.5 / 2, 1e-4);
}

TEST(Drop, RegressionSeesABias) {
  Outputs real = outputsOf({0, 1, 2, 3, 4}, 1);
  Outputs shifted = outputsOf({1, 2, 3, 4, 5}, 1);
  // Concordance: 2 * 10 / (10 + 10 + 5) = 0.8; correlation would be 1.
  EXPECT_NEAR(
      measureDrop(real, shifted, QUERN_HEAD_REGRESSION, "regression").points,
      20, 1e-6);
}

TEST(Drop, EmbeddingsByCosine) {
  Outputs real = outputsOf({1, 0, 0, 2}, 2), ours = outputsOf({3, 0, 1, 0}, 2);
  EXPECT_NEAR(measureDrop(real, ours, QUERN_HEAD_EMBEDDING, "").points, 50,
              1e-6);
}

TEST(Drop, AnswersAreChosenAmongTheTokensOfASequence) {
  auto fill = [](std::vector<float> values) {
    Outputs outputs;
    int32_t offsets[] = {0, 2, 5};
    quern_output output = {};
    output.data = values.data();
    output.columns = 2;
    output.rows = output.tokens = 5;
    output.sequences = 2;
    output.offsets = offsets;
    outputs.add(output);
    return outputs;
  };
  Outputs real = fill({9, 0, 0, 9, 9, 0, 0, 9, 0, 0});
  Outputs ours = fill({9, 0, 0, 9, 0, 0, 9, 9, 0, 0});
  Drop drop = measureDrop(real, ours, QUERN_HEAD_QUESTION_ANSWERING, "");
  EXPECT_EQ(drop.decisions, 4u);
  EXPECT_EQ(drop.agreement, 0.75);
  EXPECT_GT(drop.points, 20);
}

TEST(Drop, OutputsOfOtherShapesAreUseless) {
  EXPECT_EQ(measureDrop(outputsOf({1, 2}, 2), outputsOf({1}, 1),
                        QUERN_HEAD_CLASSIFICATION, "")
                .points,
            100);
}

} // namespace
