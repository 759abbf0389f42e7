//===- Pool.h - a spin pool that hands out chunks -------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// An inference is about a hundred short regions; blocking between them would
// cost as much as the work. So workers spin while a run is on, claim chunks,
// and the caller takes part and waits for finished chunks, not for workers: a
// worker that the system has suspended without a chunk in its hands delays
// nobody. Between runs workers spin a little longer and then sleep.
//
// Every thread begins with a stretch of its own and bites off halves from its
// front, so what a kernel prefetches behind a bite is what the same thread does
// next. Who has finished takes from the backs of the others' stretches.
//
// Which thread does which chunk is left to chance; kernels write the same bytes
// for every grouping, so results do not depend on it.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_POOL_H
#define QUERN_RUNTIME_SRC_POOL_H

#include "runtime/src/Support.h"

#include <atomic>
#include <pthread.h>

namespace quern {

class Pool {
public:
  /// Does the chunks [begin, end) on thread `thread` (0 is the caller).
  using Region = void (*)(void *context, int64_t begin, int64_t end,
                          uint32_t thread);

  static constexpr uint32_t maxThreads = 256;

  Pool() = default;
  ~Pool() { stop(); }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  /// Starts `count` - 1 workers that spin for `idleNanoseconds` after a run
  /// before they sleep. False when the system gives no more threads.
  bool start(uint32_t count, uint64_t idleNanoseconds = 200000);

  /// Ends the workers.
  void stop();

  uint32_t size() const { return threads; }

  /// Wakes the workers; run() may be called until end().
  void begin();
  void end();

  /// Runs all `chunks` (below 2^31) of a region and returns when they are
  /// done. No thread is given fewer than `grain` at a time, the last ones
  /// excepted. One caller at a time.
  void run(Region region, void *context, int64_t chunks, int64_t grain);

  /// Chunks done by thread `thread` since start(). Between runs only.
  uint64_t chunksOf(uint32_t thread) const { return lanes[thread].chunks; }

  /// Binds thread `thread` to a CPU; 0 is the calling thread.
  bool bind(uint32_t thread, int cpu);

private:
  /// A thread's own data, on its own cache lines.
  struct alignas(128) Lane {
    /// Generation of the region (high half) and the units of the thread's
    /// stretch that nobody has taken: the first (low quarter) and the one
    /// behind the last. A late thread decides by this word alone: with none
    /// left there is nothing to take, whatever region is being set up.
    std::atomic<uint64_t> stretch{0};
    Pool *pool;
    uint32_t index;
    pthread_t handle;
    uint64_t chunks;
  };

  static void *enter(void *lane);
  void work(Lane &lane);
  /// Does all that `lane` and then the others have left of the region.
  void help(uint32_t generation, Lane &lane);
  /// Does some of what `from` has left; false if that is nothing.
  bool takeUnits(uint32_t generation, Lane &from, Lane &lane);

  /// Chunks of the region that are done.
  alignas(128) std::atomic<int64_t> finished{0};
  /// Changes whenever sleepers have to look again.
  alignas(128) std::atomic<uint32_t> epoch{0};
  std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> running{false};
  std::atomic<bool> stopping{false};
  /// Read only by holders of a unit of this region.
  alignas(128) Region body = nullptr;
  void *bodyContext = nullptr;
  /// Chunks, and those of a unit; the last unit may have fewer.
  int64_t total = 0, unit = 1;
  /// Of the last region; the caller's.
  uint32_t generations = 0;

  uint32_t threads = 1;
  /// More threads than CPUs: spinning must let others run.
  bool crowded = false;
  uint64_t idle = 0;
  Lane lanes[maxThreads] = {};
};

} // namespace quern

#endif // QUERN_RUNTIME_SRC_POOL_H
