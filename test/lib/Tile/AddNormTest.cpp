//===- AddNormTest.cpp - Residual sums and LayerNorm ----------------------===//
//
// Integer and f32 kernels against scalar code, bit for bit, on every tier.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GroupNorm.h"
#include "test/lib/Tile/KernelCall.h"
#include "test/lib/Tile/RowReference.h"

#include <numeric>

using namespace quern;
using namespace quern::test;

namespace {

struct Case {
  int64_t d, rows;
  Storage in = Storage::U8, sum = Storage::U8, out = Storage::U8;
  /// Rows of one code only, so that the variance is 0.
  bool flat = false;
};

std::ostream &operator<<(std::ostream &os, const Case &c) {
  return os << c.rows << " x " << c.d << ", storage " << int(c.in) << int(c.sum)
            << int(c.out) << (c.flat ? ", flat" : "");
}

class AddNormTest : public testing::TestWithParam<Case> {
protected:
  AddNormTest() {
    const Case &c = GetParam();
    shape.d = c.d;
    shape.aStride = shape.bStride = stride;
    shape.outStride = shape.tapStride = stride;
    shape.a = c.in;
    shape.sum = c.sum;
    shape.out = c.out;
    shape.sumRange = rangeOf(c.sum);
    shape.outRange = rangeOf(c.out);
    gamma = random.reals(stride, -20, 20);
    beta = random.reals(stride, 100, 140);
  }

  static CodeRange rangeOf(Storage s) {
    return {0, s == Storage::U16 ? 65535.0f : 255.0f};
  }

  template <typename In, typename Sum, typename Out> void check();

  AddNormShape shape;
  int64_t stride = rowStride(GetParam().d);
  int64_t chunks = (GetParam().rows + kRowsPerChunk - 1) / kRowsPerChunk;
  Random random{3};
  std::vector<float> gamma, beta;
};

template <typename In, typename Sum, typename Out> void AddNormTest::check() {
  const Case &c = GetParam();
  size_t size = bufferSize(c.rows, stride);
  uint32_t limit = sizeof(In) == 1 ? 256 : 65536;
  auto a = random.codes<In>(size, c.flat ? 1 : limit);
  auto b = random.codes<uint8_t>(size, c.flat ? 1 : 256);
  float unit = sizeof(Sum) == 1 ? 1 : 200;
  float aUnit = sizeof(In) == 1 ? unit : unit / 256;
  auto ma = random.reals(stride, 0.3f * aUnit, 0.7f * aUnit);
  auto mb = random.reals(stride, 0.2f * unit, 0.6f * unit);
  auto mo = random.reals(stride, c.flat ? 3 : -10, 3 * unit);
  if (c.flat)
    std::fill(mo.begin(), mo.end(), 60.0f);
  const float sumScale = 0.037f;
  const double eps = 1e-12;
  std::vector<Out> expected(size);
  std::vector<Sum> tap(size);
  for (int64_t r = 0; r != c.rows; ++r) {
    std::vector<Sum> u(c.d);
    std::vector<float> y;
    for (int64_t j = 0; j != c.d; ++j) {
      float x = float(a[r * stride + j]) * ma[j];
      float w = float(b[r * stride + j]) * mb[j];
      float v = x + w;
      v = v + mo[j];
      u[j] = Sum(qm_round_code(v, shape.sumRange.lo, shape.sumRange.hi));
      tap[r * stride + j] = u[j];
    }
    codeNorm(u, sumScale, eps, gamma, beta, y);
    for (int64_t j = 0; j != c.d; ++j)
      expected[r * stride + j] =
          c.out == Storage::F32
              ? Out(y[j])
              : Out(qm_round_code(y[j], shape.outRange.lo, shape.outRange.hi));
  }
  auto norm = CodeNormParams(sumScale, c.d, eps).data();
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, qaddNormScratch(shape), [&](mlir::ModuleOp m) {
      buildQAddNorm(m, "kernel", shape);
    });
    std::vector<Out> got(size), split(size);
    std::vector<Sum> gotTap(size);
    auto buffers = [&](std::vector<Out> &out) -> std::vector<void *> {
      return {a.data(),   b.data(),     ma.data(),   mb.data(),
              mo.data(),  gamma.data(), beta.data(), norm.data(),
              out.data(), gotTap.data()};
    };
    kernel.run(buffers(got), c.rows, 1, chunks, true);
    expectRows(gotTap, tap, c.rows, c.d, stride);
    expectRows(got, expected, c.rows, c.d, stride);
    kernel.runSplit(buffers(split), c.rows, 1, chunks, false, 9);
    expectRows(split, expected, c.rows, c.d, stride);
  }
}

TEST_P(AddNormTest, Codes) {
  const Case &c = GetParam();
  bool wideIn = c.in == Storage::U16, wideSum = c.sum == Storage::U16;
  if (wideIn && wideSum && c.out == Storage::U16)
    check<uint16_t, uint16_t, uint16_t>();
  else if (wideIn && wideSum)
    check<uint16_t, uint16_t, uint8_t>();
  else if (wideSum)
    check<uint8_t, uint16_t, uint8_t>();
  else if (c.out == Storage::F32)
    check<uint8_t, uint8_t, float>();
  else
    check<uint8_t, uint8_t, uint8_t>();
}

