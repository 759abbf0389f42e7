//===- QuantDict.cpp - The quant-dict of the published code ---------------===//
//
// A reader of one flat Python dictionary, and what each entry means. Sites in
// 16 bits keep their whole range, as 16 bits leave nothing to gain by clipping.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/QuantDict.h"

#include "lib/Support/Json.h"

#include <set>

using namespace quern;
using Json = nlohmann::json;

namespace {

/// A value: a number, or a string.
struct Value {
  bool isNumber = false;
  int number = 0;
  std::string text;
};

bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool allDigits(std::string_view text) {
  return !text.empty() && text.size() < 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

class DictReader {
public:
  explicit DictReader(std::string_view text) : text(text) {}

  Expected<std::string> read() {
    if (!take('{'))
      return fail("expected a dictionary such as {'x': 16}");
    while (!take('}')) {
      std::string key;
      Value value;
      if (!string(key))
        return fail("expected a key in quotes");
      if (!take(':'))
        return fail("expected a colon after '" + printable(key) + "'");
      if (!this->value(value))
        return fail("expected a number of bits or a string in quotes as the "
                    "value of '" +
                    printable(key) + "'");
      if (!seen.insert(key).second)
        return fail("'" + printable(key) + "' is there twice");
      if (Error error = entry(key, value))
        return error;
      if (!take(',') && !peek('}'))
        return fail("expected a comma or the closing brace");
    }
    skip();
    if (at != text.size())
      return fail("expected nothing after the closing brace");
    return result.dump();
  }

private:
  Error fail(const std::string &what) {
    return Error::make("--quant-dict: at character ", at + 1, ": ", what);
  }
  static Error refuse(const std::string &key, const std::string &what) {
    return Error::make("--quant-dict: '", printable(key), "': ", what);
  }

  void skip() {
    while (at < text.size() &&
           std::string_view(" \t\r\n").find(text[at]) != std::string_view::npos)
      ++at;
  }
  bool peek(char c) {
    skip();
    return at < text.size() && text[at] == c;
  }
  bool take(char c) {
    if (!peek(c))
      return false;
    ++at;
    return true;
  }
  /// Names have no escapes, so a backslash is an error like any other.
  bool string(std::string &out) {
    skip();
    if (at == text.size() || (text[at] != '\'' && text[at] != '"'))
      return false;
    size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos)
      return false;
    out = text.substr(at + 1, end - at - 1);
    at = end + 1;
    return true;
  }
  bool value(Value &out) {
    skip();
    size_t end = at;
    while (end < text.size() && isDigit(text[end]))
      ++end;
    if (end == at)
      return string(out.text);
    out.isNumber = true;
    std::string_view digits = text.substr(at, end - at);
    if (!allDigits(digits))
      return false;
    out.number = std::stoi(std::string(digits));
    at = end;
    return true;
  }

  /// Whether the key is of an activation site.
  static bool isSite(const std::string &key) {
    if (key == "e" || key == "P" || key == "C")
      return true;
    static constexpr std::string_view letters = "spcguxhyzL";
    return !key.empty() && letters.find(key[0]) != std::string_view::npos &&
           (key.size() == 1 || allDigits(key.substr(1)));
  }

  Error entry(const std::string &key, const Value &value) {
    if (key == "wP")
      return refuse(key, "the published code sets the pooler's activation by "
                         "this name, which is 'P'; the pooler's weight is "
                         "\"weights\": {\"wP\": ...} of a recipe");
    if (key == "Et" || key == "wC") {
      if (!value.isNumber && value.text != "fp32")
        return refuse(key, "found '" + printable(value.text) +
                               "', expected a number of bits or 'fp32'");
      Json weight = {
          {"bits", value.isNumber ? Json(value.number) : Json(value.text)}};
      // The published code searches the range of this table by squared error.
      if (key == "Et")
        weight["estimator"] = "mse";
      result["weights"][key] = weight;
      return Error::success();
    }
    if (!isSite(key))
      return refuse(key, "unknown key, expected one of e, s, p, c, g, u, x, h, "
                         "y, z, L (each of a layer also with its number), P, "
                         "C, Et, wC");
    return site(key, value);
  }

  Error site(const std::string &key, const Value &value) {
    Json &scheme = result["sites"][key];
    if (value.isNumber) {
      scheme["bits"] = value.number;
      if (value.number == 16)
        scheme["estimator"] = "allminmax";
      return Error::success();
    }
    if (value.text == "fp32") {
      scheme = "fp32";
      return Error::success();
    }
    // Outputs of LayerNorms that a linear layer reads move their scales into
    // its weights; the three sites of groups take one group a channel.
    if (value.text == "per_embd") {
      bool grouped = key[0] == 'x' || key[0] == 'h' || key[0] == 'y';
      scheme["granularity"] = grouped ? "per-embedding" : "channel";
      return Error::success();
    }
    bool permuted = value.text.rfind("ngp", 0) == 0;
    std::string groups = value.text.substr(
        std::min<size_t>(value.text.size(), permuted ? 3 : 2));
    if (value.text.rfind("ng", 0) == 0 && allDigits(groups)) {
      scheme["granularity"] = "groups";
      scheme["groups"] = std::stoi(groups);
      scheme["permute"] = permuted;
      return Error::success();
    }
    return refuse(key, "found '" + printable(value.text) +
                           "', expected a number of bits, 'fp32', 'per_embd', "
                           "'ngK' or 'ngpK' with K groups");
  }

  std::string_view text;
  size_t at = 0;
  std::set<std::string> seen;
  Json result = Json::object();
};

} // namespace

Expected<std::string> quern::readQuantDict(std::string_view dict) {
  return DictReader(dict).read();
}
