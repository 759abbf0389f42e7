//===- FixedNormTest.cpp - LayerNorm without floats -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Residual sums with LayerNorm in fixed-point numbers, rows E38 to E40, bit for
// bit what integer_*.h say, on every tier.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedNorm.h"
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/FixedTerms.h"
#include "test/lib/Tile/FixedReference.h"
#include "test/lib/Tile/KernelCall.h"

using namespace quern;
using namespace quern::test;

namespace {

struct NormCase {
  int64_t d;
  Storage a = Storage::U8, sum = Storage::U8, out = Storage::U8;
  bool flat = false;
  /// Largest code of the sum; 0 for that of its storage.
  int64_t sumHi = 0;
  /// Channels have factors of 1 to 8.
  bool factors = false;
  /// Terms of bytes in 32 bits where they can be, and no result of LayerNorm in
  /// the middle between two codes.
  bool fast = true;
};

std::ostream &operator<<(std::ostream &os, const NormCase &c) {
  return os << c.d << ", storage " << int(c.a) << int(c.sum) << int(c.out)
            << (c.flat ? ", flat" : "") << (c.factors ? ", factors" : "")
            << (c.fast ? "" : ", ties");
}

class FixedNormTest : public testing::TestWithParam<NormCase> {
protected:
  template <typename In, typename Sum, typename Out> void check();
};

template <typename In, typename Sum, typename Out> void FixedNormTest::check() {
  const NormCase &c = GetParam();
  const int64_t rows = 19, stride = rowStride(c.d);
  AddNormShape shape;
  shape.d = c.d;
  shape.aStride = shape.bStride = shape.outStride = shape.tapStride = stride;
  shape.a = c.a;
  shape.sum = c.sum;
  shape.out = c.out;
  shape.sumRange = {0, c.sumHi                 ? float(c.sumHi)
                       : c.sum == Storage::U16 ? 65535.0f
                                               : 255.0f};
  shape.outRange = {0, c.out == Storage::U16 ? 65535.0f : 255.0f};
  Random random(17);
  size_t size = bufferSize(rows, stride);
  auto a = random.codes<In>(size, c.flat ? 1 : sizeof(In) == 1 ? 256 : 65536);
  auto b = random.codes<uint8_t>(size, c.flat ? 1 : 256);
  // Rows at both ends, whose squares are the largest.
  for (int64_t j = 0; j < c.d && !c.flat; ++j) {
    a[size_t(j)] = In(j % 2 ? ~0u : 0u);
    b[size_t(j)] = uint8_t(j % 2 ? 255 : 0);
  }
  double unit = shape.sumRange.hi / 255.0, in = sizeof(In) == 1 ? 1 : 256;
  std::vector<qi_affine> sumA, sumB;
  std::vector<float> gamma, beta;
  for (int64_t j = 0; j < c.d; ++j) {
    sumA.push_back(affine((0.3 + 0.001 * double(j)) * unit / in, 12.5 * unit));
    sumB.push_back(affine(-0.1 + 0.7 * unit, 0));
    // A gain of zero divides nothing.
    gamma.push_back(j % 7 ? 30.0f - float(j % 60) : 0.0f);
    beta.push_back(100 + (c.fast ? 0.23f : 0.25f) * float(j % 50));
  }
  std::vector<qi_channel> channels(size_t(c.d), qi_channel{});
  int shift =
      qi_make_channels(gamma.data(), beta.data(), c.d, 1, 0, channels.data());
  ASSERT_GT(shift, 0);
  // Numbers of at least 14 bits, so that the mean keeps fractions of a code.
  int bits = qi_bits(uint64_t(shape.sumRange.hi)), most = c.factors ? 3 : 0;
  int32_t zero = c.factors ? 77 : 0;
  std::vector<uint8_t> factors;
  for (int64_t j = 0; j < c.d; ++j)
    factors.push_back(uint8_t((c.factors ? j * 5 % 7 % 4 : 0) +
                              std::max(0, 14 - bits - most)));
  std::vector<Sum> tap(size);
  std::vector<Out> expected(size);
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<int32_t> u(size_t(c.d), 0), y(u);
    for (int64_t j = 0; j < c.d; ++j) {
      size_t at = size_t(r * stride + j), column = size_t(j);
      u[column] = int32_t(
          qi_clamp(qi_at(a[at], &sumA[column]) + qi_at(b[at], &sumB[column]), 0,
                   int64_t(shape.sumRange.hi)));
      tap[at] = Sum(u[column]);
      u[column] -= zero;
    }
    qi_layer_norm(u.data(), factors.data(), c.d, channels.data(), shift, 0,
                  int32_t(shape.outRange.hi), y.data());
    for (int64_t j = 0; j < c.d; ++j)
      expected[size_t(r * stride + j)] = Out(y[size_t(j)]);
  }
  shape.narrow = c.d != 100 && isNarrow(sumA, 65535) && isNarrow(sumB, 65535) &&
                 isNarrow(channels, shift);
  shape.plain = shape.narrow && isPlain(channels, shift);
  // With the root of 64 gains are whole powers of two, which have ties.
  EXPECT_EQ(shape.plain, shape.narrow && c.fast && c.d != 64);
  TermConstants aTerm =
      packTerm(sumA, sizeof(In) == 1 ? 255 : 65535, shape.narrow && c.fast);
  TermConstants bTerm = packTerm(sumB, 255, shape.narrow && c.fast);
  shape.aTerm = aTerm.form;
  shape.bTerm = bTerm.form;
  auto channelBytes = packChannels(channels, shift, factors, zero);
  int64_t chunks = (rows + kRowsPerChunk - 1) / kRowsPerChunk;
  for (Tier tier : hostTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, fixedNormScratch(c.d), [&](mlir::ModuleOp m) {
      buildFixedAddNorm(m, "kernel", shape, c.factors);
    });
    std::vector<Out> got(size);
    std::vector<Sum> gotTap(size);
    kernel.run({a.data(), b.data(), aTerm.bytes.data(), bTerm.bytes.data(),
                channelBytes.data(), got.data(), gotTap.data()},
               rows, 1, chunks, true);
    expectRows(gotTap, tap, rows, c.d, stride);
    expectRows(got, expected, rows, c.d, stride);
  }
}

