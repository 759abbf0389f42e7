//===- ImageInput.cpp - Image files --------------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/ImageInput.h"

#include "lib/Support/File.h"
#include "tools/quern/Input.h"

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;

namespace quern::cli {

bool isImageName(const std::string &path) {
  std::string end = fs::path(path).extension().string();
  return end == ".ppm" || end == ".pgm" || end == ".npy";
}

std::string sizeText(const quern_image_format &format) {
  return std::to_string(format.channels) + " x " +
         std::to_string(format.height) + " x " + std::to_string(format.width);
}

static size_t numbersOf(const quern_image_format &format) {
  return size_t(format.channels) * format.height * format.width;
}

Expected<std::vector<float>> readImage(const std::string &path,
                                       const quern_image_format &format) {
  std::error_code code;
  if (!fs::is_regular_file(path, code))
    return Error::make(path,
                       ": found no file of this name, expected an "
                       "image (.ppm, .pgm or .npy) of ",
                       sizeText(format), " (channels, height, width)");
  Expected<std::string> file = readFile(path, size_t(1) << 30);
  if (!file)
    return file.takeError();
  std::vector<float> pixels(numbersOf(format));
  quern_error error = {};
  if (quern_read_image(&format, file->data(), file->size(), pixels.data(),
                       &error))
    return Error::make(path, ": ", error.message);
  return pixels;
}

static std::vector<std::string> imagesIn(const std::string &folder) {
  std::vector<std::string> paths;
  std::error_code code;
  for (const auto &entry : fs::directory_iterator(folder, code))
    if (isImageName(entry.path().string()))
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

Expected<std::vector<std::string>> imagePaths(const std::string &path,
                                              size_t most) {
  std::vector<std::string> paths;
  std::error_code code;
  if (fs::is_directory(path, code)) {
    paths = imagesIn(path);
  } else if (isImageName(path)) {
    paths = {path};
  } else {
    Expected<RecordReader> reader = RecordReader::open(path, false);
    if (!reader)
      return reader.takeError();
    Record line;
    for (;;) {
      Expected<bool> more = reader->next(line);
      if (!more)
        return more.takeError();
      if (!*more || paths.size() == most)
        break;
      if (line.text.empty())
        continue;
      fs::path listed = line.text;
      paths.push_back(listed.is_absolute() || path == "-"
                          ? line.text
                          : (fs::path(path).parent_path() / listed).string());
    }
  }
  if (paths.size() > most)
    paths.resize(most);
  if (paths.empty())
    return Error::make(path, ": found no image, expected a folder of images, "
                             "one image, or a file with a path on each line");
  return paths;
}

} // namespace quern::cli
