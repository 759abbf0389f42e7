//===- CalibratorTest.cpp - Estimators, range tables, built-in text -------===//
//
// Each estimator on data whose ranges can be computed by hand, and ranges.json
// there and back, with what it refuses.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/Calibrator.h"
#include "compiler/Calibrate/DefaultText.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <random>
#include <set>

using namespace quern;

namespace {

ActivationScheme schemeOf(Estimator estimator, unsigned bits = 8) {
  ActivationScheme scheme;
  scheme.bits = bits;
  scheme.estimator = estimator;
  return scheme;
}

SiteRange siteOf(Estimator estimator, unsigned bits, Range range) {
  SiteRange site;
  site.scheme = schemeOf(estimator, bits);
  site.range = range;
  site.observed = {-1, 2};
  site.values = 77;
  return site;
}

TEST(Calibrator, MinMaxEstimatorsWorkByBatch) {
  Calibrator calibrator({{"L0.x", schemeOf(Estimator::CurrentMinMax)},
                         {"L0.h", schemeOf(Estimator::RunningMinMax)},
                         {"L0.y", schemeOf(Estimator::AllMinMax)},
                         {"L0.s", schemeOf(Estimator::MseGrid, 0)}});
  EXPECT_FALSE(calibrator.observes("L0.s"));
  for (float scale : {1.0f, 10.0f, 2.0f}) {
    float first[] = {-1 * scale, 0.5f}, second[] = {0, 2 * scale};
    for (const char *site : {"L0.x", "L0.h", "L0.y", "L0.s"}) {
      calibrator.observe(site, first, 1, 2);
      calibrator.observe(site, second, 1, 2);
    }
    calibrator.endBatch();
  }
  Expected<RangeTable> table = calibrator.finish();
  ASSERT_TRUE(table) << table.message();
  EXPECT_EQ(table->sites.size(), 3u);
  EXPECT_EQ(table->sites["L0.x"].range.lo, -2);
  EXPECT_EQ(table->sites["L0.x"].range.hi, 4);
  EXPECT_EQ(table->sites["L0.y"].range.lo, -10);
  EXPECT_EQ(table->sites["L0.y"].range.hi, 20);
  EXPECT_EQ(table->sites["L0.y"].values, 12u);
  double running = 0.9 * (0.9 * 1 + 0.1 * 10) + 0.1 * 2;
  EXPECT_DOUBLE_EQ(table->sites["L0.h"].range.lo, -running);
  EXPECT_DOUBLE_EQ(table->sites["L0.h"].range.hi, 2 * running);
}

TEST(E42, CrossEntropyOfLogits) {
  std::vector<float> logits = {2.5f, -1, -0.5f, 3, 0.25f, 0.5f, -40, 2};
  Calibrator calibrator({{"C", schemeOf(Estimator::CrossEntropy)}});
  calibrator.observe("C", logits.data(), 3, 2);
  calibrator.observe("C", logits.data() + 6, 1, 2);
  Expected<RangeTable> table = calibrator.finish();
  ASSERT_TRUE(table) << table.message();
  Range expected = crossEntropyRange(logits.data(), 4, 2, 8);
  EXPECT_EQ(table->sites["C"].range.lo, expected.lo);
  EXPECT_EQ(table->sites["C"].range.hi, expected.hi);
  // Softmax does not see how far below a logit is.
  EXPECT_GT(expected.lo, -40);
  EXPECT_EQ(table->sites["C"].observed.lo, -40);
}

TEST(Calibrator, RangesForOtherSchemes) {
  Calibrator calibrator({{"a", schemeOf(Estimator::MseGrid)}});
  float data[] = {-1, 3};
  calibrator.observe("a", data, 1, 2);
  Expected<RangeTable> table =
      calibrator.finish({{"a", schemeOf(Estimator::AllMinMax, 16)}});
  ASSERT_TRUE(table) << table.message();
  EXPECT_EQ(table->sites["a"].range.lo, -1);
  EXPECT_EQ(table->sites["a"].scheme.bits, 16u);
  EXPECT_FALSE(calibrator.finish({{"b", schemeOf(Estimator::AllMinMax)}}));
}

TEST(Calibrator, ChannelsAndStride) {
  Calibrator calibrator({{"L0.x", {}}, {"L0.s", {}}});
  float data[] = {1, -2, 99, 3, -4, 99};
  calibrator.observe("L0.x", data, 2, 2, 3);
  calibrator.observe("L0.s", data, 1, 3);
  calibrator.observe("L0.s", data, 1, 2);
  std::vector<Range> channels = calibrator.channelRanges("L0.x");
  ASSERT_EQ(channels.size(), 2u);
  EXPECT_EQ(channels[0].lo, 1);
  EXPECT_EQ(channels[0].hi, 3);
  EXPECT_EQ(channels[1].lo, -4);
  EXPECT_EQ(channels[1].hi, -2);
  EXPECT_TRUE(calibrator.channelRanges("L0.s").empty());
  Expected<RangeTable> table = calibrator.finish();
  ASSERT_TRUE(table);
  EXPECT_EQ(table->sites["L0.x"].observed.hi, 3);
}

TEST(Calibrator, PercentileAndLeastSquaresClipOutliers) {
  std::vector<float> data(10001);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = float(i % 101) / 50 - 1;
  data[5000] = 1000;
  ActivationScheme percentile = schemeOf(Estimator::Percentile);
  percentile.percentile = 99.9;
  Calibrator calibrator({{"a", percentile},
                         {"b", schemeOf(Estimator::MseGrid, 4)},
                         {"c", schemeOf(Estimator::MseGolden, 4)}});
  for (const char *site : {"a", "b", "c"})
    calibrator.observe(site, data.data(), data.size(), 1);
  Expected<RangeTable> table = calibrator.finish();
  ASSERT_TRUE(table);
  EXPECT_NEAR(table->sites["a"].range.hi, 1, 0.02);
  EXPECT_LE(table->sites["b"].range.hi, 1000);
  EXPECT_LE(table->sites["c"].range.hi, 1000);
  EXPECT_EQ(table->sites["a"].observed.hi, 1000);
}

TEST(Calibrator, RefusesNoDataAndNaN) {
  Calibrator empty({{"L0.x", {}}});
  Expected<RangeTable> none = empty.finish();
  ASSERT_FALSE(none);
  EXPECT_NE(none.message().find("site L0.x: found no values"),
            std::string::npos);
  Calibrator bad({{"L0.x", {}}});
  float data[] = {1, NAN};
  bad.observe("L0.x", data, 1, 2);
  Expected<RangeTable> nan = bad.finish();
  ASSERT_FALSE(nan);
  EXPECT_NE(nan.message().find("1 NaN"), std::string::npos);
}

TEST(Calibrator, RefusesAConstant) {
  Calibrator calibrator({{"L0.f", {}}});
  float data[] = {0, 0, 0, 0};
  calibrator.observe("L0.f", data, 2, 2);
  EXPECT_EQ(calibrator.finish().message(),
            "calibration: site L0.f: found the constant 0.000000 in all of 4 "
            "values, expected a range; --set L0.f=fp32 leaves the site in "
            "f32");
}

TEST(RangeTable, RoundTrip) {
  RangeTable table;
  table.sites["L0.x"] = siteOf(Estimator::MseGrid, 8, {-0.1, 1.0 / 3});
  table.sites["L0.x"].scheme.perChannel = true;
  table.sites["L0.x"].channels = {{-1, 2}, {0.1, 0.2}};
  table.sites["P"] = siteOf(Estimator::AllMinMax, 16, {-1, 1});
  Expected<RangeTable> read = parseRanges(writeRanges(table), "ranges.json");
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(read->sites["L0.x"].range.hi, 1.0 / 3);
  EXPECT_EQ(read->sites["L0.x"].values, 77u);
  ASSERT_EQ(read->sites["L0.x"].channels.size(), 2u);
  EXPECT_EQ(read->sites["L0.x"].channels[1].lo, 0.1);
  EXPECT_EQ(writeRanges(*read), writeRanges(table));

  EXPECT_TRUE(read->find("L0.x", schemeOf(Estimator::MseGrid)));
  // Extremes hold for any bits, least squares only for their own.
  EXPECT_TRUE(read->find("P", schemeOf(Estimator::AllMinMax, 8)));
  auto other = read->find("L0.x", schemeOf(Estimator::MseGrid, 16));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.message(),
            "ranges.json: sites.L0.x: found mse_grid at 8 bits, the recipe "
            "expects mse_grid at 16 bits");
  EXPECT_FALSE(read->find("L9.x", schemeOf(Estimator::MseGrid)));
}

