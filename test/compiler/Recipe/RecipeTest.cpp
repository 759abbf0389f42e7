//===- RecipeTest.cpp - Recipe files, selectors, settings -----------------===//
//
// What a recipe says of each site, and in which order selectors win.
//
//===----------------------------------------------------------------------===//
#include "RecipeFixture.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

TEST(Recipe, WeightsWithZeroPoints) {
  Recipe recipe = parsed(R"({"weight": {"symmetric": false},
                             "weights": {"wC": {"symmetric": true}}})");
  EXPECT_FALSE(recipe.weightFor(WeightRole::Linear).symmetric);
  EXPECT_FALSE(recipe.weightFor(WeightRole::Pooler).symmetric);
  EXPECT_TRUE(recipe.weightFor(WeightRole::Classifier).symmetric);
  for (WeightRole role :
       {WeightRole::Table, WeightRole::WordTable, WeightRole::Norm})
    EXPECT_TRUE(recipe.weightFor(role).symmetric);
  EXPECT_EQ(parsed(recipe.toJson().c_str()).toJson(), recipe.toJson());
  Expected<Recipe> table =
      Recipe::parse(R"({"weights": {"Et": {"symmetric": false}}})", "r.json");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.message(),
            "r.json: weights.Et.symmetric: found false, expected true");
}

TEST(Recipe, MoreSpecificSelectorsWin) {
  Recipe recipe = parsed(R"({"activation": {"bits": 16}, "sites": {
      "L3.x": "fp32", "x": 8, "x3": 16, "x11": 16, "L": "fp32", "L5": 8}})");
  EXPECT_EQ(bitsAt(recipe, "L3.x"), 0u);
  EXPECT_EQ(bitsAt(recipe, "L2.x"), 8u);
  EXPECT_EQ(bitsAt(recipe, "L11.x"), 16u);
  EXPECT_EQ(bitsAt(recipe, "L1.x"), 8u);
  EXPECT_EQ(bitsAt(recipe, "L5.h"), 8u);
  EXPECT_EQ(bitsAt(recipe, "L4.h"), 0u);
  EXPECT_EQ(bitsAt(recipe, "P"), 16u);
}

TEST(Recipe, KeysOfTheEmbedding) {
  Recipe recipe = parsed(R"({"sites": {"e": 16, "emb": "fp32"}})");
  EXPECT_EQ(bitsAt(recipe, "E.t"), 16u);
  EXPECT_EQ(bitsAt(recipe, "E.e"), 16u);
  EXPECT_EQ(bitsAt(recipe, "E.z"), 0u);
}

TEST(Recipe, WeightsByRole) {
  Recipe recipe = parsed(R"({"base": "w8a8-channel", "weights": {
      "Et": 4, "tables": {"granularity": "tensor"}, "wC": "fp32",
      "norms": {"bits": 8, "granularity": "channel", "estimator": "minmax"}}})");
  EXPECT_EQ(recipe.weightFor(WeightRole::WordTable).bits, 4u);
  EXPECT_FALSE(recipe.weightFor(WeightRole::WordTable).perChannel);
  EXPECT_FALSE(recipe.weightFor(WeightRole::Table).perChannel);
  EXPECT_EQ(recipe.weightFor(WeightRole::Table).bits, 8u);
  EXPECT_TRUE(recipe.weightFor(WeightRole::Classifier).isFloat());
  EXPECT_TRUE(recipe.weightFor(WeightRole::Pooler).perChannel);
  EXPECT_FALSE(recipe.weightFor(WeightRole::Norm).perChannel);
  EXPECT_EQ(recipe.weightFor(WeightRole::Norm).estimator, ClipRule::MinMax);
}

TEST(Recipe, CommandLineSettings) {
  Recipe recipe = *Recipe::load("w8a8");
  EXPECT_FALSE(recipe.set("x3=16"));
  EXPECT_FALSE(recipe.set("h=percentile"));
  EXPECT_FALSE(recipe.set("wC=fp32"));
  EXPECT_FALSE(recipe.set("Et=channel"));
  EXPECT_EQ(bitsAt(recipe, "L3.x"), 16u);
  EXPECT_EQ(recipe.activationFor({"L1.h", "h", 1}).estimator,
            Estimator::Percentile);
  EXPECT_TRUE(recipe.weightFor(WeightRole::Classifier).isFloat());
  EXPECT_TRUE(recipe.weightFor(WeightRole::WordTable).perChannel);
  EXPECT_TRUE(recipe.set("x3"));
  EXPECT_TRUE(recipe.set("x3=17"));
  EXPECT_TRUE(recipe.set("nonsense=8"));
}