TEST_P(AddNormTest, Floats) {
  const Case &c = GetParam();
  size_t size = bufferSize(c.rows, stride);
  auto a = random.reals(size, -3, c.flat ? -3 : 3);
  auto b = random.reals(size, -1, c.flat ? -1 : 5);
  float eps = 1e-12f;
  std::vector<float> sum(size), expected(size), plain(size);
  for (int64_t r = 0; r != c.rows; ++r) {
    std::vector<float> x(c.d), y;
    for (int64_t j = 0; j != c.d; ++j)
      sum[r * stride + j] = x[j] = a[r * stride + j] + b[r * stride + j];
    realNorm(x, eps, gamma, beta, y);
    std::copy(y.begin(), y.end(), expected.begin() + r * stride);
    x.assign(a.begin() + r * stride, a.begin() + r * stride + c.d);
    realNorm(x, eps, gamma, beta, y);
    std::copy(y.begin(), y.end(), plain.begin() + r * stride);
  }
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    std::vector<float> got(size), gotTap(size);
    KernelCall both(tier, normScratch(shape), [&](mlir::ModuleOp m) {
      buildAddNorm(m, "kernel", shape);
    });
    both.runSplit({a.data(), b.data(), gamma.data(), beta.data(), &eps,
                   got.data(), gotTap.data()},
                  c.rows, 1, chunks, true, 2);
    expectRows(gotTap, sum, c.rows, c.d, stride);
    expectRows(got, expected, c.rows, c.d, stride);
    KernelCall alone(tier, normScratch(shape),
                     [&](mlir::ModuleOp m) { buildNorm(m, "kernel", shape); });
    alone.run({a.data(), gamma.data(), beta.data(), &eps, got.data()}, c.rows,
              1, chunks, false);
    expectRows(got, plain, c.rows, c.d, stride);
  }
}

constexpr Storage kU8 = Storage::U8, kU16 = Storage::U16, kF32 = Storage::F32;

INSTANTIATE_TEST_SUITE_P(Shapes, AddNormTest,
                         testing::Values(Case{768, 33}, Case{384, 16},
                                         Case{100, 35}, Case{5, 1},
                                         Case{64, 17, kU8, kU8, kF32},
                                         Case{100, 3, kU8, kU16, kU8},
                                         Case{768, 2, kU16, kU16, kU8},
                                         Case{100, 20, kU16, kU16, kU16},
                                         Case{768, 2, kU8, kU8, kU8, true}));

TEST(OrderedNorm, IsThePlainOneInOrder) {
  // One part of 256 columns, several, and more than are looked up.
  for (int64_t d : {40, 768, 1030}) {
    SCOPED_TRACE(d);
    const int64_t rows = 5, stride = rowStride(d);
    size_t size = bufferSize(rows, stride);
    Random random(5);
    GroupNormShape shape;
    shape.ordered = true;
    shape.norm.d = d;
    shape.norm.aStride = shape.norm.bStride = stride;
    shape.norm.outStride = shape.norm.tapStride = stride;
    auto a = random.codes<uint8_t>(size, 256), b = a;
    std::reverse(b.begin(), b.end());
    auto ma = random.reals(stride, 0.3f, 0.7f), mb = ma;
    auto mo = random.reals(stride, -10, 3);
    auto gamma = random.reals(stride, -20, 20);
    auto beta = random.reals(stride, 100, 140);
    auto norm = CodeNormParams(0.037f, d, 1e-12).data();
    std::vector<int32_t> order(stride);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.begin() + d, std::mt19937(1));
    for (Tier tier : testTiers()) {
      SCOPED_TRACE(getTierName(tier).str());
      std::vector<uint8_t> plain(size), ordered(size), expected(size),
          tap(size);
      auto buffers = [&](std::vector<uint8_t> &out) -> std::vector<void *> {
        return {a.data(),     b.data(),    ma.data(),   mb.data(),  mo.data(),
                gamma.data(), beta.data(), norm.data(), out.data(), tap.data()};
      };
      KernelCall plainly(
          tier, qaddNormScratch(shape.norm),
          [&](mlir::ModuleOp m) { buildQAddNorm(m, "kernel", shape.norm); });
      plainly.run(buffers(plain), rows, 1, 1, false);
      for (int64_t r = 0; r != rows; ++r)
        for (int64_t j = 0; j != d; ++j)
          expected[r * stride + j] = plain[r * stride + order[j]];
      KernelCall inOrder(
          tier, groupAddNormScratch(shape),
          [&](mlir::ModuleOp m) { buildGroupAddNorm(m, "kernel", shape); });
      std::vector<void *> all = buffers(ordered);
      all.insert(all.end() - 1, order.data());
      inOrder.run(all, rows, 1, 1, false);
      expectRows(ordered, expected, rows, d, stride);
    }
  }
}

} // namespace
