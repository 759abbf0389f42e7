//===- FixedLogAttentionTest.cpp - Row E33 in the attention kernel --------===//
//
// Codes of base 2 without floats: log-int-softmax against its formula in
// 128-bit integers, rounded logarithms against integer_log_probs.h, and sums
// against whole powers of two; bit for bit on every tier.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"
#include "lib/Tile/LogSteps.h"
#include "test/lib/Tile/FixedAttentionRun.h"

using namespace quern;
using namespace quern::test;

namespace {

using Big = __int128;

/// FQ-ViT, equation 16: of the nearest ratio, its highest bit, and one more
/// from 1.5 times that on. The exponentials are those of qi_exp.
std::vector<int32_t> publishedRow(const std::vector<int32_t> &scores,
                                  double scale, int bits) {
  qi_exp e;
  EXPECT_EQ(qi_make_exp(scale, &e), 0);
  int32_t top = *std::max_element(scores.begin(), scores.end());
  Big sum = 0;
  for (int32_t s : scores)
    sum += qi_exp_of(s - top, &e);
  std::vector<int32_t> codes;
  for (int32_t s : scores) {
    Big v = qi_exp_of(s - top, &e), code = Big(1) << bits;
    if (v > 0) {
      Big ratio = sum / v, rest = sum % v;
      ratio += 2 * rest > v || (2 * rest == v && ratio % 2 != 0);
      int power = 0;
      while (Big(2) << power <= ratio)
        ++power;
      code = std::min<Big>(code, power + (2 * ratio >= Big(3) << power));
    }
    codes.push_back(int32_t(code));
  }
  return codes;
}

struct LogCase {
  int32_t bits;
  double unit;
  bool published;
  int64_t heads, headDim;
  std::vector<int64_t> lengths;
};

std::ostream &operator<<(std::ostream &os, const LogCase &c) {
  return os << c.bits << " bits, unit " << c.unit
            << (c.published ? ", log-int-softmax" : ", rounded");
}

class FixedLogAttentionTest : public testing::TestWithParam<LogCase> {};

/// Codes of q, k, v by sequence: random, every key alike, one key far above
/// the others, both ends, outliers of 50 times the rest.
void fill(std::vector<uint8_t> &qkv, int64_t stride, int64_t d, int64_t first,
          int64_t length, int kind, Random &random) {
  auto codes = random.codes<uint8_t>(size_t(length * 3 * d), 256);
  for (int64_t t = 0; t < length; ++t)
    for (int64_t j = 0; j < 3 * d; ++j) {
      uint8_t code = codes[size_t(t * 3 * d + j)];
      bool isQuery = j < d, isKey = !isQuery && j < 2 * d;
      if (kind == 1 && isKey)
        code = 90;
      if (kind == 2)
        code = isQuery ? 255 : isKey ? (t == length / 2 ? 255 : 0) : code;
      if (kind == 3)
        code = code < 128 ? 0 : 255;
      if (kind == 4)
        code = j % 16 == 3 ? (code < 128 ? 0 : 255) : uint8_t(126 + code % 5);
      qkv[size_t((first + t) * stride + j)] = code;
    }
}

} // namespace

TEST_P(FixedLogAttentionTest, E33Codes) {
  const LogCase &c = GetParam();
  const int64_t d = c.heads * c.headDim;
  AttentionShape shape;
  shape.heads = c.heads;
  shape.headDim = c.headDim;
  shape.qkvStride = rowStride(3 * d);
  shape.kColumn = d;
  shape.vColumn = 2 * d;
  shape.contextStride = rowStride(d);
  shape.fixed = true;
  shape.log = {c.bits, 1};
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
  fillExpTables(c.unit, 512, tables);
  qi_log_probs probs;
  ASSERT_EQ(c.published ? qi_make_exp_log_probs(c.unit, c.bits, &probs)
                        : qi_make_table_log_probs(tables.expHi.data(),
                                                  tables.expLo.data(), 0.9,
                                                  c.bits, &probs),
            0);
  shape.expBytes = exponentialBytes(probs.exps);
  shape.roundProbs = !c.published;
  qi_affine score = affine(4e-4 / double(c.headDim) * 32, 117);
  int32_t last = (1 << c.bits) - 1;
  qi_affine context = affine(std::ldexp(1.6, -last), 120.5);
  shape.narrow = c.heads % 2 == 0 && isNarrow({score, context}, 0x1p31);
  Random random(7);
  std::vector<uint8_t> qkv(bufferSize(tokens, shape.qkvStride), 99);
  for (size_t n = 0; n < c.lengths.size(); ++n)
    fill(qkv, shape.qkvStride, d, offsets[n], c.lengths[n], int(n % 5), random);
  size_t size = bufferSize(tokens, shape.contextStride);
  std::vector<uint8_t> expected(size), s(size_t(c.heads * pairs)), p(s.size());
  using Row = std::vector<int32_t>;
  const FixedAttentionReference reference = {
      qkv,   offsets, c.heads, c.headDim, shape.qkvStride, shape.contextStride,
      score, context};
  ASSERT_NO_FATAL_FAILURE(reference.run(
      [&](const Row &row, Row &codes) {
        qi_log_probs_of(row.data(), int64_t(row.size()), &probs, codes.data());
        if (c.published)
          ASSERT_EQ(codes, publishedRow(row, c.unit, c.bits));
      },
      [&](int32_t code) { return code <= last ? 1 << (last - code) : 0; }, s, p,
      expected));
  auto params = packFixedAttention(score, context, probs, shape.maxLength,
                                   reference.zq, reference.zk, reference.zv);
  expectOnAllTiers(shape, qkv, offsets, params, s, p, expected);
}

