//===- CalibrationInput.cpp - Texts and images for the compiler -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/CalibrationInput.h"

#include "tools/quern/ImageInput.h"
#include "tools/quern/Input.h"

namespace quern::cli {

/// Up to `most` records that `take` turns into texts; it may leave some out.
template <typename Take>
static Expected<std::vector<CalibrationText>>
readRecords(const std::string &path, bool pairs, size_t most, Take take) {
  Expected<RecordReader> reader = RecordReader::open(path, pairs);
  if (!reader)
    return reader.takeError();
  std::vector<CalibrationText> texts;
  while (texts.size() < most) {
    Record record;
    Expected<bool> more = reader->next(record);
    if (!more)
      return more.takeError();
    if (!*more)
      break;
    // Weights and images would be read as texts of unknown words.
    for (const std::string *text :
         {&record.text, record.pair ? &*record.pair : nullptr})
      if (text && text->find('\0') != text->npos)
        return Error::make(reader->where(),
                           ": found a zero byte, expected a text");
    if (take(record))
      texts.push_back(
          {std::move(record.text), std::move(record.pair), nullptr});
  }
  if (texts.empty())
    return Error::make(path, ": found no text, expected a line for each text");
  return texts;
}

Expected<std::vector<CalibrationText>> readTexts(const std::string &path,
                                                 bool pairs, size_t most) {
  return readRecords(path, pairs, most, [](Record &) { return true; });
}

static bool isBlank(const std::string &text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos;
}

Expected<std::vector<CalibrationText>> readMixedTexts(const std::string &path,
                                                      size_t most) {
  return readRecords(path, false, most, [](Record &record) {
    size_t tab = record.pair ? std::string::npos : record.text.find('\t');
    if (tab != std::string::npos) {
      record.pair = record.text.substr(tab + 1);
      record.text.resize(tab);
    }
    return !isBlank(record.text) || !isBlank(record.pair.value_or(""));
  });
}

Expected<std::vector<CalibrationText>>
readImages(const std::string &path, size_t most,
           const quern_image_format &format) {
  Expected<std::vector<std::string>> paths = imagePaths(path, most);
  if (!paths)
    return paths.takeError();
  std::vector<CalibrationText> images;
  for (const std::string &each : *paths) {
    Expected<std::vector<float>> pixels = readImage(each, format);
    if (!pixels)
      return pixels.takeError();
    images.emplace_back();
    images.back().pixels =
        std::make_shared<const std::vector<float>>(std::move(*pixels));
  }
  return images;
}

} // namespace quern::cli
