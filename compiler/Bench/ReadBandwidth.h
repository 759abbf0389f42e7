//===- ReadBandwidth.h - How fast memory is read ----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The other peak of a roofline: a kernel that reads weights for few rows is
// bound by how fast they come, not by its products.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_READBANDWIDTH_H
#define QUERN_COMPILER_BENCH_READBANDWIDTH_H

#include <cstddef>

namespace quern {

/// Bytes a second at which `threads` threads together read `bytes` bytes in
/// huge pages, each its part, in the fastest of `passes` passes after one that
/// brings them into the caches that hold them. 0 where there is no memory.
double measureReadBandwidth(size_t bytes, unsigned threads,
                            unsigned passes = 7);

} // namespace quern

#endif // QUERN_COMPILER_BENCH_READBANDWIDTH_H
