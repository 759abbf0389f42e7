//===- ArenaPlanTest.cpp - Placement of activations -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Analysis/ArenaPlan.h"

#include "gtest/gtest.h"

#include <random>

using namespace quern;

static void expectDisjoint(const std::vector<ArenaBuffer> &buffers,
                           const ArenaPlan &plan) {
  for (size_t a = 0; a < buffers.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % 64, 0);
    EXPECT_LE(plan.offsets[a] + buffers[a].bytesPerUnit, plan.bytesPerUnit);
    for (size_t b = a + 1; b < buffers.size(); ++b) {
      if (buffers[a].firstStep > buffers[b].lastStep ||
          buffers[b].firstStep > buffers[a].lastStep)
        continue;
      bool apart =
          plan.offsets[a] + buffers[a].bytesPerUnit <= plan.offsets[b] ||
          plan.offsets[b] + buffers[b].bytesPerUnit <= plan.offsets[a];
      EXPECT_TRUE(apart) << "buffers " << a << " and " << b;
    }
  }
}

TEST(ArenaPlan, EmptyNeedsNothing) { EXPECT_EQ(planArena({}).bytesPerUnit, 0); }

TEST(ArenaPlan, ChainReusesMemory) {
  // Each step reads the one before: two buffers are alive at a time.
  std::vector<ArenaBuffer> chain;
  for (int step = 0; step < 20; ++step)
    chain.push_back({768, step, step + 1});
  ArenaPlan plan = planArena(chain);
  expectDisjoint(chain, plan);
  EXPECT_EQ(plan.bytesPerUnit, 2 * 768);
}

TEST(ArenaPlan, BertLayersReachTheLowerBound) {
  // Stream, qkv, context, projection, FFN per layer, the stream kept for the
  // residual sums.
  std::vector<ArenaBuffer> buffers;
  buffers.push_back({768, 0, 4});
  for (int layer = 0; layer < 12; ++layer) {
    int s = 7 * layer;
    buffers.push_back({2304, s + 1, s + 2});
    buffers.push_back({768, s + 2, s + 3});
    buffers.push_back({1536, s + 3, s + 4});
    buffers.push_back({768, s + 4, s + 7});
    buffers.push_back({3072, s + 5, s + 6});
    buffers.push_back({1536, s + 6, s + 7});
    buffers.push_back({768, s + 7, s + 11});
  }
  ArenaPlan plan = planArena(buffers);
  expectDisjoint(buffers, plan);
  EXPECT_LE(plan.bytesPerUnit, arenaLowerBound(buffers) * 11 / 10);
}

TEST(ArenaPlan, RandomLifetimesNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<ArenaBuffer> buffers(1 + random() % 40);
    for (ArenaBuffer &buffer : buffers) {
      buffer.bytesPerUnit = 1 + random() % 5000;
      buffer.firstStep = random() % 30;
      buffer.lastStep = buffer.firstStep + random() % 10;
    }
    ArenaPlan plan = planArena(buffers);
    expectDisjoint(buffers, plan);
    EXPECT_GE(plan.bytesPerUnit, arenaLowerBound(buffers));
  }
}
