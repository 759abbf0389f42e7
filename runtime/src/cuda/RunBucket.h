//===- RunBucket.h - sizes that runs share --------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A graph holds its sizes. So that texts of other lengths find one, runs of few
// tokens are launched as the largest run of their bucket: kernels make tiles of
// 64 rows anyhow. What a bucket has beyond a run are tokens of id 0 that belong
// to no sequence, and sequences of no tokens; rows know nothing of each other,
// so those of the run have the bytes that they have without.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CUDA_RUNBUCKET_H
#define QUERN_RUNTIME_SRC_CUDA_RUNBUCKET_H

#include "runtime/src/Capture.h"

namespace quern::cuda {

/// Runs of more tokens are launched as they are: launches are no part of their
/// time, and what a bucket has beyond them would be.
inline constexpr uint64_t kMostBucketTokens = 2048;

/// What a run is launched as: as many tokens and sequences or more, within the
/// room that there is. Without pairs.
RunSize bucketOf(const RunSize &run, const RunSize &room);

/// The same of the length of its longest sequence, at most `limit`.
uint32_t bucketOfLength(uint32_t longest, uint32_t limit);

} // namespace quern::cuda

#endif // QUERN_RUNTIME_SRC_CUDA_RUNBUCKET_H
