//===- PermuteJson.h - How channels become groups, in JSON ---------*- C++ -*-//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The key `permute` of recipes and of ranges.json.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_RECIPE_PERMUTEJSON_H
#define QUERN_COMPILER_RECIPE_PERMUTEJSON_H

#include "compiler/Recipe/Scheme.h"
#include "lib/Support/Json.h"

namespace quern {

/// What readPermute takes, for messages.
inline constexpr char permuteWords[] = "true, false, \"shared-h\" or \"fit\"";

std::optional<Permute> readPermute(const nlohmann::json &value);
nlohmann::json writePermute(Permute permute);

} // namespace quern

#endif // QUERN_COMPILER_RECIPE_PERMUTEJSON_H
