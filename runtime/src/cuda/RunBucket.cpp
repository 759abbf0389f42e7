//===- RunBucket.cpp - sizes that runs share ------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/RunBucket.h"

namespace quern::cuda {

/// Rows of a product's small tile, and queries of a block of attention.
static constexpr uint64_t kTile = 64;
/// Rows of a large tile, which as many tokens take.
static constexpr uint64_t kLargeTile = 128, kManyTokens = 1024;

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

RunSize bucketOf(const RunSize &run, const RunSize &room) {
  if (run.tokens > kMostBucketTokens)
    return {run.tokens, run.sequences, 0};
  uint64_t step = run.tokens > kManyTokens ? kLargeTile : kTile;
  uint64_t sequences = 1;
  while (sequences < run.sequences)
    sequences *= 2;
  return {least(roundUp(run.tokens, step), room.tokens),
          least(sequences, room.sequences), 0};
}

uint32_t bucketOfLength(uint32_t longest, uint32_t limit) {
  return uint32_t(least(roundUp(longest, kTile), limit));
}

} // namespace quern::cuda
