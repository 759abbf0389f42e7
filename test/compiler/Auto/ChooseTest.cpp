//===- ChooseTest.cpp - Which candidate auto takes ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Auto.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

AutoCandidate candidate(double cost, uint64_t bytes, double drop) {
  AutoCandidate result;
  result.cost = cost;
  result.bytes = bytes;
  result.drop.points = drop;
  return result;
}

/// With the float model behind them.
AutoResult choose(std::vector<AutoCandidate> candidates, double maxDrop) {
  AutoResult result;
  result.candidates = std::move(candidates);
  result.candidates.push_back(candidate(80, 4000, 0));
  result.maxDrop = maxDrop;
  chooseCandidate(result);
  return result;
}

TEST(Choose, TheCheapestWithinTheDrop) {
  AutoResult result = choose({candidate(10, 1000, 40), candidate(11, 1000, 0.4),
                              candidate(12, 1000, 0)},
                             0.5);
  EXPECT_EQ(result.chosen, 1u);
  // Relative to the cheapest of all, whatever that one loses.
  EXPECT_DOUBLE_EQ(result.candidates[0].cost, 1);
  EXPECT_DOUBLE_EQ(result.candidates[1].cost, 1.1);
}

TEST(Choose, OfThoseAsCheapTheOneThatLosesLeast) {
  EXPECT_EQ(choose({candidate(10, 1000, 0.4), candidate(10.05, 1005, 0.1),
                    candidate(10.09, 1000, 0.2)},
                   0.5)
                .chosen,
            1u);
}

TEST(Choose, AHundredthMoreOfTimeOrSizeIsAPrice) {
  EXPECT_EQ(choose({candidate(10, 1000, 0.4), candidate(10.2, 1000, 0.1),
                    candidate(10, 1020, 0)},
                   0.5)
                .chosen,
            0u);
}

TEST(Choose, TheFloatModelIfNoOtherIsWithinTheDrop) {
  AutoCandidate failed = candidate(1, 10, 0);
  failed.failure = "no kernel";
  AutoResult result = choose({failed, candidate(10, 1000, 2)}, 0.5);
  EXPECT_EQ(result.chosen, 2u);
  EXPECT_FALSE(result.candidates[0].onFront);
  EXPECT_TRUE(result.candidates[1].onFront);
}

TEST(Choose, TheFrontHoldsWhatNoOneBeats) {
  AutoResult result = choose(
      {candidate(10, 1000, 1), candidate(10, 1000, 2), candidate(9, 1100, 3)},
      0.5);
  EXPECT_TRUE(result.candidates[0].onFront);
  EXPECT_FALSE(result.candidates[1].onFront);
  EXPECT_TRUE(result.candidates[2].onFront);
}

} // namespace
