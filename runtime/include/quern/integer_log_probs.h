//===- integer_log_probs.h - A row of scores to codes of base 2 -----------===//
//
// Logarithmic probabilities without floats. As in integer_probs.h the
// exponentials of 8-bit scores are a table. The code of an exponential e in a
// row of sum S is the number of limits that e does not exceed: 2^bits limits
// for the row, each by a product and a shift or a division by a constant, and
// comparisons only for a score. See log_math.h for what codes stand for.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_LOG_PROBS_H
#define QUERN_INTEGER_LOG_PROBS_H

#include "quern/integer_probs.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Most bits of a code: sums of 2^(2^bits - 1 - code) times 8-bit values, of
/// rows that add up to less than 2, fit 32 bits.
#define QI_LOG_BITS 4

#define QI_SQRT_HALF 0x1.6a09e667f3bcdp-1

/// One form, for one scale of scores.
typedef struct {
  /// The exponential of a score that is d below the largest one.
  int32_t exps[256];
  /// 3 or 4.
  int32_t bits;
  /// Log-int-softmax (qi_log_softmax); else the logarithm is rounded.
  int32_t published;
  /// Of a rounded logarithm: limit c is S times 2^-(c + 1/2) and the scale of
  /// codes.
  qi_scale limits[1 << QI_LOG_BITS];
} qi_log_probs;

/// The table of qi_make_table_probs, codes of scale `scale`, rounded to the
/// nearest logarithm. Returns 0, or -1 for constants without a form.
static inline int qi_make_table_log_probs(const float *hi, const float *lo,
                                          double scale, int bits,
                                          qi_log_probs *p) {
  if (bits < 3 || bits > QI_LOG_BITS)
    return -1;
  for (int d = 0; d < 256; ++d)
    p->exps[d] = qm_rne(hi[d >> 4] * lo[d & 15]);
  if (!(p->exps[0] >= 1 && p->exps[0] <= 1 << 24))
    return -1;
  p->bits = bits;
  p->published = 0;
  for (int c = 0; c < 1 << bits; ++c)
    if (qi_make_scale(ldexp(scale * QI_SQRT_HALF, -c), &p->limits[c]))
      return -1;
  return 0;
}

/// i-exp over scores of unit `scale`, codes of scale 1: qi_log_softmax. Returns
/// -1 for a scale that qi_make_exp has not.
static inline int qi_make_exp_log_probs(double scale, int bits,
                                        qi_log_probs *p) {
  qi_exp e;
  if (bits < 3 || bits > QI_LOG_BITS || qi_make_exp(scale, &e))
    return -1;
  for (int d = 0; d < 256; ++d)
    p->exps[d] = qi_exp_of(-d, &e);
  p->bits = bits;
  p->published = 1;
  return 0;
}

/// Log-int-softmax has a code above c where the ratio t of the sum to e, to the
/// nearest integer, is 1.5 * 2^c or more: where 2 S >= (3 * 2^c - 1) e. At c =
/// 1 a ratio of 2.5 is rounded to 2, so equality is below.
static inline int64_t qi_log_divisor(int c) {
  return c == 0 ? 3 : 3 * ((int64_t)1 << c) - 1;
}

/// The largest exponential with a code above c in a row of this sum, which is
/// not 0, below 2^32 times 2^24 / exps[0] of a rounded logarithm and below 2^43
/// of a published one; limited to 31 bits.
static inline int32_t qi_log_limit(int64_t sum, int c, const qi_log_probs *p) {
  int64_t limit = p->published ? (2 * sum - (c == 1)) / qi_log_divisor(c)
                               : qi_shift_floor(sum * p->limits[c].mantissa,
                                                p->limits[c].shift);
  return (int32_t)(limit < INT32_MAX ? limit : INT32_MAX);
}

/// Codes of a row of n > 0 score codes in [0, 255]; the last, 2^bits, is zero.
static inline void qi_log_probs_of(const int32_t *scores, int64_t n,
                                   const qi_log_probs *p, int32_t *codes) {
  int32_t top = qi_row_max(scores, n);
  int32_t limits[1 << QI_LOG_BITS];
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += p->exps[top - scores[i]];
  for (int c = 0; c < 1 << p->bits; ++c)
    limits[c] = qi_log_limit(sum, c, p);
  for (int64_t i = 0; i < n; ++i) {
    int32_t e = p->exps[top - scores[i]], code = 0;
    for (int c = 0; c < 1 << p->bits; ++c)
      code += e <= limits[c];
    codes[i] = code;
  }
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_LOG_PROBS_H */
