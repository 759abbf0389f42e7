//===- UnreadKeysTest.cpp - Values of a recipe that nothing reads ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What would change nothing is refused with the key that it would need; what a
// later value made void is not.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/Recipe/RecipeFixture.h"

using namespace quern;

namespace {

/// What `check` says of a recipe and settings; "" for nothing.
std::string refusal(const char *text, std::vector<std::string> settings = {}) {
  Expected<Recipe> recipe = Recipe::parse(text, "r.json");
  if (!recipe)
    return "parse: " + recipe.message();
  for (const std::string &setting : settings)
    if (Error error = recipe->set(setting))
      return "set: " + error.message();
  Error error = recipe->check(bertSites(2));
  if (error)
    return error.message();
  // What is written is read back.
  Expected<Recipe> again = Recipe::parse(recipe->toJson(), "again.json");
  if (!again)
    return "again: " + again.message();
  error = again->check(bertSites(2));
  return error ? "again: " + error.message() : "";
}

TEST(UnreadKeys, OptionsOfOtherEstimators) {
  const std::pair<const char *, const char *> cases[] = {
      {R"({"sites": {"x": {"percentile": 99}}})",
       "r.json: sites.x.percentile: found \"estimator\": \"mse_grid\" at L0.x, "
       "which does not read it, expected \"estimator\": \"percentile\" there"},
      {R"({"sites": {"L1": {"momentum": 0.5}}})",
       "r.json: sites.L1.momentum: found \"estimator\": \"mse_grid\" at L1.q, "
       "which does not read it, expected \"estimator\": \"running_minmax\" "
       "there"},
      {R"({"sites": {"h": {"candidates": 50, "estimator": "mse_golden"}}})",
       "r.json: sites.h.candidates: found \"estimator\": \"mse_golden\" at "
       "L0.h, which does not read it, expected \"estimator\": \"mse_grid\" or "
       "\"cross_entropy\" there"},
      {R"({"activation": {"estimator": "allminmax", "momentum": 0.5}})",
       "r.json: activation.momentum: found \"estimator\": \"allminmax\" at "
       "E.t, which does not read it, expected \"estimator\": "
       "\"running_minmax\" there"},
      {R"({"sites": {"x": {"granularity": "token", "percentile": 99,
                           "estimator": "percentile"}}})",
       "r.json: sites.x.percentile: found \"granularity\": \"token\" at L0.x, "
       "which does not read it, expected \"estimator\": \"percentile\" there"},
      {R"({"sites": {"y": {"bits": "fp32", "percentile": 99,
                           "estimator": "percentile"}}})",
       "r.json: sites.y.percentile: found \"fp32\" at L0.y, which does not "
       "read it, expected \"estimator\": \"percentile\" there"},
      // The percentiles of log_percentile are given.
      {R"({"sites": {"p": {"quantizer": "log2", "percentile": 99}}})",
       "r.json: sites.p.percentile: found \"estimator\": \"log_percentile\" at "
       "L0.p, which does not read it, expected \"estimator\": \"percentile\" "
       "there"}};
  for (auto [text, message] : cases)
    EXPECT_EQ(refusal(text), message);
}

TEST(UnreadKeys, OptionsOfOtherGranularities) {
  EXPECT_EQ(refusal(R"({"sites": {"x": {"permute": true}}})"),
            "r.json: sites.x.permute: found \"granularity\": \"tensor\" at "
            "L0.x, which does not read it, expected \"granularity\": "
            "\"groups\" there");
  EXPECT_EQ(refusal(R"({"sites": {"z": {"residual": 8}}})"),
            "r.json: sites.z.residual: found \"granularity\": \"tensor\" at "
            "L0.z, which does not read it, expected \"granularity\": "
            "\"channel\" there");
}

TEST(UnreadKeys, OptionsOfWeights) {
  EXPECT_EQ(refusal(R"({"weight": {"percentile": 99}})"),
            "r.json: weight.percentile: found 99 beside another estimator, "
            "expected \"estimator\": \"percentile\" there");
  EXPECT_EQ(refusal(R"({"weights": {"Et": {"candidates": 9}}})"),
            "r.json: weights.Et.candidates: found 9 beside another estimator, "
            "expected \"estimator\": \"mse_grid\" there");
  EXPECT_EQ(refusal(R"({"weight": {"percentile": 99},
                        "weights": {"wC": {"estimator": "percentile"}}})"),
            "");
  EXPECT_EQ(refusal("{}", {"Et.percentile=99", "Et.estimator=percentile"}), "");
  EXPECT_EQ(refusal("{}", {"Et.estimator=percentile", "Et.percentile=99",
                           "Et.estimator=mse"}),
            "");
}

TEST(UnreadKeys, OptionsOfLearnedRounding) {
  EXPECT_EQ(refusal(R"({"adaround": {"iterations": 100}})"),
            "r.json: adaround.iterations: found weights of \"rounding\": "
            "\"nearest\", which do not read it, expected \"adaround\" there");
  EXPECT_EQ(refusal(R"({"adaround": {"iterations": 100},
                        "weight": {"rounding": "adaround"}})"),
            "");
  EXPECT_EQ(refusal(R"({"base": "repq-w4a4"})",
                    {"adaround.iterations=100", "weight.rounding=nearest"}),
            "");
}

/// A site is enough, an inherited estimator, and what was read before a later
/// value came.
TEST(UnreadKeys, WhatIsRead) {
  const char *const read[] = {
      "{}",
      R"({"base": "repq-w4a4"})",
      R"({"base": "peg6"})",
      R"({"activation": {"percentile": 99.9},
          "sites": {"L1.x": {"estimator": "percentile"}}})",
      R"({"sites": {"L": {"percentile": 99}, "h": {"estimator": "percentile"}}})",
      R"({"sites": {"x": {"granularity": "groups", "groups": 2,
                          "permute": true}}})"};
  for (const char *text : read)
    EXPECT_EQ(refusal(text), "") << text;
  EXPECT_EQ(refusal("{}", {"x.percentile=99", "x.estimator=percentile"}), "");
  EXPECT_EQ(refusal("{}", {"x.estimator=percentile", "x.percentile=99",
                           "x.estimator=mse"}),
            "");
  EXPECT_EQ(refusal(R"({"base": "peg6"})", {"x.granularity=tensor"}), "");
  EXPECT_EQ(refusal(R"({"base": "repq-w4a4"})", {"x.granularity=tensor"}), "");
  EXPECT_EQ(refusal(R"({"activation": {"estimator": "percentile",
                                       "percentile": 98}})",
                    {"activation.estimator=mse"}),
            "");
}

} // namespace
