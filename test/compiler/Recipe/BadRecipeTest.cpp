//===- BadRecipeTest.cpp - What a recipe may not say ----------------------===//
//
// The message for everything that is not allowed names the key, what was found
// and what is expected.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/Recipe.h"

#include "gtest/gtest.h"

using namespace quern;

namespace {

class BadRecipe
    : public testing::TestWithParam<std::pair<const char *, const char *>> {};

TEST_P(BadRecipe, IsRefused) {
  Expected<Recipe> recipe = Recipe::parse(GetParam().first, "r.json");
  ASSERT_FALSE(recipe);
  EXPECT_NE(recipe.message().find(GetParam().second), std::string::npos)
      << recipe.message();
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRecipe,
    testing::Values(
        std::pair("{", "r.json"),
        std::pair("[]", "recipe: found an array of 0, expected an object"),
        std::pair(R"({"bits": 8})",
                  "unknown key 'bits', expected one of base, activation"),
        std::pair(R"({"base": "w9"})",
                  "base: 'w9' is no preset, expected one of default, w8a8"),
        std::pair(R"({"activation": {"bits": 1}})",
                  "activation.bits: found 1, expected a bit-width that has a "
                  "kernel, 2 to 16, \"learned\" or \"fp32\""),
        std::pair(R"({"activation": 8})", "expected an object or \"fp32\""),
        std::pair(R"({"weight": {"estimator": "best"}})",
                  "weight.estimator: found \"best\", expected one of minmax"),
        std::pair(R"({"weights": {"Et": {"percentile": 40}}})",
                  "weights.Et.percentile: found 40"),
        std::pair(R"({"weight": {"candidates": 1}})",
                  "weight.candidates: found 1, expected a number from 2"),
        std::pair(R"({"activation": {"estimator": "best"}})",
                  "activation.estimator: found \"best\", expected one of "
                  "current_minmax"),
        std::pair(R"({"activation": {"percentile": 10}})",
                  "a number above 50, at most 100"),
        std::pair(R"({"activation": {"symmetric": 1}})",
                  "activation.symmetric: found 1, expected true or false"),
        std::pair(R"({"activation": {"permute": true}})",
                  "activation.permute: found true, expected the key at x, h "
                  "and y only"),
        std::pair(R"({"activation": {"momentum": 1}})",
                  "activation.momentum: found 1, expected a number of at "
                  "least 0 and below 1"),
        std::pair(R"({"sites": {"x": {"candidates": 1}}})",
                  "sites.x.candidates: found 1, expected a number from 2 to "
                  "10000"),
        std::pair(R"({"sites": {"x": {"groups": 6}}})",
                  "sites.x.groups: found 6, expected \"granularity\": "
                  "\"groups\" beside it"),
        std::pair(R"({"sites": {"x": {"granularity": "groups", "groups": 0}}})",
                  "sites.x.groups: found 0, expected a number from 1"),
        std::pair(R"({"sites": {"x": {"form": "fold"}}})",
                  "sites.x.form: found \"fold\", expected \"direct\", "
                  "\"folded\" or \"auto\""),
        std::pair(R"({"sites": {"L2.h": {"form": "folded"}}})",
                  "sites.L2.h.form: found \"folded\", expected the key at x "
                  "only, a LayerNorm output that products read: h and y are "
                  "read element by element"),
        std::pair(R"({"sites": {"L1": {"quantizer": "log2"}}})",
                  "sites.L1.quantizer: found \"log2\", expected the key at p "
                  "only"),
        std::pair(R"({"activation": {"quantizer": "uniform"}})",
                  "activation.quantizer: found \"uniform\", expected the key "
                  "at p only"),
        std::pair(R"({"sites": {"p": {"quantizer": "log"}}})",
                  "sites.p.quantizer: found \"log\", expected \"uniform\", "
                  "\"log2\" or \"log_sqrt2\""),
        std::pair(R"({"sites": {"s": {"estimator": "log_percentile"}}})",
                  "sites.s.estimator: found \"log_percentile\", expected "
                  "another estimator"),
        std::pair(R"({"sites": {"z": {"form": "direct"}}})",
                  "sites.z.form: found \"direct\", expected the key at x"),
        std::pair(R"({"activation": {"form": "auto"}})",
                  "activation.form: found \"auto\", expected the key at x"),
        std::pair(R"({"arithmetic": "integer"})",
                  "arithmetic: found \"integer\", expected one of \"f32\", "
                  "\"fixed\""),
        std::pair(R"({"arithmetic": true})",
                  "arithmetic: found true, expected one of \"f32\""),
        std::pair(R"({"gelu": "igelu"})",
                  "gelu: found \"igelu\", expected one of \"polynomial\", "
                  "\"i_gelu\", \"shift_gelu\""),
        std::pair(R"({"softmax": 8})",
                  "softmax: found 8, expected one of \"table\", \"i_exp\", "
                  "\"shiftmax\""),
        std::pair(R"({"calibration": {"batch": 1}})",
                  "calibration: unknown key 'batch', expected one of "
                  "batch_size, batches"),
        std::pair(R"({"calibration": {"batch_size": 0}})",
                  "calibration.batch_size: found 0, expected a number from 1"),
        std::pair(R"({"activation": {"granularity": "channel"}})",
                  "expected \"tensor\""),
        std::pair(R"({"sites": {"h": {"granularity": "channel"}}})",
                  "\"channel\" at the LayerNorm outputs emb, x and z"),
        std::pair(R"({"sites": {"h": {"granularity": "token"}}})",
                  "\"token\" at the inputs of linear layers emb, x, z, c and "
                  "f"),
        std::pair(R"({"sites": {"E.e": {"granularity": "token"}}})",
                  "sites.E.e.granularity: found \"token\""),
        std::pair(R"({"sites": {"x": {"granularity": "power_of_two"}}})",
                  "sites.x.granularity: found \"power_of_two\", expected "
                  "\"tensor\""),
        std::pair(R"({"sites": {"y": {"granularity": "power_of_two",
                                      "permute": true}}})",
                  "sites.y.granularity: found \"power_of_two\", expected no "
                  "\"permute\" beside it"),
        std::pair(R"({"activation": {"granularity": "token"}})",
                  "activation.granularity: found \"token\""),
        std::pair(R"({"sites": {"x": {"granularity": "dynamic"}}})",
                  "sites.x.granularity: found \"dynamic\", expected \"token\" "
                  "for ranges found at run time: those of a whole batch would "
                  "make each answer depend on what else is in the batch"),
        std::pair(R"({"sites": {"w": 8}})",
                  "sites: unknown key 'w', expected one of s, p, c, g"),
        std::pair(R"({"sites": {"x3.y": 8}})", "unknown key 'x3.y'"),
        std::pair(R"({"sites": {"x": {"bit": 8}}})",
                  "sites.x: unknown key 'bit', expected one of bits"),
        std::pair(R"({"sites": {"x": "wide"}})",
                  "sites.x: found \"wide\", expected 2 to 16"),
        std::pair(R"({"weight": {"bits": 16}})", "weight.bits: found 16"),
        std::pair(R"({"weight": {"granularity": "row"}})",
                  "\"tensor\" or \"channel\""),
        std::pair(R"({"weights": {"wX": 8}})",
                  "weights: unknown key 'wX', expected one of Et, tables")));

