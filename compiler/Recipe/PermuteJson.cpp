//===- PermuteJson.cpp - How channels become groups, in JSON --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/PermuteJson.h"

using Json = nlohmann::json;

namespace quern {

static std::vector<std::pair<Permute, Json>> permuteTable() {
  return {{Permute::None, false},
          {Permute::Own, true},
          {Permute::SharedH, "shared-h"},
          {Permute::Fit, "fit"}};
}

std::optional<Permute> readPermute(const Json &value) {
  for (const auto &[permute, json] : permuteTable())
    if (value == json)
      return permute;
  return std::nullopt;
}

Json writePermute(Permute permute) {
  for (const auto &[known, json] : permuteTable())
    if (known == permute)
      return json;
  return nullptr;
}

} // namespace quern
