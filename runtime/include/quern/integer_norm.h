//===- integer_norm.h - LayerNorm without floats --------------------------===//
//
// i-LayerNorm of I-BERT (Kim et al., 2021, section 3.6) with the power-of-two
// factors of FQ-ViT (Lin et al., 2022, equation 9) at its input. Gain and bias
// are fixed-point numbers of each channel, so a gain of zero divides nothing
// (the published form divides the bias by it). See integer_math.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_INTEGER_NORM_H
#define QUERN_INTEGER_NORM_H

#include "quern/integer_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Most columns of a row.
#define QI_MOST_COLUMNS 65536

/// Bits that a normalized value, which is at most sqrt(d) in size, has behind
/// sqrt(d): 1 stands for 2^30 / sqrt(d).
#define QI_NORM_BITS 30

/// Sums of fewer bits are shifted up to this many, so that a mean rounded to an
/// integer keeps fractions of a code.
#define QI_SUM_BITS 14

/// The shift of codes of `bits` bits, the largest factor of a channel being
/// 2^factor: it is added to the factors of all channels.
static inline int qi_sum_shift(int bits, int factor) {
  int shift = QI_SUM_BITS - bits - factor;
  return shift > 0 ? shift : 0;
}

/// A channel's gain and bias, from normalized values to codes.
typedef struct {
  int32_t gain; ///< times 2^-shift
  int64_t bias; ///< in units of 2^-shift codes
} qi_channel;

/// mean = round half to even of the mean of x[j] 2^factor[j] (factor may be
/// null), deviation = floor(sqrt(sum((x - mean) >> cut)^2)) << cut with the
/// smallest cut for which that sum fits 32 bits. |x| 2^factor < 2^22, which is
/// the width that I-BERT gives this input.
static inline void qi_row_moments(const int32_t *x, const uint8_t *factor,
                                  int64_t d, int64_t *mean,
                                  int64_t *deviation) {
  int64_t sum = 0;
  for (int64_t j = 0; j < d; ++j)
    sum += (int64_t)x[j] * ((int64_t)1 << (factor ? factor[j] : 0));
  /* floor(sum / d), then the nearest. */
  int64_t low = sum / d - (sum % d < 0);
  int64_t rest = sum - low * d;
  low += 2 * rest > d || (2 * rest == d && (low & 1));
  *mean = low;
  uint64_t squares = 0;
  int cut = 0;
  do {
    squares = 0;
    for (int64_t j = 0; j < d; ++j) {
      int64_t y = (int64_t)x[j] * ((int64_t)1 << (factor ? factor[j] : 0));
      y = qi_shift_floor(y - low, cut);
      squares += (uint64_t)(y * y);
    }
  } while (squares > UINT32_MAX && ++cut);
  *deviation = (int64_t)qi_sqrt((uint32_t)squares) << cut;
}

/// Codes of LayerNorm over a row: with y = x 2^factor - mean and the deviation
/// above, floor(y floor(2^31 / deviation) / 2) is the normalized value; times
/// the gain, plus the bias, to the nearest even, within [lo, hi]. A row whose
/// values are all equal normalizes to zeros.
static inline void qi_layer_norm(const int32_t *x, const uint8_t *factor,
                                 int64_t d, const qi_channel *channels,
                                 int shift, int32_t lo, int32_t hi,
                                 int32_t *codes) {
  int64_t mean, deviation;
  qi_row_moments(x, factor, d, &mean, &deviation);
  int64_t reciprocal = deviation ? ((int64_t)1 << 31) / deviation : 0;
  for (int64_t j = 0; j < d; ++j) {
    int64_t y = (int64_t)x[j] * ((int64_t)1 << (factor ? factor[j] : 0)) - mean;
    int64_t normal = qi_shift_floor(y * reciprocal, 1);
    int64_t v = normal * channels[j].gain + channels[j].bias;
    codes[j] = (int32_t)qi_clamp(qi_shift_even(v, shift), lo, hi);
  }
}

/// Gains of 31 bits at most and their common shift: codes are
/// normalized * gamma[j] / s + beta[j] / s + zero, for codes of scale s.
/// Returns the shift, or -1 where no shift of [1, 61] holds every constant.
static inline int qi_make_channels(const float *gamma, const float *beta,
                                   int64_t d, double s, int32_t zero,
                                   qi_channel *channels) {
  double unit = sqrt((double)d) / (double)((int64_t)1 << QI_NORM_BITS);
  double largest = 0, bias = 0;
  for (int64_t j = 0; j < d; ++j) {
    double gain = fabs((double)gamma[j]) * unit / s;
    double offset = fabs((double)beta[j] / s + zero);
    largest = gain > largest ? gain : largest;
    bias = offset > bias ? offset : bias;
  }
  int shift = 61;
  while (shift > 0 &&
         (ldexp(largest, shift) >= 0x1p30 || ldexp(bias, shift) >= 0x1p61))
    --shift;
  if (shift < 1 || !(s > 0))
    return -1;
  for (int64_t j = 0; j < d; ++j) {
    channels[j].gain =
        (int32_t)floor(ldexp((double)gamma[j] * unit / s, shift) + 0.5);
    channels[j].bias =
        (int64_t)floor(ldexp((double)beta[j] / s + zero, shift) + 0.5);
  }
  return shift;
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTEGER_NORM_H */