TEST_P(FixedNormTest, E38E39Codes) {
  const NormCase &c = GetParam();
  if (c.a == Storage::U16 && c.out == Storage::U16)
    check<uint16_t, uint16_t, uint16_t>();
  else if (c.a == Storage::U16)
    check<uint16_t, uint16_t, uint8_t>();
  else if (c.sum == Storage::U16)
    check<uint8_t, uint16_t, uint8_t>();
  else
    check<uint8_t, uint8_t, uint8_t>();
}

constexpr Storage kU8 = Storage::U8, kU16 = Storage::U16;

INSTANTIATE_TEST_SUITE_P(
    Shapes, FixedNormTest,
    testing::Values(
        NormCase{768}, NormCase{100}, NormCase{5}, NormCase{1},
        NormCase{64, kU8, kU8, kU8, true}, NormCase{100, kU8, kU16, kU8},
        NormCase{768, kU16, kU16, kU8}, NormCase{384, kU16, kU16, kU8},
        NormCase{100, kU16, kU16, kU16}, NormCase{35, kU16, kU16, kU8, true},
        NormCase{100, kU8, kU8, kU8, false, 15},
        NormCase{100, kU8, kU16, kU8, false, 1023},
        NormCase{100, kU8, kU16, kU8, false, 32767},
        NormCase{768, kU8, kU8, kU8, false, 0, true},
        NormCase{35, kU8, kU8, kU8, false, 63, true},
        NormCase{64, kU8, kU8, kU8, true, 0, true},
        NormCase{300, kU16, kU16, kU8, false, 1023},
        NormCase{768, kU8, kU8, kU8, false, 0, false, false},
        NormCase{300, kU16, kU16, kU8, false, 1023, false, false},
        NormCase{35, kU8, kU8, kU8, false, 63, true, false}));

