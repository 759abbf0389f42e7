//===- Pool.cpp - a spin pool that hands out chunks -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Pool.h. Order of memory: run() writes the region, then releases the
// stretches; who takes a unit of one acquires it and so sees the region, which
// cannot change before that unit is reported finished.
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

/// Units of a region: places in a stretch have 16 bits.
constexpr int64_t mostUnits = 65535;

uint64_t makeStretch(uint32_t generation, int64_t begin, int64_t end) {
  return uint64_t(generation) << 32 | uint64_t(end) << 16 | uint64_t(begin);
}

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
  for (uint32_t i = 0; i < count; ++i) {
    lanes[i].stretch.store(0, std::memory_order_relaxed);
    lanes[i].pool = this;
    lanes[i].index = i;
    lanes[i].chunks = 0;
  }
  lanes[0].handle = pthread_self();
  for (uint32_t i = 1; i < count; ++i) {
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
  int64_t least = (chunks + mostUnits - 1) / mostUnits;
  unit = least > grain ? least : grain;
  finished.store(0, std::memory_order_relaxed);
  uint32_t generation = ++generations;
  int64_t units = (chunks + unit - 1) / unit;
  for (uint32_t i = threads; i-- > 0;)
    lanes[i].stretch.store(
        makeStretch(generation, units * i / threads, units * (i + 1) / threads),
        std::memory_order_release);

  help(generation, lanes[0]);
  for (uint32_t spins = 0;
       finished.load(std::memory_order_acquire) != chunks;) {
    relax();
    if (crowded && ++spins > crowdedSpins)
      sched_yield();
  }
}

void Pool::help(uint32_t generation, Lane &lane) {
  for (uint32_t i = 0; i < threads; ++i)
    while (takeUnits(generation, lanes[(lane.index + i) % threads], lane)) {
    }
}

bool Pool::takeUnits(uint32_t generation, Lane &from, Lane &lane) {
  uint64_t seen = from.stretch.load(std::memory_order_acquire), rest;
  int64_t begin, end;
  do {
    begin = int64_t(seen & UINT16_MAX);
    end = int64_t(seen >> 16 & UINT16_MAX);
    if (uint32_t(seen >> 32) != generation || begin == end)
      return false;
    // Large bites at first, small ones near the end: few claims, and threads
    // that finish together.
    int64_t take = (end - begin + 1) / 2;
    if (&from == &lane) {
      end = begin + take;
      rest = seen + uint64_t(take);
    } else {
      begin = end - take;
      rest = seen - (uint64_t(take) << 16);
    }
  } while (!from.stretch.compare_exchange_weak(
      seen, rest, std::memory_order_acq_rel, std::memory_order_acquire));
  begin *= unit;
  end = end * unit < total ? end * unit : total;
  body(bodyContext, begin, end, lane.index);
  lane.chunks += uint64_t(end - begin);
  finished.fetch_add(end - begin, std::memory_order_release);
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
    uint64_t now = lane.stretch.load(std::memory_order_acquire);
    uint32_t generation = uint32_t(now >> 32);
    if (generation != done) {
      help(generation, lane);
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
