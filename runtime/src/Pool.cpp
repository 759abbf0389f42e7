//===- Pool.cpp - a spin pool that hands out chunks -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Pool.h. Order of memory: run() writes the region, then releases the
// ticket; who takes a chunk acquires it and so sees the region, which cannot
// change before that chunk is reported finished.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Pool.h"

#include "runtime/src/Cpu.h"

#include <climits>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

using namespace quern;

namespace {

/// Spins of a crowded pool before it gives its CPU away.
constexpr uint32_t crowdedSpins = 200;

void relax() { __builtin_ia32_pause(); }

long futex(std::atomic<uint32_t> &word, int operation, uint32_t value) {
  static_assert(sizeof(word) == 4, "the kernel compares 32 bits");
  return syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), operation,
                 value, nullptr, nullptr, 0);
}

} // namespace

bool Pool::start(uint32_t count, uint64_t idleNanoseconds) {
  threads = 1;
  crowded = count > usableCpuCount();
  idle = idleNanoseconds;
  stopping.store(false);
  lanes[0] = {this, 0, pthread_self(), 0};
  for (uint32_t i = 1; i < count; ++i) {
    lanes[i] = {this, i, {}, 0};
    if (pthread_create(&lanes[i].handle, nullptr, enter, &lanes[i]) != 0) {
      stop();
      return false;
    }
    threads = i + 1;
  }
  return true;
}

void Pool::stop() {
  stopping.store(true);
  epoch.fetch_add(1);
  futex(epoch, FUTEX_WAKE_PRIVATE, INT_MAX);
  for (uint32_t i = 1; i < threads; ++i)
    pthread_join(lanes[i].handle, nullptr);
  threads = 1;
}

void Pool::begin() {
  if (threads == 1)
    return;
  running.store(true);
  epoch.fetch_add(1);
  // A worker counts itself among the sleepers before the kernel compares the
  // epoch, so either it is seen here or it sees the new epoch.
  if (sleepers.load() != 0)
    futex(epoch, FUTEX_WAKE_PRIVATE, INT_MAX);
}

void Pool::end() { running.store(false); }

void Pool::run(Region region, void *context, int64_t chunks, int64_t grain) {
  if (chunks <= 0)
    return;
  if (threads == 1 || chunks <= grain) {
    region(context, 0, chunks, 0);
    lanes[0].chunks += chunks;
    return;
  }
  body = region;
  bodyContext = context;
  total = chunks;
  leastTake.store(grain, std::memory_order_relaxed);
  finished.store(0, std::memory_order_relaxed);
  uint32_t generation =
      uint32_t(ticket.load(std::memory_order_relaxed) >> 32) + 1;
  ticket.store(uint64_t(generation) << 32 | uint64_t(chunks),
               std::memory_order_release);

  while (takeChunks(generation, lanes[0])) {
  }
  for (uint32_t spins = 0;
       finished.load(std::memory_order_acquire) != chunks;) {
    relax();
    if (crowded && ++spins > crowdedSpins)
      sched_yield();
  }
}

bool Pool::takeChunks(uint32_t generation, Lane &lane) {
  uint64_t seen = ticket.load(std::memory_order_acquire);
  int64_t remaining, take;
  do {
    remaining = int64_t(seen & UINT32_MAX);
    if (uint32_t(seen >> 32) != generation || remaining == 0)
      return false;
    // Large bites at first, small ones near the end: few tickets, and threads
    // that finish together.
    take = remaining / (2 * int64_t(threads));
    int64_t least = leastTake.load(std::memory_order_relaxed);
    take = take < least ? least : take;
    take = take < 1 ? 1 : take > remaining ? remaining : take;
  } while (!ticket.compare_exchange_weak(seen, seen - uint64_t(take),
                                         std::memory_order_acq_rel,
                                         std::memory_order_acquire));
  int64_t begin = total - remaining;
  body(bodyContext, begin, begin + take, lane.index);
  lane.chunks += uint64_t(take);
  finished.fetch_add(take, std::memory_order_release);
  return true;
}

void *Pool::enter(void *argument) {
  Lane &lane = *static_cast<Lane *>(argument);
  // A new thread inherits its creator's rounding; kernels assume the plain one.
  _mm_setcsr(0x1f80);
  lane.pool->work(lane);
  return nullptr;
}

void Pool::work(Lane &lane) {
  uint32_t done = 0;
  uint64_t idleSince = 0;
  for (uint32_t spins = 1;; ++spins) {
    uint32_t seen = epoch.load();
    if (stopping.load())
      return;
    uint64_t now = ticket.load(std::memory_order_acquire);
    uint32_t generation = uint32_t(now >> 32);
    if (generation != done && (now & UINT32_MAX) != 0) {
      while (takeChunks(generation, lane)) {
      }
      done = generation;
      spins = 1;
      idleSince = 0;
      continue;
    }
    relax();
    if (crowded && spins > crowdedSpins)
      sched_yield();
    if (running.load(std::memory_order_relaxed)) {
      idleSince = 0;
      continue;
    }
    if (spins % 64 != 0 && !crowded)
      continue;
    uint64_t time = nanoseconds();
    if (idleSince == 0) {
      idleSince = time;
    } else if (time - idleSince >= idle) {
      sleepers.fetch_add(1);
      if (epoch.load() == seen)
        futex(epoch, FUTEX_WAIT_PRIVATE, seen);
      sleepers.fetch_sub(1);
      idleSince = 0;
    }
  }
}

bool Pool::bind(uint32_t thread, int cpu) {
  if (thread >= threads || cpu < 0 || cpu >= CPU_SETSIZE)
    return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_t handle = thread == 0 ? pthread_self() : lanes[thread].handle;
  return pthread_setaffinity_np(handle, sizeof(set), &set) == 0;
}
