//===- integer_gelu.h - GELU without floats -------------------------------===//
//
// i-GELU of I-BERT (Kim et al., 2021, algorithm 3), a polynomial for erf, and
// ShiftGELU of I-ViT (Li and Gu, 2022, algorithm 2), x sigmoid(1.702 x) by
// shifts. See integer_math.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_GELU_H
#define QUERN_INTEGER_GELU_H

#include "quern/integer_softmax.h"

#ifdef __cplusplus
extern "C" {
#endif

/* i-GELU ------------------------------------------------------------------- */

/// Constants of GELU(q S).
typedef struct {
  /// Inputs are multiplied by 2^pre first, as in qi_exp.
  int32_t pre;
  /// erf is flat from this many steps on.
  int32_t flat;
  /// erf(t) is near sign(t) ((min(|t|, flat) - flat)^2 - c) times a negative
  /// constant.
  int32_t c;
  /// 1 in units of the shifted erf, rounded away from zero; negative.
  int32_t one;
  /// The unit of results; negative, as that of erf is.
  double unit;
} qi_gelu;

/// Bits that are cut off erf before it is multiplied by x.
#define QI_GELU_CUT 14

/// Constants for inputs of unit `scale`. Returns 0, or -1 if the scale is not
/// in [2^-13, 16].
static inline int qi_make_gelu(double scale, qi_gelu *g) {
  if (!(scale >= 0x1p-13 && scale <= 16))
    return -1;
  g->pre = 0;
  for (; scale >= 0x1p-12; scale /= 2)
    ++g->pre;
  double erf_scale = scale / 1.4142;
  double cut = -0.2888 * erf_scale * erf_scale * (1 << QI_GELU_CUT);
  g->flat = -(int32_t)floor(-1.769 / erf_scale);
  g->c = -(int32_t)floor(1 / -0.2888 / (erf_scale * erf_scale));
  g->one = (int32_t)floor(1 / cut);
  g->unit = scale * cut / 2;
  return 0;
}

/// GELU(q S) in g->unit; |q| < 2^(31 - pre).
static inline int64_t qi_gelu_of(int32_t q, const qi_gelu *g) {
  int64_t x = (int64_t)q * ((int64_t)1 << g->pre);
  int64_t near = x < 0 ? -x : x;
  near = (near < g->flat ? near : g->flat) - g->flat;
  int64_t erf = near * near - g->c;
  erf = qi_shift_floor(x < 0 ? -erf : x > 0 ? erf : 0, QI_GELU_CUT);
  return x * (erf + g->one);
}

/* ShiftGELU ---------------------------------------------------------------- */

/// The unit of qi_shift_gelu for inputs of unit `scale`; 0 if that is not in
/// [2^-15, 1 / 1.702].
static inline int32_t qi_shift_gelu_unit(double scale) {
  return qi_shift_unit(scale * 1.702);
}

/// q sigmoid(1.702 q S) of a row, in units of S / 128 (n = 23). The largest
/// input of the row sets the scale of the exponentials, so results of one
/// input differ from row to row, as published.
static inline void qi_shift_gelu(const int32_t *q, int64_t n, int32_t unit,
                                 int32_t *out) {
  int32_t top = qi_row_max(q, n);
  int64_t base = qi_shift_exp(-top, unit, 23);
  for (int64_t i = 0; i < n; ++i) {
    int64_t e = qi_shift_exp(q[i] - top, unit, 23);
    int64_t sigmoid = e * qi_shift_factor(e + base) >> 24;
    out[i] = (int32_t)(q[i] * sigmoid);
  }
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_GELU_H */
