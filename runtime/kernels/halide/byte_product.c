/*===- byte_product.c - a product kernel of vpdpbusd ----------------------===//
 *
 * For CPUs that multiply four bytes at a time and sum the products in 32 bits,
 * exactly, without AVX-512. Called as product.c is. Weights lie as the
 * instruction takes them; those of few bits are unpacked to bytes, once for all
 * rows of a call.
 *
 *===----------------------------------------------------------------------===*/
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define JOIN_(a, b, c, d) a##b##c##d
#define JOIN(a, b, c, d) JOIN_(a, b, c, d)
#define ENTRY JOIN(quern_product_, QUERN_TIER, _w, QUERN_BITS)

/* Rows whose sums stay in registers: 12 sums, 2 weights, 1 of x. */
#define TILE_ROWS 6
/* Groups of four k that are unpacked at a time; a multiple of 16. */
#define BLOCK_TURNS 64

/* Adds the products of `turns` groups to `rows` rows of sums, or, with `first`,
 * starts them. */
static inline __attribute__((always_inline)) void
add_tile(const uint8_t *x, int64_t x_stride, const int8_t *w, int64_t turns,
         int rows, int first, int32_t *out, int64_t out_stride) {
  __m256i sums[TILE_ROWS][2];
  for (int r = 0; r < rows; ++r)
    for (int half = 0; half < 2; ++half)
      sums[r][half] =
          first ? _mm256_setzero_si256()
                : _mm256_loadu_si256(
                      (const __m256i *)(out + r * out_stride + 8 * half));
  for (int64_t turn = 0; turn < turns; ++turn) {
    __m256i low = _mm256_loadu_si256((const __m256i *)(w + 64 * turn));
    __m256i high = _mm256_loadu_si256((const __m256i *)(w + 64 * turn + 32));
    for (int r = 0; r < rows; ++r) {
      int32_t four;
      memcpy(&four, x + r * x_stride + 4 * turn, 4);
      __m256i codes = _mm256_set1_epi32(four);
      sums[r][0] = _mm256_dpbusd_avx_epi32(sums[r][0], codes, low);
      sums[r][1] = _mm256_dpbusd_avx_epi32(sums[r][1], codes, high);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int half = 0; half < 2; ++half)
      _mm256_storeu_si256((__m256i *)(out + r * out_stride + 8 * half),
                          sums[r][half]);
}

/* The same for any number of rows that is even. */
static void add_rows(const uint8_t *x, int64_t x_stride, const int8_t *w,
                     int64_t turns, int64_t rows, int first, int32_t *out,
                     int64_t out_stride) {
  int64_t row = 0;
#define TILE(count)                                                            \
  for (; row + (count) <= rows; row += (count))                                \
    if (first)                                                                 \
      add_tile(x + row * x_stride, x_stride, w, turns, count, 1,               \
               out + row * out_stride, out_stride);                            \
    else                                                                       \
      add_tile(x + row * x_stride, x_stride, w, turns, count, 0,               \
               out + row * out_stride, out_stride)
  TILE(TILE_ROWS);
  TILE(4);
  TILE(2);
#undef TILE
}

#if QUERN_BITS != 8
/* Bytes of `turns` groups; a byte of `packed` holds codes of 8 / QUERN_BITS
 * groups, the first lowest. */
static void unpack(const int8_t *packed, int64_t turns, int8_t *bytes) {
  for (int64_t turn = 0; turn < turns; ++turn) {
    const int8_t *from = packed + turn * QUERN_BITS / 8 * 64;
    int above = 8 - QUERN_BITS * (int)(turn % (8 / QUERN_BITS) + 1);
    for (int i = 0; i < 64; ++i)
      bytes[turn * 64 + i] =
          (int8_t)((int8_t)(uint8_t)((uint8_t)from[i] << above) >>
                   (8 - QUERN_BITS));
  }
}
#endif

/* Sums of products of `rows` rows (a multiple of 4, at most 32) and `panels`
 * panels of 16 columns over `turns` groups of four k (a multiple of 16):
 *   x    codes, rows x_stride bytes apart (even)
 *   w    packed weights, panels panel_bytes bytes apart
 *   out  [rows][panels][16]
 */
void ENTRY(const uint8_t *x, int64_t x_stride, const int8_t *w,
           int64_t panel_bytes, int64_t turns, int64_t panels, int64_t rows,
           int32_t *out) {
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int8_t *weights = w + panel * panel_bytes;
    int32_t *sums = out + panel * 16;
#if QUERN_BITS == 8
    add_rows(x, x_stride, weights, turns, rows, 1, sums, panels * 16);
#else
    for (int64_t from = 0; from < turns; from += BLOCK_TURNS) {
      int8_t bytes[BLOCK_TURNS * 64];
      int64_t count = turns - from < BLOCK_TURNS ? turns - from : BLOCK_TURNS;
      unpack(weights + from * QUERN_BITS / 8 * 64, count, bytes);
      add_rows(x + 4 * from, x_stride, bytes, count, rows, from == 0, sums,
               panels * 16);
    }
#endif
  }
}
