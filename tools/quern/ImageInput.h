//===- ImageInput.h - Image files ------------------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What `run`, `verify` and the calibration of `compile` read of vision models:
// binary PPM (PGM where there is one channel), whose bytes are normalized as
// the model says, or NumPy files of numbers that are. Images are not resized.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_IMAGEINPUT_H
#define QUERN_TOOLS_QUERN_IMAGEINPUT_H

#include "lib/Support/Status.h"
#include "runtime/include/quern/quern.h"

#include <string>
#include <vector>

namespace quern::cli {

/// True for names that end in .ppm, .pgm or .npy.
bool isImageName(const std::string &path);

/// "3 x 224 x 224": channels, height and width.
std::string sizeText(const quern_image_format &format);

/// The numbers that quern_run_images takes of an image file.
Expected<std::vector<float>> readImage(const std::string &path,
                                       const quern_image_format &format);

/// Paths of at most `most` images: those of a folder, in the order of their
/// names; those that a file lists, one a line and relative to it; or the path
/// of one image itself.
Expected<std::vector<std::string>> imagePaths(const std::string &path,
                                              size_t most);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_IMAGEINPUT_H
