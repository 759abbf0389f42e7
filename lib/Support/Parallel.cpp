//===- Parallel.cpp - Independent pieces of work on threads ---------------===//
//
// See Parallel.h. Threads take the next piece that nobody has, so that pieces
// may differ in size.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

using namespace quern;

unsigned quern::threadCount(unsigned threads) {
  return threads ? threads : std::max(1u, std::thread::hardware_concurrency());
}

void quern::forEachParallel(size_t count, unsigned threads,
                            const std::function<void(size_t)> &work,
                            const std::function<void(double)> &progress) {
  std::atomic<size_t> next = 0;
  auto takeAll = [&](bool tells) {
    for (size_t i = next++; i < count; i = next++) {
      work(i);
      if (tells && progress)
        progress(double(i + 1) / double(count));
    }
  };
  size_t workers = std::min<size_t>(threadCount(threads), count);
  std::vector<std::thread> others;
  for (size_t i = 1; i < workers; ++i)
    others.emplace_back(takeAll, false);
  takeAll(true);
  for (std::thread &thread : others)
    thread.join();
}
