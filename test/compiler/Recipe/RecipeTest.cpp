//===- RecipeTest.cpp - Recipe files, presets, selectors ------------------===//
//
// What a recipe says of each site, and in which order selectors win.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/Recipe.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

/// The sites of a BERT with the given number of layers and a classifier.
std::vector<Site> bertSites(int layers) {
  std::vector<Site> sites = {
      {"E.t", "e", -1}, {"E.e", "e", -1}, {"E.z", "emb", -1}};
  for (int layer = 0; layer < layers; ++layer)
    for (const char *key :
         {"q", "k", "v", "s", "p", "c", "g", "u", "x", "f", "h", "y", "z"})
      sites.push_back({"L" + std::to_string(layer) + "." + key, key, layer});
  sites.push_back({"P", "P", -1});
  sites.push_back({"C", "C", -1});
  return sites;
}

Recipe parsed(const char *text) {
  Expected<Recipe> recipe = Recipe::parse(text, "r.json");
  EXPECT_TRUE(recipe) << recipe.message();
  return recipe ? *recipe : Recipe();
}

unsigned bitsAt(const Recipe &recipe, const char *name) {
  for (const Site &site : bertSites(12))
    if (site.name == name)
      return recipe.activationFor(site).bits;
  ADD_FAILURE() << name;
  return ~0u;
}

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

/// Names of the sites that two recipes treat differently.
std::vector<std::string> changedSites(const Recipe &a, const Recipe &b) {
  std::vector<std::string> changed;
  for (const Site &site : bertSites(12))
    if (!(a.activationFor(site) == b.activationFor(site)))
      changed.push_back(site.name);
  return changed;
}

