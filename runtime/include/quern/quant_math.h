//===- quant_math.h - The one definition of Quern's arithmetic ------------===//
//
// Rounding, requantization and the non-linear functions, operation by
// operation in f32: every multiply and add is rounded on its own, nothing is
// taken from libm, and no operation may be contracted or reordered (compile
// with -ffp-contract=off). The interpreter, the run time, the tests and the
// kernel generator (which shares the tables) all follow this file, so their
// results are equal bit for bit. C99 and C++; tables are printed by
// tools/dev/fit-quant-math.py.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_QUANT_MATH_H
#define QUERN_QUANT_MATH_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rounding and requantization --------------------------------------------- */

/// The larger of a and b; b if either is not a number (as x86's maxps).
static inline float qm_max(float a, float b) { return a > b ? a : b; }

/// The smaller of a and b; b if either is not a number (as x86's minps).
static inline float qm_min(float a, float b) { return a < b ? a : b; }

/// v limited to [lo, hi]; a v that is not a number passes through.
static inline float qm_clamp(float v, float lo, float hi) {
  return qm_min(hi, qm_max(lo, v));
}

/// v rounded to the nearest integer, ties to even. v must fit in an int32_t.
static inline int32_t qm_rne(float v) {
  /* From 2^23 on every float is an integer. */
  const float big = 8388608.0f;
  if (v >= big || v <= -big)
    return (int32_t)v;
  float m = v < 0.0f ? -big : big;
  return (int32_t)((v + m) - m);
}

/// The code of a real value in code units: clamp in f32, then round.
static inline int32_t qm_round_code(float v, float lo, float hi) {
  return qm_rne(qm_clamp(v, lo, hi));
}

/// Requantization: i32 to f32 (nearest even), one multiply, one add, code.
static inline int32_t qm_requant(int32_t acc, float mul, float off, float lo,
                                 float hi) {
  float v = (float)acc * mul;
  v = v + off;
  return qm_round_code(v, lo, hi);
}

/* Ranges found at run time ------------------------------------------------- */

/// No scale of a row is less: rows of zeros have it.
#define QM_LEAST_SCALE 0x1p-100f

/// The ends of n values, widened to hold 0; what is not a number does not
/// count. No order is implied: neither end is ever -0.
static inline void qm_row_range(const float *x, int64_t n, float *lo,
                                float *hi) {
  *lo = *hi = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    *lo = qm_min(x[i], *lo);
    *hi = qm_max(x[i], *hi);
  }
}

/// The scale of unsigned codes of `bits` bits (2 to 8) for the range [lo, hi].
/// Where some value is negative, a `centred` range is as wide above 0 as below.
static inline float qm_range_scale(float lo, float hi, int bits, int centred) {
  float scale = (hi - lo) / (float)((1 << bits) - 1);
  if (centred && lo < 0.0f)
    scale = qm_max(0.0f - lo, hi) / (float)((1 << (bits - 1)) - 1);
  return qm_max(scale, QM_LEAST_SCALE);
}

/// The zero point that belongs to it: the middle code of a centred range, else
/// the code of 0 when lo has code 0.
static inline int32_t qm_range_zero(float lo, float scale, int bits,
                                    int centred) {
  if (centred && lo < 0.0f)
    return 1 << (bits - 1);
  return qm_round_code((0.0f - lo) / scale, 0.0f, (float)((1 << bits) - 1));
}

/* Tables -------------------------------------------------------------------
 * Row p holds the coefficient of u^p for the 16 segments of |x| * scale;
 * segment i is centred on i and u = |x| * scale - i lies in [-1/2, 1/2]. */

#define QM_GELU_SCALE 2.9375f
#define QM_TANH_SCALE 2.0f
/// |x| * scale is limited to this, just below the end of segment 15.
#define QM_SEGMENT_LIMIT 15.49f
/// Adding 2^23 leaves the nearest integer in the low mantissa bits.
#define QM_ROUND_MAGIC 8388608.0f
#define QM_GELU_DEGREE 4
#define QM_TANH_DEGREE 6

