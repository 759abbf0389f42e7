//===- CudaRunBucketTest.cpp - sizes that runs share ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What runs in a bucket compute is shown by test/e2e/DeviceTest.cpp.
//
//===----------------------------------------------------------------------===//
#include "runtime/src/cuda/RunBucket.h"

#include <gtest/gtest.h>

#include <set>

using namespace quern;
using namespace quern::cuda;

namespace {

TEST(CudaRunBucket, HoldsTheRunAndFitsTheRoom) {
  for (uint64_t room : {2100u, 500u, 48u})
    for (uint64_t tokens = 1; tokens <= room; ++tokens)
      for (uint64_t sequences : {1u, 2u, 3u, 7u, 33u}) {
        RunSize size = bucketOf({tokens, sequences, 9}, {room, 40, 0});
        ASSERT_GE(size.tokens, tokens);
        ASSERT_LE(size.tokens, room);
        ASSERT_GE(size.sequences, sequences);
        ASSERT_LE(size.sequences, 40u);
        ASSERT_EQ(size.pairs, 0u);
        // Less than a tile of rows beyond the run.
        ASSERT_LT(size.tokens - tokens, tokens > 1024 ? 128u : 64u);
        if (tokens > kMostBucketTokens) {
          ASSERT_EQ(size.tokens, tokens);
          ASSERT_EQ(size.sequences, sequences);
        }
      }
}

TEST(CudaRunBucket, AreFew) {
  std::set<uint64_t> tokens, sequences;
  for (uint64_t i = 1; i <= kMostBucketTokens; ++i) {
    RunSize size = bucketOf({i, i, 0}, {1 << 20, 1 << 20, 0});
    tokens.insert(size.tokens);
    sequences.insert(size.sequences);
    // What a bucket is launched as is in it.
    RunSize again = bucketOf(size, {1 << 20, 1 << 20, 0});
    ASSERT_EQ(again.tokens, size.tokens);
    ASSERT_EQ(again.sequences, size.sequences);
  }
  EXPECT_EQ(tokens.size(), 24u);
  EXPECT_EQ(sequences.size(), 12u);
}

TEST(CudaRunBucket, Lengths) {
  EXPECT_EQ(bucketOfLength(1, 512), 64u);
  EXPECT_EQ(bucketOfLength(64, 512), 64u);
  EXPECT_EQ(bucketOfLength(65, 512), 128u);
  EXPECT_EQ(bucketOfLength(512, 512), 512u);
  EXPECT_EQ(bucketOfLength(33, 40), 40u);
}

} // namespace
