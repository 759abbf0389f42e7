//===- ImageFile.cpp - files of images to numbers -------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// quern_read_image: PPM and PGM of bytes, and NumPy files of f32. Both have a
// header of text, which is checked against the module's one size.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Support.h"

#include <cstdio>

using namespace quern;

namespace {

/// The bytes of a file, and how far they are read.
struct Reader {
  const uint8_t *bytes;
  size_t size;
  size_t at;

  /// Of any place; 0 beyond the end.
  size_t byte(size_t i) const { return i < size ? bytes[i] : 0; }
  bool startsWith(const char *text) const {
    size_t length = strlen(text);
    return size >= length && memcmp(bytes, text, length) == 0;
  }
};

} // namespace

static size_t numbersOf(const quern_image_format &format) {
  return size_t(format.channels) * format.height * format.width;
}

//===----------------------------------------------------------------------===//
// PPM and PGM
//===----------------------------------------------------------------------===//

static bool isSpace(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }

/// The next number of the header, of at most 9 digits; comments run from # to
/// the end of the line.
static bool headerNumber(Reader &in, uint32_t &number) {
  size_t from = in.at;
  while (in.at < in.size && (isSpace(in.bytes[in.at]) || in.byte(in.at) == '#'))
    if (in.bytes[in.at++] == '#')
      while (in.at < in.size && in.bytes[in.at] != '\n')
        ++in.at;
  size_t digits = in.at;
  number = 0;
  for (; in.at < digits + 9 && in.byte(in.at) >= '0' && in.byte(in.at) <= '9';
       ++in.at)
    number = number * 10 + uint32_t(in.bytes[in.at] - '0');
  return in.at != digits && digits != from;
}

static quern_status readPpm(const quern_image_format &format, Reader in,
                            float *pixels, quern_error *error) {
  uint32_t channels = in.bytes[1] == '6' ? 3 : 1, width, height, most;
  in.at = 2;
  if (!headerNumber(in, width) || !headerNumber(in, height) ||
      !headerNumber(in, most) || in.at == in.size)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found a broken header, expected width, height and 255");
  if (channels != format.channels || height != format.height ||
      width != format.width)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found an image of %u x %u x %u, expected one of %u x %u x %u "
                "(channels, height, width): images are not resized",
                channels, height, width, format.channels, format.height,
                format.width);
  if (most != 255)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found values up to %u, expected up to 255", most);
  // One character of white space ends the header.
  size_t left = in.size - in.at - 1;
  if (left != numbersOf(format))
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found %zu bytes of pixels, expected %zu", left,
                numbersOf(format));
  return quern_normalize_image(&format, in.bytes + in.at + 1, pixels, error);
}

//===----------------------------------------------------------------------===//
// NumPy
//===----------------------------------------------------------------------===//

namespace {

/// What stands behind a key of the header, without spaces, or "?".
struct HeaderValue {
  char text[64];

  HeaderValue(const Reader &header, const char *key) {
    size_t length = strlen(key), at = 0, end = 0;
    while (at + length <= header.size &&
           memcmp(header.bytes + at, key, length) != 0)
      ++at;
    int open = 0;
    for (at += length; at < header.size && end + 1 < sizeof(text); ++at) {
      char c = char(header.bytes[at]);
      open += (c == '(') - (c == ')');
      if ((c == ',' && open == 0) || c == '}')
        break;
      if (c != ' ')
        text[end++] = c;
    }
    if (end == 0)
      text[end++] = '?';
    text[end] = 0;
  }
  bool is(const char *other) const { return strcmp(text, other) == 0; }
};

} // namespace

static quern_status readNumPy(const quern_image_format &format,
                              const Reader &in, float *pixels,
                              quern_error *error) {
  bool isLong = in.byte(6) >= 2;
  size_t start = isLong ? 12 : 10;
  size_t length = in.byte(8) | in.byte(9) << 8 |
                  (isLong ? in.byte(10) << 16 | in.byte(11) << 24 : 0);
  if (in.size < start || length > in.size - start)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found a broken header, expected a NumPy file");
  Reader header = {in.bytes + start, length, 0};
  HeaderValue type(header, "'descr':"), order(header, "'fortran_order':");
  if (!type.is("'<f4'"))
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found elements of type %s, expected '<f4' (f32)", type.text);
  if (!order.is("False"))
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found columns first, expected rows first (fortran_order "
                "False)");
  HeaderValue shape(header, "'shape':");
  char expected[64];
  snprintf(expected, sizeof(expected), "(%u,%u,%u)", format.channels,
           format.height, format.width);
  if (!shape.is(expected))
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found an array of shape %s, expected %s (channels, height, "
                "width): images are not resized",
                shape.text, expected);
  size_t left = in.size - start - length;
  if (left != numbersOf(format) * sizeof(float))
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found %zu bytes of numbers, expected %zu", left,
                numbersOf(format) * sizeof(float));
  memcpy(pixels, in.bytes + start + length, left);
  return QUERN_OK;
}

quern_status quern_read_image(const quern_image_format *format,
                              const void *file, size_t bytes, float *pixels,
                              quern_error *error) {
  if (!format || !file || !pixels)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_read_image: null");
  Reader in = {static_cast<const uint8_t *>(file), bytes, 0};
  if (in.startsWith("\x93NUMPY"))
    return readNumPy(*format, in, pixels, error);
  if (in.startsWith("P6") || in.startsWith("P5"))
    return readPpm(*format, in, pixels, error);
  return fail(error, QUERN_ERROR_ARGUMENT,
              "found a file of another kind, expected an image (.ppm, .pgm or "
              ".npy) of %u x %u x %u (channels, height, width)",
              format->channels, format->height, format->width);
}
