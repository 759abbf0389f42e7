//===- SessionImages.cpp - images to rows of patches ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// An image is a sequence of the model's one length: special tokens, whose rows
// are zeros, and its patches.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Session.h"

#include "quern/image.h"

#include <cmath>

using namespace quern;
using namespace quern::manifest;

/// No early exit, so that vectors of numbers are looked at.
static bool areFinite(const float *numbers, uint64_t count) {
  uint32_t found = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t bits;
    memcpy(&bits, numbers + i, sizeof(bits));
    found |= (bits & 0x7fffffff) >= 0x7f800000;
  }
  return !found;
}

/// An error on a module that takes images.
quern_status quern_session::refuseImages(quern_error *error) const {
  const Image *image = module.manifest->model()->image();
  if (!image)
    return QUERN_OK;
  return fail(error, QUERN_ERROR_ARGUMENT,
              "found text, expected images of %u x %u x %u: the module is of a "
              "vision model",
              image->channels(), image->size(), image->size());
}

quern_status quern_session::takeImages(const float *images, uint32_t count,
                                       quern_error *error) {
  input.clear();
  result = nullptr;
  const Model &model = *module.manifest->model();
  const Image *image = model.image();
  if (!image)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found images, expected texts: the module is of a text model");
  if (!images || count == 0)
    return fail(error, QUERN_ERROR_ARGUMENT, "no image to run");
  uint32_t tokens = model.max_length();
  if (count > INT32_MAX / tokens)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "too many images at once; run smaller batches");
  uint64_t size = image->size(), numbers = image->channels() * size * size;
  for (uint64_t i = 0; i < count; ++i) {
    const float *one = images + i * numbers;
    if (areFinite(one, numbers))
      continue;
    uint64_t at = 0;
    while (std::isfinite(one[at]))
      ++at;
    return fail(error, QUERN_ERROR_ARGUMENT,
                "image %u: channel %u, line %u, column %u: found %g, "
                "expected a finite number",
                uint32_t(i), uint32_t(at / (size * size)),
                uint32_t(at / size % size), uint32_t(at % size),
                double(one[at]));
  }
  if (!input.offsets.resize(size_t(count) + 1)) {
    input.clear();
    return fail(error, QUERN_ERROR_MEMORY, "out of memory for images");
  }
  for (uint32_t i = 0; i <= count; ++i)
    input.offsets[i] = int32_t(i * tokens);
  pixels = images;
  return QUERN_OK;
}

void quern_session::fillPatches(const Buffer &buffer, char *rows) const {
  const Image &image = *module.manifest->model()->image();
  uint64_t size = image.size(), stride = buffer.bytes_per_unit();
  uint64_t perImage = module.manifest->model()->max_length() * stride;
  for (uint32_t i = 0; i < input.sequences(); ++i)
    quern_image_rows(pixels + i * image.channels() * size * size,
                     image.channels(), image.size(), image.patch(),
                     image.special(), stride, rows + i * perImage);
}

quern_status quern_normalize_image(const quern_image_format *format,
                                   const uint8_t *bytes, float *pixels,
                                   quern_error *error) {
  if (!format || !bytes || !pixels)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_normalize_image: null");
  if (!format->mean || !format->deviation)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found bytes of an image, expected normalized numbers: the "
                "module does not say how to normalize, its model folder had no "
                "preprocessor_config.json");
  size_t plane = size_t(format->height) * format->width;
  for (uint32_t c = 0; c < format->channels; ++c)
    for (size_t at = 0; at < plane; ++at)
      pixels[c * plane + at] =
          quern_image_value(bytes[at * format->channels + c], format->rescale,
                            format->mean[c], format->deviation[c]);
  return QUERN_OK;
}
