/*===- TestKernels.c - kernels of a tiny model, written by hand -------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * What the compiler would emit for: embed ids, mix the tokens of a sequence,
 * sum a projection over each sequence. Small integers throughout, so results
 * are exact. See TestModule.cpp for the manifest.
 *
 *===----------------------------------------------------------------------===*/

#include "quern/module_abi.h"

#include <string.h>

enum { Width = 24, Stride = 64, Columns = 3 };

/* x[t][j] = table[ids[t]][j] + positions[t] + types[t]; chunks of 4 tokens. */
static void embed(void *const *buffers, int64_t tokens, int64_t sequences,
                  int64_t flags, int64_t begin, int64_t end, void *scratch) {
  const int32_t *ids = buffers[0], *types = buffers[1];
  const int32_t *positions = buffers[2];
  const uint8_t *table = buffers[3];
  uint8_t *x = buffers[4];
  for (int64_t t = begin * 4; t < end * 4 && t < tokens; ++t)
    for (int64_t j = 0; j < Width; ++j)
      x[t * Stride + j] =
          (uint8_t)(table[ids[t] * Stride + j] + (positions[t] & 7) + types[t]);
  (void)sequences, (void)flags, (void)scratch;
}

/* y[t][j] = sum over u of x[u][j] * (1 + (t + u) % 3) within the sequence,
 * rounded down to 16 bits; a chunk is one of two halves of the columns of a
 * sequence. The tap gets the factors. */
static void mix(void *const *buffers, int64_t tokens, int64_t sequences,
                int64_t flags, int64_t begin, int64_t end, void *scratch) {
  const int32_t *offsets = buffers[0];
  const uint8_t *x = buffers[1];
  uint16_t *y = buffers[2];
  uint8_t *tap = buffers[3];
  int32_t *sums = scratch;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    int64_t s = chunk / 2, first = chunk % 2 * (Width / 2), pairs = 0;
    for (int64_t r = 0; r < s; ++r) {
      int64_t n = offsets[r + 1] - offsets[r];
      pairs += n * n;
    }
    int64_t start = offsets[s], length = offsets[s + 1] - start;
    for (int64_t t = 0; t < length; ++t) {
      memset(sums, 0, Width / 2 * sizeof(int32_t));
      for (int64_t u = 0; u < length; ++u) {
        int32_t factor = (int32_t)(1 + (t + u) % 3);
        if (flags & QUERN_FLAG_TAPS)
          tap[pairs + t * length + u] = (uint8_t)factor;
        for (int64_t j = 0; j < Width / 2; ++j)
          sums[j] += x[(start + u) * Stride + first + j] * factor;
      }
      for (int64_t j = 0; j < Width / 2; ++j)
        y[(start + t) * Stride + first + j] = (uint16_t)sums[j];
    }
  }
  (void)tokens, (void)sequences;
}

/* out[s][c] = sum over t, j of y[t][j] * weights[c][j]; a chunk a sequence. */
static void head(void *const *buffers, int64_t tokens, int64_t sequences,
                 int64_t flags, int64_t begin, int64_t end, void *scratch) {
  const int32_t *offsets = buffers[0];
  const uint16_t *y = buffers[1];
  const int8_t *weights = buffers[2];
  float *out = buffers[3];
  for (int64_t s = begin; s < end; ++s)
    for (int64_t c = 0; c < Columns; ++c) {
      int64_t sum = 0;
      for (int64_t t = offsets[s]; t < offsets[s + 1]; ++t)
        for (int64_t j = 0; j < Width; ++j)
          sum += y[t * Stride + j] * weights[c * Stride + j];
      out[s * 16 + c] = (float)sum;
    }
  (void)tokens, (void)sequences, (void)flags, (void)scratch;
}

static const quern_kernel plain[] = {embed, mix, head};
/* Declines one kernel, which the plain tier then provides. */
static const quern_kernel wide[] = {embed, NULL, head};

static const quern_tier tiers[] = {{QUERN_TIER_SSE2, 3, plain},
                                   {QUERN_TIER_AVX512VNNI, 3, wide}};

#ifndef TEST_ABI_VERSION
#define TEST_ABI_VERSION QUERN_ABI_VERSION
#endif
#ifndef TEST_TABLE
#define TEST_TABLE quern_module_table
#endif

const quern_kernel_table TEST_TABLE = {TEST_ABI_VERSION, 2, tiers, 0, 0};
