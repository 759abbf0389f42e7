//===- EstimatorTest.cpp - Every estimator against its definition ---------===//
//
// Row E42: scale and zero point of every estimator, of sites, channels and
// groups, symmetric or not, equal those of a reference in double that looks at
// every value, to 1e-6 relative.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/Calibrator.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

using namespace quern;

namespace {

using Values = std::vector<double>;

/// The reference: quantization.md 3.1 and 6 in double, value by value.
class Reference {
public:
  Reference(const ActivationScheme &scheme, bool isSigned,
            std::vector<Values> batches)
      : scheme(scheme), isSigned(isSigned), batches(std::move(batches)) {
    for (const Values &batch : this->batches)
      all.insert(all.end(), batch.begin(), batch.end());
    lo = std::min(0.0, *std::min_element(all.begin(), all.end()));
    hi = std::max(0.0, *std::max_element(all.begin(), all.end()));
  }

  struct Params {
    double scale, zero;
  };

  Params paramsOf(Range range) const {
    double top = std::exp2(scheme.bits) - 1;
    if (scheme.symmetric && isSigned) {
      double largest = std::max(std::fabs(range.lo), std::fabs(range.hi));
      double half = std::exp2(scheme.bits - 1);
      return {std::max(largest / (half - 1), 1e-8), half};
    }
    double low = std::min(range.lo, 0.0), high = std::max(range.hi, 1e-8);
    double scale = std::max((high - low) / top, 1e-8);
    return {scale, std::clamp(std::nearbyint(-low / scale), 0.0, top)};
  }

  double loss(Range range) const {
    Params p = paramsOf(range);
    double top = std::exp2(scheme.bits) - 1, sum = 0;
    for (double x : all) {
      double code = std::clamp(std::nearbyint(x / p.scale) + p.zero, 0.0, top);
      double rest = x - p.scale * (code - p.zero);
      sum += rest * rest;
    }
    return sum;
  }

  Range range(Estimator estimator) const {
    switch (estimator) {
    case Estimator::CurrentMinMax:
      return extremes(batches.back());
    case Estimator::RunningMinMax:
      return running();
    case Estimator::AllMinMax:
      return extremes(all);
    case Estimator::Percentile:
      return {percentile(100 - scheme.percentile),
              percentile(scheme.percentile)};
    case Estimator::MseGrid:
      return grid();
    case Estimator::MseGolden:
      return golden();
    case Estimator::CrossEntropy:
    case Estimator::DualClip:
    case Estimator::LogPercentile:
      // Of rows, and of three percentiles: CalibratorTest.cpp.
      break;
    }
    ADD_FAILURE();
    return {};
  }

private:
  static Range extremes(const Values &values) {
    auto [lo, hi] = std::minmax_element(values.begin(), values.end());
    return {*lo, *hi};
  }

  Range running() const {
    Range average = extremes(batches[0]);
    for (size_t i = 1; i < batches.size(); ++i) {
      Range batch = extremes(batches[i]);
      double m = scheme.momentum;
      average = {(1 - m) * batch.lo + m * average.lo,
                 (1 - m) * batch.hi + m * average.hi};
    }
    return average;
  }

  /// As numpy.percentile.
  double percentile(double percent) const {
    Values sorted = all;
    std::sort(sorted.begin(), sorted.end());
    double at = percent / 100 * double(sorted.size() - 1);
    size_t below = size_t(at);
    if (below + 1 == sorted.size())
      return sorted.back();
    return sorted[below] +
           (at - double(below)) * (sorted[below + 1] - sorted[below]);
  }

  bool oneFraction() const {
    return (scheme.symmetric && isSigned) || lo == 0 || hi == 0;
  }
  Range at(double low, double high) const {
    if (!(scheme.symmetric && isSigned))
      return {lo * low, hi * high};
    double largest = std::max(-lo, hi);
    return {-largest * high, largest * high};
  }

  Range grid() const {
    double n = scheme.candidates, best = loss(at(1, 1)), low = 1, high = 1;
    auto look = [&](double i, double j) {
      double value = loss(at(i, j));
      if (value < best)
        std::tie(best, low, high) = std::tuple(value, i, j);
    };
    if (oneFraction()) {
      for (double i = 1; i < n; ++i)
        look(i / n, i / n);
      return at(low, high);
    }
    for (double i :
         {.02, .04, .07, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9, 1.})
      for (double j :
           {.02, .04, .07, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9, 1.})
        look(i, j);
    for (double span = 0.1; span * n > 1.5; span /= 5) {
      double i0 = low, j0 = high;
      for (int i = -5; i <= 5; ++i)
        for (int j = -5; j <= 5; ++j) {
          double a = i0 + i * span / 5, b = j0 + j * span / 5;
          if (a >= 1 / n && a <= 1 && b >= 1 / n && b <= 1)
            look(a, b);
        }
    }
    return at(low, high);
  }

