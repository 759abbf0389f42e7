//===- Selector.h - Names of sites in a recipe ---------------------*- C++ -*-//
//
// What stands on the left in `sites` and in --set: `L`, `L5`, `x`, `x3`,
// `L3.x`, `P`, ... Which sites a selector covers, how specific it is, and what
// may be asked of the sites that it covers.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_RECIPE_SELECTOR_H
#define QUERN_COMPILER_RECIPE_SELECTOR_H

#include "compiler/Recipe/Scheme.h"

#include <string>
#include <string_view>

namespace quern {

/// True when `selector` covers the site.
bool selectorCovers(std::string_view selector, const Site &site);

/// How specific a selector is that covers the site; larger wins.
int selectorRank(std::string_view selector, const Site &site);
constexpr int highestSelectorRank = 4;

/// Whether any model could have the selector.
bool isSelector(std::string_view text);

/// All selectors, for messages.
std::string selectorWords();

/// Whether a selector names outputs of LayerNorms.
bool namesNormOutput(std::string_view selector);

/// Whether a selector names sites that feed linear layers, whose tokens can
/// have ranges of their own.
bool takesTokens(std::string_view selector);

/// Whether a selector names sites whose channels can have groups.
bool takesGroups(std::string_view selector);

/// Whether a selector names residual sums, which a LayerNorm alone reads.
bool namesResidualSum(std::string_view selector);

/// Whether a selector names attention probabilities, which can have
/// logarithmic codes.
bool takesLog(std::string_view selector);

/// Whether a selector names sites whose groups products read, which take the
/// groups' scales in one form or another.
bool takesForm(std::string_view selector);

} // namespace quern

#endif // QUERN_COMPILER_RECIPE_SELECTOR_H
