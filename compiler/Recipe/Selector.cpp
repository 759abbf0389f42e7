//===- Selector.cpp - Names of sites in a recipe --------------------------===//
//
// See Selector.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/Selector.h"
#include "compiler/Recipe/RecipeParser.h"

using namespace quern;

namespace {

/// The letters of quantization.md 4.1 that take a layer number, then ours.
constexpr std::initializer_list<std::string_view> layerKeys = {
    "s", "p", "c", "g", "u", "x", "h", "y", "z", "q", "k", "v", "f", "L"};
constexpr std::initializer_list<std::string_view> otherKeys = {
    "e", "emb", "i", "P", "C", "E.t", "E.e", "E.z", "E.i"};

bool contains(std::initializer_list<std::string_view> words,
              std::string_view word) {
  for (std::string_view known : words)
    if (known == word)
      return true;
  return false;
}

bool isNumber(std::string_view text) {
  return !text.empty() && text.size() < 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

} // namespace

bool quern::selectorCovers(std::string_view selector, const Site &site) {
  if (selector == site.name || selector == site.key)
    return true;
  if (site.layer < 0)
    return false;
  std::string layer = std::to_string(site.layer);
  return selector == "L" || selector == "L" + layer ||
         selector == site.key + layer;
}

int quern::selectorRank(std::string_view selector, const Site &site) {
  if (selector == "L")
    return 0;
  if (selector.size() > 1 && selector[0] == 'L' && isNumber(selector.substr(1)))
    return 1;
  if (selector == site.name && selector != site.key)
    return highestSelectorRank;
  return selector == site.key ? 2 : 3;
}

bool quern::isSelector(std::string_view text) {
  if (contains(layerKeys, text) || contains(otherKeys, text))
    return true;
  if (text.size() > 1 && contains(layerKeys, text.substr(0, 1)) &&
      isNumber(text.substr(1)))
    return true;
  size_t dot = text.find('.');
  return dot != std::string_view::npos && text[0] == 'L' &&
         isNumber(text.substr(1, dot - 1)) && text.substr(dot + 1) != "L" &&
         contains(layerKeys, text.substr(dot + 1));
}

std::string quern::selectorWords() {
  return joinWords(layerKeys) +
         " (each alone, with a layer number as in x3, "
         "or as a full name L3.x), " +
         joinWords(otherKeys);
}

/// The letter of a selector of one site of a layer, else a blank.
static char letterOf(std::string_view selector) {
  size_t dot = selector.find('.');
  return selector.empty() || selector[0] == 'E' ? ' '
         : dot == std::string_view::npos        ? selector[0]
                                                : selector[dot + 1];
}

bool quern::namesNormOutput(std::string_view selector) {
  char key = letterOf(selector);
  return selector == "emb" || selector == "E.z" || key == 'x' || key == 'z';
}

bool quern::takesTokens(std::string_view selector) {
  char key = letterOf(selector);
  return namesNormOutput(selector) || key == 'c' || key == 'f';
}

bool quern::takesForm(std::string_view selector) {
  return takesGroups(selector) && namesNormOutput(selector);
}

bool quern::takesGroups(std::string_view selector) {
  char key = letterOf(selector);
  return key == 'x' || key == 'h' || key == 'y';
}

bool quern::namesResidualSum(std::string_view selector) {
  char key = letterOf(selector);
  return key == 'u' || key == 'y' || selector == "e" || selector == "E.e";
}

bool quern::takesLog(std::string_view selector) {
  return letterOf(selector) == 'p';
}
