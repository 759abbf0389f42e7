//===- RowReference.h - Scalar twins of the row and attention kernels -----===//
//
// The formulas of the tq ops, one element at a time on quant_math.h. Tests
// compare kernels with these bit for bit.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TILE_ROWREFERENCE_H
#define QUERN_TEST_LIB_TILE_ROWREFERENCE_H

#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Attention.h"
#include "quern/quant_math.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

namespace quern::test {

/// exp_hi and exp_lo for a score step of `a` and rows of `maxLength`.
inline void fillExpTables(double a, int64_t maxLength, QAttentionParams &p) {
  double top = std::min(std::floor(4294967296.0 / maxLength), 8388607.0);
  for (int i = 0; i != 16; ++i) {
    p.expHi[i] = float(std::exp(-16.0 * i * a) * top);
    p.expLo[i] = float(std::exp(-i * a));
  }
}

/// One row of the table softmax: the numerators and their sum.
inline uint32_t softmaxNumerators(const QAttentionParams &p,
                                  const std::vector<uint8_t> &s,
                                  std::vector<int32_t> &e) {
  uint8_t top = *std::max_element(s.begin(), s.end());
  uint32_t sum = 0;
  e.resize(s.size());
  for (size_t j = 0; j != s.size(); ++j) {
    int d = top - s[j];
    float v = p.expHi[d >> 4] * p.expLo[d & 15];
    e[j] = qm_rne(v);
    sum += uint32_t(e[j]);
  }
  return sum;
}

/// Where the taps of one head of one sequence begin.
inline size_t tapBase(const std::vector<int32_t> &offsets, size_t sequence,
                      size_t head) {
  size_t all = 0, before = 0;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    size_t t = offsets[s + 1] - offsets[s];
    all += t * t;
    if (s < sequence)
      before += t * t;
  }
  return head * all + before;
}

/// What the planes of logarithmic codes stand for, weighted by the values of
/// one channel.
template <typename Prob>
float logSum(qm_log_codes log, const std::vector<Prob> &codes,
             const std::vector<int32_t> &values) {
  float parts[2] = {0, 0};
  for (int32_t k = qm_log_planes(log) - 1; k >= 0; --k) {
    int32_t sums[2] = {0, 0};
    for (size_t j = 0; j != codes.size(); ++j)
      sums[codes[j] % log.per_octave] +=
          qm_log_weight(codes[j], k, log) * values[j];
    for (int parity = 0; parity != 2; ++parity)
      parts[parity] = qm_log_add_plane(parts[parity], sums[parity], log);
  }
  return log.per_octave == 2 ? qm_log_join(parts[0], parts[1]) : parts[0];
}

/// tq.qattention. The context has the element type Context, the probabilities
/// have Prob.
template <typename Context, typename Prob>
void qattention(const AttentionShape &a, const QAttentionParams &p,
                const std::vector<uint8_t> &qkv,
                const std::vector<int32_t> &offsets,
                std::vector<Context> &context, std::vector<uint8_t> &sTap,
                std::vector<Prob> &pTap) {
  for (size_t n = 0; n + 1 < offsets.size(); ++n)
    for (int64_t h = 0; h != a.heads; ++h) {
      int64_t first = offsets[n], length = offsets[n + 1] - first;
      size_t tap = tapBase(offsets, n, h);
      float scoreMultiplier = p.scoreMultiplier;
      float probMultiplier = p.probMultiplier, probHi = 255;
      float contextMultiplier = p.contextMultiplier;
      CodeRange contextRange = a.contextRange;
      if (a.perHead) {
        const float *own = p.perHead.data() + h * QAttentionParams::headSize;
        scoreMultiplier = own[0];
        probMultiplier = own[1];
        probHi = own[2];
        contextMultiplier = own[3];
        contextRange = {own[4], own[5]};
      }
      auto code = [&](int64_t column, int64_t t, int64_t d) {
        return int32_t(
            qkv[(first + t) * a.qkvStride + column + h * a.headDim + d]);
      };
      std::vector<uint8_t> s(length);
      std::vector<Prob> prob(length);
      std::vector<int32_t> e, values(length);
      for (int64_t i = 0; i != length; ++i) {
        for (int64_t j = 0; j != length; ++j) {
          int32_t acc = 0;
          for (int64_t d = 0; d != a.headDim; ++d)
            acc +=
                (code(a.qColumn, i, d) - p.zq) * (code(a.kColumn, j, d) - p.zk);
          s[j] = qm_requant(acc, scoreMultiplier, p.scoreOffset, 0, 255);
          sTap[tap + i * length + j] = s[j];
        }
        uint32_t sum = softmaxNumerators(p, s, e);
        float ratio = probMultiplier / float(sum);
        float base = a.isLog() ? qm_log_base(sum, p.probMultiplier, a.log) : 0;
        int32_t top = *std::max_element(s.begin(), s.end());
        for (int64_t j = 0; j != length; ++j) {
          prob[j] = a.isLog() ? qm_log_code(top - s[j], p.probStep, base, a.log)
                              : qm_round_code(float(e[j]) * ratio, 0, probHi);
          pTap[tap + i * length + j] = prob[j];
        }
        for (int64_t d = 0; d != a.headDim; ++d) {
          int32_t acc = 0;
          for (int64_t j = 0; j != length; ++j) {
            values[j] = code(a.vColumn, j, d) - p.zv;
            acc += prob[j] * values[j];
          }
          float all = a.isLog() ? logSum(a.log, prob, values) : float(acc);
          float v = all * contextMultiplier;
          v = v + p.contextOffset;
          context[(first + i) * a.contextStride + h * a.headDim + d] =
              std::is_same_v<Context, float>
                  ? Context(v)
                  : Context(qm_round_code(v, contextRange.lo, contextRange.hi));
        }
      }
    }
}

