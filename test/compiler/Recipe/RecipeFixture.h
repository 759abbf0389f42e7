//===- RecipeFixture.h - A BERT's sites, and recipes for them --*- C++ -*-===//
//
// What the tests of recipes share.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_COMPILER_RECIPE_RECIPEFIXTURE_H
#define QUERN_TEST_COMPILER_RECIPE_RECIPEFIXTURE_H

#include "compiler/Recipe/Recipe.h"

#include "gtest/gtest.h"

namespace quern {

/// The sites of a BERT with the given number of layers and a classifier.
inline std::vector<Site> bertSites(int layers) {
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

/// The recipe of a file with this text.
inline Recipe parsed(const char *text) {
  Expected<Recipe> recipe = Recipe::parse(text, "r.json");
  EXPECT_TRUE(recipe) << recipe.message();
  return recipe ? *recipe : Recipe();
}

/// The bits that a recipe gives a site of BERT-base.
inline unsigned bitsAt(const Recipe &recipe, const char *name) {
  for (const Site &site : bertSites(12))
    if (site.name == name)
      return recipe.activationFor(site).bits;
  ADD_FAILURE() << name;
  return ~0u;
}

} // namespace quern

#endif // QUERN_TEST_COMPILER_RECIPE_RECIPEFIXTURE_H
