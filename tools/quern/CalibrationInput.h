//===- CalibrationInput.h - Texts and images for the compiler ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What models are calibrated on and verified with. Apart from Input.h, which
// commands without a compiler read.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_CALIBRATIONINPUT_H
#define QUERN_TOOLS_QUERN_CALIBRATIONINPUT_H

#include "compiler/Compiler.h"
#include "runtime/include/quern/quern.h"

namespace quern::cli {

/// The first `most` texts of a file (RecordReader). Errors name the line; a
/// file without a text is one, and so is a text with a zero byte.
Expected<std::vector<CalibrationText>> readTexts(const std::string &path,
                                                 bool pairs, size_t most);

/// The same, where any line with a tab is a pair and blank lines do not count:
/// a file need not be all of one kind.
Expected<std::vector<CalibrationText>> readMixedTexts(const std::string &path,
                                                      size_t most);

/// The first `most` images of a folder or a list (imagePaths).
Expected<std::vector<CalibrationText>>
readImages(const std::string &path, size_t most,
           const quern_image_format &format);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_CALIBRATIONINPUT_H