/// tq.scores, tq.softmax and tq.context.
inline void attention(const AttentionShape &a, float scale,
                      const std::vector<float> &qkv,
                      const std::vector<int32_t> &offsets,
                      std::vector<float> &context, std::vector<float> &sTap,
                      std::vector<float> &pTap) {
  for (size_t n = 0; n + 1 < offsets.size(); ++n)
    for (int64_t h = 0; h != a.heads; ++h) {
      int64_t first = offsets[n], length = offsets[n + 1] - first;
      size_t tap = tapBase(offsets, n, h);
      auto value = [&](int64_t column, int64_t t, int64_t d) {
        return qkv[(first + t) * a.qkvStride + column + h * a.headDim + d];
      };
      for (int64_t i = 0; i != length; ++i) {
        float *s = &sTap[tap + i * length], *p = &pTap[tap + i * length];
        float top = -INFINITY;
        for (int64_t j = 0; j != length; ++j) {
          s[j] = 0;
          for (int64_t d = 0; d != a.headDim; ++d) {
            float m = value(a.qColumn, i, d) * value(a.kColumn, j, d);
            s[j] = s[j] + m;
          }
          top = qm_max(top, s[j]);
        }
        for (int64_t j = 0; j != length; ++j) {
          float x = s[j] - top;
          p[j] = qm_exp(x * scale);
        }
        float sum = qm_sum16(p, length);
        for (int64_t j = 0; j != length; ++j)
          p[j] = p[j] / sum;
        for (int64_t d = 0; d != a.headDim; ++d) {
          float acc = 0;
          for (int64_t j = 0; j != length; ++j) {
            float m = p[j] * value(a.vColumn, j, d);
            acc = acc + m;
          }
          context[(first + i) * a.contextStride + h * a.headDim + d] = acc;
        }
      }
    }
}

/// LayerNorm over codes: y before rounding.
template <typename Sum>
void codeNorm(const std::vector<Sum> &u, float sumScale, double eps,
              const std::vector<float> &gamma, const std::vector<float> &beta,
              std::vector<float> &y) {
  int64_t s1 = 0, s2 = 0, d = int64_t(u.size());
  for (int64_t v : u) {
    s1 += v;
    s2 += v * v;
  }
  int64_t n = d * s2 - s1 * s1;
  double scale = sumScale;
  double var = double(n) * (scale * scale / (double(d) * double(d))) + eps;
  float rs = float(scale / std::sqrt(var));
  float mean = float(double(s1) / double(d));
  y.resize(d);
  for (int64_t j = 0; j != d; ++j) {
    float v = float(u[j]) - mean;
    v = v * rs;
    v = v * gamma[j];
    y[j] = v + beta[j];
  }
}

/// tq.layer_norm of one row, in f32.
inline void realNorm(const std::vector<float> &x, float eps,
                     const std::vector<float> &gamma,
                     const std::vector<float> &beta, std::vector<float> &y) {
  int64_t d = int64_t(x.size());
  float mean = qm_sum16(x.data(), d) / float(d);
  float var = qm_sum_squares16(x.data(), mean, d) / float(d);
  float rs = 1.0f / std::sqrt(var + eps);
  y.resize(d);
  for (int64_t j = 0; j != d; ++j) {
    float v = x[j] - mean;
    v = v * rs;
    v = v * gamma[j];
    y[j] = v + beta[j];
  }
}

/// Random numbers that are the same everywhere.
class Random {
public:
  explicit Random(uint32_t seed) : engine(seed) {}
  uint32_t below(uint32_t n) { return uint32_t(uint64_t(engine()) * n >> 32); }
  float real(float lo, float hi) {
    return lo + (hi - lo) * float(engine() >> 8) * 0x1p-24f;
  }
  template <typename T> std::vector<T> codes(size_t n, uint32_t limit) {
    std::vector<T> v(n);
    for (T &x : v)
      x = T(below(limit));
    return v;
  }
  std::vector<float> reals(size_t n, float lo, float hi) {
    std::vector<float> v(n);
    for (float &x : v)
      x = real(lo, hi);
    return v;
  }

private:
  std::mt19937 engine;
};

} // namespace quern::test

#endif // QUERN_TEST_LIB_TILE_ROWREFERENCE_H