/// LayerNorm alone over rows of 16-bit codes: where the first cut that squares
/// of what is above the mean may need does, and where it takes one more.
TEST(FixedNormRows, E38CutsAtTheirLimits) {
  // Codes x above and below the middle have (x^2 + 1) / 4 for a square once
  // they are cut by one bit, which 100 columns have below 2^32 up to 13107.
  const int64_t d = 100, stride = rowStride(d);
  const int32_t sizes[] = {0,     1,     2,     6553,  6554,  9267,
                           9268,  13106, 13107, 13108, 13109, 13110,
                           26213, 26214, 26215, 26216, 32767};
  std::vector<std::vector<int32_t>> rows;
  for (int32_t x : sizes)
    for (int32_t odd : {0, 1}) {
      std::vector<int32_t> row(d, 32768 + x);
      for (int64_t j = odd; j < d; j += 2)
        row[size_t(j)] = 32768 - x;
      // Of another mean, whose rounding moves numbers by a half.
      row[0] -= odd && x ? 77 : 0;
      rows.push_back(row);
    }
  // One channel that is far from all others, at either end.
  for (int32_t low : {0, 32767, 65534, 65535}) {
    std::vector<int32_t> row(d, low);
    row[size_t(low % 90)] = 65535 - low;
    rows.push_back(row);
  }
  std::vector<float> gamma, beta;
  for (int64_t j = 0; j < d; ++j) {
    gamma.push_back(30.0f - float(j % 60));
    beta.push_back(100 + 0.23f * float(j % 50));
  }
  std::vector<qi_channel> channels(size_t(d), qi_channel{});
  int shift =
      qi_make_channels(gamma.data(), beta.data(), d, 1, 0, channels.data());
  size_t size = bufferSize(int64_t(rows.size()), stride);
  std::vector<uint16_t> codes(size, 0xffff);
  std::vector<uint8_t> expected(size);
  bool cuts[4] = {};
  for (size_t r = 0; r < rows.size(); ++r) {
    int64_t mean = 0, deviation = 0;
    qi_row_moments(rows[r].data(), nullptr, d, &mean, &deviation);
    for (int cut = 1; cut < 4; ++cut)
      cuts[cut] |= deviation >= int64_t(32768) << cut;
    std::vector<int32_t> y(size_t(d), 0);
    qi_layer_norm(rows[r].data(), nullptr, d, channels.data(), shift, 0, 255,
                  y.data());
    for (size_t j = 0; j < size_t(d); ++j) {
      codes[r * size_t(stride) + j] = uint16_t(rows[r][j]);
      expected[r * size_t(stride) + j] = uint8_t(y[j]);
    }
  }
  EXPECT_TRUE(cuts[1] && cuts[2] && cuts[3]);
  auto bytes =
      packChannels(channels, shift, std::vector<uint8_t>(size_t(d), 0), 0);
  int64_t chunks = (int64_t(rows.size()) + kRowsPerChunk - 1) / kRowsPerChunk;
  for (Tier tier : hostTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, fixedNormScratch(d), [&](mlir::ModuleOp m) {
      mlir::Builder b(m.getContext());
      KernelBuilder k(m, "kernel",
                      {b.getI16Type(), b.getI8Type(), b.getI8Type()});
      FixedNorm norm(k, d, kNormRows, {0, 65535},
                     {/*byChannel=*/false, isNarrow(channels, shift),
                      isPlain(channels, shift)},
                     k.buffer(1), k.buffer(2), {0, 255});
      forEachRows(k, RowsOf::Tokens, kNormRows,
                  [&](llvm::ArrayRef<mlir::Value> tokens) {
                    KernelBuilder::Values from;
                    for (mlir::Value token : tokens)
                      from.push_back(k.mul(token, stride));
                    norm.normalize(
                        [&](mlir::Value i) {
                          KernelBuilder::Values all;
                          for (mlir::Value at : from)
                            all.push_back(
                                k.loadCodes(k.buffer(0), k.add(at, i)));
                          return all;
                        },
                        from);
                  });
      k.finish();
    });
    std::vector<uint8_t> got(size);
    kernel.run({codes.data(), bytes.data(), got.data()}, int64_t(rows.size()),
               1, chunks, false);
    expectRows(got, expected, int64_t(rows.size()), d, stride);
  }
}

