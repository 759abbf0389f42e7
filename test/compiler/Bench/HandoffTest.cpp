//===- HandoffTest.cpp - The time from one core to another ----------------===//

#include "compiler/Bench/Handoff.h"

#include "gtest/gtest.h"

#include <sched.h>

using namespace quern;

namespace {

TEST(Handoff, IsATimeAndLeavesTheThreadWhereItMayRun) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  double seconds = measureHandoff(1000);
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  if (CPU_COUNT(&before) < 2) {
    EXPECT_EQ(seconds, 0);
    return;
  }
  // Light takes a nanosecond for 30 cm, and a core with a suspended one takes
  // milliseconds, but not for most of the trips.
  EXPECT_GT(seconds, 1e-9);
  EXPECT_LT(seconds, 1e-2);
}

TEST(Handoff, OneCpuHasNone) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before))
      CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(measureHandoff(1000), 0);
  sched_setaffinity(0, sizeof(before), &before);
}

} // namespace
