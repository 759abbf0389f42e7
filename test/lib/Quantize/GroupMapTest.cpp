//===- GroupMapTest.cpp - Channels, groups and orders ---------------------===//
//
// Maps from ranges, orders and their composition, and groups recovered from
// vectors by channel (row E10).
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/GroupMap.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <random>

using namespace quern;

namespace {

TEST(GroupMap, SortsByWidth) {
  EXPECT_EQ(groupsByWidth({5, 1, 9, 1}, 2), (std::vector<int64_t>{1, 0, 1, 0}));
  EXPECT_EQ(groupOrder({1, 0, 1, 0}), (Order{1, 3, 0, 2}));
}

TEST(GroupMap, GroupsThatDoNotDivideTheChannels) {
  EXPECT_EQ(equalGroups(7, 3), (std::vector<int64_t>{0, 0, 1, 1, 2, 2, 2}));
  for (size_t groups = 1; groups <= 100; ++groups) {
    std::vector<int64_t> map = equalGroups(100, groups);
    EXPECT_EQ(map.front(), 0);
    EXPECT_EQ(map.back(), int64_t(groups) - 1);
    for (size_t k = 1; k < map.size(); ++k)
      EXPECT_LE(map[k] - map[k - 1], 1);
  }
}

TEST(GroupMap, OrdersCompose) {
  std::mt19937 random(3);
  Order from = identityOrder(40), to = from;
  std::shuffle(from.begin(), from.end(), random);
  std::shuffle(to.begin(), to.end(), random);
  Order between = reorderFrom(from, to);
  for (size_t i = 0; i < to.size(); ++i)
    EXPECT_EQ(from[between[i]], to[i]);
  EXPECT_TRUE(isIdentity(reorderFrom(from, from)));
}

TEST(GroupMap, E10RecoversGroupsOfChannelVectors) {
  std::mt19937 random(5);
  for (size_t groups : {1, 2, 3, 4, 6, 8, 12}) {
    std::vector<double> widths(768);
    for (double &width : widths)
      width = double(random() % 1000);
    std::vector<int64_t> map = groupsByWidth(widths, groups);
    std::vector<float> scales;
    std::vector<int64_t> zeros;
    for (int64_t g : map) {
      scales.push_back(0.01f * float(g + 1));
      zeros.push_back(100 + g);
    }
    RecoveredGroups found = recoverGroups(scales, zeros);
    ASSERT_EQ(found.scales.size(), groups);
    for (size_t k = 0; k < map.size(); ++k) {
      EXPECT_EQ(found.scales[found.groupOf[k]], scales[k]);
      EXPECT_EQ(found.zeros[found.groupOf[k]], zeros[k]);
    }
  }
}

} // namespace
