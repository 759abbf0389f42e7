//===- ArithmeticJson.cpp - The keys arithmetic, gelu and softmax ---------===//
//
// What an integer graph computes with between its products.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/RecipeParser.h"

#include <array>

using namespace quern;
using Json = nlohmann::json;

using Gelu = ArithmeticScheme::Gelu;
using Softmax = ArithmeticScheme::Softmax;

template <typename Value, size_t size>
using Names = std::array<std::pair<std::string_view, Value>, size>;

static constexpr Names<bool, 2> arithmetics = {
    {{"f32", false}, {"fixed", true}}};
static constexpr Names<Gelu, 3> gelus = {{{"polynomial", Gelu::Polynomial},
                                          {"i_gelu", Gelu::IGelu},
                                          {"shift_gelu", Gelu::ShiftGelu}}};
static constexpr Names<Softmax, 3> softmaxes = {
    {{"table", Softmax::Table},
     {"i_exp", Softmax::IExp},
     {"shiftmax", Softmax::Shiftmax}}};

template <typename Value, size_t size>
static std::string_view nameOf(const Names<Value, size> &names, Value wanted) {
  for (const auto &[name, value] : names)
    if (value == wanted)
      return name;
  return "?";
}

std::string_view quern::geluName(Gelu gelu) { return nameOf(gelus, gelu); }
std::string_view quern::softmaxName(Softmax softmax) {
  return nameOf(softmaxes, softmax);
}

/// Sets `target` to the value of a name; false for a name that is none, and
/// then `known` lists them.
template <typename Value, size_t size>
static bool choose(const Names<Value, size> &names, const Json &found,
                   Value &target, std::string &known) {
  for (const auto &[name, value] : names) {
    if (found == Json(name)) {
      target = value;
      return true;
    }
    known.append(known.empty() ? "\"" : ", \"").append(name).append("\"");
  }
  return false;
}

bool RecipeParser::isArithmetic(std::string_view key) {
  return key == "arithmetic" || key == "gelu" || key == "softmax";
}

Error RecipeParser::readArithmetic(const std::string &key, const Json &value) {
  ArithmeticScheme &forms = recipe.arithmeticForms;
  std::string known;
  bool isKnown =
      key == "arithmetic" ? choose(arithmetics, value, forms.fixed, known)
      : key == "gelu"     ? choose(gelus, value, forms.gelu, known)
                          : choose(softmaxes, value, forms.softmax, known);
  return isKnown ? Error::success() : fail(key, value, "one of " + known);
}
