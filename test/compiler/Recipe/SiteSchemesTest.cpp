//===- SiteSchemesTest.cpp - Quantizers that sites may have ---------------===//
//
// Groups, ranges of tokens, power-of-two factors, logarithmic codes, and codes
// of their own for residual sums.
//
//===----------------------------------------------------------------------===//
#include "RecipeFixture.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

TEST(Recipe, ResidualSumsMayHaveCodesOfTheirOwn) {
  Recipe recipe = parsed(R"({"sites": {
      "x": {"granularity": "channel", "residual": 8, "estimator": "dual_clip"},
      "x1": {"residual": "codes"}, "x2": {"granularity": "tensor"}}})");
  auto bitsOf = [&](const char *name) {
    return recipe.activationFor({name, "x", name[1] - '0'}).residualBits;
  };
  EXPECT_EQ(bitsOf("L0.x"), 8u);
  EXPECT_EQ(bitsOf("L1.x"), 0u);
  // One range for all channels: there is no second LayerNorm.
  EXPECT_EQ(bitsOf("L2.x"), 0u);
  EXPECT_EQ(parsed(recipe.toJson().c_str()).toJson(), recipe.toJson());
  Expected<Recipe> other =
      Recipe::parse(R"({"sites": {"h": {"residual": 8}}})", "r.json");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.message(),
            "r.json: sites.h.residual: found 8, expected the key at the "
            "LayerNorm outputs emb, x and z only");
  other = Recipe::parse(R"({"sites": {"c": {"estimator": "dual_clip"}}})",
                        "r.json");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.message(),
            "r.json: sites.c.estimator: found \"dual_clip\", expected another "
            "estimator: dual_clip is for the channels of emb, x and z");
  other = Recipe::parse(R"({"adaround": {"inputs": "both"}})", "r.json");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.message(), "r.json: adaround.inputs: found \"both\", "
                             "expected \"codes\" or \"real\"");
}

TEST(Recipe, EstimatorsOfChannelsAndGroups) {
  // That of `activation` is for ranges of whole sites.
  Recipe recipe = parsed(R"({"base": "w8a8", "sites": {
      "L": {"estimator": "running_minmax"}, "z": {"granularity": "channel"},
      "emb": {"granularity": "channel"},
      "x": {"granularity": "groups", "groups": 6, "estimator": "mse"}}})");
  EXPECT_EQ(recipe.activationFor({"E.z", "emb", -1}).channelEstimator,
            Estimator::AllMinMax);
  EXPECT_EQ(recipe.activationFor({"E.z", "emb", -1}).estimator,
            Estimator::MseGrid);
  EXPECT_EQ(recipe.activationFor({"L0.z", "z", 0}).channelEstimator,
            Estimator::RunningMinMax);
  EXPECT_EQ(recipe.activationFor({"L0.x", "x", 0}).channelEstimator,
            Estimator::MseGrid);
}

TEST(Recipe, FormOfGroups) {
  Recipe recipe = *Recipe::load("peg6");
  Site x{"L3.x", "x", 3}, h{"L3.h", "h", 3};
  EXPECT_EQ(recipe.activationFor(x).form, GroupForm::Direct);
  EXPECT_FALSE(recipe.set("x.form=folded"));
  EXPECT_FALSE(recipe.set("x4.form=auto"));
  EXPECT_FALSE(recipe.set("L5.x.form=direct"));
  EXPECT_FALSE(recipe.check(bertSites(6)));
  EXPECT_EQ(recipe.activationFor(x).form, GroupForm::Folded);
  EXPECT_EQ(recipe.activationFor(x).groups, 6u);
  EXPECT_EQ(recipe.activationFor({"L4.x", "x", 4}).form, GroupForm::Auto);
  EXPECT_EQ(recipe.activationFor({"L5.x", "x", 5}).form, GroupForm::Direct);
  EXPECT_EQ(recipe.activationFor(h).form, GroupForm::Direct);
  Recipe again = parsed(recipe.toJson().c_str());
  EXPECT_EQ(again.toJson(), recipe.toJson());
  for (const Site &site : bertSites(6))
    EXPECT_EQ(again.activationFor(site), recipe.activationFor(site));
  // One scale has no form.
  EXPECT_FALSE(recipe.set("x.granularity=tensor"));
  EXPECT_FALSE(recipe.check(bertSites(6)));
  EXPECT_EQ(recipe.activationFor(x).form, GroupForm::Direct);
  Recipe each = parsed(R"({"base": "w8a8", "sites": {
      "x": {"granularity": "per-embedding", "form": "folded"}}})");
  EXPECT_EQ(each.activationFor(x).form, GroupForm::Folded);

  Error none =
      parsed(R"({"sites": {"x": {"form": "auto"}}})").check(bertSites(6));
  ASSERT_TRUE(none);
  EXPECT_EQ(none.message(),
            "r.json: sites.x.form: found \"auto\" at a site without groups, "
            "expected \"granularity\": \"groups\" or \"per-embedding\" there");
  // Other layers have groups, this one has not.
  Error other = parsed(R"({"base": "w8a8", "sites": {"L1.x": {"form": "folded"},
      "x2": {"granularity": "groups", "groups": 6}}})")
                    .check(bertSites(6));
  ASSERT_TRUE(other);
  EXPECT_NE(other.message().find("sites.L1.x.form: found \"folded\""),
            std::string::npos);
}

