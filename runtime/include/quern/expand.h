/*===- expand.h - constants that are made when a module is opened ----------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * The one definition of how a constant of a module follows from smaller ones
 * (Making in runtime/src/manifest.fbs). The compiler makes each constant with
 * these functions and stores the small form only where the bytes are those it
 * wants; the runtime makes them again. Sizes have been checked by the caller.
 * C99 and C++.
 *
 *===----------------------------------------------------------------------===*/
#ifndef QUERN_EXPAND_H
#define QUERN_EXPAND_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Columns of a panel of packed weights. */
#define QUERN_PANEL 16u

/** out[i] = in[i]. */
static inline void quern_expand_widened(const int16_t *in, uint64_t count,
                                        int32_t *out) {
  for (uint64_t i = 0; i < count; ++i)
    out[i] = in[i];
}

/** out[i] = values[index[i]], of four bytes. Returns `count`, or the first i
 *  whose index is not below `size`. */
static inline uint64_t quern_expand_picked(const uint8_t *index, uint64_t count,
                                           const uint32_t *values,
                                           uint64_t size, uint32_t *out) {
  for (uint64_t i = 0; i < count; ++i) {
    if (index[i] >= size)
      return i;
    out[i] = values[index[i]];
  }
  return count;
}

/** out[g][j] = 1 where index[j] = g, else 0. */
static inline void quern_expand_marked(const uint8_t *index, uint64_t columns,
                                       uint64_t rows, int8_t *out) {
  for (uint64_t g = 0; g < rows; ++g)
    for (uint64_t j = 0; j < columns; ++j)
      out[g * columns + j] = index[j] == g;
}

/** out[g][j] = rows[g] * columns[j], rounded once. */
static inline void quern_expand_outer(const float *rows, uint64_t row_count,
                                      const float *columns,
                                      uint64_t column_count, float *out) {
  for (uint64_t g = 0; g < row_count; ++g)
    for (uint64_t j = 0; j < column_count; ++j)
      out[g * column_count + j] = rows[g] * columns[j];
}

/** Adds the bytes of `steps` blocks of 64 to sums[16][4], each block as 8 /
 * bits codes a byte. The bytes are read as unsigned digits. */
static inline void quern_add_digits(const uint8_t *blocks, uint64_t count,
                                    uint32_t bits, uint32_t sums[64]) {
  const uint8_t mask = (uint8_t)((1u << bits) - 1);
  while (count > 0) {
    /* As many blocks as a byte or, of whole bytes, 16 bits can take. */
    const uint64_t most = bits == 8 ? 256 : 255u / mask / (8 / bits);
    const uint64_t turn = count < most ? count : most;
    if (bits == 8) {
      uint16_t part[64] = {0};
      for (uint64_t b = 0; b < turn; ++b)
        for (int i = 0; i < 64; ++i)
          part[i] = (uint16_t)(part[i] + (uint8_t)(blocks[b * 64 + i] ^ 128));
      for (int i = 0; i < 64; ++i)
        sums[i] += part[i];
    } else {
      uint8_t part[64] = {0};
      const uint8_t flip = (uint8_t)(1u << (bits - 1));
      for (uint64_t b = 0; b < turn; ++b)
        for (uint32_t shift = 0; shift < 8; shift += bits)
          for (int i = 0; i < 64; ++i)
            part[i] =
                (uint8_t)(part[i] +
                          (((blocks[b * 64 + i] >> shift) ^ flip) & mask));
      for (int i = 0; i < 64; ++i)
        sums[i] += part[i];
    }
    blocks += turn * 64;
    count -= turn;
  }
}

/** Column sums of packed weights [panels][blocks of all groups][16 columns]
 *  [4 k], whose bytes hold 8 / bits signed codes of `bits` bits (2, 4 or 8):
 *  out[g][column] = factors[g] * sum of the codes in the blocks[g] blocks of
 *  group g, modulo 2^32. */
static inline void quern_expand_sums(const uint8_t *weights, uint64_t panels,
                                     uint32_t bits, const uint32_t *blocks,
                                     const int32_t *factors, uint64_t groups,
                                     int32_t *out) {
  for (uint64_t p = 0; p < panels; ++p)
    for (uint64_t g = 0; g < groups; ++g) {
      uint32_t sums[4 * QUERN_PANEL] = {0};
      quern_add_digits(weights, blocks[g], bits, sums);
      weights += (uint64_t)blocks[g] * 64;
      /* Digits are codes plus half their range. */
      const uint32_t excess = blocks[g] * 4u * (8 / bits) << (bits - 1);
      for (uint32_t i = 0; i < QUERN_PANEL; ++i) {
        const uint32_t sum = sums[4 * i] + sums[4 * i + 1] + sums[4 * i + 2] +
                             sums[4 * i + 3] - excess;
        const uint32_t value = (uint32_t)factors[g] * sum;
        memcpy(&out[(g * panels + p) * QUERN_PANEL + i], &value, 4);
      }
    }
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_EXPAND_H */
