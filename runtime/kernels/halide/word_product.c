/*===- word_product.c - a product kernel of pmaddwd -----------------------===//
 *
 * For weights of 8 bits on CPUs without VNNI, where product.c leaves it a call.
 *
 * Halide's kernel widens weights to 16 bits once for all rows of a call, in
 * memory. This one widens them in registers, for every tile of rows, which
 * costs three operations beside the multiplications of a vector: nothing is
 * written and read again, whatever the number of rows. As there, pairs are
 * (k, k + 2) and (k + 1, k + 3). The first tile of rows prefetches the weights
 * that the next call reads, which lie behind these.
 *
 *===----------------------------------------------------------------------===*/
#include "vectors.h"

#define ENTRY JOIN(quern_words_, QUERN_TIER, , )

/* Rows and vectors of columns whose sums stay in registers, and groups of four
 * k for which they do; a multiple of 16. */
#if VECTOR_BYTES == 64
#define TILE_ROWS 8
#define TILE_VECTORS 1
#define BLOCK_TURNS 64
#elif VECTOR_BYTES == 32
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define BLOCK_TURNS 64
#else
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define BLOCK_TURNS 32
#endif

/* Two codes as numbers of 16 bits; without an instruction that spreads them,
 * as many of these as a vector holds. */
#if VECTOR_BYTES == 16
typedef vector pair;
#define pair_of(both) _mm_set1_epi32(both)
#define spread(pair) (pair)
#else
typedef int32_t pair;
#define pair_of(both) (int32_t)(both)
#define spread(pair) VECTOR(set1_epi32)(pair)
#endif

/* The codes of a block of a row, even and odd. */
typedef struct {
  struct {
    pair even, odd;
  } of[BLOCK_TURNS];
} wide_row;

static void widen(const uint8_t *x, int64_t turns, wide_row *row) {
  for (int64_t turn = 0; turn < turns; ++turn) {
    uint32_t four;
    memcpy(&four, x + 4 * turn, 4);
    row->of[turn].even = pair_of(four & 0xff00ff);
    row->of[turn].odd = pair_of(four >> 8 & 0xff00ff);
  }
}

/* Adds the products of `turns` groups to `rows` rows of sums, and prefetches
 * `ahead` bytes before the weights unless that is 0. */
INLINE void add_tile(const wide_row *x, const int8_t *w, int64_t turns,
                     int rows, int64_t ahead, int32_t *out,
                     int64_t out_stride) {
  vector sums[TILE_ROWS][TILE_VECTORS];
#pragma unroll
  for (int r = 0; r < rows; ++r)
#pragma unroll
    for (int v = 0; v < TILE_VECTORS; ++v)
      sums[r][v] = vector_load(out + r * out_stride + VECTOR_LANES * v);
#pragma unroll 2
  for (int64_t turn = 0; turn < turns; ++turn) {
    const int8_t *line = w + 64 * turn;
    if (ahead)
      prefetch(line + ahead);
    vector even[TILE_VECTORS], odd[TILE_VECTORS];
#pragma unroll
    for (int v = 0; v < TILE_VECTORS; ++v) {
      vector both = vector_load(line + VECTOR_BYTES * v);
      even[v] = VECTOR(srai_epi16)(VECTOR(slli_epi16)(both, 8), 8);
      odd[v] = VECTOR(srai_epi16)(both, 8);
    }
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      vector evenCodes = spread(x[r].of[turn].even);
      vector oddCodes = spread(x[r].of[turn].odd);
#pragma unroll
      for (int v = 0; v < TILE_VECTORS; ++v) {
        sums[r][v] = VECTOR(add_epi32)(sums[r][v],
                                       VECTOR(madd_epi16)(evenCodes, even[v]));
        sums[r][v] =
            VECTOR(add_epi32)(sums[r][v], VECTOR(madd_epi16)(oddCodes, odd[v]));
      }
    }
  }
#pragma unroll
  for (int r = 0; r < rows; ++r)
#pragma unroll
    for (int v = 0; v < TILE_VECTORS; ++v)
      vector_store(out + r * out_stride + VECTOR_LANES * v, sums[r][v]);
}

/* The same for any number of rows that is a multiple of four. */
static void add_rows(const wide_row *x, const int8_t *w, int64_t turns,
                     int64_t rows, int64_t ahead, int32_t *out,
                     int64_t out_stride) {
  int64_t row = 0;
#define TILE(count)                                                            \
  for (; row + (count) <= rows; row += (count))                                \
    if (row == 0)                                                              \
      add_tile(x, w, turns, count, ahead, out, out_stride);                    \
    else                                                                       \
      add_tile(x + row, w, turns, count, 0, out + row * out_stride, out_stride)
  TILE(TILE_ROWS);
#if TILE_ROWS > 4
  TILE(4);
#endif
#undef TILE
}

/* See product.c; at most QUERN_WORD_ROWS rows. */
void ENTRY(const uint8_t *x, int64_t x_stride, const int8_t *w,
           int64_t panel_bytes, int64_t turns, int64_t panels, int64_t rows,
           int32_t *out) {
  wide_row codes[QUERN_WORD_ROWS];
  clear_sums(out, rows * panels);
  for (int64_t from = 0; from < turns; from += BLOCK_TURNS) {
    int64_t count = turns - from < BLOCK_TURNS ? turns - from : BLOCK_TURNS;
    for (int64_t row = 0; row < rows; ++row)
      widen(x + row * x_stride + 4 * from, count, codes + row);
    for (int64_t panel = 0; panel < panels; ++panel)
      for (int v = 0; v < VECTORS_OF_64; v += TILE_VECTORS)
        add_rows(codes, w + panel * panel_bytes + 64 * from + VECTOR_BYTES * v,
                 count, rows, v ? 0 : panels * panel_bytes,
                 out + panel * 16 + VECTOR_LANES * v, panels * 16);
  }
}
