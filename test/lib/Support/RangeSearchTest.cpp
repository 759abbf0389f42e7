//===- RangeSearchTest.cpp - Histograms and range searches ----------------===//
//
// The histogram against the data it stands for, and the searches against
// losses computed value by value.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/RangeSearch.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <random>

using namespace quern;

namespace {

/// Normal values with a few outliers at 50 times the width, as in the paper.
std::vector<float> outlierData(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.2f, 1.0f);
  std::vector<float> data(size);
  for (size_t i = 0; i < size; ++i)
    data[i] = normal(random) * (i % 997 == 0 ? 50 : 1);
  return data;
}

/// Sum of squared errors, one value at a time.
double exactLoss(const std::vector<float> &data, const UniformParams &p) {
  double sum = 0;
  for (float value : data) {
    double code = std::nearbyint(double(value) / p.scale) + p.zero;
    code = std::min(std::max(code, double(p.qmin)), double(p.qmax));
    double rest = value - p.scale * (code - p.zero);
    sum += rest * rest;
  }
  return sum;
}

Histogram histogramOf(const std::vector<float> &data) {
  Histogram histogram;
  histogram.add(data.data(), data.size());
  return histogram;
}

TEST(Histogram, KeepsExtremesAndCounts) {
  std::vector<float> data = outlierData(10000, 1);
  data.push_back(0.0f);
  data.push_back(-0.0f);
  data.push_back(NAN);
  data.push_back(-INFINITY);
  Histogram histogram = histogramOf(data);
  EXPECT_EQ(histogram.count(), 10002u);
  EXPECT_EQ(histogram.nonFinite(), 2u);
  data.resize(10000);
  EXPECT_EQ(histogram.min(), *std::min_element(data.begin(), data.end()));
  EXPECT_EQ(histogram.max(), *std::max_element(data.begin(), data.end()));
  uint64_t sum = 0;
  double last = -INFINITY;
  for (const Bucket &bucket : histogram.buckets()) {
    EXPECT_LE(bucket.lo, bucket.hi);
    EXPECT_LE(last, bucket.lo);
    last = bucket.hi;
    sum += bucket.count;
  }
  EXPECT_EQ(sum, 10002u);
}

TEST(Histogram, EveryValueIsInItsBucket) {
  for (float value : {1.0f, -1.0f, 3.999f, 1e-30f, -1e-42f, 3.4e38f, 0.0f}) {
    Histogram histogram;
    histogram.add(&value, 1);
    std::vector<Bucket> buckets = histogram.buckets();
    ASSERT_EQ(buckets.size(), 1u);
    EXPECT_LE(buckets[0].lo, value);
    EXPECT_GE(buckets[0].hi, value);
  }
}

TEST(Histogram, MergeIsOneHistogram) {
  std::vector<float> data = outlierData(5000, 2);
  Histogram whole = histogramOf(data), left, right;
  left.add(data.data(), 1234);
  right.add(data.data() + 1234, data.size() - 1234);
  left.merge(right);
  std::vector<Bucket> a = whole.buckets(), b = left.buckets();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].lo, b[i].lo);
    EXPECT_EQ(a[i].hi, b[i].hi);
    EXPECT_EQ(a[i].count, b[i].count);
  }
}

TEST(UniformParams, AsymmetricHoldsZero) {
  UniformParams p = asymmetricParams({-1, 3}, 8);
  EXPECT_FLOAT_EQ(p.scale, 4.0f / 255);
  EXPECT_EQ(p.zero, 64);
  EXPECT_EQ(asymmetricParams({2, 5}, 8).zero, 0);
  EXPECT_FLOAT_EQ(asymmetricParams({2, 5}, 8).scale, 5.0f / 255);
  EXPECT_EQ(asymmetricParams({-7, -5}, 8).zero, 255);
  EXPECT_EQ(asymmetricParams({-1, 1}, 16).qmax, 65535);
  EXPECT_GT(asymmetricParams({0, 0}, 8).scale, 0);
}

TEST(UniformParams, SymmetricUsesTheFullGrid) {
  UniformParams p = symmetricParams({-2, 1}, 8);
  EXPECT_FLOAT_EQ(p.scale, 2.0f / 127);
  EXPECT_EQ(p.qmin, -128);
  UniformParams two = symmetricParams({-2, 1}, 2);
  EXPECT_FLOAT_EQ(two.scale, 2.0f);
  EXPECT_EQ(two.qmin, -2);
  EXPECT_EQ(two.qmax, 1);
}