  /// The textbook golden-section search.
  static double section(unsigned steps,
                        const std::function<double(double)> &f) {
    const double ratio = (std::sqrt(5.0) - 1) / 2;
    double lo = 0.01, hi = 1;
    double a = hi - ratio * (hi - lo), b = lo + ratio * (hi - lo);
    double fa = f(a), fb = f(b);
    while (steps--) {
      if (fa <= fb) {
        hi = b, b = a, fb = fa;
        fa = f(a = hi - ratio * (hi - lo));
      } else {
        lo = a, a = b, fa = fb;
        fb = f(b = lo + ratio * (hi - lo));
      }
    }
    return fa <= fb ? a : b;
  }

  Range golden() const {
    auto of = [&](double i, double j) { return loss(at(i, j)); };
    std::vector<std::pair<double, double>> found = {{1, 1}};
    if (oneFraction()) {
      double i = section(16, [&](double x) { return of(x, x); });
      found.push_back({i, i});
    } else {
      auto inner = [&](double j) {
        return section(12, [&](double i) { return of(i, j); });
      };
      double j = section(12, [&](double x) { return of(inner(x), x); });
      found.push_back({inner(j), j});
      found.push_back({inner(1), 1});
    }
    auto best =
        std::min_element(found.begin(), found.end(), [&](auto a, auto b) {
          return of(a.first, a.second) < of(b.first, b.second);
        });
    return at(best->first, best->second);
  }

  ActivationScheme scheme;
  bool isSigned;
  std::vector<Values> batches;
  Values all;
  double lo, hi;
};

constexpr size_t width = 12, batches = 4;

/// Batches of [rows, width]: channels of different widths and middles, one of
/// them 50 times as wide. Positive ones are of a kind after ReLU.
std::vector<std::vector<float>> channelData(bool positive) {
  std::mt19937 random(42);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> data(batches);
  for (size_t b = 0; b < batches; ++b)
    for (size_t i = 0; i < (15 + b) * width; ++i) {
      size_t j = i % width;
      float value = normal(random) * (j == 5 ? 50 : 0.5f + 0.2f * float(j)) +
                    0.3f * (float(j) - 4);
      data[b].push_back(positive ? std::fabs(value) : value);
    }
  return data;
}

struct Case {
  Estimator estimator;
  unsigned bits;
  bool symmetric, positive;
};

class E42 : public testing::TestWithParam<Case> {
protected:
  ActivationScheme scheme() const {
    ActivationScheme scheme;
    scheme.estimator = GetParam().estimator;
    scheme.bits = GetParam().bits;
    scheme.symmetric = GetParam().symmetric;
    scheme.percentile = 99;
    scheme.momentum = 0.7;
    scheme.candidates = 60;
    return scheme;
  }

  /// Calibrates sites of one scheme on the data, with a site L0.h beside.
  Expected<RangeTable> calibrate(const ActivationScheme &scheme) {
    ActivationScheme plain;
    Calibrator calibrator({{"L0.x", scheme}, {"L0.h", plain}});
    for (const std::vector<float> &batch : data) {
      calibrator.observe("L0.x", batch.data(), batch.size() / width, width);
      // The widths of h go the other way round.
      std::vector<float> turned(batch.rbegin(), batch.rend());
      calibrator.observe("L0.h", turned.data(), batch.size() / width, width);
      calibrator.endBatch();
    }
    return calibrator.finish();
  }

  /// The data of some channels, by batch.
  std::vector<Values> valuesOf(const std::function<bool(size_t)> &has) const {
    std::vector<Values> values(batches);
    for (size_t b = 0; b < batches; ++b)
      for (size_t i = 0; i < data[b].size(); ++i)
        if (has(i % width))
          values[b].push_back(data[b][i]);
    return values;
  }

  void expectEqual(Range found, std::vector<Values> values,
                   const std::string &what) {
    Reference reference(scheme(), !GetParam().positive, std::move(values));
    auto expected = reference.paramsOf(reference.range(GetParam().estimator));
    UniformParams p = GetParam().symmetric
                          ? centredParams(found, GetParam().bits)
                          : asymmetricParams(found, GetParam().bits);
    EXPECT_NEAR(p.scale / expected.scale, 1, 1e-6) << what;
    EXPECT_EQ(p.zero, expected.zero) << what;
  }