/* clang-format off */
static const float qm_gelu_table[5][16] = {
    {0x0.0p+0f, 0x1.ff6a46p-4f, 0x1.59c878p-3f, 0x1.412f8cp-3f, 0x1.e34544p-4f,
     0x1.355064p-4f, 0x1.57d3c0p-5f, 0x1.4f3e76p-6f, 0x1.204dfap-7f,
     0x1.b6c676p-9f, 0x1.280824p-10f, 0x1.629db2p-12f, 0x1.796fe2p-14f,
     0x1.6526d6p-16f, 0x1.2c9500p-18f, 0x1.c2207ep-21f},
    {0x1.5c9884p-3f, 0x1.4cb624p-4f, 0x1.6b38dap-7f, -0x1.ec79a4p-6f,
     -0x1.65d3aap-5f, -0x1.411a32p-5f, -0x1.c1cc26p-6f, -0x1.06219ap-6f,
     -0x1.0515c2p-7f, -0x1.c2833cp-9f, -0x1.535774p-10f, -0x1.c08166p-12f,
     -0x1.04e4dcp-13f, -0x1.0bc87cp-15f, -0x1.e5ca80p-18f, -0x1.85e472p-20f},
    {-0x1.7abf20p-5f, -0x1.50b542p-5f, -0x1.cd87d4p-6f, -0x1.ae550ep-7f,
     -0x1.5d93cep-10f, 0x1.3f48d6p-8f, 0x1.98a07ep-8f, 0x1.45d662p-8f,
     0x1.925f4cp-9f, 0x1.99cbdcp-10f, 0x1.61cc92p-11f, 0x1.06bf7cp-12f,
     0x1.52a6fcp-14f, 0x1.7cef78p-16f, 0x1.7771ecp-18f, 0x1.452574p-20f},
    {0x1.23793cp-18f, 0x1.a9b160p-9f, 0x1.46190cp-8f, 0x1.32c084p-8f,
     0x1.8d2a1cp-9f, 0x1.31e542p-10f, -0x1.ab3facp-14f, -0x1.3d66eep-11f,
     -0x1.384fcap-11f, -0x1.9ffa58p-12f, -0x1.b3366ep-13f, -0x1.785e6ap-14f,
     -0x1.139ca0p-15f, -0x1.5a7d24p-17f, -0x1.791a1cp-19f, -0x1.655baap-21f},
    {0x1.ce9d40p-11f, 0x1.6011b6p-11f, 0x1.69334cp-13f, -0x1.3063fcp-12f,
     -0x1.fe2ebap-12f, -0x1.b059e2p-12f, -0x1.c62a58p-13f, -0x1.87b2b6p-15f,
     0x1.3f6af8p-15f, 0x1.c23078p-15f, 0x1.45dc86p-15f, 0x1.5b4f76p-16f,
     0x1.29566cp-17f, 0x1.a806f4p-19f, 0x1.00aa2cp-20f, 0x1.0ad124p-22f},
};
static const float qm_gelu_tanh_table[5][16] = {
    {0x0.0p+0f, 0x1.ff6e8cp-4f, 0x1.59e2f4p-3f, 0x1.418388p-3f, 0x1.e43a48p-4f,
     0x1.35da54p-4f, 0x1.56b8dap-5f, 0x1.48e1c0p-6f, 0x1.10d026p-7f,
     0x1.83f062p-9f, 0x1.d35a0cp-11f, 0x1.d68798p-13f, 0x1.86182ap-15f,
     0x1.063b20p-17f, 0x1.196034p-20f, 0x1.da3e62p-24f},
    {0x1.5c9884p-3f, 0x1.4cc690p-4f, 0x1.6df30ap-7f, -0x1.ea8ad6p-6f,
     -0x1.65d070p-5f, -0x1.42c67ep-5f, -0x1.c6a1aap-6f, -0x1.0921d2p-6f,
     -0x1.04a86cp-7f, -0x1.b08dc8p-9f, -0x1.2cd05cp-10f, -0x1.5abc0ep-12f,
     -0x1.46be7ep-14f, -0x1.f0135ep-17f, -0x1.2ab944p-19f, -0x1.18e9eep-22f},
    {-0x1.7abf26p-5f, -0x1.508836p-5f, -0x1.cce856p-6f, -0x1.aed75cp-7f,
     -0x1.76956cp-10f, 0x1.3959a2p-8f, 0x1.9924cap-8f, 0x1.4be2b4p-8f,
     0x1.9e1706p-9f, 0x1.a209d6p-10f, 0x1.5961dap-11f, 0x1.d1886ep-13f,
     0x1.faf260p-15f, 0x1.b87788p-17f, 0x1.2d2618p-19f, 0x1.3f5658p-22f},
    {0x1.2a19a4p-18f, 0x1.ab16aep-9f, 0x1.45c7eep-8f, 0x1.30ef44p-8f,
     0x1.8af182p-9f, 0x1.375b7ap-10f, -0x1.11bc54p-14f, -0x1.35d96cp-11f,
     -0x1.3f7912p-11f, -0x1.b52578p-12f, -0x1.c80872p-13f, -0x1.76aba6p-14f,
     -0x1.e706eep-16f, -0x1.f204a4p-18f, -0x1.8cb38ap-20f, -0x1.e682f8p-23f},
    {0x1.d0ce08p-11f, 0x1.5ff17cp-11f, 0x1.5b30d0p-13f, -0x1.3346fap-12f,
     -0x1.f5f18ep-12f, -0x1.a73ed6p-12f, -0x1.c94598p-13f, -0x1.cb5282p-15f,
     0x1.175820p-15f, 0x1.cc4606p-15f, 0x1.6075a8p-15f, 0x1.787658p-16f,
     0x1.2d46cap-17f, 0x1.6f7388p-19f, 0x1.55956ep-21f, 0x1.e0f29ep-24f},
};
static const float qm_tanh_table[7][16] = {
    {0x0.0p+0f, 0x1.d9353ep-2f, 0x1.85efacp-1f, 0x1.cf6f98p-1f, 0x1.ed9506p-1f,
     0x1.f92582p-1f, 0x1.fd77d2p-1f, 0x1.ff112cp-1f, 0x1.ffa818p-1f,
     0x1.ffdfa8p-1f, 0x1.fff41ap-1f, 0x1.fffba0p-1f, 0x1.fffe64p-1f,
     0x1.ffff68p-1f, 0x1.ffffc8p-1f, 0x1.ffffecp-1f},
    {0x1.000000p-1f, 0x1.92a960p-2f, 0x1.ae0dc6p-3f, 0x1.721644p-4f,
     0x1.2162bep-5f, 0x1.b3afe4p-7f, 0x1.434a56p-8f, 0x1.dd37dcp-10f,
     0x1.5f85b4p-11f, 0x1.02becep-12f, 0x1.7ccecap-14f, 0x1.1832e4p-15f,
     0x1.9c5380p-17f, 0x1.2f6000p-18f, 0x1.be6c4ap-20f, 0x1.4875c4p-21f},
    {-0x1.ae7f5ep-22f, -0x1.742732p-4f, -0x1.4786cep-4f, -0x1.4efbd6p-5f,
     -0x1.16f9d0p-6f, -0x1.addae4p-8f, -0x1.41b10ap-9f, -0x1.dc593ap-11f,
     -0x1.5f4954p-12f, -0x1.02ae72p-13f, -0x1.7cc5eap-15f, -0x1.18307ap-16f,
     -0x1.9c522ep-18f, -0x1.2f5fa2p-19f, -0x1.be6c10p-21f, -0x1.4875b2p-22f},
    {-0x1.55419ap-5f, -0x1.823b34p-7f, 0x1.a8533ep-7f, 0x1.67c01ap-7f,
     0x1.58f9cep-8f, 0x1.16de2cp-9f, 0x1.a8a7aap-11f, 0x1.3c63b2p-12f,
     0x1.d3b960p-14f, 0x1.58b74ep-15f, 0x1.fb927ap-17f, 0x1.758952p-18f,
     0x1.12db1ep-19f, 0x1.9477c8p-21f, 0x1.299822p-22f, 0x1.b5eac6p-24f},
    {-0x1.54b206p-14f, 0x1.5132dep-7f, 0x1.c66b64p-10f, -0x1.991320p-10f,
     -0x1.252712p-10f, -0x1.07b67ep-11f, -0x1.a0389ep-13f, -0x1.3a16c8p-14f,
     -0x1.d27bd0p-16f, -0x1.586310p-17f, -0x1.fb678ap-19f, -0x1.757faep-20f,
     -0x1.12d9f6p-21f, -0x1.947950p-23f, -0x1.299a24p-24f, -0x1.b5ee38p-26f},
    {0x1.260420p-8f, -0x1.8c9a88p-11f, -0x1.78f14ap-10f, -0x1.953be0p-14f,
     0x1.348fb8p-13f, 0x1.779d14p-14f, 0x1.421672p-15f, 0x1.f3e5c2p-17f,
     0x1.76f25cp-18f, 0x1.15d0e0p-19f, 0x1.99dde0p-21f, 0x1.2dd95cp-22f,
     0x1.bc54c0p-24f, 0x1.46f66ep-25f, 0x1.e1275ap-27f, 0x1.62050cp-28f},
    {-0x1.34bfd0p-11f, -0x1.9579ccp-11f, 0x1.29ba96p-12f, 0x1.d803e4p-14f,
     -0x1.d48ec2p-20f, -0x1.76f826p-17f, -0x1.8841bep-18f, -0x1.4263bcp-19f,
     -0x1.ed29b6p-21f, -0x1.6ff986p-22f, -0x1.1021fcp-23f, -0x1.9133c2p-25f,
     -0x1.2764acp-26f, -0x1.b2c8e6p-28f, -0x1.3feb9ap-29f, -0x1.d6c732p-31f},
};
/* clang-format on */

