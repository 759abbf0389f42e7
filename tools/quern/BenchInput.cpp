//===- BenchInput.cpp - What a timed run of a module reads ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchInput.h"

#include "runtime/tokenizer/Tokenizer.h"
#include "tools/quern/CalibrationInput.h"

#include <algorithm>

namespace quern::cli {

uint64_t BenchInput::sequences() const {
  uint64_t sum = images;
  for (const BenchBatch &batch : batches)
    sum += batch.sequences();
  return sum;
}

uint64_t BenchInput::tokens() const {
  uint64_t sum = 0;
  for (const BenchBatch &batch : batches)
    sum += batch.ids.size();
  return sum;
}

uint32_t BenchInput::length(uint32_t ofImages) const {
  if (batches.empty())
    return ofImages;
  return uint32_t((tokens() + sequences() / 2) / sequences());
}

BenchInput madeUpInput(const quern_module *module, uint32_t batch,
                       uint32_t length) {
  quern_description about;
  quern_module_describe(module, &about);
  BenchInput input;
  const quern_image_format &image = about.image;
  if (image.channels) {
    input.images = batch;
    size_t numbers = size_t(image.channels) * image.height * image.width;
    for (size_t i = 0; i < numbers * batch; ++i)
      input.pixels.push_back(float((37 * i + 11 * i * i) % 256) / 128 - 1);
    return input;
  }
  BenchBatch &made = input.batches.emplace_back();
  for (uint32_t s = 0; s < batch; ++s) {
    for (uint32_t i = 0; i < length && about.vocabulary > 1; ++i)
      made.ids.push_back(1 + (s * 131 + i * 7919) % (about.vocabulary - 1));
    made.offsets.push_back(int32_t(made.ids.size()));
  }
  made.types.assign(made.ids.size(), 0);
  return input;
}

/// Appends one text to a batch.
static Error append(const Tokenizer &tokenizer, const CalibrationText &text,
                    size_t maxLength, Encoding &encoding, BenchBatch &batch) {
  EncodeStatus status =
      text.pair ? tokenizer.encode(text.text, *text.pair, maxLength, encoding)
                : tokenizer.encode(text.text, maxLength, encoding);
  if (status == EncodeStatus::LengthTooSmall)
    return Error::make("--max-length: found ", maxLength,
                       ", expected room for the tokens around a text");
  if (status != EncodeStatus::Ok)
    return Error::make("a text of ", text.text.size(),
                       " bytes is too long, or memory is short");
  batch.ids.insert(batch.ids.end(), encoding.ids(),
                   encoding.ids() + encoding.size());
  batch.types.insert(batch.types.end(), encoding.typeIds(),
                     encoding.typeIds() + encoding.size());
  batch.offsets.push_back(int32_t(batch.ids.size()));
  return Error::success();
}

Expected<BenchInput> textInput(const std::string &path,
                               const quern_module *module,
                               const BenchTexts &texts, uint32_t batch) {
  if (Error error = refuseImages(module, path))
    return error;
  quern_inspection *inspection = nullptr;
  quern_error opened = {};
  if (quern_inspect_open(path.c_str(), &inspection, &opened))
    return Error(opened.message);
  InspectionHandle handle(inspection);
  uint64_t size = 0;
  const void *bytes =
      quern_inspect_section(inspection, QUERN_SECTION_TOKENIZER, &size);
  Tokenizer tokenizer;
  const char *problem =
      size ? tokenizer.open(bytes, size) : "found none, expected one";
  if (problem)
    return Error::make(path, ": tokenizer: ", problem);
  quern_description about;
  quern_module_describe(module, &about);
  uint32_t maxLength = about.max_length;
  if (texts.maxLength)
    maxLength = std::min(maxLength, texts.maxLength);

  Expected<std::vector<CalibrationText>> read =
      readTexts(texts.path, texts.pairs, texts.samples);
  if (!read)
    return read.takeError();
  BenchInput input;
  Encoding encoding;
  for (size_t i = 0; i < read->size(); ++i) {
    if (i % batch == 0)
      input.batches.emplace_back();
    if (Error error = append(tokenizer, (*read)[i], maxLength, encoding,
                             input.batches.back()))
      return Error::make(texts.path, ": text ", i + 1, ": ", error.message());
  }
  return input;
}

} // namespace quern::cli