  std::vector<std::vector<float>> data = channelData(GetParam().positive);
};

TEST_P(E42, SiteEqualsTheReference) {
  Expected<RangeTable> table = calibrate(scheme());
  ASSERT_TRUE(table) << table.message();
  expectEqual(table->sites["L0.x"].range, valuesOf([](size_t) { return true; }),
              "site");
}

TEST_P(E42, ChannelsEqualTheReference) {
  ActivationScheme channels = scheme();
  channels.perChannel = true;
  channels.channelEstimator = channels.estimator;
  Expected<RangeTable> table = calibrate(channels);
  ASSERT_TRUE(table) << table.message();
  ASSERT_EQ(table->sites["L0.x"].channels.size(), width);
  for (size_t j = 0; j < width; ++j)
    expectEqual(table->sites["L0.x"].channels[j],
                valuesOf([&](size_t c) { return c == j; }),
                "channel " + std::to_string(j));
}

TEST_P(E42, GroupsEqualTheReference) {
  for (Permute permute : {Permute::None, Permute::Own, Permute::SharedH})
    for (unsigned groups : {3u, ActivationScheme::everyChannel}) {
      ActivationScheme grouped = scheme();
      grouped.groups = groups;
      grouped.permute = permute;
      grouped.channelEstimator = grouped.estimator;
      Expected<RangeTable> table = calibrate(grouped);
      ASSERT_TRUE(table) << table.message();
      const SiteRange &found = table->sites["L0.x"];
      ASSERT_EQ(found.groups.size(), groups == 3 ? 3 : width);
      ASSERT_EQ(found.groupOf.size(), width);
      for (size_t g = 0; g < found.groups.size(); ++g)
        expectEqual(found.groups[g], valuesOf([&](size_t c) {
                      return found.groupOf[c] == int64_t(g);
                    }),
                    "group " + std::to_string(g));
      // The widest channel is 5 here, and the one across from it at h.
      if (groups == 3 && permute == Permute::Own)
        EXPECT_EQ(found.groupOf[5], 2);
      if (groups == 3 && permute == Permute::SharedH)
        EXPECT_EQ(found.groupOf[width - 1 - 5], 2);
    }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (Estimator estimator :
       {Estimator::CurrentMinMax, Estimator::RunningMinMax,
        Estimator::AllMinMax, Estimator::Percentile, Estimator::MseGrid,
        Estimator::MseGolden})
    for (unsigned bits : {4u, 8u})
      for (bool symmetric : {false, true})
        for (bool positive : {false, true})
          all.push_back({estimator, bits, symmetric, positive});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, E42, testing::ValuesIn(cases()),
                         [](const auto &info) {
                           return std::string(
                                      estimatorName(info.param.estimator)) +
                                  std::to_string(info.param.bits) +
                                  (info.param.symmetric ? "symmetric" : "") +
                                  (info.param.positive ? "positive" : "");
                         });

TEST(Calibrator, GroupsOfAProductFillItsTurns) {
  ActivationScheme scheme;
  scheme.groups = 3;
  scheme.permute = Permute::Fit;
  ActivationScheme folded = scheme;
  folded.form = GroupForm::Folded;
  Calibrator calibrator(
      {{"L0.x", scheme, true}, {"L1.x", folded, true}, {"L0.h", scheme}});
  std::vector<float> row(192, 1.f), zeros(192);
  row[7] = 60;
  row[90] = 50;
  std::vector<float> data = row;
  data.insert(data.end(), zeros.begin(), zeros.end());
  for (const char *site : {"L0.x", "L1.x", "L0.h"})
    calibrator.observe(site, data.data(), 2, 192);
  Expected<RangeTable> table = calibrator.finish();
  ASSERT_TRUE(table) << table.message();
  auto sizeOf = [&](const char *site, int64_t group) {
    const std::vector<int64_t> &groupOf = table->sites[site].groupOf;
    return std::count(groupOf.begin(), groupOf.end(), group);
  };
  for (int64_t group = 0; group < 3; ++group)
    EXPECT_EQ(sizeOf("L0.x", group) % 16, 0);
  // Nothing multiplies the groups of h, nor those that are folded: two outliers
  // are groups of their own.
  for (const char *site : {"L0.h", "L1.x"}) {
    EXPECT_EQ(sizeOf(site, 1), 1);
    EXPECT_EQ(sizeOf(site, 2), 1);
  }
}

/// Row E39: each channel has the factor of least squared error, of the four
/// parts of one range, and outliers of 50 times the rest have the whole.
TEST(Calibrator, E39PowersOfTwoAreTheBest) {
  constexpr size_t rows = 200, width = 24;
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> data(rows * width);
  for (size_t i = 0; i < data.size(); ++i) {
    size_t j = i % width;
    float spread = j == 7 ? 50 : float(1 << j % 5);
    data[i] = normal(random) * spread + (j == 3 ? 30.0f : 0.0f);
  }
  ActivationScheme scheme;
  scheme.groups = ActivationScheme::powerGroups;
  scheme.powersOfTwo = true;
  for (bool symmetric : {false, true}) {
    scheme.symmetric = symmetric;
    Calibrator calibrator({{"L0.u", scheme}});
    calibrator.observe("L0.u", data.data(), rows / 2, width);
    calibrator.observe("L0.u", data.data() + data.size() / 2, rows / 2, width);
    Expected<RangeTable> table = calibrator.finish();
    ASSERT_TRUE(table) << table.message();
    SiteRange &site = table->sites["L0.u"];
    ASSERT_EQ(site.groupOf.size(), width);
    auto [lo, hi] = std::minmax_element(data.begin(), data.end());
    Range whole = {*lo, *hi};
    auto paramsOf = [&](Range range) {
      return symmetric ? centredParams(range, 8) : asymmetricParams(range, 8);
    };
    UniformParams full = paramsOf(whole);
    std::set<int64_t> used;
    for (size_t j = 0; j < width; ++j) {
      UniformParams given = paramsOf(site.groups[size_t(site.groupOf[j])]);
      EXPECT_EQ(given.zero, full.zero) << j;
      double least = INFINITY;
      int best = -1;
      for (int power = 0; power < 4; ++power) {
        double s = full.scale * std::ldexp(1, power - 3), error = 0;
        for (size_t r = 0; r < rows; ++r) {
          double x = data[r * width + j];
          double code = std::nearbyint(x / s) + full.zero;
          code = std::min(std::max(code, 0.0), 255.0);
          error += std::pow((code - full.zero) * s - x, 2);
        }
        if (error < least) {
          least = error;
          best = power;
        }
      }
      used.insert(best);
      EXPECT_EQ(given.scale, full.scale * float(std::ldexp(1, best - 3))) << j;
    }
    EXPECT_GE(used.size(), 3u);
    EXPECT_EQ(site.groups.size(), used.size());
    // There and back, and for no other scheme.
    Expected<RangeTable> read = parseRanges(writeRanges(*table), "r.json");
    ASSERT_TRUE(read) << read.message();
    EXPECT_TRUE(read->find("L0.u", scheme));
    EXPECT_EQ(writeRanges(*read), writeRanges(*table));
    ActivationScheme other = scheme;
    other.powersOfTwo = false;
    EXPECT_FALSE(read->find("L0.u", other));
    other = scheme;
    other.bits = 7;
    EXPECT_FALSE(read->find("L0.u", other));
  }
  ActivationScheme plain;
  Calibrator unseen({{"L0.u", plain}});
  unseen.observe("L0.u", data.data(), rows, width);
  EXPECT_EQ(unseen.finish({{"L0.u", scheme}}).message(),
            "calibration: site L0.u: was not observed by channel for "
            "power_of_two");
}

TEST(Calibrator, GroupsThatDoNotFit) {
  ActivationScheme scheme;
  scheme.groups = 13;
  Calibrator narrow({{"L0.x", scheme}});
  std::vector<float> data(24);
  std::iota(data.begin(), data.end(), 0.f);
  narrow.observe("L0.x", data.data(), 2, 12);
  EXPECT_EQ(narrow.finish().message(),
            "sites.L0.x: found 13 groups, expected at most one for each of 12 "
            "channels");
  scheme.groups = 3;
  scheme.permute = Permute::SharedH;
  Calibrator alone({{"L0.x", scheme}});
  alone.observe("L0.x", data.data(), 2, 12);
  EXPECT_EQ(alone.finish().message(),
            "sites.L0.x: found groups by the channels of L0.h, expected L0.h "
            "in codes and of 12 channels");
  ActivationScheme searched = scheme;
  searched.permute = Permute::None;
  searched.channelEstimator = Estimator::MseGrid;
  Expected<RangeTable> other = alone.finish({{"L0.x", searched}});
  EXPECT_EQ(other.message(), "calibration: site L0.x: was not observed by "
                             "channel for mse_grid");
}

} // namespace
