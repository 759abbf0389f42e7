//===- GemmWideTest.cpp - Linear layers over 16-bit codes, row E11 --------===//
//
// Bit for bit against sums in 64 bits, on all tiers: random and extreme codes,
// every form of result, and the kernel that splits codes into planes.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmWide.h"

#include "quern/quant_math.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <random>

using namespace quern;

namespace {

GemmShape makeShape(int64_t k, int64_t n) {
  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = rowStride(k);
  shape.outStride = rowStride(n);
  shape.out = Storage::F32;
  return shape;
}

/// Codes and weights of one product.
struct Data {
  int64_t zero = 0;
  std::vector<uint16_t> x;
  std::vector<int8_t> w;
};

Data randomData(int64_t rows, const GemmShape &shape) {
  std::mt19937 random(7);
  Data data;
  data.zero = 40000;
  for (int64_t i = 0; i < rows * shape.k; ++i)
    data.x.push_back(uint16_t(random()));
  for (int64_t i = 0; i < shape.n * shape.k; ++i)
    data.w.push_back(int8_t(random() % 255 - 127));
  return data;
}

float activated(GemmActivation activation, float v) {
  switch (activation) {
  case GemmActivation::Gelu:
    return qm_gelu(v);
  case GemmActivation::GeluTanh:
    return qm_gelu_tanh(v);
  case GemmActivation::Relu:
    return qm_relu(v);
  case GemmActivation::Tanh:
    return qm_tanh(v);
  case GemmActivation::None:
    break;
  }
  return v;
}

/// Kernels of one shape, compiled once for each tier.
class Product {
public:
  explicit Product(const GemmShape &shape) : shape(shape) {
    for (Tier tier : KernelRunner::tiers()) {
      KernelRunner &runner = runners.emplace_back();
      buildPlanes(runner.module(), "planes",
                  {shape.k, rowStride(shape.k), shape.rows});
      buildWideGemm(runner.module(), "linear", shape);
      EXPECT_EQ(runner.compile(tier), "");
    }
  }
  void check(int64_t rows, const Data &data, float multiplier = 1);

private:
  GemmShape shape;
  std::list<KernelRunner> runners;
};

/// Splits x into planes and multiplies, on every tier, and compares.
void Product::check(int64_t rows, const Data &data, float multiplier) {
  const int64_t k = shape.k, n = shape.n, columns = (n + 15) / 16 * 16;
  const int64_t slack = 16, stride = rowStride(k);
  Aligned<uint16_t> x((rows + slack) * stride, 0xabcd);
  for (int64_t i = 0; i < rows; ++i)
    std::copy_n(data.x.begin() + i * k, k, x.data() + i * stride);
  Aligned<int8_t> packed(packedGemmBytes(n, k));
  packGemmWeights(data.w.data(), n, k, packed.data());
  Aligned<int32_t> correction(2 * columns);
  Aligned<float> multipliers(columns), offsets(columns), post(2);
  std::vector<int64_t> sums(n);
  for (int64_t j = 0; j < n; ++j) {
    int64_t sum = 0;
    for (int64_t i = 0; i < k; ++i)
      sum += data.w[j * k + i];
    sums[j] = -data.zero * sum;
    WideCorrection parts = splitCorrection(sums[j]);
    correction[j] = parts.high;
    correction[columns + j] = parts.low;
    multipliers[j] = multiplier;
    offsets[j] = float(j % 5);
  }
  post[0] = 90;
  post[1] = 20;
  bool hasPost =
      shape.activation != GemmActivation::None && shape.out != Storage::F32;

  for (KernelRunner &runner : runners) {
    SCOPED_TRACE(getWideGemmName(shape));
    Aligned<uint8_t> planes((rows + slack) * planesWidth(k), 0x77);
    Aligned<float> y((rows + slack) * shape.outStride, -1);
    RunCounts counts;
    counts.tokens = shape.rows == RowsOf::Tokens ? rows : 1;
    counts.sequences = shape.rows == RowsOf::Tokens ? 1 : rows;
    counts.end = (rows + 15) / 16;
    ASSERT_TRUE(runner.run("planes", {x.data(), planes.data()}, counts));
    std::vector<const void *> operands = {planes.data(), packed.data(),
                                          correction.data(), multipliers.data(),
                                          offsets.data()};
    if (hasPost)
      operands.push_back(post.data());
    operands.push_back(y.data());
    GemmChunks chunks = getGemmChunks(shape);
    counts.end = (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
    ASSERT_TRUE(runner.run("linear", operands, counts));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < n; ++j) {
        int64_t acc = sums[j];
        for (int64_t l = 0; l < k; ++l)
          acc += int64_t(data.x[i * k + l]) * data.w[j * k + l];
        float v = float(acc) * multipliers[j];
        v = activated(shape.activation, v + offsets[j]);
        if (hasPost) {
          v = v * post[0];
          v = v + post[1];
        }
        int64_t at = i * shape.outStride + j;
        if (shape.out == Storage::F32)
          ASSERT_EQ(y[at], v) << i << ", " << j;
        else {
          int32_t code = qm_round_code(v, shape.range.lo, shape.range.hi);
          ASSERT_EQ(shape.out == Storage::U8
                        ? reinterpret_cast<uint8_t *>(y.data())[at]
                        : reinterpret_cast<uint16_t *>(y.data())[at],
                    code)
              << i << ", " << j;
        }
      }
  }
}

void check(const GemmShape &shape, int64_t rows, const Data &data,
           float multiplier = 1) {
  Product(shape).check(rows, data, multiplier);
}

TEST(GemmWide, SumsAreExact) {
  for (int64_t k : {100, 768, 3072}) {
    GemmShape shape = makeShape(k, 48);
    check(shape, 13, randomData(13, shape));
  }
}

TEST(GemmWide, AnyNumberOfRows) {
  GemmShape shape = makeShape(64, 96);
  Product product(shape);
  for (int64_t rows : {1, 3, 4, 5, 8, 9, 12, 16, 130})
    product.check(rows, randomData(rows, shape));
}

TEST(GemmWide, WorstCaseCodes) {
  for (int64_t k : {100, 768, 3072}) {
    Product product(makeShape(k, 16));
    for (int64_t zero : {0, 1, 32768, 65535})
      for (int code : {0, 255, 256, 65280, 65535})
        for (int weight : {-128, -127, 127}) {
          Data data;
          data.zero = zero;
          data.x.assign(2 * k, uint16_t(code));
          data.w.assign(16 * k, int8_t(weight));
          data.w[k + 3] = 1;
          product.check(2, data);
        }
  }
}

TEST(GemmWide, ActivationsAndForms) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu, GemmActivation::GeluTanh,
        GemmActivation::Relu, GemmActivation::Tanh})
    for (Storage out : {Storage::U8, Storage::U16, Storage::F32}) {
      GemmShape shape = makeShape(100, 80);
      shape.activation = activation;
      shape.out = out;
      shape.range = {0, out == Storage::U16 ? 65535.0f : 250.0f};
      check(shape, 9, randomData(9, shape), 3e-8f);
    }
}