TEST(QuantizationLoss, HistogramAgreesWithData) {
  std::vector<float> data = outlierData(200000, 3);
  std::vector<Bucket> buckets = histogramOf(data).buckets();
  for (unsigned bits : {4u, 8u, 16u})
    for (double keep : {1.0, 0.5, 0.1, 0.03}) {
      UniformParams p = asymmetricParams({-100 * keep, 120 * keep}, bits);
      double exact = exactLoss(data, p);
      EXPECT_NEAR(quantizationLoss(buckets, p) / exact, 1.0, 0.02)
          << bits << " bits, " << keep << " of the range";
    }
}

TEST(QuantizationLoss, PeakAtZeroIsNotTakenForNoise) {
  // Softmax-like data: most values far below one step must count as x^2 and
  // not as a twelfth of a squared step.
  std::mt19937 random(4);
  std::exponential_distribution<float> small(2000.0f);
  std::vector<float> data(100000);
  for (float &value : data)
    value = small(random);
  data[0] = 1.0f;
  UniformParams p = asymmetricParams({0, 1}, 8);
  double exact = exactLoss(data, p);
  EXPECT_NEAR(quantizationLoss(histogramOf(data).buckets(), p) / exact, 1.0,
              0.01);
}

TEST(PercentileRange, WithinOneBucketOfTheData) {
  std::vector<float> data = outlierData(100000, 5);
  Histogram histogram = histogramOf(data);
  std::sort(data.begin(), data.end());
  Range range = percentileRange(histogram, 99.9);
  EXPECT_NEAR(range.lo, data[100], std::fabs(data[100]) / 100);
  EXPECT_NEAR(range.hi, data[data.size() - 101], data.back() / 100);
  Range all = percentileRange(histogram, 100);
  EXPECT_EQ(all.lo, data.front());
  EXPECT_EQ(all.hi, data.back());
}

class MseSearch : public testing::TestWithParam<unsigned> {};

TEST_P(MseSearch, GridNearlyReachesTheBestOfAllCandidates) {
  unsigned bits = GetParam();
  std::vector<float> data = outlierData(20000, 6);
  Histogram histogram = histogramOf(data);
  double best = INFINITY;
  for (int i = 1; i <= 100; i += 3)
    for (int j = 1; j <= 100; j += 3)
      best = std::min(
          best, exactLoss(data, asymmetricParams({histogram.min() * i / 100.0,
                                                  histogram.max() * j / 100.0},
                                                 bits)));
  Range grid = mseGridRange(histogram, bits, GridKind::Asymmetric);
  EXPECT_LE(exactLoss(data, asymmetricParams(grid, bits)), best * 1.03);
  Range golden = mseGoldenRange(histogram, bits, GridKind::Asymmetric);
  EXPECT_LE(exactLoss(data, asymmetricParams(golden, bits)), best * 1.1);
}

INSTANTIATE_TEST_SUITE_P(Bits, MseSearch, testing::Values(2u, 4u, 8u));

TEST(MseSearch, OneSidedAndSymmetric) {
  std::vector<float> data = outlierData(20000, 7);
  for (float &value : data)
    value = std::fabs(value);
  Histogram histogram = histogramOf(data);
  EXPECT_EQ(mseGridRange(histogram, 8, GridKind::Asymmetric).lo, 0);
  Range both = mseGridRange(histogram, 8, GridKind::Symmetric);
  EXPECT_EQ(both.lo, -both.hi);
  Range golden = mseGoldenRange(histogram, 8, GridKind::Symmetric);
  double full = exactLoss(data, symmetricParams({-histogram.max(), 0}, 8));
  EXPECT_LE(exactLoss(data, symmetricParams(both, 8)), full);
  EXPECT_LE(exactLoss(data, symmetricParams(golden, 8)), full);
}

