//===- PlacementTest.cpp - CPUs of --cpus and --numa ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Placement.h"

#include "gtest/gtest.h"

#include <sched.h>

using namespace quern;
using namespace quern::cli;

namespace {

TEST(Placement, ListsKeepTheirOrder) {
  EXPECT_EQ(*parseCpus("5"), (std::vector<int>{5}));
  EXPECT_EQ(*parseCpus("8,0-3,2"), (std::vector<int>{8, 0, 1, 2, 3}));
}

TEST(Placement, OtherListsAreRefused) {
  for (const char *text : {"", ",", "1,", "1-", "-1", "3-1", "a", "1 2",
                           "0-1-2", "99999", "4294967296", "0-99999", "1,,2"})
    EXPECT_FALSE(parseCpus(text)) << text;
}

/// Runs with the CPUs of the test, and gives them back.
class PlacementRun : public testing::Test {
protected:
  void SetUp() override {
    CPU_ZERO(&before);
    ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    while (!CPU_ISSET(last, &before))
      --last;
  }
  void TearDown() override { sched_setaffinity(0, sizeof(before), &before); }
  Error take(std::vector<std::string> arguments) {
    CLI::App app;
    Placement placement;
    placement.addOptions(app);
    app.parse(std::move(arguments));
    return placement.take();
  }
  cpu_set_t now() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    return set;
  }
  cpu_set_t before;
  int last = CPU_SETSIZE - 1;
};

TEST_F(PlacementRun, KeepsTheProcessToTheList) {
  Error error = take({std::to_string(last), "--cpus"});
  ASSERT_FALSE(error) << error.message();
  cpu_set_t set = now();
  EXPECT_EQ(CPU_COUNT(&set), 1);
  EXPECT_TRUE(CPU_ISSET(last, &set));
}

TEST_F(PlacementRun, NothingAskedNothingDone) {
  ASSERT_FALSE(take({}));
  cpu_set_t set = now();
  EXPECT_TRUE(CPU_EQUAL(&set, &before));
}

TEST_F(PlacementRun, CpusOfOthersAreRefused) {
  ASSERT_FALSE(take({std::to_string(last), "--cpus"}));
  int other = last == 0 ? 1 : last - 1;
  Error error = take({std::to_string(other), "--cpus"});
  ASSERT_TRUE(error);
  EXPECT_EQ(error.message(), "--cpus: found CPU " + std::to_string(other) +
                                 ", expected one that this process may use");
}

TEST_F(PlacementRun, UnknownNodesAreRefused) {
  Error error = take({"4000", "--numa"});
  ASSERT_TRUE(error);
  EXPECT_EQ(error.message().rfind("--numa: found node 4000, expected ", 0), 0u)
      << error.message();
}

} // namespace