TEST(RangeTable, ExtremesForResidualSums) {
  RangeTable table;
  SiteRange &x = table.sites["L0.x"];
  x = siteOf(Estimator::DualClip, 4, {-1, 1});
  x.scheme.perChannel = true;
  x.scheme.channelEstimator = Estimator::DualClip;
  x.channels = {{-1, 2}, {0.1, 0.2}};
  ActivationScheme narrow = x.scheme, wide = narrow;
  wide.residualBits = 8;
  EXPECT_TRUE(table.find("L0.x", narrow));
  EXPECT_EQ(table.find("L0.x", wide).message(),
            "calibration: sites.L0.x: found 0 channels for residual sums, the "
            "recipe expects 2");
  x.residual = {{-3, 2}, {0.1, 0.4}};
  Expected<RangeTable> read = parseRanges(writeRanges(table), "r.json");
  ASSERT_TRUE(read) << read.message();
  EXPECT_TRUE(read->find("L0.x", wide));
  EXPECT_EQ(read->sites["L0.x"].residual[0].lo, -3);
  EXPECT_EQ(writeRanges(*read), writeRanges(table));
  // Learned for some bits, they are not those of others.
  narrow.bits = 6;
  EXPECT_FALSE(read->find("L0.x", narrow));
}

TEST(RangeTable, OptionsMustBeThoseOfTheRecipe) {
  RangeTable table;
  table.sites["a"] = siteOf(Estimator::MseGrid, 8, {-1, 1});
  table.sites["a"].scheme.symmetric = true;
  table.sites["a"].scheme.candidates = 40;
  table.sites["L0.x"] = siteOf(Estimator::AllMinMax, 8, {-1, 1});
  SiteRange &x = table.sites["L0.x"];
  x.scheme.groups = 2;
  x.scheme.permute = Permute::SharedH;
  x.scheme.channelEstimator = Estimator::RunningMinMax;
  x.scheme.momentum = 0.5;
  x.groupOf = {1, 0, 1};
  x.groups = {{-1, 1}, {0, 2}};
  Expected<RangeTable> read = parseRanges(writeRanges(table), "r.json");
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(writeRanges(*read), writeRanges(table));
  EXPECT_TRUE(read->find("a", table.sites["a"].scheme));
  auto plain = read->find("a", schemeOf(Estimator::MseGrid));
  EXPECT_EQ(plain.message(),
            "r.json: sites.a: found symmetric mse_grid of 40 candidates at 8 "
            "bits, the recipe expects mse_grid at 8 bits");
  EXPECT_TRUE(read->find("L0.x", x.scheme));
  ActivationScheme three = x.scheme;
  three.groups = 3;
  three.permute = Permute::Own;
  auto others = read->find("L0.x", three);
  EXPECT_NE(others.message().find(
                "found 2 groups with permute \"shared-h\", running_minmax of "
                "momentum 0.500000 at 8 bits, the recipe expects 3 groups with "
                "permute true"),
            std::string::npos)
      << others.message();
  ActivationScheme channels = schemeOf(Estimator::AllMinMax);
  channels.perChannel = true;
  EXPECT_NE(read->find("L0.x", channels).message().find("found no channels"),
            std::string::npos);
}

