//===- ImageInput.cpp - Image files --------------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/ImageInput.h"

#include "lib/Support/File.h"
#include "tools/quern/Input.h"

#include <algorithm>
#include <cstring>
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

//===----------------------------------------------------------------------===//
// PPM and PGM
//===----------------------------------------------------------------------===//

/// The next number of the header, of at most 9 digits; comments run from # to
/// the end of the line.
static std::optional<uint32_t> headerNumber(std::string_view text, size_t &at) {
  auto isSpace = [](char c) { return std::strchr(" \t\n\r\v\f", c) && c; };
  size_t from = at;
  while (at < text.size() && (isSpace(text[at]) || text[at] == '#'))
    if (text[at++] == '#')
      while (at < text.size() && text[at] != '\n')
        ++at;
  size_t digits = at;
  while (at < text.size() && at < digits + 9 && text[at] >= '0' &&
         text[at] <= '9')
    ++at;
  if (at == digits || digits == from)
    return std::nullopt;
  return uint32_t(std::stoul(std::string(text.substr(digits, at - digits))));
}

static Expected<std::vector<float>> readPpm(const std::string &path,
                                            std::string_view file,
                                            const quern_image_format &format) {
  uint32_t channels = file[1] == '6' ? 3 : 1;
  size_t at = 2;
  auto width = headerNumber(file, at);
  auto height = width ? headerNumber(file, at) : std::nullopt;
  auto most = height ? headerNumber(file, at) : std::nullopt;
  if (!most || at == file.size())
    return Error::make(path, ": found a broken header, expected width, height "
                             "and 255");
  quern_image_format found = {channels, *height, *width, 0, nullptr, nullptr};
  if (channels != format.channels || *height != format.height ||
      *width != format.width)
    return Error::make(path, ": found an image of ", sizeText(found),
                       ", expected one of ", sizeText(format),
                       " (channels, height, width): images are not resized");
  if (*most != 255)
    return Error::make(path, ": found values up to ", *most,
                       ", expected up to 255");
  // One character of white space ends the header.
  std::string_view bytes = file.substr(at + 1);
  if (bytes.size() != numbersOf(format))
    return Error::make(path, ": found ", bytes.size(),
                       " bytes of pixels, expected ", numbersOf(format));
  std::vector<float> pixels(numbersOf(format));
  quern_error error = {};
  if (quern_normalize_image(&format,
                            reinterpret_cast<const uint8_t *>(bytes.data()),
                            pixels.data(), &error))
    return Error::make(path, ": ", error.message);
  return pixels;
}

//===----------------------------------------------------------------------===//
// NumPy
//===----------------------------------------------------------------------===//

/// What stands behind a key of the header, without spaces.
static std::string headerValue(std::string_view header, const char *key) {
  size_t at = header.find(key);
  if (at == std::string_view::npos)
    return "";
  at += std::strlen(key);
  int open = 0;
  std::string value;
  for (; at < header.size(); ++at) {
    char c = header[at];
    open += (c == '(') - (c == ')');
    if ((c == ',' && open == 0) || c == '}')
      break;
    if (c != ' ')
      value += c;
  }
  return value;
}

static Expected<std::vector<float>> readNpy(const std::string &path,
                                            std::string_view file,
                                            const quern_image_format &format) {
  auto byte = [&](size_t i) {
    return i < file.size() ? size_t(uint8_t(file[i])) : 0;
  };
  bool isLong = byte(6) >= 2;
  size_t start = isLong ? 12 : 10;
  size_t length =
      byte(8) | byte(9) << 8 | (isLong ? byte(10) << 16 | byte(11) << 24 : 0);
  if (file.size() < start || length > file.size() - start)
    return Error::make(path, ": found a broken header, expected a NumPy file");
  std::string_view header = file.substr(start, length);
  std::string type = headerValue(header, "'descr':");
  if (type != "'<f4'")
    return Error::make(path, ": found elements of type ",
                       type.empty() ? "?" : type, ", expected '<f4' (f32)");
  if (headerValue(header, "'fortran_order':") != "False")
    return Error::make(path, ": found columns first, expected rows first "
                             "(fortran_order False)");
  std::string shape = headerValue(header, "'shape':");
  std::string expected = "(" + std::to_string(format.channels) + "," +
                         std::to_string(format.height) + "," +
                         std::to_string(format.width) + ")";
  if (shape != expected)
    return Error::make(path, ": found an array of shape ",
                       shape.empty() ? "?" : shape, ", expected ", expected,
                       " (channels, height, width): images are not resized");
  std::string_view bytes = file.substr(start + length);
  std::vector<float> pixels(numbersOf(format));
  if (bytes.size() != pixels.size() * sizeof(float))
    return Error::make(path, ": found ", bytes.size(),
                       " bytes of numbers, expected ",
                       pixels.size() * sizeof(float));
  std::memcpy(pixels.data(), bytes.data(), bytes.size());
  return pixels;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

Expected<std::vector<float>> readImage(const std::string &path,
                                       const quern_image_format &format) {
  std::string wanted = ", expected an image (.ppm, .pgm or .npy) of " +
                       sizeText(format) + " (channels, height, width)";
  std::error_code code;
  if (!fs::is_regular_file(path, code))
    return Error::make(path, ": found no file of this name", wanted);
  Expected<std::string> file = readFile(path, size_t(1) << 30);
  if (!file)
    return file.takeError();
  std::string_view start = std::string_view(*file).substr(0, 6);
  if (start == "\x93NUMPY")
    return readNpy(path, *file, format);
  start = start.substr(0, 2);
  if (start == "P6" || start == "P5")
    return readPpm(path, *file, format);
  return Error::make(path, ": found a file of another kind", wanted);
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
