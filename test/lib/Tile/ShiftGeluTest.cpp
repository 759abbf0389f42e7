//===- ShiftGeluTest.cpp - GELU by shifts over rows, row E35 --------------===//
//
// Against the published formula in 128-bit integers over whole rows, bit for
// bit on every tier.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/ShiftGelu.h"
#include "quern/integer_gelu.h"
#include "test/lib/Tile/KernelCall.h"
#include "test/lib/Tile/RowReference.h"

#include <algorithm>

using namespace quern;
using namespace quern::test;

namespace {

using Big = __int128;

Big floorDiv(Big a, Big b) {
  Big q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

/// floor((r / 2 - x0) 2^(23 - k)) of algorithm 2.
Big shiftExp(Big q, Big x0) {
  Big t = std::max(q + floorDiv(q, 2) - floorDiv(q, 16), 23 * x0);
  Big k = floorDiv(t, x0), twice = t - x0 * k - 2 * x0;
  return k <= 22 ? twice * (Big(1) << int(22 - k)) : floorDiv(twice, 2);
}

/// The code of a value in a row whose largest value is `top`.
int32_t codeOf(Big q, Big top, const ShiftGeluParams &p) {
  Big e = shiftExp(q - top, p.unit), base = shiftExp(-top, p.unit);
  Big most = INT32_MAX;
  Big sigmoid = floorDiv(e * floorDiv(most, std::min(e + base, most)), 1 << 24);
  // To the nearest, ties to even.
  Big v = q * sigmoid * p.post.mantissa + p.post.offset;
  Big unit = Big(1) << p.post.shift, low = floorDiv(v, unit);
  Big rest = 2 * (v - low * unit);
  low += rest > unit || (rest == unit && low % 2 != 0);
  return int32_t(std::clamp<Big>(low, p.lo, p.hi));
}

struct GeluCase {
  int64_t d;
  double scale;
  int64_t zero;
  int32_t hi = 255;
};

std::ostream &operator<<(std::ostream &os, const GeluCase &c) {
  return os << c.d << " columns of scale " << c.scale;
}

class ShiftGeluTest : public testing::TestWithParam<GeluCase> {};

} // namespace

TEST_P(ShiftGeluTest, E35Codes) {
  const GeluCase &c = GetParam();
  const int64_t rows = 35, stride = rowStride(c.d);
  ShiftGeluParams params;
  params.zero = c.zero;
  params.unit = qi_shift_gelu_unit(c.scale);
  ASSERT_LT(params.unit, 0);
  params.lo = 0;
  params.hi = c.hi;
  // Ties: half a code is 64 of the 1/128 that results are in.
  ASSERT_EQ(qi_make_affine(1.0 / 128, 17, &params.post), 0);
  Random random(31);
  size_t size = bufferSize(rows, stride);
  auto x = random.codes<uint8_t>(size, 256);
  for (int64_t j = 0; j != c.d; ++j) {
    // Nothing above zero; all at the lowest, at the highest; one far above.
    x[size_t(j)] = uint8_t(j % std::max<int64_t>(c.zero, 1));
    x[size_t(stride + j)] = 0;
    x[size_t(2 * stride + j)] = 255;
    x[size_t(3 * stride + j)] = j == c.d / 2 ? 255 : uint8_t(c.zero / 2);
  }
  std::vector<uint8_t> expected(size);
  for (int64_t r = 0; r != rows; ++r) {
    auto row = x.begin() + r * stride;
    Big top = *std::max_element(row, row + c.d) - c.zero;
    for (int64_t j = 0; j != c.d; ++j)
      expected[size_t(r * stride + j)] =
          uint8_t(codeOf(row[j] - c.zero, top, params));
  }
  RowShape shape{c.d,         stride,        0, stride, Storage::U8,
                 Storage::U8, RowsOf::Tokens};
  auto tables = packShiftGelu(params);
  int64_t chunks = (rows + kRowsPerChunk - 1) / kRowsPerChunk;
  for (Tier tier : hostTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(
        tier, 0, [&](mlir::ModuleOp m) { buildShiftGelu(m, "kernel", shape); });
    std::vector<uint8_t> got(size);
    kernel.runSplit({x.data(), tables.data(), got.data()}, rows, 1, chunks,
                    false, 9);
    expectRows(got, expected, rows, c.d, stride);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ShiftGeluTest,
    testing::Values(GeluCase{3072, 0.02, 150}, GeluCase{128, 0.0124, 242, 200},
                    GeluCase{70, 0.5, 6}, GeluCase{1, 0.02, 150},
                    GeluCase{63, 1.0 / 32768, 255}, GeluCase{65, 0.05, 0}));
