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
#include "test/lib/Tile/FixedAttentionRun.h"

using namespace quern;
using namespace quern::test;

namespace {

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
  const int64_t tokens = offsets.back();
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
  using Row = std::vector<int32_t>;
  const FixedAttentionReference reference = {
      qkv,   offsets, c.heads, c.headDim, shape.qkvStride, shape.contextStride,
      score, context};
  ASSERT_NO_FATAL_FAILURE(reference.run(
      [&](const Row &row, Row &codes) {
        qi_probs_of(row.data(), int64_t(row.size()), &probs, codes.data());
      },
      [](int32_t code) { return code; }, s, p, expected));
  auto params = packFixedAttention(score, context, probs, reference.zq,
                                   reference.zk, reference.zv);
  expectOnAllTiers(shape, qkv, offsets, params, s, p, expected);
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
