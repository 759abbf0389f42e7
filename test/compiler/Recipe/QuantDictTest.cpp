//===- QuantDictTest.cpp - Keys of the published code ---------------------===//
//
// Its dictionaries and its set-up of the logits, read without being evaluated.
//
//===----------------------------------------------------------------------===//
#include "RecipeFixture.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

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

} // namespace
