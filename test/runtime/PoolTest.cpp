//===- PoolTest.cpp - every chunk once, whatever the threads do -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Also run under ThreadSanitizer (QUERN_SANITIZE=thread).
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace quern;

namespace {

/// Counts visits of each chunk, without atomics: chunks are disjoint, and the
/// end of a region orders them before the caller.
struct Visits {
  std::vector<int> counts;
  std::vector<int64_t> smallest;
  explicit Visits(size_t chunks, uint32_t threads = 1)
      : counts(chunks), smallest(threads, INT64_MAX) {}

  static void visit(void *context, int64_t begin, int64_t end,
                    uint32_t thread) {
    auto &visits = *static_cast<Visits *>(context);
    for (int64_t i = begin; i < end; ++i)
      ++visits.counts[size_t(i)];
    if (end != int64_t(visits.counts.size()))
      visits.smallest[thread] = std::min(visits.smallest[thread], end - begin);
  }
};

class PoolThreads : public testing::TestWithParam<uint32_t> {};

TEST_P(PoolThreads, VisitsEveryChunkOnce) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(GetParam()));
  EXPECT_EQ(pool->size(), GetParam());
  for (int64_t chunks : {1, 2, 3, 7, 24, 1000}) {
    Visits visits(size_t(chunks), GetParam());
    constexpr int regions = 50;
    pool->begin();
    for (int region = 0; region < regions; ++region)
      pool->run(Visits::visit, &visits, chunks, 1);
    pool->end();
    for (int count : visits.counts)
      ASSERT_EQ(count, regions);
  }
}

TEST_P(PoolThreads, RunsManyShortRegions) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(GetParam()));
  Visits visits(5, GetParam());
  constexpr int runs = 20, regions = 200;
  for (int run = 0; run < runs; ++run) {
    pool->begin();
    for (int region = 0; region < regions; ++region)
      pool->run(Visits::visit, &visits, 5, 1);
    pool->end();
  }
  for (int count : visits.counts)
    EXPECT_EQ(count, runs * regions);
  uint64_t total = 0;
  for (uint32_t i = 0; i < pool->size(); ++i)
    total += pool->chunksOf(i);
  EXPECT_EQ(total, uint64_t(runs * regions * 5));
}

TEST_P(PoolThreads, WakesSleepers) {
  // No idle spinning: workers sleep right after each run.
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(GetParam(), 0));
  Visits visits(64, GetParam());
  constexpr int runs = 100;
  for (int run = 0; run < runs; ++run) {
    if (run % 10 == 0)
      usleep(500);
    pool->begin();
    pool->run(Visits::visit, &visits, 64, 1);
    pool->run(Visits::visit, &visits, 64, 1);
    pool->end();
  }
  for (int count : visits.counts)
    EXPECT_EQ(count, 2 * runs);
}

INSTANTIATE_TEST_SUITE_P(Counts, PoolThreads, testing::Values(1, 2, 3, 4, 9));

TEST(Pool, GivesAtLeastTheGrain) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(3));
  Visits visits(101, 3);
  pool->begin();
  pool->run(Visits::visit, &visits, 101, 8);
  pool->end();
  for (int64_t smallest : visits.smallest)
    EXPECT_GE(smallest, 8);
  for (int count : visits.counts)
    EXPECT_EQ(count, 1);
}

/// The bites of each thread, in order.
struct Bites {
  std::vector<std::vector<std::pair<int64_t, int64_t>>> taken;
  static void take(void *context, int64_t begin, int64_t end, uint32_t thread) {
    static_cast<Bites *>(context)->taken[thread].push_back({begin, end});
  }
};

TEST(Pool, BitesOfAThreadFollowOneAnother) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(2));
  for (int region = 0; region < 50; ++region) {
    Bites bites{{{}, {}}};
    pool->begin();
    pool->run(Bites::take, &bites, 40, 1);
    pool->end();
    for (int64_t thread = 0; thread < 2; ++thread) {
      int64_t next = 20 * thread;
      for (auto [begin, end] : bites.taken[size_t(thread)])
        if (begin / 20 == thread) {
          EXPECT_EQ(begin, next);
          next = end;
        }
    }
  }
}

/// Thread 1 does not come back from its first chunk before all others are done.
struct Stuck {
  std::atomic<int64_t> done{0};
  std::atomic<bool> alone{true};
  static void work(void *context, int64_t begin, int64_t end, uint32_t thread) {
    auto &stuck = *static_cast<Stuck *>(context);
    if (thread == 1 && stuck.alone.exchange(false))
      for (int wait = 0; stuck.done != 40 - (end - begin); ++wait) {
        ASSERT_LT(wait, 100000) << "nobody takes the thread's other chunks";
        usleep(100);
      }
    stuck.done += end - begin;
  }
};

TEST(Pool, OthersDoTheWorkOfAStuckThread) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(3));
  for (int region = 0; region < 20; ++region) {
    Stuck stuck;
    pool->begin();
    pool->run(Stuck::work, &stuck, 40, 1);
    pool->end();
    EXPECT_EQ(stuck.done, 40);
  }
}

TEST(Pool, CountsMoreChunksThanAStretchCan) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(3));
  Visits visits(200001, 3);
  pool->begin();
  pool->run(Visits::visit, &visits, 200001, 1);
  pool->end();
  for (int count : visits.counts)
    ASSERT_EQ(count, 1);
}

TEST(Pool, RunsNothingForNoChunks) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(2));
  pool->begin();
  pool->run([](void *, int64_t, int64_t, uint32_t) { FAIL(); }, nullptr, 0, 1);
  pool->end();
}

TEST(Pool, PoolsOfSeveralThreadsDoNotMix) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([] {
      auto pool = std::make_unique<Pool>();
      ASSERT_TRUE(pool->start(2, 0));
      Visits visits(33, 2);
      for (int run = 0; run < 50; ++run) {
        pool->begin();
        pool->run(Visits::visit, &visits, 33, 1);
        pool->end();
      }
      for (int count : visits.counts)
        EXPECT_EQ(count, 50);
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST(Pool, StartsAndStopsQuickly) {
  for (int i = 0; i < 50; ++i) {
    auto pool = std::make_unique<Pool>();
    ASSERT_TRUE(pool->start(4));
  }
}

TEST(Pool, BindsToUsableCpusOnly) {
  auto pool = std::make_unique<Pool>();
  ASSERT_TRUE(pool->start(2));
  EXPECT_FALSE(pool->bind(0, -1));
  EXPECT_FALSE(pool->bind(2, 0));
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &set))
    ++cpu;
  EXPECT_TRUE(pool->bind(1, cpu));
}

} // namespace