/// Value at |x| = t of the piecewise polynomial of `table`.
static inline float qm_segments(float t, float scale, const float (*table)[16],
                                int degree) {
  float s = t * scale;
  s = qm_min(s, QM_SEGMENT_LIMIT);
  float r = s + QM_ROUND_MAGIC;
  float u = s - (r - QM_ROUND_MAGIC);
  uint32_t bits;
  memcpy(&bits, &r, 4);
  int i = (int)(bits & 15u);
  float y = table[degree][i];
  for (int p = degree - 1; p >= 0; --p) {
    y = y * u;
    y = y + table[p][i];
  }
  return y;
}

static inline float qm_abs(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  bits &= 0x7fffffffu;
  memcpy(&x, &bits, 4);
  return x;
}

/// x * Phi(x), exact form: relu(x) - h(|x|) with h(t) = t * Phi(-t).
/// Absolute error at most 2^-20 up to |x| = 8, then half an ulp of x more.
static inline float qm_gelu(float x) {
  float h =
      qm_segments(qm_abs(x), QM_GELU_SCALE, qm_gelu_table, QM_GELU_DEGREE);
  return qm_max(x, 0.0f) - h;
}

/// The tanh approximation of GELU, with the same bound against itself.
static inline float qm_gelu_tanh(float x) {
  float h =
      qm_segments(qm_abs(x), QM_GELU_SCALE, qm_gelu_tanh_table, QM_GELU_DEGREE);
  return qm_max(x, 0.0f) - h;
}

