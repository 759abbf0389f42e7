/*===- pair_product.c - a product kernel of pmaddubsw ---------------------===//
 *
 * For weights of few bits on CPUs without VNNI. Called as product.c is.
 *
 * pmaddubsw multiplies bytes without sign by bytes with one and adds two
 * products in 16 bits, where they may saturate. Weights of 4 and 2 bits leave
 * room: a pair is -4080 at the least with 4 bits, and the sum of eight pairs
 * -32640. So eight pairs are added in 16 bits before pmaddwd widens them, and
 * the instruction does twice what pmaddwd does. Weights of 8 bits have no such
 * room: of the channels of BERT-base and MiniLM-L6, 3 in 1000 have no pair that
 * could saturate, and no matrix is without one.
 *
 * What unpacks weights prefetches those that the next call reads, which lie
 * behind these.
 *
 *===----------------------------------------------------------------------===*/
#include "vectors.h"

#define ENTRY JOIN(quern_product_, QUERN_TIER, _w, QUERN_BITS)

/* Rows and vectors of columns whose sums stay in registers. */
#if VECTOR_BYTES == 64
#define TILE_ROWS 8
#define TILE_VECTORS 1
#elif VECTOR_BYTES == 32
#define TILE_ROWS 4
#define TILE_VECTORS 2
#else
#define TILE_ROWS 2
#define TILE_VECTORS 4
#endif

/* Pairs that are added in 16 bits; divides the turns of a call. */
#define PAIRS 8
_Static_assert(PAIRS * 2 * 255 * (1 << (QUERN_BITS - 1)) <= 32768,
               "sums of pairs fit 16 bits");

/* Groups of four k that are unpacked at a time; a multiple of 16. */
#define BLOCK_TURNS 64
/* Codes in a byte. */
#define CODES (8 / QUERN_BITS)

/* Adds the products of `turns` groups to `rows` rows of sums. */
INLINE void add_tile(const uint8_t *x, int64_t x_stride, const int8_t *w,
                     int64_t turns, int rows, int32_t *out,
                     int64_t out_stride) {
  const vector ones = VECTOR(set1_epi16)(1);
  for (int64_t from = 0; from < turns; from += PAIRS) {
    vector pairs[TILE_ROWS][TILE_VECTORS];
#pragma unroll
    for (int turn = 0; turn < PAIRS; ++turn) {
      const int8_t *at = w + 64 * (from + turn);
#pragma unroll
      for (int r = 0; r < rows; ++r) {
        int32_t four;
        memcpy(&four, x + r * x_stride + 4 * (from + turn), 4);
        vector codes = VECTOR(set1_epi32)(four);
#pragma unroll
        for (int v = 0; v < TILE_VECTORS; ++v) {
          vector pair =
              VECTOR(maddubs_epi16)(codes, vector_load(at + VECTOR_BYTES * v));
          pairs[r][v] = turn ? VECTOR(add_epi16)(pairs[r][v], pair) : pair;
        }
      }
    }
#pragma unroll
    for (int r = 0; r < rows; ++r)
#pragma unroll
      for (int v = 0; v < TILE_VECTORS; ++v) {
        int32_t *sums = out + r * out_stride + VECTOR_LANES * v;
        vector sum = VECTOR(madd_epi16)(pairs[r][v], ones);
        vector_store(sums, VECTOR(add_epi32)(sum, vector_load(sums)));
      }
  }
}

/* The same for any number of rows that is a multiple of four. */
static void add_rows(const uint8_t *x, int64_t x_stride, const int8_t *w,
                     int64_t turns, int64_t rows, int32_t *out,
                     int64_t out_stride) {
  int64_t row = 0;
#define TILE(count)                                                            \
  for (; row + (count) <= rows; row += (count))                                \
  add_tile(x + row * x_stride, x_stride, w, turns, count,                      \
           out + row * out_stride, out_stride)
  TILE(TILE_ROWS);
#if TILE_ROWS > 4
  TILE(4);
#endif
#undef TILE
}

/* Bytes of `turns` groups; a byte of `packed` holds codes of CODES groups, the
 * first lowest. Prefetches `ahead` bytes before them. */
static void unpack(const int8_t *packed, int64_t turns, int64_t ahead,
                   int8_t *bytes) {
  /* What the lowest four bits stand for, or the lowest two. */
  const int top = 1 << (QUERN_BITS - 1);
  int8_t values[16];
  for (int i = 0; i < 16; ++i)
    values[i] = (int8_t)((i & (top - 1)) - (i & top));
  const vector table = vector_repeat(_mm_loadu_si128((const __m128i *)values));
  const vector mask = VECTOR(set1_epi8)((1 << QUERN_BITS) - 1);
  for (int64_t turn = 0; turn < turns; turn += CODES) {
    const int8_t *line = packed + 64 / CODES * turn;
    prefetch(line + ahead);
#pragma unroll
    for (int v = 0; v < VECTORS_OF_64; ++v) {
      vector all = vector_load(line + VECTOR_BYTES * v);
#pragma unroll
      for (int part = 0; part < CODES; ++part) {
        vector code = VECTOR(srli_epi16)(all, QUERN_BITS * part);
        vector_store(bytes + 64 * (turn + part) + VECTOR_BYTES * v,
                     VECTOR(shuffle_epi8)(table, vector_and(code, mask)));
      }
    }
  }
}

/* See product.c. */
void ENTRY(const uint8_t *x, int64_t x_stride, const int8_t *w,
           int64_t panel_bytes, int64_t turns, int64_t panels, int64_t rows,
           int32_t *out) {
  clear_sums(out, rows * panels);
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t from = 0; from < turns; from += BLOCK_TURNS) {
      int8_t bytes[BLOCK_TURNS * 64] __attribute__((aligned(64)));
      int64_t count = turns - from < BLOCK_TURNS ? turns - from : BLOCK_TURNS;
      unpack(w + panel * panel_bytes + from * 64 / CODES, count,
             panels * panel_bytes, bytes);
      for (int v = 0; v < VECTORS_OF_64; v += TILE_VECTORS)
        add_rows(x + 4 * from, x_stride, bytes + VECTOR_BYTES * v, count, rows,
                 out + panel * 16 + VECTOR_LANES * v, panels * 16);
    }
}