TEST(Recipe, ALaterGranularityEndsGroups) {
  Recipe recipe = *Recipe::load("w8a8");
  ASSERT_FALSE(recipe.set("h.groups=6"));
  ASSERT_FALSE(recipe.set("h.granularity=tensor"));
  Recipe again = parsed(recipe.toJson().c_str());
  EXPECT_EQ(again.activationFor({"L0.h", "h", 0}).groups, 0u);
}

TEST(Recipe, E39PowerOfTwoFactors) {
  Recipe recipe = parsed(R"({"base": "peg6", "sites": {
      "u": {"granularity": "power_of_two"}, "y": {"granularity": "power_of_two"},
      "y1": {"granularity": "groups", "groups": 6},
      "L2.y": {"granularity": "tensor"}}})");
  Expected<Recipe> again = Recipe::parse(recipe.toJson(), "again.json");
  ASSERT_TRUE(again) << again.message();
  for (const Recipe &each : {recipe, *again}) {
    auto at = [&](const char *name, const char *key, int layer) {
      return each.activationFor({name, key, layer});
    };
    EXPECT_TRUE(at("L0.u", "u", 0).powersOfTwo);
    EXPECT_TRUE(at("L0.u", "u", 0).needsChannels());
    EXPECT_TRUE(at("L0.y", "y", 0).powersOfTwo);
    EXPECT_EQ(at("L0.y", "y", 0).groups, ActivationScheme::powerGroups);
    EXPECT_FALSE(at("L1.y", "y", 1).powersOfTwo);
    EXPECT_EQ(at("L1.y", "y", 1).groups, 6u);
    EXPECT_FALSE(at("L2.y", "y", 2).powersOfTwo);
    EXPECT_EQ(at("L2.y", "y", 2).groups, 0u);
    EXPECT_FALSE(at("L0.x", "x", 0).powersOfTwo);
  }
}

TEST(Recipe, E29RangesOfTokens) {
  Recipe recipe = parsed(R"({"base": "default", "sites": {
      "x": {"granularity": "token"}, "emb": {"granularity": "token"},
      "z": {"granularity": "token", "bits": 4}, "c1": {"granularity": "token"},
      "L2.f": {"granularity": "token", "symmetric": true},
      "x3": {"granularity": "tensor"}}})");
  auto at = [&](const char *name, const char *key, int layer) {
    return recipe.activationFor({name, key, layer});
  };
  EXPECT_TRUE(at("L0.x", "x", 0).perToken);
  EXPECT_FALSE(at("L0.x", "x", 0).perChannel);
  EXPECT_FALSE(at("L0.x", "x", 0).needsRange());
  EXPECT_FALSE(at("L3.x", "x", 3).perToken);
  EXPECT_TRUE(at("L3.x", "x", 3).needsRange());
  EXPECT_TRUE(at("E.z", "emb", -1).perToken);
  EXPECT_EQ(at("L1.z", "z", 1).bits, 4u);
  EXPECT_TRUE(at("L1.c", "c", 1).perToken);
  EXPECT_FALSE(at("L0.c", "c", 0).perToken);
  EXPECT_TRUE(at("L2.f", "f", 2).symmetric);
  Expected<Recipe> again = Recipe::parse(recipe.toJson(), "again.json");
  ASSERT_TRUE(again) << again.message();
  for (const Site &site : bertSites(4))
    EXPECT_EQ(again->activationFor(site), recipe.activationFor(site))
        << site.name;
  // Later words on the same site win.
  ASSERT_FALSE(recipe.set("x.granularity=channel"));
  EXPECT_FALSE(at("L0.x", "x", 0).perToken);
  EXPECT_TRUE(at("L0.x", "x", 0).perChannel);
  ASSERT_FALSE(recipe.set("x.granularity=token"));
  EXPECT_TRUE(at("L0.x", "x", 0).perToken);
}

