/*===- product.c - C entry of the product kernels of 8 bits ---------------===//
 *
 * What a kernel of a module calls; the symbol is quern_product_<QUERN_TIER>_w8,
 * and those of weights of few bits end in w4 and w2. See tk.product.
 *
 * Which kernel a call gets depends on its rows: up to QUERN_WORD_ROWS that of
 * word_product.c, with more Halide's, whose work before the products needs rows
 * to pay.
 *
 *===----------------------------------------------------------------------===*/
#include "HalideRuntime.h"

#define JOIN_(a, b, c, d) a##b##c##d
#define JOIN(a, b, c, d) JOIN_(a, b, c, d)
#define KERNEL JOIN(halide_product_, QUERN_TIER, , )
#define WORDS JOIN(quern_words_, QUERN_TIER, , )
#define ENTRY JOIN(quern_product_, QUERN_TIER, _w8, )

int KERNEL(struct halide_buffer_t *x, struct halide_buffer_t *w,
           struct halide_buffer_t *out);

void WORDS(const uint8_t *x, int64_t x_stride, const int8_t *w,
           int64_t panel_bytes, int64_t turns, int64_t panels, int64_t rows,
           int32_t *out);

/* Sums of products of `rows` rows (a multiple of 4, at most 32) and `panels`
 * panels of 16 columns over `turns` groups of four k (a multiple of 16):
 *   x    codes, rows x_stride bytes apart (even)
 *   w    packed weights, panels panel_bytes bytes apart
 *   out  [rows][panels][16]
 */
void ENTRY(const uint8_t *x, int64_t x_stride, const int8_t *w,
           int64_t panel_bytes, int64_t turns, int64_t panels, int64_t rows,
           int32_t *out) {
  if (rows <= QUERN_WORD_ROWS) {
    WORDS(x, x_stride, w, panel_bytes, turns, panels, rows, out);
    return;
  }
  struct halide_dimension_t x_dims[2] = {
      {0, (int32_t)(turns * 2), 1, 0},
      {0, (int32_t)rows, (int32_t)(x_stride / 2), 0}};
  struct halide_dimension_t w_dims[3] = {
      {0, 32, 1, 0},
      {0, (int32_t)turns, 32, 0},
      {0, (int32_t)panels, (int32_t)(panel_bytes / 2), 0}};
  struct halide_dimension_t out_dims[3] = {
      {0, 16, 1, 0},
      {0, (int32_t)panels, 16, 0},
      {0, (int32_t)rows, (int32_t)(panels * 16), 0}};
  struct halide_buffer_t x_buffer = {
      0, 0, (uint8_t *)x, 0, {halide_type_uint, 16, 1}, 2, x_dims, 0};
  struct halide_buffer_t w_buffer = {
      0, 0, (uint8_t *)w, 0, {halide_type_int, 16, 1}, 3, w_dims, 0};
  struct halide_buffer_t out_buffer = {
      0, 0, (uint8_t *)out, 0, {halide_type_int, 32, 1}, 3, out_dims, 0};
  KERNEL(&x_buffer, &w_buffer, &out_buffer);
}