TEST(Recipe, ArithmeticIsKept) {
  Expected<Recipe> recipe = Recipe::load("integer-only");
  ASSERT_TRUE(recipe) << recipe.message();
  EXPECT_TRUE(recipe->arithmetic().fixed);
  EXPECT_EQ(recipe->arithmetic().gelu, ArithmeticScheme::Gelu::Polynomial);
  ASSERT_FALSE(recipe->set("gelu=i_gelu"));
  ASSERT_FALSE(recipe->set("softmax=shiftmax"));
  EXPECT_EQ(recipe->arithmetic().gelu, ArithmeticScheme::Gelu::IGelu);
  ASSERT_FALSE(recipe->set("gelu=shift_gelu"));
  EXPECT_EQ(recipe->arithmetic().probabilityScale(), 1.0 / 128);
  Expected<Recipe> again = Recipe::parse(recipe->toJson(), "again");
  ASSERT_TRUE(again) << again.message();
  EXPECT_EQ(again->toJson(), recipe->toJson());
  EXPECT_EQ(again->arithmetic().softmax, ArithmeticScheme::Softmax::Shiftmax);
  EXPECT_EQ(again->arithmetic().gelu, ArithmeticScheme::Gelu::ShiftGelu);
  EXPECT_TRUE(recipe->set("softmax=exp"));
}

