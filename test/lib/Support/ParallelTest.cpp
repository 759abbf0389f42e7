//===- ParallelTest.cpp - Independent pieces of work on threads -----------===//

#include "lib/Support/Parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using namespace quern;

namespace {

TEST(Parallel, DoesEveryPieceOnce) {
  for (size_t count : {0, 1, 3, 1000})
    for (unsigned threads : {0u, 1u, 2u, 7u}) {
      std::vector<std::atomic<int>> done(count);
      forEachParallel(count, threads, [&](size_t i) { ++done[i]; });
      for (size_t i = 0; i < count; ++i)
        EXPECT_EQ(done[i], 1) << i << " of " << count << ", " << threads;
    }
}

TEST(Parallel, RunsPiecesAtOnce) {
  // Each piece waits for the other: alone neither would end.
  std::atomic<int> here = 0;
  forEachParallel(2, 2, [&](size_t) {
    ++here;
    while (here != 2)
      std::this_thread::yield();
  });
  EXPECT_EQ(here, 2);
}

TEST(Parallel, CallsFromOneThreadWhereOneIsAskedFor) {
  std::set<std::thread::id> threads;
  forEachParallel(20, 1,
                  [&](size_t) { threads.insert(std::this_thread::get_id()); });
  EXPECT_EQ(threads, std::set{std::this_thread::get_id()});
}

TEST(Parallel, TellsProgressFromTheCallingThread) {
  std::vector<double> told;
  bool foreign = false;
  auto caller = std::this_thread::get_id();
  forEachParallel(
      50, 3, [](size_t) {},
      [&](double part) {
        foreign |= std::this_thread::get_id() != caller;
        told.push_back(part);
      });
  EXPECT_FALSE(foreign);
  for (size_t i = 0; i < told.size(); ++i) {
    EXPECT_GT(told[i], i ? told[i - 1] : 0);
    EXPECT_LE(told[i], 1);
  }
}

} // namespace
