//===- FixedProductTest.cpp - Products without floats ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Products in fixed-point numbers, rows E34, E36 and E40, bit for bit what
// integer_*.h say, on every tier.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/FixedPoint.h"
#include "quern/integer_activation.h"
#include "test/lib/Tile/FixedReference.h"
#include "test/lib/Tile/KernelCall.h"

using namespace quern;
using namespace quern::test;

namespace {

struct ProductCase {
  int64_t k, n;
  GemmActivation activation = GemmActivation::None;
  Storage out = Storage::U8;
};

std::ostream &operator<<(std::ostream &os, const ProductCase &c) {
  return os << c.k << " x " << c.n << ' ' << activationName(c.activation).str();
}

class FixedProductTest : public testing::TestWithParam<ProductCase> {
protected:
  template <typename Out> void check();
};

int32_t activate(GemmActivation activation, int32_t t) {
  const tq::Activation same[] = {
      tq::Activation::None, tq::Activation::Gelu, tq::Activation::GeluTanh,
      tq::Activation::Relu, tq::Activation::Tanh, tq::Activation::IGelu};
  return tq::applyFixed(same[int(activation)], t);
}

template <typename Out> void FixedProductTest::check() {
  const ProductCase &c = GetParam();
  GemmShape shape;
  shape.k = c.k;
  shape.n = c.n;
  shape.xStride = rowStride(c.k);
  shape.outStride = rowStride(c.n);
  shape.activation = c.activation;
  shape.out = c.out;
  shape.fixed = true;
  shape.range = {0, c.out == Storage::U8 ? 255.0f : 65535.0f};
  const int64_t rows = 21, padded = (c.n + 15) / 16 * 16;
  Random random(13);
  auto x = random.codes<uint8_t>(bufferSize(rows, shape.xStride), 256);
  auto codes = random.codes<uint8_t>(size_t(c.k * c.n), 256);
  std::vector<int8_t> w(codes.begin(), codes.end());
  std::vector<int8_t> packed(size_t(packedGemmBytes(c.n, c.k)) + 64);
  packGemmWeights(w.data(), c.n, c.k, packed.data());
  std::vector<int32_t> correction(size_t(padded), 0);
  std::vector<qi_affine> outputs;
  bool direct = c.activation == GemmActivation::None;
  double spread = 1 / (128.0 * 74.0 * std::sqrt(double(c.k)));
  double units = direct ? shape.range.hi / 3 : 10000;
  for (int64_t j = 0; j < c.n; ++j) {
    int32_t sum = 0;
    for (int64_t i = 0; i < c.k; ++i)
      sum += w[size_t(j * c.k + i)];
    correction[size_t(j)] = -128 * sum;
    // Ties now and then: sums of whole halves.
    outputs.push_back(j % 5 ? affine(spread * units * (1 + 0.01 * double(j)),
                                     direct ? shape.range.hi / 2 : 7.25)
                            : affine(0.5, 3));
  }
  qi_affine post = affine(shape.range.hi / 1.3e5, 19.5);
  // Some cases as kernels of 64 bits, which any constants may have.
  shape.narrow = c.k != 100 && isNarrow(outputs, 128.0 * 255 * double(c.k)) &&
                 isNarrow(post, 0x1p31);
  std::vector<Out> expected(bufferSize(rows, shape.outStride));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < c.n; ++j) {
      int32_t acc = correction[size_t(j)];
      for (int64_t i = 0; i < c.k; ++i)
        acc +=
            int32_t(x[size_t(r * shape.xStride + i)]) * w[size_t(j * c.k + i)];
      const qi_affine &output = outputs[size_t(j)];
      int32_t hi = int32_t(shape.range.hi), code;
      if (direct)
        code = qi_code(acc, &output, 0, hi);
      else
        code = qi_code(
            activate(c.activation, qi_code(acc, &output, -QI_ACTIVATION_LIMIT,
                                           QI_ACTIVATION_LIMIT)),
            &post, 0, hi);
      expected[size_t(r * shape.outStride + j)] = Out(code);
    }
  auto outputBytes = packFixed(outputs), postBytes = packFixed(post);
  GemmChunks chunks = getGemmChunks(shape);
  int64_t count = (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
  for (Tier tier : hostTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, getGemmScratchBytes(shape),
                      [&](mlir::ModuleOp m) { buildGemm(m, "kernel", shape); });
    std::vector<Out> got(expected.size());
    std::vector<void *> buffers = {x.data(), packed.data(), correction.data(),
                                   outputBytes.data()};
    if (!direct)
      buffers.push_back(postBytes.data());
    buffers.push_back(got.data());
    kernel.runSplit(buffers, rows, 1, count, false, 4);
    expectRows(got, expected, rows, c.n, shape.outStride);
  }
}

TEST_P(FixedProductTest, E40Codes) {
  if (GetParam().out == Storage::U16)
    check<uint16_t>();
  else
    check<uint8_t>();
}

using A = GemmActivation;

INSTANTIATE_TEST_SUITE_P(
    Shapes, FixedProductTest,
    testing::Values(ProductCase{64, 96}, ProductCase{100, 70},
                    ProductCase{384, 48, A::None, Storage::U16},
                    ProductCase{100, 70, A::Gelu},
                    // With the epilogue in the next tile.
                    ProductCase{384, 96, A::Gelu},
                    ProductCase{384, 96, A::Gelu, Storage::U16},
                    ProductCase{100, 35, A::GeluTanh},
                    ProductCase{64, 48, A::Relu}, ProductCase{64, 48, A::Tanh},
                    ProductCase{384, 48, A::IGelu},
                    ProductCase{100, 35, A::IGelu}));

} // namespace
