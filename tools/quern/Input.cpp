//===- Input.cpp - Texts from the command line and from files -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Input.h"

#include "lib/Support/Json.h"

#include <cstdio>
#include <filesystem>
#include <iostream>

namespace quern::cli {

Expected<RecordReader> RecordReader::open(const std::string &path, bool pairs) {
  RecordReader reader;
  reader.path = path == "-" ? "standard input" : path;
  reader.pairs = pairs;
  if (path == "-") {
    reader.stream = &std::cin;
    return Expected<RecordReader>(std::move(reader));
  }
  std::error_code code;
  if (std::filesystem::is_directory(path, code))
    return Error::make(path, ": is a directory, expected a text file");
  reader.file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*reader.file)
    return Error::make(path, ": cannot be read");
  reader.stream = reader.file.get();
  return Expected<RecordReader>(std::move(reader));
}

RecordReader RecordReader::of(std::vector<std::string> texts, bool pairs) {
  RecordReader reader;
  reader.texts = std::move(texts);
  reader.pairs = pairs;
  return reader;
}

/// The string under `key`, or an error naming the line.
static Expected<std::string> stringField(const nlohmann::json &object,
                                         const char *key,
                                         const std::string &where) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_string())
    return Error::make(where, ": ", key, ": found ",
                       found == object.end() ? "nothing" : describeJson(*found),
                       ", expected a string");
  return found->get<std::string>();
}

/// An error for a key that looks like a text and that nothing reads. Others may
/// be the reader's own.
static Error checkKeys(const nlohmann::json &object, const std::string &where) {
  for (const auto &[key, value] : object.items())
    if (key != "text" && key != "text_pair" &&
        (key.find("text") != std::string::npos ||
         key.find("pair") != std::string::npos))
      return Error::make(where, ": found the key '", printable(key),
                         "', expected \"text\", and \"text_pair\" for a "
                         "second text");
  return Error::success();
}

/// Devices and damaged files may go on without an end of line.
static constexpr size_t lineLimit = size_t(64) << 20;

/// The next line without its end; false at the end of the stream, when it
/// fails, and, with `line` beyond lineLimit, for a line that is too long.
static bool readLine(std::istream &stream, std::string &line) {
  char part[4096];
  line.clear();
  while (line.size() <= lineLimit) {
    stream.getline(part, sizeof(part));
    auto count = static_cast<size_t>(stream.gcount());
    if (stream.good()) {
      line.append(part, count - 1);
      return true;
    }
    line.append(part, count);
    if (stream.bad() || stream.eof() || count == 0)
      return !stream.bad() && !line.empty();
    // Only the room was too small.
    stream.clear();
  }
  return false;
}

Expected<bool> RecordReader::next(Record &record) {
  if (!stream) {
    record = Record();
    if (nextText >= texts.size())
      return false;
    record.text = texts[nextText++];
    if (pairs && nextText < texts.size())
      record.pair = texts[nextText++];
    return true;
  }
  std::string line;
  if (!readLine(*stream, line)) {
    if (line.size() > lineLimit)
      return Error::make(path, ":", lineNumber + 1, ": found a line of over ",
                         lineLimit >> 20, " MB, expected a text");
    if (stream->bad() || (stream == &std::cin && std::ferror(stdin)))
      return Error::make(path, ": cannot be read");
    return false;
  }
  // The mark of UTF-8 that some editors begin files with.
  if (++lineNumber == 1 && line.compare(0, 3, "\xef\xbb\xbf") == 0)
    line.erase(0, 3);
  if (!line.empty() && line.back() == '\r')
    line.pop_back();
  record = Record();
  if (!line.empty() && line.front() == '{') {
    std::string where = this->where();
    Expected<nlohmann::json> object = parseJson(line, where);
    if (!object)
      return object.takeError();
    if (Error error = checkKeys(*object, where))
      return error;
    if (object->contains("id"))
      record.id = (*object)["id"];
    Expected<std::string> text = stringField(*object, "text", where);
    if (!text)
      return text.takeError();
    record.text = std::move(*text);
    if (object->contains("text_pair") && !(*object)["text_pair"].is_null()) {
      Expected<std::string> pair = stringField(*object, "text_pair", where);
      if (!pair)
        return pair.takeError();
      record.pair = std::move(*pair);
    }
    return true;
  }
  size_t tab = pairs ? line.find('\t') : std::string::npos;
  if (pairs && tab == std::string::npos)
    return Error::make(path, ":", lineNumber,
                       ": found no tab, expected two texts with a tab between");
  record.text = line.substr(0, tab);
  if (tab != std::string::npos)
    record.pair = line.substr(tab + 1);
  return true;
}

} // namespace quern::cli
