//===- integer_requant.h - From integers to codes without floats ----------===//
//
// Requantization of integer-only recipes: a mantissa of 31 bits, an offset and
// a shift in place of the f32 multiplier and offset (I-BERT's and I-ViT's rule,
// with the offset inside the one rounding). See integer_math.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_REQUANT_H
#define QUERN_INTEGER_REQUANT_H

#include "quern/integer_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/// q times a multiplier plus an offset: (q * mantissa + offset) / 2^shift.
typedef struct {
  int32_t mantissa; ///< below 2^31 in size
  int32_t shift;    ///< 1 to 61
  int64_t offset;   ///< below 2^61 in size
} qi_affine;

/// The nearest integer, half up; adding a half first would round large odd
/// numbers up.
static inline int64_t qi_half_up(double v) {
  double low = floor(v);
  return (int64_t)low + (v - low >= 0.5);
}

/// The nearest such numbers with the largest shift, each half up; for an offset
/// that leaves the mantissa its 31 bits that mantissa is the one of
/// qi_make_scale. Returns 0, or -1 where no shift serves: a multiplier of 2^30
/// or more, an offset of 2^60 or more, or one that is not a number.
static inline int qi_make_affine(double multiplier, double offset,
                                 qi_affine *a) {
  int shift = 61;
  double m = fabs(multiplier), o = fabs(offset);
  if (!(m < 0x1p30 && o < 0x1p60))
    return -1;
  while (shift > 1 &&
         (ldexp(m, shift) >= 0x1p31 - 0.5 || ldexp(o, shift) >= 0x1p61))
    --shift;
  a->mantissa = (int32_t)qi_half_up(ldexp(multiplier, shift));
  a->offset = qi_half_up(ldexp(offset, shift));
  a->shift = shift;
  return 0;
}

/// The integer nearest to q times the multiplier plus the offset, ties to even.
static inline int64_t qi_at(int32_t q, const qi_affine *a) {
  return qi_shift_even((int64_t)q * a->mantissa + a->offset, a->shift);
}

/// The code of an accumulator.
static inline int32_t qi_code(int32_t q, const qi_affine *a, int32_t lo,
                              int32_t hi) {
  return (int32_t)qi_clamp(qi_at(q, a), lo, hi);
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_REQUANT_H */
