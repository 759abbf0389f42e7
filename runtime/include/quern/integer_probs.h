//===- integer_probs.h - A row of 8-bit scores to probability codes -------===//
//
// Scores of 8 bits differ from the largest of their row by one of 256 numbers,
// so whatever the form of the exponential, its values are a table made at
// compile time. The forms differ in that table and in how a row is normalized:
// by one division for the row, and a multiplication and a shift for each score.
// See integer_softmax.h for the published forms.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_PROBS_H
#define QUERN_INTEGER_PROBS_H

#include "quern/integer_softmax.h"
#include "quern/quant_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One form, for one scale of scores and of probabilities.
typedef struct {
  /// The exponential of a score that is d below the largest one.
  int32_t exps[256];
  /// A row is multiplied by floor(numerator / min(sum, most)); the product of
  /// that and of an exponential fits 62 bits.
  int64_t numerator, most;
  /// Products are divided by 2^shift, to the nearest integer, ties to even, if
  /// `nearest` is not 0, down otherwise; codes are at most `top`.
  int32_t shift, nearest, top;
} qi_probs;

/// The default: exps[d] = rne(hi[d >> 4] * lo[d & 15]) in f32, which is what
/// tq.qattention has without fixed, and codes of scale 1 / multiplier. Returns
/// 0, or -1 for constants without a form: the largest exponential not in
/// [1, 2^24], or a multiplier that qi_make_scale has not.
static inline int qi_make_table_probs(const float *hi, const float *lo,
                                      double multiplier, int32_t top,
                                      qi_probs *p) {
  qi_scale scale;
  for (int d = 0; d < 256; ++d)
    p->exps[d] = qm_rne(hi[d >> 4] * lo[d & 15]);
  if (!(p->exps[0] >= 1 && p->exps[0] <= 1 << 24) ||
      qi_make_scale(multiplier, &scale))
    return -1;
  /* The largest shift that keeps the multiplier of a row below 2^31. */
  int shift = qi_bits((uint64_t)p->exps[0]) - 1;
  p->numerator = (int64_t)scale.mantissa << shift;
  p->most = UINT32_MAX;
  p->shift = scale.shift + shift;
  p->nearest = 1;
  p->top = top;
  return p->shift > 61 ? -1 : 0;
}

/// i-exp of I-BERT over scores of unit `scale`: qi_softmax, codes of 1/256.
/// Returns -1 for a scale that qi_make_exp has not.
static inline int qi_make_exp_probs(double scale, int32_t top, qi_probs *p) {
  qi_exp e;
  if (qi_make_exp(scale, &e))
    return -1;
  for (int d = 0; d < 256; ++d)
    p->exps[d] = qi_exp_of(-d, &e) >> e.post;
  p->numerator = (int64_t)1 << 32;
  p->most = UINT32_MAX;
  p->shift = 24;
  p->nearest = 0;
  p->top = top;
  return 0;
}

/// Shiftmax of I-ViT over scores of unit `scale`: qi_shiftmax, codes of 1/128.
/// Returns -1 for a scale that qi_shift_unit has not.
static inline int qi_make_shift_probs(double scale, int32_t top, qi_probs *p) {
  int32_t unit = qi_shift_unit(scale);
  if (unit == 0)
    return -1;
  for (int d = 0; d < 256; ++d)
    p->exps[d] = (int32_t)qi_shift_exp(-d, unit, 15);
  p->numerator = p->most = INT32_MAX;
  p->shift = 24;
  p->nearest = 0;
  p->top = top;
  return 0;
}

/// The code of an exponential in a row of that multiplier.
static inline int32_t qi_prob_code(int32_t e, int64_t factor,
                                   const qi_probs *p) {
  int64_t v = e * factor;
  v = p->nearest ? qi_shift_even(v, p->shift) : qi_shift_floor(v, p->shift);
  return (int32_t)(v < p->top ? v : p->top);
}

/// The multiplier of a row whose exponentials have this sum, which is not 0.
static inline int64_t qi_prob_factor(int64_t sum, const qi_probs *p) {
  return p->numerator / (sum < p->most ? sum : p->most);
}

/// Codes of a row of n > 0 score codes in [0, 255].
static inline void qi_probs_of(const int32_t *scores, int64_t n,
                               const qi_probs *p, int32_t *codes) {
  int32_t top = qi_row_max(scores, n);
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += p->exps[top - scores[i]];
  int64_t factor = qi_prob_factor(sum, p);
  for (int64_t i = 0; i < n; ++i)
    codes[i] = qi_prob_code(p->exps[top - scores[i]], factor, p);
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_PROBS_H */
