//===- Json.h - JSON of untrusted files, without exceptions ---------------===//
//
// Parses JSON that came from outside: nesting is limited, duplicate keys are
// refused, errors name file and position. Accessors return errors where the
// library's own would throw. Include it from .cpp files only: it is large.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_JSON_H
#define QUERN_LIB_SUPPORT_JSON_H

#include "lib/Support/Status.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace quern {

/// Parses `text`. `file` is only for messages. Objects and arrays nested more
/// than `maxDepth` deep are an error.
Expected<nlohmann::json> parseJson(std::string_view text,
                                   const std::string &file,
                                   unsigned maxDepth = 64);

/// Reads and parses a file that must hold an object (`{...}`).
Expected<nlohmann::json> readJsonObject(const std::string &path);

/// How a message shows a value: `"gelu"`, `12`, `an array`, ...
std::string describeJson(const nlohmann::json &value);

/// A JSON object and the file that it came from: typed look-ups whose errors
/// name file, key, what was found and what was expected. Keys with the value
/// null count as absent, as they do for the exporters that write them.
class JsonObject {
public:
  JsonObject(const nlohmann::json &object, std::string file)
      : object(object), file(std::move(file)) {}

  /// The file's name, for messages.
  const std::string &path() const { return file; }
  /// The value of a key, or null when it is absent.
  const nlohmann::json *find(const char *key) const;
  /// An integer between `low` and `high`; an absent key is an error.
  Expected<int64_t> getInteger(const char *key, int64_t low,
                               int64_t high) const;
  /// The same with a value for an absent key.
  Expected<int64_t> getInteger(const char *key, int64_t low, int64_t high,
                               int64_t absent) const;
  /// A number, or `absent`.
  Expected<double> getNumber(const char *key, double absent) const;
  /// A boolean, or `absent`.
  Expected<bool> getBool(const char *key, bool absent) const;
  /// A string, or `absent`.
  Expected<std::string> getString(const char *key,
                                  const std::string &absent) const;

  /// The error `FILE: KEY: found VALUE, expected WHAT`.
  Error expected(const char *key, const std::string &what) const;

private:
  const nlohmann::json &object;
  std::string file;
};

} // namespace quern

#endif // QUERN_LIB_SUPPORT_JSON_H