TEST(Recipe, FormsNeedFixedArithmetic) {
  const std::vector<Site> sites = {{"L0.p", "p", 0}};
  for (auto [text, message] :
       {std::pair(R"({"gelu": "i_gelu"})",
                  "gelu: found \"i_gelu\", expected \"arithmetic\": \"fixed\""),
        std::pair(R"({"softmax": "i_exp"})",
                  "softmax: found \"i_exp\", expected \"arithmetic\""),
        std::pair(
            R"({"arithmetic": "fixed", "softmax": "i_exp",
                      "sites": {"p": 6}})",
            "softmax: found \"i_exp\" with 6 bits at L0.p, expected 8"),
        std::pair(
            R"({"arithmetic": "fixed", "softmax": "i_exp",
                      "sites": {"p": "fp32"}})",
            "sites.L0.p: found \"fp32\" beside \"arithmetic\": \"fixed\", "
            "expected a number of bits"),
        std::pair(R"({"base": "fp32", "arithmetic": "fixed"})",
                  "sites.L0.p: found \"fp32\" beside \"arithmetic\""),
        std::pair(
            R"({"arithmetic": "fixed",
                      "sites": {"p": {"quantizer": "log2", "bits": 5}}})",
            "sites.L0.p: found \"quantizer\": \"log2\" in 5 bits beside "
            "\"arithmetic\": \"fixed\", expected \"log2\" in 3 or 4 bits"),
        std::pair(
            R"({"arithmetic": "fixed",
                      "sites": {"p": {"quantizer": "log_sqrt2", "bits": 4}}})",
            "sites.L0.p: found \"quantizer\": \"log_sqrt2\" in 4 bits beside"),
        std::pair(
            R"({"arithmetic": "fixed", "softmax": "shiftmax",
                      "sites": {"p": {"quantizer": "log2", "bits": 4}}})",
            "softmax: found \"shiftmax\" beside \"quantizer\": \"log2\" at "
            "L0.p, expected \"table\" or \"i_exp\"")}) {
    Expected<Recipe> recipe = Recipe::parse(text, "r.json");
    ASSERT_TRUE(recipe) << recipe.message();
    Error error = recipe->check(sites);
    ASSERT_TRUE(error);
    EXPECT_NE(error.message().find(message), std::string::npos)
        << error.message();
  }
}

TEST(Recipe, DeepJsonIsNoCrash) {
  std::string deep(10000, '[');
  EXPECT_FALSE(Recipe::parse(deep, "r.json"));
  deep += std::string(10000, ']');
  EXPECT_FALSE(Recipe::parse(deep, "r.json"));
  EXPECT_FALSE(Recipe::parse("{\"sites\": " + deep + "}", "r.json"));
}

TEST(Recipe, FilesThatCannotBeRead) {
  EXPECT_FALSE(Recipe::load("no-such-preset"));
  EXPECT_FALSE(Recipe::load("no/such.json"));
  EXPECT_FALSE(Recipe::load("./"));
}

} // namespace