TEST(Recipe, E22E23LogarithmicProbabilities) {
  Recipe recipe = parsed(R"({"base": "w8a8", "sites": {
      "p": {"quantizer": "log_sqrt2", "bits": 4},
      "p1": {"quantizer": "log2", "estimator": "percentile", "percentile": 99},
      "L2.p": {"quantizer": "uniform", "bits": 8}}})");
  std::vector<Site> sites = bertSites(4);
  ASSERT_FALSE(recipe.check(sites));
  Recipe again = parsed(recipe.toJson().c_str());
  EXPECT_EQ(again.toJson(), recipe.toJson());
  for (const Site &site : sites) {
    ActivationScheme scheme = again.activationFor(site);
    EXPECT_EQ(scheme, recipe.activationFor(site)) << site.name;
    EXPECT_EQ(scheme.isLog(), site.key == "p" && site.layer != 2) << site.name;
    // Other sites and uniform codes keep the estimator of all.
    EXPECT_EQ(scheme.estimator, !scheme.isLog()   ? Estimator::MseGrid
                                : site.layer == 1 ? Estimator::Percentile
                                                  : Estimator::LogPercentile)
        << site.name;
    if (scheme.isLog()) {
      EXPECT_EQ(scheme.bits, 4u);
      EXPECT_EQ(scheme.quantizer,
                site.layer == 1 ? Quantizer::Log2 : Quantizer::LogSqrt2);
    }
  }
  Recipe set = *Recipe::load("w8a8");
  ASSERT_FALSE(set.set("p.quantizer=log2"));
  ASSERT_FALSE(set.set("p3.bits=5"));
  EXPECT_EQ(bitsAt(set, "L3.p"), 5u);
  EXPECT_TRUE(set.activationFor({"L3.p", "p", 3}).isLog());
  EXPECT_FALSE(set.activationFor({"L3.s", "s", 3}).isLog());
  EXPECT_EQ(set.set("x.quantizer=log2").message(),
            "--set: sites.x.quantizer: found \"log2\", expected the key at p "
            "only: logarithmic codes are for attention probabilities");
}

TEST(Recipe, LogarithmicCodesThatAreNone) {
  const std::pair<const char *, const char *> bad[] = {
      {R"({"quantizer": "log2", "bits": 2})",
       "sites.L0.p.bits: found 2 beside \"quantizer\": \"log2\", expected 3 "
       "to 8"},
      {R"({"quantizer": "log_sqrt2", "bits": 9})", "found 9 beside"},
      {R"({"quantizer": "log_sqrt2", "estimator": "mse_golden"})",
       "sites.L0.p.estimator: found \"mse_golden\" beside \"quantizer\": "
       "\"log_sqrt2\", expected one of log_percentile, percentile"},
      {R"({"estimator": "log_percentile"})",
       "sites.L0.p.estimator: found \"log_percentile\" beside \"quantizer\": "
       "\"uniform\", expected log2 or log_sqrt2 there"}};
  for (const auto &[scheme, what] : bad) {
    std::string text =
        std::string(R"({"base": "w8a8", "sites": {"p": )") + scheme + "}}";
    Error error = parsed(text.c_str()).check(bertSites(2));
    ASSERT_TRUE(error) << scheme;
    EXPECT_NE(error.message().find(what), std::string::npos) << error.message();
  }
  // In f32 there are no codes to have a quantizer.
  EXPECT_FALSE(parsed(R"({"base": "w8a8", "sites": {
      "p": {"quantizer": "log2", "bits": "fp32"}}})")
                   .check(bertSites(2)));
}

} // namespace
