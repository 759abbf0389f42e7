//===- log_math.h - Logarithmic attention probabilities -------------------===//
//
// Codes of base 2 or sqrt(2) (quantization.md 3.4) out of a table softmax, and
// sums weighted by what they stand for, in integers: row E22 and, with planes
// of even and odd codes, row E23. Operation by operation as in quant_math.h.
//
// With e_j = exp(-a d_j), d_j the distance of a score from the largest of its
// row and S the sum of the e_j, the code of e_j / S is linear in d_j:
//
//   -B log2(e_j / (S s)) = (B a log2 e) d_j + B log2(S s)
//
// so that a row needs one logarithm, and an element neither a division nor an
// exponential.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LOG_MATH_H
#define QUERN_LOG_MATH_H

#include "quern/quant_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Logarithm ---------------------------------------------------------------- */

/// Bits of the square root of 1/2: the mantissa is taken between it and its
/// double.
#define QM_LOG2_LOW 0x3f3504f3
#define QM_LOG2_DEGREE 8

/// log2(1 + u) = u * P(u); row p multiplies u^p.
static const float qm_log2_table[QM_LOG2_DEGREE + 1] = {
    0x1.715476p+0f,  -0x1.715474p-1f, 0x1.ec73dep-2f,
    -0x1.715994p-2f, 0x1.26d01cp-2f,  -0x1.e9d1e6p-3f,
    0x1.ba8738p-3f,  -0x1.a59aeap-3f, 0x1.f841dcp-4f};

/// Base-2 logarithm of a positive normal x: at most 2^-22 off near 1, elsewhere
/// at most half an ulp of the result more.
static inline float qm_log2(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  int32_t n = ((int32_t)bits - QM_LOG2_LOW) >> 23;
  bits -= (uint32_t)n << 23;
  float m;
  memcpy(&m, &bits, 4);
  float u = m - 1.0f;
  float y = qm_log2_table[QM_LOG2_DEGREE];
  for (int p = QM_LOG2_DEGREE - 1; p >= 0; --p) {
    y = y * u;
    y = y + qm_log2_table[p];
  }
  y = y * u;
  return (float)n + y;
}

/* Codes -------------------------------------------------------------------- */

/// Codes of `bits` bits (3 to 8) by which values fall to a half after
/// `per_octave` (1 of base 2, 2 of base sqrt(2)), and the code of zero behind
/// the last.
typedef struct {
  int32_t bits, per_octave;
} qm_log_codes;

/// The code that means exactly 0: there are 2^bits + 1 values.
static inline int32_t qm_log_zero(qm_log_codes c) {
  return (int32_t)1 << c.bits;
}

/// B log2(S s), `sum` being S and `multiplier` s over the unit of S.
static inline float qm_log_base(uint32_t sum, float multiplier,
                                qm_log_codes c) {
  float x = (float)sum * multiplier;
  return (float)c.per_octave * qm_log2(x);
}

/// The code of the score at distance d; `step` is B a log2 e.
static inline int32_t qm_log_code(int32_t d, float step, float base,
                                  qm_log_codes c) {
  float v = (float)d * step;
  v = v + base;
  return qm_round_code(v, 0.0f, (float)qm_log_zero(c));
}

/* Planes -------------------------------------------------------------------
 * A code stands for s * 2^-m, m = code >> (B - 1) its octave, times sqrt(1/2)
 * if it is odd and B is 2. Plane k holds the octaves from n k to n k + n - 1 as
 * weights 2^(n - 1) down to 1, which fit a byte; n is 8, or all octaves where
 * there are fewer. Even and odd codes have planes of their own. The code of
 * zero is in none. */

/// Octaves of one plane.
static inline int32_t qm_log_octaves(qm_log_codes c) {
  int32_t all = qm_log_zero(c) / c.per_octave;
  return all < 8 ? all : 8;
}

/// Planes of the codes of one parity.
static inline int32_t qm_log_planes(qm_log_codes c) {
  return qm_log_zero(c) / c.per_octave / qm_log_octaves(c);
}

/// The weight of a code in a plane of its own parity.
static inline int32_t qm_log_weight(int32_t code, int32_t plane,
                                    qm_log_codes c) {
  int32_t n = qm_log_octaves(c);
  int32_t below = (code >> (c.per_octave - 1)) - n * plane;
  return below < 0 || below >= n ? 0 : (int32_t)1 << (n - 1 - below);
}

/// What the planes before stand for, given the sum A_k of a plane: called from
/// the last plane (with value 0) to the first.
static inline float qm_log_add_plane(float value, int32_t sum, qm_log_codes c) {
  value = value * (1.0f / (float)((int32_t)1 << qm_log_octaves(c)));
  return value + (float)sum;
}

#define QM_SQRT_HALF 0x1.6a09e6p-1f

/// Even and odd codes together.
static inline float qm_log_join(float even, float odd) {
  odd = odd * QM_SQRT_HALF;
  return even + odd;
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_LOG_MATH_H */