TEST(E13, EveryKeyChangesExactlyItsSites) {
  const Recipe base = *Recipe::load("w8a8");
  auto changedBy = [&](const std::string &key) {
    Recipe recipe = base;
    Error error = recipe.set(key + "=16");
    EXPECT_FALSE(error) << error.message();
    EXPECT_FALSE(recipe.check(bertSites(12)));
    return changedSites(base, recipe);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(changedBy("e"), (Names{"E.t", "E.e"}));
  EXPECT_EQ(changedBy("emb"), Names{"E.z"});
  for (std::string key : {"P", "C"})
    EXPECT_EQ(changedBy(key), Names{key});
  Names inner;
  for (const char *key :
       {"q", "k", "v", "s", "p", "c", "g", "u", "x", "f", "h", "y", "z"}) {
    Names everywhere;
    for (int layer = 0; layer < 12; ++layer) {
      std::string number = std::to_string(layer);
      std::string name = "L" + number + "." + key;
      everywhere.push_back(name);
      EXPECT_EQ(changedBy(key + number), Names{name});
      EXPECT_EQ(changedBy(name), Names{name});
    }
    EXPECT_EQ(changedBy(key), everywhere);
  }
  EXPECT_EQ(changedBy("L").size(), 156u);
  EXPECT_EQ(changedBy("L7").size(), 13u);
  EXPECT_EQ(changedBy("L7").front(), "L7.q");
  for (const char *key : {"x12", "L12", "L12.x"}) {
    Recipe recipe = base;
    EXPECT_FALSE(recipe.set(std::string(key) + "=16"));
    EXPECT_TRUE(recipe.check(bertSites(12))) << key;
  }
  for (const char *key : {"w", "X", "xx", "x-1", "E.x", "wX", "", "L.x"})
    EXPECT_TRUE(Recipe(base).set(std::string(key) + "=16")) << key;
}

TEST(Recipe, QuantSetupIsAboutTheLogits) {
  Recipe base = *Recipe::load("w8a8");
  Recipe real = parsed(R"({"base": "w8a8", "quant_setup": "FP_logits"})");
  EXPECT_EQ(changedSites(base, real), std::vector<std::string>{"C"});
  EXPECT_EQ(bitsAt(real, "C"), 0u);
  Recipe searched = base;
  EXPECT_FALSE(searched.set("quant_setup=MSE_logits"));
  EXPECT_EQ(changedSites(base, searched), std::vector<std::string>{"C"});
  EXPECT_EQ(searched.activationFor({"C", "C", -1}).estimator,
            Estimator::MseGolden);
  EXPECT_EQ(parsed(searched.toJson().c_str()).toJson(), searched.toJson());
  EXPECT_FALSE(Recipe(base).set("quant_setup=all"));
  EXPECT_TRUE(Recipe(base).set("quant_setup=some"));
}

TEST(Recipe, QuantDictOfThePublishedCode) {
  Recipe recipe = *Recipe::load("w8a8");
  Error error = recipe.setQuantDict(
      " {'x':16, \"h3\" : 16,'y': 'fp32', 'Et':2, 'wC': 8, 'z1':'per_embd',}");
  ASSERT_FALSE(error) << error.message();
  EXPECT_EQ(bitsAt(recipe, "L5.x"), 16u);
  EXPECT_EQ(recipe.activationFor({"L5.x", "x", 5}).estimator,
            Estimator::AllMinMax);
  EXPECT_EQ(bitsAt(recipe, "L3.h"), 16u);
  EXPECT_EQ(bitsAt(recipe, "L4.h"), 8u);
  EXPECT_EQ(bitsAt(recipe, "L4.y"), 0u);
  EXPECT_TRUE(recipe.activationFor({"L1.z", "z", 1}).perChannel);
  EXPECT_EQ(recipe.weightFor(WeightRole::WordTable).bits, 2u);
  EXPECT_EQ(recipe.weightFor(WeightRole::Classifier).bits, 8u);
  EXPECT_FALSE(recipe.setQuantDict("{}"));

  recipe = *Recipe::load("w8a8");
  error = recipe.setQuantDict("{'x': 'ng6', 'h': 'ngp3', 'y': 'per_embd'}");
  ASSERT_FALSE(error) << error.message();
  ActivationScheme x = recipe.activationFor({"L1.x", "x", 1});
  EXPECT_EQ(x.groups, 6u);
  EXPECT_EQ(x.permute, Permute::None);
  ActivationScheme h = recipe.activationFor({"L1.h", "h", 1});
  EXPECT_EQ(h.groups, 3u);
  EXPECT_EQ(h.permute, Permute::Own);
  EXPECT_EQ(recipe.activationFor({"L1.y", "y", 1}).groups,
            ActivationScheme::everyChannel);
}

TEST(Recipe, QuantDictsThatAreRefused) {
  const std::pair<const char *, const char *> cases[] = {
      {"", "expected a dictionary"},
      {"{'x': 16", "expected a comma or the closing brace"},
      {"{'x': 16} or {}", "expected nothing after the closing brace"},
      {"{x: 16}", "expected a key in quotes"},
      {"{'x' 16}", "expected a colon after 'x'"},
      {"{'x': __import__('os')}", "value of 'x'"},
      {"{'x': 99999999999}", "value of 'x'"},
      {"{'x': 16, 'x': 8}", "'x' is there twice"},
      {"{'x': 17}", "sites.x.bits: found 17, expected a bit-width"},
      {"{'x': 'wide'}", "'ngK' or 'ngpK' with K groups"},
      {"{'s': 'ng6'}", "sites.s.granularity: found"},
      {"{'q': 16}", "'q': unknown key, expected one of e, s, p"},
      {"{'wP': 8}", "pooler's activation"},
      {"{'Et': 'ng6'}", "expected a number of bits or 'fp32'"},
      {"{'wC': 16}", "weights.wC.bits: found 16"},
  };
  for (auto [dict, what] : cases) {
    Error error = Recipe::load("w8a8")->setQuantDict(dict);
    ASSERT_TRUE(error) << dict;
    EXPECT_NE(error.message().find(what), std::string::npos) << error.message();
  }
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
                "h": {"symmetric": false, "candidates": 20, "momentum": 0.25,
                      "estimator": "percentile", "percentile": 99}},
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

TEST(Recipe, ALaterGranularityEndsGroups) {
  Recipe recipe = *Recipe::load("w8a8");
  ASSERT_FALSE(recipe.set("h.groups=6"));
  ASSERT_FALSE(recipe.set("h.granularity=tensor"));
  Recipe again = parsed(recipe.toJson().c_str());
  EXPECT_EQ(again.activationFor({"L0.h", "h", 0}).groups, 0u);
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
