//===- integer_activation.h - Activations between integers ----------------===//
//
// GELU, tanh and ReLU of fixed-point numbers, for the epilogue of a product
// that holds no float. GELU and tanh are the piecewise polynomials of
// quant_math.h in integers, tanh to the fourth degree; i-GELU is that of
// integer_gelu.h. See integer_math.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_ACTIVATION_H
#define QUERN_INTEGER_ACTIVATION_H

#include "quern/integer_gelu.h"
#include "quern/quant_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Inputs are limited to this size.
#define QI_ACTIVATION_LIMIT ((int32_t)1 << 26)

/// Steps of a segment of a polynomial, as a power of two.
#define QI_SEGMENT_BITS 11
/// Inputs of a polynomial are limited to this, just below the end of its last
/// segment.
#define QI_SEGMENT_LIMIT ((int32_t)(QM_SEGMENT_LIMIT * (1 << QI_SEGMENT_BITS)))
#define QI_SEGMENT_DEGREE 4

/// Units to 1 at the input and at the result.
#define QI_GELU_IN ((double)QM_GELU_SCALE * (1 << QI_SEGMENT_BITS))
#define QI_GELU_OUT (QI_GELU_IN * 16)
#define QI_TANH_IN ((double)QM_TANH_SCALE * (1 << QI_SEGMENT_BITS))
#define QI_TANH_OUT 65536.0
#define QI_RELU_IN 4096.0
#define QI_RELU_OUT 4096.0
/// Inputs of i-GELU have a scale that needs no multiplication before.
#define QI_I_GELU_IN 8192.0
/// Bits that are cut off results of i-GELU.
#define QI_I_GELU_CUT 12

/// A coefficient of a polynomial with `units` to 1; below 2^17 in size.
static inline int32_t qi_coefficient(float value, double units) {
  return (int32_t)floor((double)value * units + 0.5);
}

/// Value at t >= 0 of the piecewise polynomial of `table`.
static inline int32_t qi_segments(int32_t t, const float (*table)[16],
                                  double units) {
  t = t < QI_SEGMENT_LIMIT ? t : QI_SEGMENT_LIMIT;
  int32_t i = (t + (1 << (QI_SEGMENT_BITS - 1))) >> QI_SEGMENT_BITS;
  int32_t u = t - i * (1 << QI_SEGMENT_BITS);
  int32_t y = qi_coefficient(table[QI_SEGMENT_DEGREE][i], units);
  for (int p = QI_SEGMENT_DEGREE - 1; p >= 0; --p)
    y = (int32_t)qi_shift_floor((int64_t)y * u, QI_SEGMENT_BITS) +
        qi_coefficient(table[p][i], units);
  return y;
}

static inline int32_t qi_abs(int32_t t) { return t < 0 ? -t : t; }

/// max(t, 0) - h(|t|), by a table of quant_math.h. Absolute error at most
/// 2^-13 with that of the table.
static inline int32_t qi_gelu_segments(int32_t t, const float (*table)[16]) {
  return (t > 0 ? t : 0) * 16 - qi_segments(qi_abs(t), table, QI_GELU_OUT);
}

/// tanh, odd, absolute error at most 2^-11.
static inline int32_t qi_tanh(int32_t t) {
  int32_t y = qi_segments(qi_abs(t), qm_tanh_table, QI_TANH_OUT);
  return t < 0 ? -y : y;
}

/// The constants of i-GELU at the scale above.
static inline qi_gelu qi_i_gelu_constants(void) {
  qi_gelu g;
  (void)qi_make_gelu(1 / QI_I_GELU_IN, &g);
  return g;
}

/// i-GELU, cut to 32 bits. Its unit is negative: see qi_i_gelu_out.
static inline int32_t qi_i_gelu(int32_t t, const qi_gelu *g) {
  return (int32_t)qi_shift_floor(qi_gelu_of(t, g), QI_I_GELU_CUT);
}

/// Units to 1 at the result of qi_i_gelu; negative.
static inline double qi_i_gelu_out(void) {
  return 1 / (qi_i_gelu_constants().unit * (1 << QI_I_GELU_CUT));
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_ACTIVATION_H */