TEST(FixedTerms, E40TiesAreThoseOfAllCodes) {
  Random random(23);
  int found = 0;
  for (int i = 0; i < 2000; ++i) {
    auto bytes = random.codes<uint8_t>(8, 256);
    int shift = 1 + bytes[0] % 12;
    int64_t factor = int64_t(bytes[1] * 256 + bytes[2]) - 32768;
    int64_t offset = int64_t(bytes[3] * 256 + bytes[4]) - 32768;
    // Every other factor with zeros at its end, as scales of few bits have.
    factor *= i % 2 ? 1 << bytes[5] % 8 : 1;
    int64_t lo = bytes[6] % 3 ? 0 : -int64_t(bytes[6]), hi = lo + bytes[7] / 8;
    bool expected = false;
    for (int64_t n = lo; n <= hi; ++n) {
      int64_t step = int64_t(1) << shift, v = n * factor + offset;
      expected |= 2 * (v - qi_shift_floor(v, shift) * step) == step;
    }
    EXPECT_EQ(mayTie(factor, offset, shift, lo, hi), expected)
        << factor << ' ' << offset << ' ' << shift << ' ' << lo << ' ' << hi;
    found += expected;
  }
  EXPECT_GT(found, 200);
  EXPECT_LT(found, 1800);
  // Of 61 bits, where products wrap around.
  EXPECT_TRUE(mayTie(3, (int64_t(1) << 60) - 3, 61, -1, 1));
  EXPECT_FALSE(mayTie(3, (int64_t(1) << 60) - 4, 61, -1000, 1000));
}

TEST(FixedTerms, E40BytesGiveTheNumbersOfLongProducts) {
  std::vector<qi_affine> columns;
  for (int j = 0; j < 500; ++j)
    columns.push_back(affine(0.9 * std::sin(double(j)), 0.3711 * j));
  auto terms = makeByteTerms(columns);
  ASSERT_TRUE(terms);
  for (size_t j = 0; j < columns.size(); ++j)
    for (int32_t q = 0; q < 256; ++q) {
      int64_t v = int64_t(q) * terms->mantissas[j] + terms->offsets[j];
      ASSERT_EQ(v, int32_t(v));
      ASSERT_EQ(qi_shift_floor(v, terms->shift), qi_at(q, &columns[j]));
    }
  // Ties of 0.5 go up and down in turns, and large products leave no bits.
  columns.push_back(affine(0.5, 0));
  EXPECT_FALSE(makeByteTerms(columns));
  EXPECT_EQ(packTerm(columns, 255, true).form, FixedTerm::Any);
  columns.back() = affine(3e7, 0.25);
  EXPECT_FALSE(makeByteTerms(columns));
  EXPECT_EQ(packTerm(columns, 255, true).form, FixedTerm::NoTies);
  columns.back() = affine(0.6, 0.25);
  EXPECT_EQ(packTerm(columns, 255, true).form, FixedTerm::Bytes);
  EXPECT_EQ(packTerm(columns, 65535, true).form, FixedTerm::NoTies);
  EXPECT_EQ(packTerm(columns, 255, false).form, FixedTerm::NoTies);
}

} // namespace
