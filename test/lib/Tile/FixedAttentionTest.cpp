//===- FixedAttentionTest.cpp - Attention without floats ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Attention in fixed-point numbers, rows E31 and E32, bit for bit what
// integer_*.h say, on every tier.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"
#include "dialects/TQ/FixedPoint.h"
#include "test/lib/Tile/KernelCall.h"
#include "test/lib/Tile/RowReference.h"

using namespace quern;
using namespace quern::test;

namespace {

qi_affine affine(double multiplier, double offset) {
  qi_affine a = {};
  EXPECT_EQ(qi_make_affine(multiplier, offset, &a), 0);
  return a;
}

struct AttentionCase {
  tq::SoftmaxForm form;
  int64_t heads, headDim;
  std::vector<int64_t> lengths;
  int64_t probHi = 255;
};

std::ostream &operator<<(std::ostream &os, const AttentionCase &c) {
  os << tq::stringifySoftmaxForm(c.form).str() << ", " << c.heads
     << " heads of " << c.headDim << ", lengths";
  for (int64_t l : c.lengths)
    os << ' ' << l;
  return os;
}

class FixedAttentionTest : public testing::TestWithParam<AttentionCase> {};

TEST_P(FixedAttentionTest, E31E32Codes) {
  const AttentionCase &c = GetParam();
  const int64_t d = c.heads * c.headDim;
  AttentionShape shape;
  shape.heads = c.heads;
  shape.headDim = c.headDim;
  shape.qkvStride = rowStride(3 * d);
  shape.kColumn = d;
  shape.vColumn = 2 * d;
  shape.contextStride = rowStride(d);
  shape.fixed = true;
  shape.probRange.hi = float(c.probHi);
  std::vector<int32_t> offsets = {0};
  shape.maxLength = 1;
  int64_t pairs = 0;
  for (int64_t l : c.lengths) {
    offsets.push_back(int32_t(offsets.back() + l));
    shape.maxLength = std::max(shape.maxLength, l);
    pairs += l * l;
  }
  const int64_t tokens = offsets.back(), zq = 131, zk = 97, zv = 140;
  QAttentionParams tables;
  fillExpTables(0.031, 512, tables);
  qi_probs probs;
  ASSERT_EQ(c.form == tq::SoftmaxForm::Table
                ? qi_make_table_probs(tables.expHi.data(), tables.expLo.data(),
                                      double(c.probHi) / 0.9, int32_t(c.probHi),
                                      &probs)
            : c.form == tq::SoftmaxForm::IExp
                ? qi_make_exp_probs(0.031, int32_t(c.probHi), &probs)
                : qi_make_shift_probs(0.031, int32_t(c.probHi), &probs),
            0);
  shape.expBytes = exponentialBytes(probs.exps);
  shape.roundProbs = probs.nearest;
  qi_affine score = affine(4e-4 / double(c.headDim) * 32, 117);
  qi_affine context = affine(0.011, 120.5);
  shape.narrow = c.heads % 2 == 0 && isNarrow({score, context}, 0x1p31);
  Random random(7);
  auto qkv = random.codes<uint8_t>(bufferSize(tokens, shape.qkvStride), 256);
  size_t size = bufferSize(tokens, shape.contextStride);
  std::vector<uint8_t> expected(size), s(size_t(c.heads * pairs)), p(s.size());
  for (size_t n = 0; n < c.lengths.size(); ++n)
    for (int64_t h = 0; h < c.heads; ++h) {
      int64_t length = c.lengths[n], first = offsets[n];
      auto at = [&](int64_t token, int64_t column, int64_t zero) {
        return int32_t(qkv[size_t((first + token) * shape.qkvStride +
                                  h * c.headDim + column)]) -
               int32_t(zero);
      };
      for (int64_t i = 0; i < length; ++i) {
        std::vector<int32_t> row(size_t(length), 0), codes(row);
        for (int64_t j = 0; j < length; ++j) {
          int32_t acc = 0;
          for (int64_t e = 0; e < c.headDim; ++e)
            acc += at(i, e, zq) * at(j, d + e, zk);
          row[size_t(j)] = qi_code(acc, &score, 0, 255);
        }
        qi_probs_of(row.data(), length, &probs, codes.data());
        size_t base = tapBase(offsets, n, size_t(h)) + size_t(i * length);
        std::copy(row.begin(), row.end(), s.begin() + long(base));
        std::copy(codes.begin(), codes.end(), p.begin() + long(base));
        for (int64_t e = 0; e < c.headDim; ++e) {
          int32_t acc = 0;
          for (int64_t j = 0; j < length; ++j)
            acc += codes[size_t(j)] * at(j, 2 * d + e, zv);
          expected[size_t((first + i) * shape.contextStride + h * c.headDim +
                          e)] = uint8_t(qi_code(acc, &context, 0, 255));
        }
      }
    }
  auto params = packFixedAttention(score, context, probs, zq, zk, zv);
  int64_t chunks = int64_t(c.lengths.size()) * c.heads;
  for (Tier tier : hostTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, qattentionScratch(shape), [&](mlir::ModuleOp m) {
      buildQAttention(m, "kernel", shape);
    });
    std::vector<uint8_t> got(size), split(size), gotS(s.size()), gotP(p.size());
    kernel.run({qkv.data(), offsets.data(), params.data(), got.data(),
                gotS.data(), gotP.data()},
               tokens, int64_t(c.lengths.size()), chunks, true);
    expectRows(gotS, s, 1, int64_t(s.size()), 0);
    expectRows(gotP, p, 1, int64_t(p.size()), 0);
    expectRows(got, expected, tokens, d, shape.contextStride);
    kernel.runSplit({qkv.data(), offsets.data(), params.data(), split.data(),
                     gotS.data(), gotP.data()},
                    tokens, int64_t(c.lengths.size()), chunks, false, 3);
    expectRows(split, expected, tokens, d, shape.contextStride);
  }
}

using Form = tq::SoftmaxForm;

INSTANTIATE_TEST_SUITE_P(
    Shapes, FixedAttentionTest,
    testing::Values(AttentionCase{Form::Table, 2, 64, {1}},
                    AttentionCase{Form::Table, 2, 32, {128, 1, 16}},
                    AttentionCase{Form::Table, 4, 25, {3, 31, 33, 8}},
                    AttentionCase{Form::Table, 1, 64, {200, 65}},
                    AttentionCase{Form::Table, 3, 7, {5, 64}, 63},
                    AttentionCase{Form::IExp, 4, 25, {3, 31, 33, 8}},
                    AttentionCase{Form::IExp, 1, 64, {130}},
                    AttentionCase{Form::Shiftmax, 4, 25, {3, 31, 33, 8}},
                    AttentionCase{Form::Shiftmax, 1, 64, {130}}));

} // namespace
