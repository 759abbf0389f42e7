//===- integer_math.h - Integer square root and fixed-point scales --------===//
//
// The arithmetic of integer-only recipes, where no number is a float between
// the embedding and the outputs: what I-BERT (Kim et al., 2021) and I-ViT (Li
// and Gu, 2022) define, in exact integers where their code runs on floats.
// Constants are made from real scales once, by the compiler; the functions that
// follow them at run time hold nothing but integers. C99 and C++.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_MATH_H
#define QUERN_INTEGER_MATH_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// floor(a / 2^s), s in [0, 63], also for a < 0.
static inline int64_t qi_shift_floor(int64_t a, int s) {
  return a >= 0 ? a >> s : ~(~a >> s);
}

/// a / 2^s to the nearest integer, ties to even; s in [0, 62].
static inline int64_t qi_shift_even(int64_t a, int s) {
  if (s == 0)
    return a;
  int64_t low = qi_shift_floor(a, s);
  int64_t rest = a - low * ((int64_t)1 << s), half = (int64_t)1 << (s - 1);
  return low + (rest > half || (rest == half && (low & 1)));
}

/// Bits of v up to its highest one; 0 for 0.
static inline int qi_bits(uint64_t v) {
  int n = 0;
  for (; v; v >>= 1)
    ++n;
  return n;
}

/// floor(sqrt(n)), exact: Newton's iteration from above, which falls until it
/// is there (I-BERT, algorithm 4).
static inline uint32_t qi_sqrt(uint32_t n) {
  if (n == 0)
    return 0;
  uint32_t x = (uint32_t)1 << (qi_bits(n) + 1) / 2;
  for (;;) {
    uint32_t next = (x + n / x) >> 1;
    if (next >= x)
      return x;
    x = next;
  }
}

/// A positive real as mantissa / 2^shift, mantissa in [2^30, 2^31).
typedef struct {
  int32_t mantissa;
  int32_t shift;
} qi_scale;

/// The nearest such number, half up. Returns 0, or -1 if `v` is not in
/// [2^-31, 2^30): then no shift of [1, 61] serves.
static inline int qi_make_scale(double v, qi_scale *scale) {
  int exponent;
  if (!(v >= 0x1p-31 && v < 0x1p30))
    return -1;
  double part = frexp(v, &exponent);
  int64_t mantissa = (int64_t)floor(part * 0x1p31 + 0.5);
  if (mantissa == (int64_t)1 << 31) {
    mantissa >>= 1;
    ++exponent;
  }
  scale->mantissa = (int32_t)mantissa;
  scale->shift = 31 - exponent;
  return 0;
}

/// q times a scale, rounded once, ties to even. I-BERT rounds the product to 53
/// bits first, which is the same for |q| < 2^22.
static inline int64_t qi_rescale(int32_t q, qi_scale scale) {
  return qi_shift_even((int64_t)q * scale.mantissa, scale.shift);
}

/// The residual sum of I-BERT and I-ViT: both terms are rounded, then added.
static inline int64_t qi_add(int32_t a, qi_scale scale_a, int32_t b,
                             qi_scale scale_b) {
  return qi_rescale(a, scale_a) + qi_rescale(b, scale_b);
}

/// v limited to [lo, hi].
static inline int64_t qi_clamp(int64_t v, int64_t lo, int64_t hi) {
  return v < lo ? lo : v > hi ? hi : v;
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_MATH_H */