/// max(x, 0)
static inline float qm_relu(float x) { return qm_max(x, 0.0f); }

/// Hyperbolic tangent, absolute error at most 2^-21, odd, tanh(0) = 0.
static inline float qm_tanh(float x) {
  float y =
      qm_segments(qm_abs(x), QM_TANH_SCALE, qm_tanh_table, QM_TANH_DEGREE);
  uint32_t bits, sign;
  memcpy(&sign, &x, 4);
  memcpy(&bits, &y, 4);
  bits = (bits & 0x7fffffffu) | (sign & 0x80000000u);
  memcpy(&y, &bits, 4);
  return y;
}

/* exp ---------------------------------------------------------------------- */

#define QM_EXP_LOW -87.0f
#define QM_EXP_HIGH 88.0f
#define QM_EXP_LOG2E 1.44269504088896341f
/// ln 2 in two parts; the first has few bits, so its products are exact.
#define QM_EXP_LN2_HI 0.693359375f
#define QM_EXP_LN2_LO -2.12194440e-4f
/// 1.5 * 2^23: rounds to the nearest integer for either sign.
#define QM_EXP_MAGIC 12582912.0f
#define QM_EXP_DEGREE 5

/// exp(r) = 1 + r + r^2 * P(r) on |r| <= ln(2)/2; row p multiplies r^p.
static const float qm_exp_table[QM_EXP_DEGREE + 1] = {
    5.0000001201e-1f, 1.6666665459e-1f, 4.1665795894e-2f,
    8.3334519073e-3f, 1.3981999507e-3f, 1.9875691500e-4f};