TEST(GemmWide, EpilogueInTheNextTile) {
  for (Storage out : {Storage::U8, Storage::U16}) {
    GemmShape shape = makeShape(384, 96);
    shape.activation = GemmActivation::Gelu;
    shape.out = out;
    shape.range = {0, out == Storage::U16 ? 65535.0f : 255.0f};
    ASSERT_NE(getWideGemmScratchBytes(shape), 0);
    Product product(shape);
    for (int64_t rows : {1, 4, 5, 12, 130})
      product.check(rows, randomData(rows, shape), 3e-8f);
  }
}

TEST(GemmWide, ResultOfTheCaller) {
  GemmShape shape = makeShape(100, 3);
  shape.outStride = 3;
  shape.exact = true;
  shape.rows = RowsOf::Sequences;
  check(shape, 6, randomData(6, shape));
}

TEST(GemmWide, NoRegisterIsSpilledInAnyLoop) {
  for (GemmActivation activation :
       {GemmActivation::None, GemmActivation::Gelu}) {
    KernelRunner runner;
    GemmShape shape = makeShape(768, 3072);
    shape.activation = activation;
    shape.out = Storage::U8;
    buildWideGemm(runner.module(), "k", shape);
    auto text =
        emitKernels(runner.module(), Tier::Avx512Vnni, CodeForm::Assembly);
    ASSERT_TRUE(bool(text));
    int64_t spills = 0;
    for (llvm::StringRef line : llvm::split(llvm::StringRef(*text), '\n'))
      spills += line.contains("zmm") && line.contains("(%rsp)");
    EXPECT_EQ(spills, 0);
  }
}

TEST(GemmWide, CorrectionsSplitExactly) {
  for (int64_t correction :
       {int64_t(0), int64_t(-1), int64_t(65535) * 127 * 3072,
        int64_t(-65535) * 128 * 3072, int64_t(255), int64_t(-256)}) {
    WideCorrection parts = splitCorrection(correction);
    EXPECT_EQ(int64_t(parts.high) * 256 + parts.low, correction);
  }
}

} // namespace