TEST(Recipe, SingleKeysOfTheCommandLine) {
  Recipe recipe = *Recipe::load("peg6");
  for (const char *setting :
       {"x.estimator=percentile", "x3.percentile=99.5", "L2.x.groups=12",
        "h.permute=true", "y.permute=shared-h", "activation.symmetric=true",
        "activation.momentum=0.5", "L5.g.candidates=40", "P.bits=16",
        "C.symmetric=false", "weight.granularity=channel", "Et.bits=4",
        "wC.estimator=minmax", "calibration.batch_size=1",
        "calibration.batches=2"}) {
    Error error = recipe.set(setting);
    EXPECT_FALSE(error) << error.message();
  }
  ActivationScheme x = recipe.activationFor({"L3.x", "x", 3});
  EXPECT_EQ(x.channelEstimator, Estimator::Percentile);
  EXPECT_EQ(x.percentile, 99.5);
  EXPECT_EQ(x.groups, 6u);
  EXPECT_EQ(x.permute, Permute::Fit);
  EXPECT_TRUE(x.symmetric);
  EXPECT_EQ(recipe.activationFor({"L2.x", "x", 2}).groups, 12u);
  EXPECT_EQ(recipe.activationFor({"L1.h", "h", 1}).permute, Permute::Own);
  EXPECT_EQ(recipe.activationFor({"L1.y", "y", 1}).permute, Permute::SharedH);
  EXPECT_EQ(recipe.activationFor({"L5.g", "g", 5}).candidates, 40u);
  EXPECT_EQ(recipe.activationFor({"L5.g", "g", 5}).momentum, 0.5);
  EXPECT_EQ(bitsAt(recipe, "P"), 16u);
  EXPECT_FALSE(recipe.activationFor({"C", "C", -1}).symmetric);
  EXPECT_TRUE(recipe.weightFor(WeightRole::Linear).perChannel);
  EXPECT_EQ(recipe.weightFor(WeightRole::WordTable).bits, 4u);
  EXPECT_EQ(recipe.weightFor(WeightRole::Classifier).estimator,
            ClipRule::MinMax);
  EXPECT_EQ(recipe.calibration().batchSize, 1u);
  EXPECT_EQ(recipe.calibration().batches, 2u);
  Recipe again = parsed(recipe.toJson().c_str());
  EXPECT_EQ(again.toJson(), recipe.toJson());
  EXPECT_EQ(again.activationFor({"L3.x", "x", 3}), x);

  const std::pair<const char *, const char *> refused[] = {
      {"x.bit=8", "--set: sites.x: unknown key 'bit', expected one of bits"},
      {"x99.y.z=8", "sites: unknown key 'x99.y.z', expected one of s, p"},
      {"Et.groups=2", "Et: unknown key 'groups'"},
      {"x.bits=1", "sites.x.bits: found 1, expected a bit-width"},
      {"x.symmetric=yes", "sites.x.symmetric: found \"yes\", expected true"},
      {"calibration.batches=-1", "calibration.batches: found -1, expected"},
      {"x=1e99", "sites.x: found 1e+99, expected a bit-width"}};
  for (auto [setting, message] : refused) {
    Error error = recipe.set(setting);
    ASSERT_TRUE(error) << setting;
    EXPECT_NE(error.message().find(message), std::string::npos)
        << error.message();
  }
}

TEST(Recipe, BiasCorrection) {
  Recipe recipe = parsed(R"({"base": "mp", "bias_correction": false})");
  EXPECT_FALSE(recipe.correctsBias());
  EXPECT_FALSE(recipe.set("bias_correction=true"));
  EXPECT_TRUE(parsed(recipe.toJson().c_str()).correctsBias());
  EXPECT_TRUE(recipe.set("bias_correction=1"));
  EXPECT_TRUE(Recipe::parse(R"({"bias_correction": 8})", "r.json").message() ==
              "r.json: bias_correction: found 8, expected true or false");
}

TEST(Recipe, SettingsOfRoundingOnTheCommandLine) {
  Recipe recipe = parsed(R"({"adaround": {"samples": 100}})");
  EXPECT_FALSE(recipe.set("adaround.iterations=50"));
  EXPECT_FALSE(recipe.set("adaround.asym=true"));
  EXPECT_FALSE(recipe.set("adaround.inputs=codes"));
  EXPECT_EQ(recipe.rounding().samples, 100u);
  EXPECT_EQ(recipe.rounding().iterations, 50u);
  EXPECT_TRUE(recipe.rounding().asym);
  EXPECT_TRUE(recipe.rounding().codedInputs);
  EXPECT_NE(recipe.set("adaround.steps=9")
                .message()
                .find("unknown key 'steps', expected one of asym, inputs"),
            std::string::npos);
}

