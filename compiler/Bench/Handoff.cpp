//===- Handoff.cpp - How long one core waits for another ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/Handoff.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <pthread.h>
#include <sched.h>
#include <vector>

namespace quern {

namespace {

/// The word that goes to and fro, alone on its cache lines.
struct alignas(128) Ball {
  std::atomic<unsigned> turn{0};
  unsigned rounds = 0;
  int cpu = 0;
};

} // namespace

static bool pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

/// Answers every odd turn with the next even one.
static void *answer(void *argument) {
  Ball &ball = *static_cast<Ball *>(argument);
  pin(ball.cpu);
  for (unsigned i = 0; i < ball.rounds; ++i) {
    while (ball.turn.load(std::memory_order_acquire) != 2 * i + 1)
      __builtin_ia32_pause();
    ball.turn.store(2 * i + 2, std::memory_order_release);
  }
  return nullptr;
}

double measureHandoff(unsigned rounds) {
  using Clock = std::chrono::steady_clock;
  // A time takes the clock some 20 ns; a few trips are timed together.
  constexpr unsigned together = 16;
  cpu_set_t before;
  CPU_ZERO(&before);
  if (sched_getaffinity(0, sizeof(before), &before) != 0)
    return 0;
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu)
    if (CPU_ISSET(cpu, &before))
      cpus.push_back(cpu);
  if (cpus.size() < 2 || rounds < together)
    return 0;
  Ball ball;
  ball.rounds = rounds / together * together;
  ball.cpu = cpus[1];
  pthread_t other;
  if (pthread_create(&other, nullptr, answer, &ball) != 0)
    return 0;
  pin(cpus[0]);
  std::vector<double> times;
  for (unsigned i = 0; i < ball.rounds;) {
    Clock::time_point start = Clock::now();
    for (unsigned stop = i + together; i < stop; ++i) {
      ball.turn.store(2 * i + 1, std::memory_order_release);
      while (ball.turn.load(std::memory_order_acquire) != 2 * i + 2)
        __builtin_ia32_pause();
    }
    times.push_back(
        std::chrono::duration<double>(Clock::now() - start).count());
  }
  pthread_join(other, nullptr);
  sched_setaffinity(0, sizeof(before), &before);
  std::nth_element(times.begin(), times.begin() + times.size() / 2,
                   times.end());
  return times[times.size() / 2] / (2 * together);
}

} // namespace quern