/// Row E42: the scale of logarithmic codes has the least squared error among
/// three percentiles, by a reference that looks at every value.
TEST(E42, LogPercentileIsTheBestOfThree) {
  std::mt19937 random(3);
  std::exponential_distribution<float> draw(1);
  for (Quantizer quantizer : {Quantizer::Log2, Quantizer::LogSqrt2})
    for (unsigned bits : {3u, 4u, 8u}) {
      std::vector<float> values;
      for (int i = 0; i < 20000; ++i)
        values.push_back(i % 7 == 0 ? 0 : 0.01f * draw(random));
      values.push_back(0.9f);
      ActivationScheme scheme;
      scheme.bits = bits;
      scheme.quantizer = quantizer;
      scheme.estimator = Estimator::LogPercentile;
      Calibrator calibrator({{"L0.p", scheme}});
      calibrator.observe("L0.p", values.data(), values.size() / 3, 3);
      RangeTable table = *calibrator.finish();
      values.resize(values.size() / 3 * 3);
      std::sort(values.begin(), values.end());
      double least = INFINITY, best = 0;
      double base = quantizer == Quantizer::Log2 ? 2 : std::sqrt(2.);
      for (double percent : {0.999, 0.9999, 0.99999}) {
        double at = percent * double(values.size() - 1);
        size_t i = size_t(at);
        double s = values[i] +
                   (at - double(i)) *
                       (values[std::min(i + 1, values.size() - 1)] - values[i]);
        double loss = 0;
        for (double x : values) {
          double q = std::nearbyint(-std::log(x / s) / std::log(base));
          double y =
              q >= std::exp2(bits) ? 0 : s * std::pow(base, -std::max(q, 0.));
          loss += (x - y) * (x - y);
        }
        if (loss < least) {
          least = loss;
          best = s;
        }
      }
      const SiteRange &range = table.sites["L0.p"];
      EXPECT_NEAR(range.range.hi, best, 1e-6 * best) << bits;
      EXPECT_EQ(range.range.lo, 0);
      // The text form says what the range was made for.
      Expected<RangeTable> read = parseRanges(writeRanges(table), "r.json");
      ASSERT_TRUE(read) << read.message();
      EXPECT_TRUE(read->find("L0.p", scheme));
      scheme.quantizer = Quantizer::Uniform;
      EXPECT_NE(read->find("L0.p", scheme).message().find("found log"),
                std::string::npos);
    }
}