TEST(Recipe, OneSideInFloat) {
  Recipe weights = *Recipe::load("w8a32"), codes = *Recipe::load("w32a8");
  for (const Site &site : bertSites(2)) {
    EXPECT_TRUE(weights.activationFor(site).isFloat());
    EXPECT_EQ(codes.activationFor(site).bits, 8u);
  }
  EXPECT_EQ(weights.weightFor(WeightRole::WordTable).bits, 8u);
  EXPECT_TRUE(codes.weightFor(WeightRole::Linear).isFloat());
}

TEST(Recipe, JsonRoundTrip) {
  Recipe recipe = parsed(R"({"base": "default", "sites": {"x3": 16, "y": 8},
      "weights": {"Et": {"bits": 4, "estimator": "minmax"}}})");
  std::string text = recipe.toJson();
  Recipe again = parsed(text.c_str());
  EXPECT_EQ(again.toJson(), text);
  for (const Site &site : bertSites(4))
    EXPECT_EQ(recipe.activationFor(site), again.activationFor(site))
        << site.name;
  EXPECT_EQ(bitsAt(again, "L1.y"), 8u);
}

TEST(Recipe, EveryKeyGoesThroughJson) {
  Recipe recipe = parsed(R"({
      "activation": {"bits": 6, "symmetric": true, "candidates": 50,
                     "estimator": "running_minmax", "momentum": 0.5,
                     "percentile": 99.5},
      "sites": {"x": {"bits": 7, "granularity": "groups", "groups": 6,
                      "permute": true},
                "g": {"estimator": "mse_grid", "candidates": 20},
                "h": {"symmetric": false, "momentum": 0.25},
                "y": {"estimator": "percentile", "percentile": 99}},
      "weight": {"bits": 4, "granularity": "channel", "estimator": "minmax",
                 "rounding": "adaround"},
      "weights": {"Et": {"bits": 3, "granularity": "tensor",
                         "estimator": "percentile", "percentile": 99.5},
                  "wC": {"estimator": "mse_grid", "candidates": 20}}})");
  Recipe again = parsed(recipe.toJson().c_str());
  EXPECT_EQ(again.toJson(), recipe.toJson());
  for (const Site &site : bertSites(2)) {
    ActivationScheme scheme = again.activationFor(site);
    EXPECT_EQ(scheme, recipe.activationFor(site)) << site.name;
    EXPECT_EQ(scheme.symmetric, site.key != "h") << site.name;
    EXPECT_EQ(scheme.momentum, site.key == "h" ? 0.25 : 0.5) << site.name;
    EXPECT_EQ(scheme.candidates, site.key == "g" ? 20 : 50) << site.name;
    EXPECT_EQ(scheme.percentile, site.key == "y" ? 99 : 99.5) << site.name;
  }
  EXPECT_EQ(again.weightFor(WeightRole::WordTable).clip(),
            (ClipSearch{ClipRule::Percentile, 99.5}));
  EXPECT_EQ(again.weightFor(WeightRole::Classifier).clip(),
            (ClipSearch{ClipRule::MseGrid, 0, 20}));
  for (WeightRole role : {WeightRole::WordTable, WeightRole::Linear})
    EXPECT_EQ(again.weightFor(role), recipe.weightFor(role));
  EXPECT_EQ(again.weightFor(WeightRole::Linear).estimator, ClipRule::MinMax);
  EXPECT_TRUE(again.weightFor(WeightRole::Linear).adaptive);
}

TEST(Recipe, SitesTheModelLacks) {
  Error late = parsed(R"({"sites": {"x6": 16}})").check(bertSites(6));
  ASSERT_TRUE(late);
  EXPECT_NE(late.message().find("r.json: sites: 'x6' names no site of this "
                                "model, expected one of "),
            std::string::npos)
      << late.message();
  EXPECT_NE(late.message().find("layer number of 0 to 5"), std::string::npos);
  EXPECT_FALSE(parsed(R"({"sites": {"x5": 16}})").check(bertSites(6)));
}

TEST(Recipe, ZeroPointsOfWeightsNeedOneScale) {
  auto check = [](const char *sites) {
    std::string text =
        std::string(R"({"base": "w8a8-channel", "weight": {"symmetric": false},
                        "sites": {)") +
        sites + "}}";
    Error error = parsed(text.c_str()).check(bertSites(2));
    return error ? error.message() : "";
  };
  EXPECT_EQ(check(""), "");
  EXPECT_EQ(check(R"("y": 16)"), "");
  EXPECT_EQ(
      check(R"("h": {"granularity": "groups", "groups": 6})"),
      "r.json: weight.symmetric: found false, expected true beside groups "
      "at L0.h");
  EXPECT_EQ(
      check(R"("x1": {"granularity": "token"})"),
      "r.json: weight.symmetric: found false, expected true beside ranges "
      "of tokens at L1.x");
  EXPECT_EQ(check(R"("f": 16)"),
            "r.json: weight.symmetric: found false, expected true beside more "
            "than 8 bits at L0.f");
}

} // namespace
