//===- GroupMapTest.cpp - Channels, groups and orders ---------------------===//
//
// Maps from ranges, orders and their composition, and groups recovered from
// vectors by channel (row E10).
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/GroupMap.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
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

/// Sum over channels of the squared width of their group's widest channel.
double errorOf(const std::vector<double> &widths,
               const std::vector<int64_t> &groupOf) {
  std::vector<double> widest(widths.size());
  for (size_t k = 0; k < widths.size(); ++k)
    widest[groupOf[k]] = std::max(widest[groupOf[k]], widths[k]);
  double sum = 0;
  for (int64_t g : groupOf)
    sum += widest[g] * widest[g];
  return sum;
}

TEST(GroupMap, FittedGroupsKeepOutliersApart) {
  EXPECT_EQ(fittedGroups({1, 50, 1.5, 1, 40, 1}, 3),
            (std::vector<int64_t>{0, 2, 0, 0, 1, 0}));
  EXPECT_EQ(fittedGroups({1, 50, 1, 1, 50, 1}, 2),
            (std::vector<int64_t>{0, 1, 0, 0, 1, 0}));
  // Every group has a channel, also where fewer would do.
  EXPECT_EQ(fittedGroups({2, 2, 2}, 3), (std::vector<int64_t>{0, 1, 2}));
}

TEST(GroupMap, FittedGroupsAreTheBestOfAll) {
  std::mt19937 random(5);
  for (int turn = 0; turn < 20; ++turn) {
    std::vector<double> widths(7);
    for (double &width : widths)
      width = std::uniform_real_distribution<double>(0.5, 3)(random);
    widths[turn % 7] *= 50;
    // All 3^7 maps that use three groups.
    double least = 1e300;
    for (int code = 0; code < 2187; ++code) {
      std::vector<int64_t> map(7);
      int rest = code;
      for (int64_t &g : map) {
        g = rest % 3;
        rest /= 3;
      }
      least = std::min(least, errorOf(widths, map));
    }
    EXPECT_DOUBLE_EQ(errorOf(widths, fittedGroups(widths, 3)), least);
  }
}

TEST(GroupMap, FittedGroupsInUnits) {
  // One outlier takes its whole unit along, the next narrower channels.
  std::vector<double> widths(32, 1);
  widths[5] = 50;
  widths[9] = 3;
  std::vector<int64_t> groupOf = fittedGroups(widths, 2, 8);
  EXPECT_EQ(groupOf[5], 1);
  EXPECT_EQ(groupOf[9], 1);
  EXPECT_EQ(std::count(groupOf.begin(), groupOf.end(), 1), 8);
  // Every group has a unit, also where fewer would do.
  groupOf = fittedGroups(std::vector<double>(32, 2), 4, 8);
  for (int64_t g = 0; g < 4; ++g)
    EXPECT_EQ(std::count(groupOf.begin(), groupOf.end(), g), 8);
}

TEST(GroupMap, UnitsOfGroupsThatAreMultiplied) {
  EXPECT_EQ(fittingUnit(768, 6), 16u);
  EXPECT_EQ(fittingUnit(384, 6), 16u);
  // Less where groups would be few units, or channels no whole number of them.
  EXPECT_EQ(fittingUnit(384, 12), 8u);
  EXPECT_EQ(fittingUnit(32, 3), 2u);
  EXPECT_EQ(fittingUnit(312, 6), 8u);
  EXPECT_EQ(fittingUnit(7, 3), 1u);
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

TEST(GroupMap, FoldedGroupsHaveTheSameCodes) {
  std::mt19937 random(3);
  auto uniform = [&] { return double(random() % 100001) / 100000; };
  for (size_t groups : {1, 2, 6, 40}) {
    std::vector<int64_t> groupOf = equalGroups(40, groups), zeros;
    std::vector<float> scales;
    for (size_t g = 0; g < groups; ++g) {
      scales.push_back(float(std::exp2(8 * uniform() - 4)));
      zeros.push_back(random() % 256);
    }
    std::shuffle(groupOf.begin(), groupOf.end(), random);
    FoldedGroups folded = foldGroups(groupOf, scales, zeros);
    EXPECT_GE(folded.zero, 0);
    EXPECT_LE(folded.zero, 255);
    int exponent = 0;
    EXPECT_EQ(std::frexp(folded.scale, &exponent), 0.5);
    for (size_t j = 0; j < groupOf.size(); ++j) {
      double s = scales[groupOf[j]], zero = double(zeros[groupOf[j]]);
      // Exact, so that a weight times it has one rounding.
      EXPECT_EQ(double(folded.channelScale[j]) * folded.scale, s);
      for (int i = 0; i < 200; ++i) {
        // Never halfway: an odd shift takes the tie to the other code.
        double x = s * (300 * uniform() + 0.0005 - zero);
        double real = (x - folded.channelShift[j]) / folded.channelScale[j];
        double code = std::nearbyint(x / s) + zero;
        EXPECT_EQ(std::nearbyint(real / folded.scale) + double(folded.zero),
                  code);
        // The code is read back as what it was.
        double back = (code - double(folded.zero)) * folded.scale;
        EXPECT_NEAR(back * folded.channelScale[j] + folded.channelShift[j],
                    (code - zero) * s, 1e-6 * s * 256);
      }
    }
  }
}

} // namespace
