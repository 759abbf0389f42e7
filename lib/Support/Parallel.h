//===- Parallel.h - Independent pieces of work on threads ----------*- C++ -*-//
//
// For work that takes longer than starting a thread does. What comes out must
// not depend on who does which piece.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_PARALLEL_H
#define QUERN_LIB_SUPPORT_PARALLEL_H

#include <cstddef>
#include <functional>

namespace quern {

/// `threads`, or one for each CPU where it is 0.
unsigned threadCount(unsigned threads);

/// Calls work(i) once for each i below `count`, on up to `threads` threads (0:
/// one for each CPU), of which the calling one is one; returns when all are
/// done. `progress` is told the part done, by the calling thread only.
void forEachParallel(size_t count, unsigned threads,
                     const std::function<void(size_t)> &work,
                     const std::function<void(double)> &progress = {});

} // namespace quern

#endif // QUERN_LIB_SUPPORT_PARALLEL_H