class BadRanges
    : public testing::TestWithParam<std::pair<const char *, const char *>> {};

TEST_P(BadRanges, AreRefused) {
  Expected<RangeTable> table = parseRanges(GetParam().first, "r.json");
  ASSERT_FALSE(table);
  EXPECT_NE(table.message().find(GetParam().second), std::string::npos)
      << table.message();
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRanges,
    testing::Values(
        std::pair("{", "r.json"), std::pair("[]", "expected a ranges object"),
        std::pair(R"({"sites": {}})", "version: expected 1"),
        std::pair(R"({"version": 1, "extra": 0, "sites": {}})",
                  "unknown key 'extra'"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": [2, 1]}}})",
                  "sites.L0.x.range: found [2, 1], expected two finite "
                  "numbers"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": [0, 0]}}})",
                  "sites.L0.x.range: found [0, 0], expected a range wider "
                  "than nothing"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": [3, 3]}}})",
                  "found [3, 3], expected a range wider"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": []}}})",
                  "found an array of 0, expected two finite numbers"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": [0, 1], "groups": [[0, 1]],
            "group_of": [0, 1]}}})",
                  "group_of: found group 1, expected one of the 1"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": [0, 1], "groups": [[0, 1], [0, 2]],
            "group_of": [0, 0]}}})",
                  "group_of: found no channel of group 1"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "estimator": "mse", "range": [0, 1e999]}}})",
                  "number overflow"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8,
            "channels": [[0, 1], [1, 0]]}}})",
                  "sites.L0.x.channels[1]: found [1, 0], expected two finite"),
        std::pair(R"({"version": 1, "sites": {"L0.p": {"bits": 4,
            "quantizer": "log"}}})",
                  "sites.L0.p.quantizer: found \"log\", expected uniform, log2 "
                  "or log_sqrt2"),
        std::pair(R"({"version": 1, "sites": {"L0.u": {"bits": 8,
            "power_of_two": 1}}})",
                  "sites.L0.u.power_of_two: found 1, expected true or false"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 17}}})",
                  "sites.L0.x.bits: found 17, expected 2 to 16"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"bits": 8}}})",
                  "expected bits, estimator and range"),
        std::pair(R"({"version": 1, "sites": {"L0.x": {"rnage": 8}}})",
                  "unknown key 'rnage'")));

TEST(RangeTable, MissingFileAndDirectory) {
  EXPECT_FALSE(loadRanges("no/such/ranges.json"));
  EXPECT_FALSE(loadRanges("."));
}

TEST(DefaultText, IsVaried) {
  const std::vector<TextPair> &texts = defaultCalibrationText();
  EXPECT_GE(texts.size(), 95u);
  std::set<std::string_view> firsts;
  size_t pairs = 0;
  for (const TextPair &text : texts) {
    EXPECT_FALSE(text.first.empty());
    EXPECT_TRUE(firsts.insert(text.first).second) << text.first;
    pairs += !text.second.empty();
  }
  EXPECT_GE(pairs, 15u);
}

} // namespace
