//===- Real.h - One source for double and f32 -------------------*- C++ -*-===//
//
// Part of Quern. Private to lib/Interpret: functions and sums that the float
// ops call by the type they compute in. double is real arithmetic (libm, plain
// order); float follows the contract of quant_math.h.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_REAL_H
#define QUERN_LIB_INTERPRET_REAL_H

#include "lib/Interpret/Tensor.h"
#include "quern/quant_math.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace quern::real {

inline double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.)); }
inline double geluTanh(double x) {
  // sqrt(2 / pi)
  double inner = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}
inline double relu(double x) { return x > 0 ? x : 0; }
inline double tanh(double x) { return std::tanh(x); }
inline double exp(double x) { return std::exp(x); }

inline float gelu(float x) { return qm_gelu(x); }
inline float geluTanh(float x) { return qm_gelu_tanh(x); }
inline float relu(float x) { return qm_relu(x); }
inline float tanh(float x) { return qm_tanh(x); }
inline float exp(float x) { return qm_exp(x); }

inline float sum(const float *x, int64_t n) { return qm_sum16(x, n); }
inline double sum(const double *x, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i)
    total += x[i];
  return total;
}

inline float sumSquares(const float *x, float mean, int64_t n) {
  return qm_sum_squares16(x, mean, n);
}
inline double sumSquares(const double *x, double mean, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i)
    total += (x[i] - mean) * (x[i] - mean);
  return total;
}

/// Calls sink(t, n, sum_k x[t, k] * w[n, k]) for every row of x [rows, width]
/// and every row of `w`: each sum starts at 0, k ascends, product and sum are
/// rounded separately. Eight rows of x and two of w are in flight.
template <typename R, typename Sink>
void product(const std::vector<R> &x, int64_t rows, const Tensor &w,
             Sink sink) {
  constexpr int64_t Block = 8;
  int64_t width = w.width(), outputs = w.rows();
  int64_t blocks = (rows + Block - 1) / Block;
  std::vector<R> packed(blocks * Block * width);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t k = 0; k < width; ++k)
      packed[(t / Block * width + k) * Block + t % Block] = x[t * width + k];
  std::vector<R> weights(2 * width);
  for (int64_t n = 0; n < outputs; n += 2) {
    bool pair = n + 1 < outputs;
    w.readRow(n, weights.data());
    if (pair)
      w.readRow(n + 1, weights.data() + width);
    const R *w0 = weights.data(), *w1 = w0 + width;
    for (int64_t block = 0; block < blocks; ++block) {
      const R *xs = packed.data() + block * width * Block;
      R acc0[Block] = {}, acc1[Block] = {};
      for (int64_t k = 0; k < width; ++k, xs += Block) {
        for (int64_t j = 0; j < Block; ++j)
          acc0[j] = acc0[j] + xs[j] * w0[k];
        for (int64_t j = 0; j < Block; ++j)
          acc1[j] = acc1[j] + xs[j] * w1[k];
      }
      for (int64_t j = 0; j < Block && block * Block + j < rows; ++j) {
        sink(block * Block + j, n, acc0[j]);
        if (pair)
          sink(block * Block + j, n + 1, acc1[j]);
      }
    }
  }
}

} // namespace quern::real

#endif // QUERN_LIB_INTERPRET_REAL_H