/// Cross entropy straight from its definition.
double crossEntropy(const std::vector<float> &rows, size_t size,
                    const UniformParams &p) {
  double all = 0;
  for (size_t i = 0; i < rows.size(); i += size) {
    std::vector<double> real, ours;
    double realSum = 0, ourSum = 0;
    for (size_t j = 0; j < size; ++j) {
      double x = rows[i + j];
      double code = std::nearbyint(x / double(p.scale)) + p.zero;
      code = std::min(std::max(code, double(p.qmin)), double(p.qmax));
      real.push_back(std::exp(x));
      ours.push_back(std::exp(p.scale * (code - p.zero)));
      realSum += real.back();
      ourSum += ours.back();
    }
    for (size_t j = 0; j < size; ++j)
      all -= real[j] / realSum * std::log(ours[j] / ourSum);
  }
  return all;
}

TEST(E42, CrossEntropyIsTheBestOfAllCandidates) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0.5f, 3.0f);
  std::vector<float> rows(60 * 3);
  for (float &value : rows)
    value = normal(random);
  double low = *std::min_element(rows.begin(), rows.end());
  double high = *std::max_element(rows.begin(), rows.end());
  for (unsigned bits : {3u, 8u}) {
    double best = INFINITY;
    for (int i = 1; i <= 100; ++i)
      for (int j = 1; j <= 100; ++j)
        best = std::min(
            best, crossEntropy(
                      rows, 3,
                      asymmetricParams({low * i / 100, high * j / 100}, bits)));
    Range found = crossEntropyRange(rows.data(), 60, 3, bits);
    double loss = crossEntropy(rows, 3, asymmetricParams(found, bits));
    EXPECT_NEAR(loss / best, 1, 1e-6);
    EXPECT_LT(loss, crossEntropy(rows, 3, asymmetricParams({low, high}, bits)));
  }
}

TEST(E42, CrossEntropyOfOneSidedLogits) {
  std::vector<float> rows = {0.5f, 2, 4, 1, 3, 0.25f};
  Range found = crossEntropyRange(rows.data(), 3, 2, 4);
  EXPECT_EQ(found.lo, 0);
  EXPECT_GT(found.hi, 0);
  EXPECT_LE(found.hi, 4);
}

TEST(E42, OneSidedGridFindsTheBestHundredth) {
  std::vector<float> data = outlierData(20000, 10);
  for (float &value : data)
    value = std::fabs(value);
  Histogram histogram = histogramOf(data);
  for (unsigned bits : {4u, 8u}) {
    double best = INFINITY;
    for (int i = 1; i <= 100; ++i)
      best = std::min(
          best, exactLoss(data, asymmetricParams(
                                    {0, histogram.max() * i / 100.0}, bits)));
    Range found = mseGridRange(histogram, bits, GridKind::Asymmetric);
    EXPECT_LE(exactLoss(data, asymmetricParams(found, bits)), best * 1.01);
  }
}

TEST(MseClip, BeatsTheFullRangeAtFourBits) {
  std::vector<float> data = outlierData(3072, 8);
  double clip = mseClip(data.data(), data.size(), 4);
  float largest = 0;
  for (float value : data)
    largest = std::max(largest, std::fabs(value));
  EXPECT_LT(clip, largest);
  EXPECT_LT(exactLoss(data, symmetricParams({-clip, clip}, 4)),
            exactLoss(data, symmetricParams({-largest, largest}, 4)));
  EXPECT_EQ(mseClip(data.data(), 0, 8), 0);
}

/// Rows like those of special tokens, with one or two outliers: the loss has
/// several valleys.
TEST(MseClip, FindsTheBestValleyOfRowsWithOutliers) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 0.05f);
  for (unsigned bits : {2u, 3u, 4u, 8u})
    for (int row = 0; row < 40; ++row) {
      std::vector<float> data(768);
      for (float &value : data)
        value = normal(random);
      data[308] = 0.02f * static_cast<float>(row * row);
      data[145] = -0.3f * static_cast<float>(row % 5);
      float largest = 0;
      for (float value : data)
        largest = std::max(largest, std::fabs(value));
      double best = INFINITY;
      for (int i = 1; i <= 1000; ++i)
        best = std::min(best,
                        exactLoss(data, symmetricParams({-largest * i / 1000.0,
                                                         largest * i / 1000.0},
                                                        bits)));
      double clip = mseClip(data.data(), data.size(), bits);
      EXPECT_LE(exactLoss(data, symmetricParams({-clip, clip}, bits)),
                best * 1.02)
          << bits << " bits, row " << row;
    }
}

} // namespace
