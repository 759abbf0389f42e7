/*===- image.h - pixels to what a vision model reads ------------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * The one definition of three things: the number that a byte of a file stands
 * for, the order of the numbers in a patch, and the rows that an image becomes.
 *
 *===----------------------------------------------------------------------===*/

#ifndef QUERN_IMAGE_H
#define QUERN_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** (byte * rescale - mean) / deviation, rounded to f32 after each step, as the
 *  image processors of Hugging Face do it. */
static inline float quern_image_value(uint8_t byte, double rescale, float mean,
                                      float deviation) {
  float scaled = (float)((double)byte * rescale);
  return (scaled - mean) / deviation;
}

/** Copies patch `index` of an image [channels][size][size] into `row`: channel
 *  by channel and line by line. Patches are squares of `patch` pixels, counted
 *  along the lines of the image; `size` is a multiple of `patch`. */
static inline void quern_image_patch(const float *pixels, uint32_t channels,
                                     uint32_t size, uint32_t patch,
                                     uint32_t index, float *row) {
  uint32_t across = size / patch;
  size_t top = (size_t)(index / across) * patch;
  size_t left = (size_t)(index % across) * patch;
  for (uint32_t c = 0; c < channels; ++c)
    for (uint32_t y = 0; y < patch; ++y) {
      memcpy(row, pixels + ((size_t)c * size + top + y) * size + left,
             patch * sizeof(float));
      row += patch;
    }
}

/** Writes the rows of an image, `stride` bytes apart: `special` rows of zeros,
 *  then its patches in order. */
static inline void quern_image_rows(const float *pixels, uint32_t channels,
                                    uint32_t size, uint32_t patch,
                                    uint32_t special, size_t stride,
                                    char *rows) {
  uint32_t across = size / patch;
  memset(rows, 0, special * stride);
  rows += special * stride;
  for (uint32_t p = 0; p < across * across; ++p, rows += stride)
    quern_image_patch(pixels, channels, size, patch, p, (float *)rows);
}

#endif /* QUERN_IMAGE_H */
