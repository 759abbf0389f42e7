//===- integer_softmax.h - Softmax without floats -------------------------===//
//
// Three published forms over a row of integer scores q, whose unit is a real
// scale S: i-exp of I-BERT (Kim et al., 2021, algorithm 2), Shiftmax of I-ViT
// (Li and Gu, 2022, algorithm 1) and log-int-softmax of FQ-ViT (Lin et al.,
// 2022, equation 16). Rows hold the scores of one sequence only, so nothing is
// masked. See integer_math.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_SOFTMAX_H
#define QUERN_INTEGER_SOFTMAX_H

#include "quern/integer_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Most scores of a row: sums of 16-bit exponentials stay below 2^31.
#define QI_MOST_SCORES 32767

/// The largest of n > 0 scores. Their differences must fit 32 bits.
static inline int32_t qi_row_max(const int32_t *q, int64_t n) {
  int32_t top = q[0];
  for (int64_t i = 1; i < n; ++i)
    top = q[i] > top ? q[i] : top;
  return top;
}

/* i-exp -------------------------------------------------------------------- */

/// ln 2 is limited to 30 halvings, as in the published code.
#define QI_EXP_HALVINGS 30

/// Constants of exp(q S) for q <= 0.
typedef struct {
  /// Scores are multiplied by 2^pre first: at 8 bits, ln 2 is so few steps that
  /// rounding it alone costs 0.05.
  int32_t pre;
  /// Smallest score that is told apart, before it is multiplied.
  int32_t lowest;
  /// ln 2 in steps, rounded up.
  int32_t ln2;
  /// exp(-r) is near (r^2 - b r + c) times a constant, r in [0, ln2).
  int32_t b, c;
  /// What makes 16-bit numbers of the exponentials.
  int32_t post;
} qi_exp;

/// Constants for scores of unit `scale`. Returns 0, or -1 if the scale is not
/// in [2^-13, 16]. With it pre is 0 to 16, and no value below leaves 32 bits:
/// ln2 <= 5679, c < 2^28, (ln2 + b) ln2 + c < 2^31.
static inline int qi_make_exp(double scale, qi_exp *e) {
  if (!(scale >= 0x1p-13 && scale <= 16))
    return -1;
  e->pre = 0;
  for (; scale >= 0x1p-11; scale /= 2)
    ++e->pre;
  e->ln2 = -(int32_t)floor(-0.6931 / scale);
  e->b = (int32_t)floor(0.96963238 / 0.35815147 / scale);
  e->c = (int32_t)floor(1 / 0.35815147 / (scale * scale));
  e->lowest = -((QI_EXP_HALVINGS * e->ln2) >> e->pre);
  int bits = qi_bits((uint64_t)e->c);
  e->post = bits > 16 ? bits - 16 : 0;
  return 0;
}

/// exp(q S) for q <= 0, in units of 1 / c.
static inline int32_t qi_exp_of(int32_t q, const qi_exp *e) {
  q = q < e->lowest ? e->lowest : q;
  int32_t steps = -q * (int32_t)((uint32_t)1 << e->pre);
  int32_t halvings = steps / e->ln2;
  int32_t r = steps - halvings * e->ln2;
  return ((r - e->b) * r + e->c) >> halvings;
}

/// softmax(q S) in codes of 1/256, at most 255, rounded down.
static inline void qi_softmax(const int32_t *q, int64_t n, const qi_exp *e,
                              uint8_t *out) {
  int32_t top = qi_row_max(q, n), sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += qi_exp_of(q[i] - top, e) >> e->post;
  uint32_t factor = (uint32_t)(((uint64_t)1 << 32) / (uint32_t)sum);
  for (int64_t i = 0; i < n; ++i) {
    uint32_t v = (uint32_t)(qi_exp_of(q[i] - top, e) >> e->post);
    uint64_t code = (uint64_t)v * factor >> 24;
    out[i] = (uint8_t)(code > 255 ? 255 : code);
  }
}

/* Shiftmax ----------------------------------------------------------------- */

/// -1 / S in steps, rounded down: the negative unit of Shiftmax. 0 if the scale
/// is not in [2^-15, 1].
static inline int32_t qi_shift_unit(double scale) {
  return scale >= 0x1p-15 && scale <= 1 ? (int32_t)floor(-1 / scale) : 0;
}

/// e^(q S) in units of S / 2^n, for q of at most 24 bits: log2 e is taken for
/// 1.4375 and 2^f for 1 + f / 2. Saturates at 2^62.
static inline int64_t qi_shift_exp(int32_t q, int32_t unit, int n) {
  int64_t t = (int64_t)q + qi_shift_floor(q, 1) - qi_shift_floor(q, 4);
  int64_t lowest = (int64_t)n * unit;
  t = t < lowest ? lowest : t;
  /* floor(t / unit), unit < 0. */
  int64_t k = t / unit;
  if (t % unit != 0 && t > 0)
    --k;
  int64_t twice = t - k * unit - 2 * (int64_t)unit;
  int64_t by = n - 1 - k;
  if (by < 0)
    return qi_shift_floor(twice, (int)-by);
  return by > 40 ? (int64_t)1 << 62 : twice * ((int64_t)1 << by);
}

/// floor((2^31 - 1) / sum), the sum limited to 31 bits as in the published
/// code.
static inline int64_t qi_shift_factor(int64_t sum) {
  return INT32_MAX / (sum > INT32_MAX ? INT32_MAX : sum);
}

/// softmax(q S) in codes of 1/128, at most 128, rounded down (n = 15).
static inline void qi_shiftmax(const int32_t *q, int64_t n, int32_t unit,
                               uint8_t *out) {
  int32_t top = qi_row_max(q, n);
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += qi_shift_exp(q[i] - top, unit, 15);
  int64_t factor = qi_shift_factor(sum);
  for (int64_t i = 0; i < n; ++i)
    out[i] = (uint8_t)(qi_shift_exp(q[i] - top, unit, 15) * factor >> 24);
}

/* log-int-softmax ---------------------------------------------------------- */

/// Codes c of softmax(q S), which stand for 2^-c; 2^bits stands for 0, so there
/// are 2^bits + 1 of them.
static inline void qi_log_softmax(const int32_t *q, int64_t n, const qi_exp *e,
                                  int bits, uint16_t *out) {
  int32_t top = qi_row_max(q, n);
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += qi_exp_of(q[i] - top, e);
  for (int64_t i = 0; i < n; ++i) {
    int64_t v = qi_exp_of(q[i] - top, e), zero = (int64_t)1 << bits;
    int64_t code = zero;
    if (v > 0) {
      /* The ratio to the nearest integer, ties to even. */
      int64_t ratio = sum / v, rest = sum - ratio * v;
      ratio += 2 * rest > v || (2 * rest == v && (ratio & 1));
      int64_t power = qi_bits((uint64_t)ratio) - 1;
      code = power + (2 * ratio >= 3 * ((int64_t)1 << power));
    }
    out[i] = (uint16_t)(code < zero ? code : zero);
  }
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_SOFTMAX_H */
