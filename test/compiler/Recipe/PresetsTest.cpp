//===- PresetsTest.cpp - Presets, and what they say of each site ----------===//
//
// Of which sites each preset makes what.
//
//===----------------------------------------------------------------------===//
#include "RecipeFixture.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

TEST(Recipe, PresetsParseAndFitBert) {
  ASSERT_EQ(Recipe::presets().front(), "default");
  for (const std::string &name : Recipe::presets()) {
    Expected<Recipe> recipe = Recipe::load(name);
    ASSERT_TRUE(recipe) << recipe.message();
    EXPECT_EQ(recipe->name(), name);
    EXPECT_FALSE(recipe->check(bertSites(6)));
    EXPECT_EQ(recipe->isFloat(), name == "fp32");
  }
}

TEST(Recipe, W8A8IsThePaper) {
  Recipe recipe = *Recipe::load("w8a8");
  std::vector<Site> sites = bertSites(12);
  EXPECT_EQ(sites.size(), 161u);
  for (const Site &site : sites) {
    EXPECT_EQ(recipe.activationFor(site).bits, 8u);
    EXPECT_EQ(recipe.activationFor(site).estimator, Estimator::MseGrid);
  }
  EXPECT_FALSE(recipe.weightFor(WeightRole::Linear).perChannel);
  Recipe channel = *Recipe::load("w8a8-channel");
  EXPECT_TRUE(channel.weightFor(WeightRole::Linear).perChannel);
  EXPECT_FALSE(channel.weightFor(WeightRole::Norm).perChannel);
}

TEST(Recipe, DefaultHasNoWideGemmInput) {
  // Sites that feed an integer GEMM must stay in 8 bits.
  Recipe recipe = *Recipe::load("default");
  for (const Site &site : bertSites(12))
    for (const char *key : {"emb", "q", "k", "v", "p", "c", "x", "f", "z"})
      if (site.key == key)
        EXPECT_EQ(recipe.activationFor(site).bits, 8u) << site.name;
  EXPECT_EQ(bitsAt(recipe, "L3.y"), 16u);
  EXPECT_EQ(bitsAt(recipe, "C"), 0u);
}

TEST(Recipe, RepQuantHasFewBitsOnlyInProducts) {
  for (auto [name, bits] : {std::pair<const char *, unsigned>{"repq-w8a8", 8},
                            {"repq-w6a6", 6},
                            {"repq-w4a8", 8},
                            {"repq-w4a4", 4}}) {
    Recipe recipe = *Recipe::load(name);
    for (const Site &site : bertSites(12)) {
      ActivationScheme scheme = recipe.activationFor(site);
      bool isNorm = site.key == "emb" || site.key == "x" || site.key == "z";
      EXPECT_EQ(scheme.perChannel, isNorm) << site.name;
      if (isNorm || site.key == "c" || site.key == "f" || site.key == "q" ||
          site.key == "k" || site.key == "v")
        EXPECT_EQ(scheme.bits, bits) << name << " " << site.name;
      // One step for all tokens costs most there.
      if (site.key == "f")
        EXPECT_EQ(scheme.perToken, bits < 8) << name << " " << site.name;
      if (isNorm) {
        EXPECT_EQ(scheme.channelEstimator,
                  bits < 8 ? Estimator::DualClip : Estimator::AllMinMax);
        EXPECT_EQ(scheme.residualBits, bits < 6 ? 8u : 0u);
      }
      // Residual branches and sums are not multiplied with anything.
      if (site.key == "g" || site.key == "u" || site.key == "h" ||
          site.key == "y")
        EXPECT_EQ(scheme.bits, 16u) << name << " " << site.name;
    }
    WeightScheme weight = recipe.weightFor(WeightRole::Linear);
    EXPECT_EQ(weight.bits, name[6] - '0') << name;
    EXPECT_TRUE(weight.perChannel);
    EXPECT_EQ(weight.adaptive, weight.bits < 8);
  }
}

TEST(Recipe, MixedPrecisionIsThePaper) {
  Recipe recipe = *Recipe::load("mp");
  int wide = 0;
  for (const Site &site : bertSites(12)) {
    bool is = site.key == "x" || site.key == "h" || site.key == "y";
    wide += is;
    EXPECT_EQ(recipe.activationFor(site).bits, is ? 16u : 8u) << site.name;
    EXPECT_EQ(recipe.activationFor(site).estimator,
              is ? Estimator::AllMinMax : Estimator::MseGrid);
  }
  EXPECT_EQ(wide, 36);
  EXPECT_TRUE(recipe.weightFor(WeightRole::Linear).perChannel);
  EXPECT_TRUE(recipe.correctsBias());
  EXPECT_FALSE(Recipe::load("w8a8")->correctsBias());
}

TEST(Recipe, ChannelsAtLayerNormOutputs) {
  Recipe recipe = parsed(R"({"base": "w8a8", "sites": {
      "x": {"granularity": "channel"}, "x3": {"granularity": "tensor"},
      "L1.z": {"granularity": "channel"}}})");
  EXPECT_TRUE(recipe.activationFor({"L0.x", "x", 0}).perChannel);
  EXPECT_FALSE(recipe.activationFor({"L3.x", "x", 3}).perChannel);
  EXPECT_TRUE(recipe.activationFor({"L1.z", "z", 1}).perChannel);
  EXPECT_FALSE(recipe.activationFor({"L2.z", "z", 2}).perChannel);
  EXPECT_EQ(parsed(recipe.toJson().c_str()).toJson(), recipe.toJson());
}

} // namespace