/// e^x with relative error at most 2^-22; x is limited to [-87, 88], so the
/// result is never zero, infinite or subnormal.
static inline float qm_exp(float x) {
  x = qm_clamp(x, QM_EXP_LOW, QM_EXP_HIGH);
  float t = x * QM_EXP_LOG2E;
  float m = t + QM_EXP_MAGIC;
  float n = m - QM_EXP_MAGIC;
  float nh = n * QM_EXP_LN2_HI;
  float nl = n * QM_EXP_LN2_LO;
  float r = x - nh;
  r = r - nl;
  float y = qm_exp_table[QM_EXP_DEGREE];
  for (int p = QM_EXP_DEGREE - 1; p >= 0; --p) {
    y = y * r;
    y = y + qm_exp_table[p];
  }
  float r2 = r * r;
  y = y * r2;
  y = y + r;
  y = y + 1.0f;
  /* n sits in the low bits of m; 2^n is made of its exponent alone. */
  uint32_t bits;
  memcpy(&bits, &m, 4);
  bits = (bits + 127u) << 23;
  float scale;
  memcpy(&scale, &bits, 4);
  return y * scale;
}

/* Sums of floats ------------------------------------------------------------
 * The order is fixed: lane l adds elements l, l + 16, ... in order; the lanes
 * are then combined as (l, l + 8), (l, l + 4), (l, l + 2), (0, 1). */

/// The lanes' total in the fixed tree.
static inline float qm_fold16(const float lanes[16]) {
  float v[16];
  memcpy(v, lanes, sizeof v);
  for (int half = 8; half >= 1; half /= 2)
    for (int l = 0; l < half; ++l)
      v[l] = v[l] + v[l + half];
  return v[0];
}

/// Sum of n floats.
static inline float qm_sum16(const float *x, int64_t n) {
  float lanes[16] = {0};
  for (int64_t i = 0; i < n; ++i)
    lanes[i & 15] = lanes[i & 15] + x[i];
  return qm_fold16(lanes);
}

/// Sum of the squares of (x - mean); mean = 0 gives a plain sum of squares.
static inline float qm_sum_squares16(const float *x, float mean, int64_t n) {
  float lanes[16] = {0};
  for (int64_t i = 0; i < n; ++i) {
    float d = x[i] - mean;
    float q = d * d;
    lanes[i & 15] = lanes[i & 15] + q;
  }
  return qm_fold16(lanes);
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_QUANT_MATH_H */
