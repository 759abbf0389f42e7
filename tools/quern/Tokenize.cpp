//===- Tokenize.cpp - Token ids of texts as JSON lines --------------------===//
//
// Numbers are written by hand: a tree of JSON values per line would cost more
// than tokenizing does.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Tokenize.h"

#include <string>

namespace quern::cli {

/// Appends `"key": [` and the numbers.
static void appendArray(std::string &line, const char *key,
                        const int32_t *numbers, size_t count) {
  line += key;
  for (size_t i = 0; i < count; ++i) {
    if (i)
      line += ", ";
    line += std::to_string(numbers[i]);
  }
  line += ']';
}

Error tokenizeRecords(const Tokenizer &tokenizer, RecordReader &input,
                      const TokenizeOptions &options, std::ostream &output) {
  Encoding encoding;
  Record record;
  std::string line;
  for (size_t number = 0;; ++number) {
    Expected<bool> more = input.next(record);
    if (!more)
      return more.takeError();
    if (!*more)
      break;
    EncodeStatus status =
        record.pair
            ? tokenizer.encode(record.text, *record.pair, options.maxLength,
                               encoding)
            : tokenizer.encode(record.text, options.maxLength, encoding);
    switch (status) {
    case EncodeStatus::Ok:
      break;
    case EncodeStatus::LengthTooSmall:
      return Error::make("found a maximum length of ", options.maxLength,
                         ", expected room for the special tokens");
    case EncodeStatus::TextTooLong:
      return Error::make("record ", number, ": found ", record.text.size(),
                         " bytes of text, expected less than 4294967296");
    case EncodeStatus::OutOfMemory:
      return Error::make("record ", number, ": found no memory for its tokens");
    }
    line = "{\"id\": ";
    line += record.id.is_null()
                ? std::to_string(number)
                : record.id.dump(-1, ' ', false,
                                 nlohmann::json::error_handler_t::replace);
    appendArray(line, ", \"ids\": [", encoding.ids(), encoding.size());
    appendArray(line, ", \"type_ids\": [", encoding.typeIds(), encoding.size());
    if (encoding.truncated())
      line += ", \"truncated\": true";
    if (options.spans) {
      line += ", \"spans\": [";
      for (size_t i = 0; i < encoding.size(); ++i) {
        Span span = encoding.spans()[i];
        line += (i ? ", [" : "[") + std::to_string(span.begin) + ", " +
                std::to_string(span.end) + "]";
      }
      line += ']';
    }
    line += "}\n";
    if (!output.write(line.data(), static_cast<std::streamsize>(line.size())))
      return Error("standard output: cannot be written");
  }
  if (!output.flush())
    return Error("standard output: cannot be written");
  return Error::success();
}

} // namespace quern::cli
