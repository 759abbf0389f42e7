//===- DefaultText.h - Sentences for calibration without data ------*- C++ -*-//
//
// What `quern compile` calibrates on when no --calibrate file is given: general
// English of many kinds and lengths, single sentences and pairs. Own data is
// better; the report says when this text was used.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_DEFAULTTEXT_H
#define QUERN_COMPILER_CALIBRATE_DEFAULTTEXT_H

#include <string_view>
#include <utility>
#include <vector>

namespace quern {

/// Text and second text; the second is empty for a single sentence.
using TextPair = std::pair<std::string_view, std::string_view>;

/// About a hundred texts.
const std::vector<TextPair> &defaultCalibrationText();

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_DEFAULTTEXT_H
