//===- FrontJson.cpp - The front of auto as a file ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Front.h"
#include "lib/Support/Json.h"

#include <cmath>

using Json = nlohmann::ordered_json;

namespace quern {

std::string frontJson(const AutoResult &result) {
  Json candidates = Json::array();
  for (size_t i = 0; i < result.candidates.size(); ++i) {
    const AutoCandidate &one = result.candidates[i];
    Json entry = {{"name", one.name}};
    if (!one.failure.empty()) {
      entry["failure"] = one.failure;
    } else {
      entry["drop"] = one.drop.points;
      entry["predicted_time"] = one.cost;
      entry["bytes"] = one.bytes;
      entry["front"] = one.onFront;
      entry["chosen"] = i == result.chosen;
    }
    candidates.push_back(std::move(entry));
  }
  Json top = {{"max_drop", result.maxDrop},
              {"texts", result.texts},
              {"candidates", std::move(candidates)}};
  return top.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// A number that has to be there, within limits.
static Error readNumber(const JsonObject &object, const char *key, double low,
                        double high, double &value) {
  const nlohmann::json *found = object.find(key);
  std::string wanted = "a number from " + std::to_string(int64_t(low)) +
                       " to " + std::to_string(int64_t(high));
  if (!found || !found->is_number())
    return object.expected(key, wanted);
  value = found->get<double>();
  if (!(value >= low && value <= high))
    return object.expected(key, wanted);
  return Error::success();
}

static Error readPoint(const nlohmann::json &entry, const std::string &where,
                       Front &front) {
  if (!entry.is_object())
    return Error::make(where, ": found ", describeJson(entry),
                       ", expected an object");
  JsonObject object(entry, where);
  if (object.find("failure"))
    return Error::success();
  FrontPoint point;
  Expected<std::string> name = object.getString("name", "");
  if (!name)
    return name.takeError();
  if (name->empty())
    return object.expected("name", "a name");
  point.name = *name;
  if (Error error = readNumber(object, "drop", -1e6, 1e6, point.drop))
    return error;
  if (Error error = readNumber(object, "predicted_time", 1, 1e6, point.time))
    return error;
  Expected<int64_t> bytes = object.getInteger("bytes", 0, int64_t(1) << 50);
  if (!bytes)
    return bytes.takeError();
  point.bytes = uint64_t(*bytes);
  Expected<bool> onFront = object.getBool("front", false);
  if (!onFront)
    return onFront.takeError();
  point.isOnFront = *onFront;
  Expected<bool> chosen = object.getBool("chosen", false);
  if (!chosen)
    return chosen.takeError();
  point.isChosen = *chosen;
  front.points.push_back(std::move(point));
  return Error::success();
}

Expected<Front> readFront(const std::string &path) {
  Expected<nlohmann::json> json = readJsonObject(path);
  if (!json)
    return json.takeError();
  JsonObject object(*json, path);
  Front front;
  if (Error error = readNumber(object, "max_drop", 0, 100, front.maxDrop))
    return error;
  Expected<int64_t> texts = object.getInteger("texts", 1, int64_t(1) << 40);
  if (!texts)
    return texts.takeError();
  front.texts = uint64_t(*texts);
  const nlohmann::json *candidates = object.find("candidates");
  if (!candidates || !candidates->is_array() || candidates->empty() ||
      candidates->size() > 1000)
    return object.expected("candidates", "an array of 1 to 1000 objects");
  for (size_t i = 0; i < candidates->size(); ++i)
    if (Error error =
            readPoint((*candidates)[i],
                      path + ": candidates[" + std::to_string(i) + "]", front))
      return error;
  if (front.points.empty())
    return object.expected("candidates", "one that could be compiled");
  return front;
}

} // namespace quern
