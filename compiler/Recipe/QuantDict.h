//===- QuantDict.h - The quant-dict of the published code ----------*- C++ -*-//
//
// The code published with the papers takes `--quant-dict`, a Python dictionary
// such as {'x': 16, 'h': 'ng6', 'Et': 2}, and evaluates it. Here it is read as
// text and becomes the keys of a recipe.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_RECIPE_QUANTDICT_H
#define QUERN_COMPILER_RECIPE_QUANTDICT_H

#include "lib/Support/Status.h"

#include <string>
#include <string_view>

namespace quern {

/// The `sites` and `weights` of a recipe, as JSON, that say the same as the
/// dictionary. Keys and values without an equal in a recipe are errors.
Expected<std::string> readQuantDict(std::string_view dict);

} // namespace quern

#endif // QUERN_COMPILER_RECIPE_QUANTDICT_H
