//===- Neighbours.cpp - What sites need beside them -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/Neighbours.h"

#include <algorithm>
#include <string_view>

using namespace quern;

/// Groups at x are quantized from the codes that the layer starts from, and the
/// LayerNorm that makes them, an integer one only if all around it has codes,
/// writes its channels in the groups' order. Vision models have that LayerNorm
/// in the layer.
static Error checkGroupSource(const Site &site, const std::vector<Site> &sites,
                              const Recipe &recipe) {
  bool isVision = std::any_of(sites.begin(), sites.end(),
                              [](const Site &s) { return s.key == "i"; });
  bool isOrdered = recipe.activationFor(site).permute != Permute::None;
  if (isVision || (site.key != "x" && !isOrdered))
    return Error::success();
  for (const Site &other : sites)
    if (other.layer == site.layer - 1 &&
        (other.key == "z" || other.key == "emb" ||
         (isOrdered &&
          (other.key == "x" || other.key == "h" || other.key == "y"))) &&
        recipe.activationFor(other).isFloat())
      return Error::make("sites.", site.name, ": found groups behind ",
                         other.name, " in f32, expected codes there");
  return Error::success();
}

Error quern::checkGroupNeighbours(const Site &site,
                                  const std::vector<Site> &sites,
                                  const Recipe &recipe) {
  if (recipe.weightFor(WeightRole::Linear).isFloat())
    return Error::make("sites.", site.name,
                       ": found groups, expected weights with codes");
  for (const Site &other : sites) {
    if (other.layer != site.layer ||
        std::string_view("guxfhy").find(other.key) == std::string_view::npos)
      continue;
    ActivationScheme scheme = recipe.activationFor(other);
    if (scheme.isFloat())
      return Error::make("sites.", site.name, ": found groups beside ",
                         other.name, " in f32, expected codes there");
    if (scheme.perToken)
      return Error::make("sites.", site.name, ": found groups beside ",
                         other.name,
                         " with ranges of tokens, expected calibrated ranges "
                         "there");
    // Two planes of bytes have no product to groups of columns.
    if (site.key == "h" && other.key == "f" && scheme.bits > 8)
      return Error::make("sites.", site.name, ": found groups beside ",
                         other.name, " in ", scheme.bits,
                         " bits, expected at most 8");
  }
  return checkGroupSource(site, sites, recipe);
}

Error quern::checkBlockNeighbours(const Site &site,
                                  const std::vector<Site> &sites,
                                  const Recipe &recipe,
                                  const std::string &prefix) {
  if (recipe.arithmetic().fixed)
    return Error::make(prefix, ": sites.", site.name,
                       ": found steps of blocks, expected one step with fixed "
                       "arithmetic");
  return checkGroupNeighbours(site, sites, recipe);
}

Error quern::checkHeadNeighbours(const Site &site,
                                 const std::vector<Site> &sites,
                                 const Recipe &recipe,
                                 const std::string &prefix) {
  auto fail = [&](auto... expected) {
    return Error::make(prefix, ": sites.", site.name,
                       ": found steps of heads, expected ", expected...);
  };
  if (recipe.arithmetic().fixed)
    return fail("one step with fixed arithmetic");
  if (recipe.weightFor(WeightRole::Linear).isFloat())
    return fail("weights with codes beside them");
  for (const Site &other : sites) {
    if (other.layer != site.layer ||
        std::string_view("qkvspc").find(other.key) == std::string_view::npos)
      continue;
    ActivationScheme beside = recipe.activationFor(other);
    if (beside.isFloat() || beside.bits > 8 || beside.isLog())
      return fail("uniform codes of at most 8 bits at ", other.name);
  }
  return Error::success();
}

Error quern::checkLogNeighbours(const Site &site,
                                const std::vector<Site> &sites,
                                const Recipe &recipe) {
  ActivationScheme scheme = recipe.activationFor(site);
  auto fail = [&](auto... found) {
    return Error::make("sites.", site.name, ": found ",
                       quantizerName(scheme.quantizer), " beside ", found...);
  };
  if (recipe.weightFor(WeightRole::Linear).isFloat())
    return fail("weights in f32, expected codes");
  for (const Site &other : sites) {
    if (other.layer != site.layer ||
        std::string_view("qkvsc").find(other.key) == std::string_view::npos)
      continue;
    ActivationScheme beside = recipe.activationFor(other);
    if (beside.isFloat())
      return fail(other.name, " in f32, expected codes there");
    if (beside.bits > 8 && other.key != "c")
      return fail(other.name, " in ", beside.bits, " bits, expected at most 8");
  }
  return Error::success();
}
