//===- FixedReference.h - Scalar twins of kernels without floats *- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What tests of kernels in fixed-point numbers have in common, on CPUs and
// GPUs: constants, and attention one element at a time on integer_*.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TILE_FIXEDREFERENCE_H
#define QUERN_TEST_LIB_TILE_FIXEDREFERENCE_H

#include "quern/integer_requant.h"
#include "test/lib/Tile/RowReference.h"

#include "gtest/gtest.h"

namespace quern::test {

inline qi_affine affine(double multiplier, double offset) {
  qi_affine a = {};
  EXPECT_EQ(qi_make_affine(multiplier, offset, &a), 0);
  return a;
}

/// Attention over queries, keys and values that lie side by side in rows of
/// `stride`, each as wide as all heads.
struct FixedAttentionReference {
  const std::vector<uint8_t> &qkv;
  const std::vector<int32_t> &offsets;
  int64_t heads, headDim, stride, contextStride;
  qi_affine score, context;
  static constexpr int64_t zq = 131, zk = 97, zv = 140;

  /// Fills codes of scores and probabilities, where tapBase says, and of the
  /// context. `softmax` makes the codes of a row of scores, `weightOf` what a
  /// code multiplies values by.
  template <typename Softmax, typename WeightOf>
  void run(Softmax softmax, WeightOf weightOf, std::vector<uint8_t> &scores,
           std::vector<uint8_t> &probs, std::vector<uint8_t> &out) const {
    const int64_t d = heads * headDim;
    for (size_t n = 0; n + 1 < offsets.size(); ++n)
      for (int64_t h = 0; h < heads; ++h) {
        int64_t first = offsets[n], length = offsets[n + 1] - first;
        auto at = [&](int64_t token, int64_t column, int64_t zero) {
          return int32_t(qkv[size_t((first + token) * stride + h * headDim +
                                    column)]) -
                 int32_t(zero);
        };
        for (int64_t i = 0; i < length; ++i) {
          std::vector<int32_t> row(size_t(length), 0), codes(row);
          for (int64_t j = 0; j < length; ++j) {
            int32_t acc = 0;
            for (int64_t e = 0; e < headDim; ++e)
              acc += at(i, e, zq) * at(j, d + e, zk);
            row[size_t(j)] = qi_code(acc, &score, 0, 255);
          }
          softmax(row, codes);
          size_t base = tapBase(offsets, n, size_t(h)) + size_t(i * length);
          std::copy(row.begin(), row.end(), scores.begin() + long(base));
          std::copy(codes.begin(), codes.end(), probs.begin() + long(base));
          for (int64_t e = 0; e < headDim; ++e) {
            int64_t acc = 0;
            for (int64_t j = 0; j < length; ++j)
              acc += int64_t(weightOf(codes[size_t(j)])) * at(j, 2 * d + e, zv);
            ASSERT_EQ(acc, int64_t(int32_t(acc))) << "sums fit 32 bits";
            out[size_t((first + i) * contextStride + h * headDim + e)] =
                uint8_t(qi_code(int32_t(acc), &context, 0, 255));
          }
        }
      }
  }
};

} // namespace quern::test

#endif // QUERN_TEST_LIB_TILE_FIXEDREFERENCE_H
