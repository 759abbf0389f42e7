//===- ReadBandwidth.cpp - How fast memory is read ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/ReadBandwidth.h"

#include "lib/Support/TargetClones.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace quern {

/// A multiple of what is read at a time, and of the smallest part of a thread.
static constexpr size_t kGrain = 4096, kHugePage = size_t(2) << 20;

/// Four streams of sums, so that no load waits for another.
QUERN_CLONES static uint64_t sumOf(const uint64_t *words, size_t count) {
  uint64_t sums[4][8] = {};
  for (size_t i = 0; i + 32 <= count; i += 32)
    for (size_t j = 0; j < 4; ++j)
      for (size_t lane = 0; lane < 8; ++lane)
        sums[j][lane] += words[i + 8 * j + lane];
  uint64_t all = 0;
  for (const auto &some : sums)
    for (uint64_t sum : some)
      all += sum;
  return all;
}

namespace {
struct Free {
  void operator()(void *p) const { std::free(p); }
};
} // namespace

double measureReadBandwidth(size_t bytes, unsigned threads, unsigned passes) {
  using Clock = std::chrono::steady_clock;
  threads = std::max(threads, 1u);
  size_t part = std::max(bytes / threads / kGrain, size_t(1)) * kGrain;
  size_t all = part * threads;
  std::unique_ptr<uint64_t, Free> words(
      static_cast<uint64_t *>(std::aligned_alloc(
          kHugePage, (all + kHugePage - 1) / kHugePage * kHugePage)));
  if (!words)
    return 0;
  madvise(words.get(), all, MADV_HUGEPAGE);
  std::memset(words.get(), 1, all);

  // All threads start a pass together, and it ends with the last of them.
  std::atomic<unsigned> begun{0}, ended{0};
  std::atomic<uint64_t> kept{0};
  auto read = [&](unsigned thread, unsigned pass) {
    begun.fetch_add(1);
    while (begun.load() < (pass + 1) * threads)
      std::this_thread::yield();
    kept += sumOf(words.get() + thread * part / 8, part / 8);
    ended.fetch_add(1);
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t)
    others.emplace_back([&, t] {
      for (unsigned pass = 0; pass <= passes; ++pass)
        read(t, pass);
    });
  double best = 0;
  for (unsigned pass = 0; pass <= passes; ++pass) {
    Clock::time_point start = Clock::now();
    read(0, pass);
    while (ended.load() < (pass + 1) * threads)
      std::this_thread::yield();
    double seconds =
        std::chrono::duration<double>(Clock::now() - start).count();
    if (pass && seconds > 0)
      best = std::max(best, double(all) / seconds);
  }
  for (std::thread &other : others)
    other.join();
  return best;
}

} // namespace quern
