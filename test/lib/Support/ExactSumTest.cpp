//===- ExactSumTest.cpp - Sums without rounding ---------------------------===//

#include "lib/Support/ExactSum.h"

#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace quern;

namespace {

TEST(ExactSum, KeepsWhatDoubleLoses) {
  ExactSum sum;
  sum.add(std::ldexp(1.0, 250)).add(std::ldexp(1.0, -290));
  EXPECT_EQ(sum.sign(), 1);
  sum.subtract(std::ldexp(1.0, 250));
  EXPECT_EQ(sum.toDouble(), std::ldexp(1.0, -290));
  sum.subtract(std::ldexp(1.0, -290));
  EXPECT_EQ(sum.sign(), 0);
  EXPECT_TRUE(sum == ExactSum());
}

TEST(ExactSum, EqualsWideIntegers) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    __int128 expected = 0;
    ExactSum sum;
    for (int i = 0; i < 50; ++i) {
      auto mantissa = int64_t(random() >> 12);
      int shift = int(random() % 60);
      bool negative = random() % 2;
      __int128 value = __int128(mantissa) << shift;
      expected += negative ? -value : value;
      sum.add((negative ? -1 : 1) * std::ldexp(double(mantissa), shift));
    }
    EXPECT_EQ(sum.sign(), (expected > 0) - (expected < 0));
    // Both halves of the wide integer are exact in double.
    __int128 low = expected & ((__int128(1) << 50) - 1);
    ExactSum again{double(low)};
    __int128 rest = expected - low;
    for (int part = 0; part < 3; ++part) {
      __int128 digit = (rest >> 50) & ((__int128(1) << 40) - 1);
      if (part == 1)
        digit = rest >> 90;
      if (part == 2)
        break;
      again.add(std::ldexp(double(int64_t(digit)), part == 0 ? 50 : 90));
    }
    EXPECT_TRUE(sum == again);
  }
}

TEST(ExactSum, Compares) {
  ExactSum a(1.0), b(1.0);
  b.add(std::ldexp(1.0, -300));
  EXPECT_TRUE(a < b);
  EXPECT_FALSE(b < a);
  EXPECT_FALSE(a < a);
  ExactSum c = ExactSum(-1.0);
  EXPECT_TRUE(c < a);
  EXPECT_TRUE(c.magnitude() == a);
  EXPECT_EQ(c.toDouble(), -1.0);
  EXPECT_TRUE(ExactSum(-2.0).add(a) == c);
}

} // namespace