static const std::vector<int64_t> manyLengths = {130, 5,  17, 33, 16, 64, 1, 2,
                                                 3,   31, 65, 15, 8,  9,  48};

INSTANTIATE_TEST_SUITE_P(
    Shapes, FixedLogAttentionTest,
    testing::Values(LogCase{4, 0.031, true, 2, 25, manyLengths},
                    LogCase{4, 0.4, true, 1, 64, {200, 65}},
                    LogCase{4, 0.002, true, 3, 7, {5, 64, 13, 40}},
                    LogCase{3, 0.031, true, 2, 25, manyLengths},
                    LogCase{4, 0.031, false, 2, 25, manyLengths},
                    LogCase{4, 3.0, false, 1, 64, {130, 20, 9, 8, 33}},
                    LogCase{3, 0.4, false, 2, 25, manyLengths}));

/// At every sum where a code grows, right before it, and at both ends.
TEST(LogSteps, E33CodesAreThoseOfTheLimits) {
  QAttentionParams tables;
  for (double unit : {0.0004, 0.002, 0.031, 0.4, 3.0})
    for (bool published : {false, true})
      for (int bits : {3, 4}) {
        SCOPED_TRACE(testing::Message() << unit << ' ' << published << bits);
        qi_log_probs probs;
        fillExpTables(unit, 512, tables);
        ASSERT_EQ(published ? qi_make_exp_log_probs(unit, bits, &probs)
                            : qi_make_table_log_probs(tables.expHi.data(),
                                                      tables.expLo.data(), 0.9,
                                                      bits, &probs),
                  0);
        const int64_t length = 300, least = probs.exps[0];
        LogSteps steps = makeLogSteps(probs, length);
        EXPECT_TRUE(llvm::is_sorted(steps.sums));
        std::vector<int64_t> sums = {least, least + 1, length * least};
        for (int64_t sum : steps.sums) {
          ASSERT_GT(sum, least);
          ASSERT_LE(sum, length * least);
          sums.insert(sums.end(), {sum - 1, sum});
        }
        int grown = 0;
        for (int64_t sum : sums)
          for (int d = 0; d < 256; ++d) {
            int32_t code = 0;
            for (int c = 0; c < 1 << bits; ++c)
              code += probs.exps[d] <= qi_log_limit(sum, c, &probs);
            ASSERT_EQ(steps.codeAt(sum, d), code) << sum << ' ' << d;
            grown += code > 0 && code < 1 << bits;
          }
        EXPECT_GT(grown, 0);
        // A search of whole halves, over sums that no row has at the end.
        auto bytes = packLogSteps(steps, 0);
        int64_t numbers[4], last;
        std::memcpy(numbers, bytes.data(), sizeof(numbers));
        EXPECT_EQ(int64_t(1) << numbers[1], 2 * numbers[0]);
        EXPECT_GT(2 * numbers[0], int64_t(steps.sums.size()));
        std::memcpy(&last, bytes.data() + numbers[3] - 8, 8);
        EXPECT_EQ(last, INT64_MAX);
        EXPECT_EQ(bytes.size() - size_t(numbers[3]), steps.tables.size());
      }
}

/// A rounded logarithm is the nearest code but where the table's rounding
/// moves an exponential across a limit: within 2^-16 of one.
TEST(FixedLogProbs, E33RoundedLogarithmsAreTheNearest) {
  QAttentionParams tables;
  for (double step : {0.002, 0.03, 0.2}) {
    fillExpTables(step, 512, tables);
    qi_log_probs probs;
    ASSERT_EQ(qi_make_table_log_probs(tables.expHi.data(), tables.expLo.data(),
                                      0.75, 4, &probs),
              0);
    Random random(5);
    for (int row = 0; row < 50; ++row) {
      auto bytes = random.codes<uint8_t>(size_t(1 + row * 7), 256);
      std::vector<int32_t> scores(bytes.begin(), bytes.end()), codes(scores);
      qi_log_probs_of(scores.data(), int64_t(scores.size()), &probs,
                      codes.data());
      double top = *std::max_element(scores.begin(), scores.end()), sum = 0;
      for (int32_t s : scores)
        sum += std::exp((s - top) * step);
      for (size_t i = 0; i < scores.size(); ++i) {
        double p = std::exp((scores[i] - top) * step) / sum;
        double code = -std::log2(p / 0.75);
        EXPECT_NEAR(codes[i], std::clamp(code, 0.0, 16.0), 0.5 + 0x1p-8)
            << code;
      }
    }
  }
  qi_log_probs unused;
  EXPECT_EQ(qi_make_table_log_probs(tables.expHi.data(), tables.expLo.data(), 1,
                                    5, &unused),
            -1);
  EXPECT_EQ(qi_make_exp_log_probs(0.1, 2, &unused), -1);
  EXPECT_EQ(qi_make_exp_log_probs(17, 4, &unused), -1);
}
