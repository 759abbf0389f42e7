//===- Input.h - Texts from the command line and from files -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What `run`, `verify` and the calibration of `compile` read: arguments,
// lines, tab-separated pairs, or JSON lines {"id", "text", "text_pair"}.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_INPUT_H
#define QUERN_TOOLS_QUERN_INPUT_H

#include "lib/Support/Status.h"
#include "runtime/include/quern/quern.h"

#include <nlohmann/json.hpp>

#include <fstream>
#include <istream>
#include <optional>
#include <string>
#include <vector>

namespace quern::cli {

/// One text, or one pair of texts, with the id that its output repeats.
struct Record {
  nlohmann::json id; ///< null where the input has none
  std::string text;
  std::optional<std::string> pair;

  quern_text view() const {
    return {text.data(), text.size(), pair ? pair->data() : nullptr,
            pair ? pair->size() : 0};
  }
};

/// Reads records one at a time. A line that starts with '{' is JSON; other
/// lines are text, split at the first tab if `pairs`. A line may have 64 MB.
class RecordReader {
public:
  /// `path` "-" is standard input.
  static Expected<RecordReader> open(const std::string &path, bool pairs);

  /// Gives each text as it is, or the texts two by two if `pairs`, of which the
  /// last may stand alone.
  static RecordReader of(std::vector<std::string> texts, bool pairs);

  RecordReader(RecordReader &&) = default;

  /// Reads the next record into `record`; false at the end of the input.
  Expected<bool> next(Record &record);

  /// `FILE:LINE` of the last record that came from a stream.
  std::string where() const { return path + ":" + std::to_string(lineNumber); }

private:
  RecordReader() = default;

  std::string path;
  bool pairs = false;
  std::unique_ptr<std::ifstream> file;
  std::istream *stream = nullptr;
  size_t lineNumber = 0;
  /// Instead of a stream.
  std::vector<std::string> texts;
  size_t nextText = 0;
};

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_INPUT_H
