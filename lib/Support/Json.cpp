//===- Json.cpp - JSON of untrusted files, without exceptions -------------===//
//
// A SAX handler stands between the parser and the tree builder: it stops at
// the first bracket that nests too deep and at the first repeated key.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Json.h"

#include "lib/Support/File.h"

#include <set>
#include <vector>

using namespace quern;
using nlohmann::json;

namespace {
/// Forwards events to the library's tree builder and checks them on the way.
class CheckedBuilder {
public:
  CheckedBuilder(json &root, unsigned maxDepth)
      : builder(root, /*allow_exceptions=*/false), maxDepth(maxDepth) {}

  bool null() { return builder.null(); }
  bool boolean(bool value) { return builder.boolean(value); }
  bool number_integer(json::number_integer_t value) {
    return builder.number_integer(value);
  }
  bool number_unsigned(json::number_unsigned_t value) {
    return builder.number_unsigned(value);
  }
  bool number_float(json::number_float_t value, const std::string &text) {
    return builder.number_float(value, text);
  }
  bool string(std::string &value) { return builder.string(value); }
  bool binary(json::binary_t &value) { return builder.binary(value); }
  bool start_object(size_t size) {
    keys.emplace_back();
    return enter() && builder.start_object(size);
  }
  bool end_object() {
    keys.pop_back();
    --depth;
    return builder.end_object();
  }
  bool start_array(size_t size) { return enter() && builder.start_array(size); }
  bool end_array() {
    --depth;
    return builder.end_array();
  }
  bool key(std::string &name) {
    if (!keys.back().insert(name).second) {
      problem = "key \"" + printable(name) + "\" is given twice";
      return false;
    }
    return builder.key(name);
  }
  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    std::string what = error.what();
    size_t start = what.find("] ");
    problem =
        "byte " + std::to_string(position) + ": " +
        printable(start == what.npos ? what : what.substr(start + 2), 200);
    return false;
  }

  std::string problem;

private:
  bool enter() {
    if (++depth <= maxDepth)
      return true;
    problem = "found JSON nested deeper than " + std::to_string(maxDepth) +
              " levels, expected no more";
    return false;
  }

  nlohmann::detail::json_sax_dom_parser<json> builder;
  unsigned maxDepth;
  unsigned depth = 0;
  std::vector<std::set<std::string>> keys;
};
} // namespace

Expected<json> quern::parseJson(std::string_view text, const std::string &file,
                                unsigned maxDepth) {
  if (text.empty())
    return Error::make(file, ": found an empty file, expected JSON");
  // The parser takes a zero byte for the end and would ignore what follows.
  if (size_t zero = text.find('\0'); zero != text.npos)
    return Error::make(file, ": byte ", zero + 1,
                       ": found a zero byte, expected JSON");
  json root;
  CheckedBuilder builder(root, maxDepth);
  if (!json::sax_parse(text.begin(), text.end(), &builder))
    return Error::make(file, ": ",
                       builder.problem.empty() ? "found no JSON"
                                               : builder.problem);
  return root;
}

Expected<json> quern::readJsonObject(const std::string &path) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  Expected<json> root = parseJson((*file)->text(), path);
  if (root && !root->is_object())
    return Error::make(path, ": found ", describeJson(*root),
                       ", expected a JSON object");
  return root;
}

std::string quern::describeJson(const json &value) {
  switch (value.type()) {
  case json::value_t::string:
    return '"' + printable(value.get_ref<const std::string &>()) + '"';
  case json::value_t::array:
    return "an array of " + std::to_string(value.size());
  case json::value_t::object:
    return "an object";
  case json::value_t::null:
    return "null";
  case json::value_t::boolean:
    return value.get<bool>() ? "true" : "false";
  case json::value_t::number_integer:
    return std::to_string(value.get<int64_t>());
  case json::value_t::number_unsigned:
    return std::to_string(value.get<uint64_t>());
  case json::value_t::number_float:
    return value.dump();
  default:
    return "another kind of value";
  }
}

const json *JsonObject::find(const char *key) const {
  auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Error JsonObject::expected(const char *key, const std::string &what) const {
  const json *value = find(key);
  return Error::make(file, ": ", key, ": found ",
                     value ? describeJson(*value) : "nothing", ", expected ",
                     what);
}

Expected<int64_t> JsonObject::getInteger(const char *key, int64_t low,
                                         int64_t high) const {
  const json *value = find(key);
  // Two comparisons: an unsigned value may not fit into int64_t.
  bool fits = value && value->is_number_integer() &&
              (value->is_number_unsigned()
                   ? value->get<uint64_t>() <= uint64_t(INT64_MAX)
                   : true);
  if (!fits || value->get<int64_t>() < low || value->get<int64_t>() > high)
    return expected(key, "an integer from " + std::to_string(low) + " to " +
                             std::to_string(high));
  return value->get<int64_t>();
}

Expected<int64_t> JsonObject::getInteger(const char *key, int64_t low,
                                         int64_t high, int64_t absent) const {
  return find(key) ? getInteger(key, low, high) : Expected<int64_t>(absent);
}

Expected<double> JsonObject::getNumber(const char *key, double absent) const {
  const json *value = find(key);
  if (!value)
    return absent;
  if (!value->is_number())
    return expected(key, "a number");
  return value->get<double>();
}

Expected<bool> JsonObject::getBool(const char *key, bool absent) const {
  const json *value = find(key);
  if (!value)
    return absent;
  if (!value->is_boolean())
    return expected(key, "true or false");
  return value->get<bool>();
}

Expected<std::string> JsonObject::getString(const char *key,
                                            const std::string &absent) const {
  const json *value = find(key);
  if (!value)
    return absent;
  if (!value->is_string())
    return expected(key, "a string");
  return value->get<std::string>();
}
