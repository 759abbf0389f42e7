//===- TokenKernelsTest.cpp - Kernels of codes with ranges of tokens ------===//
//
// The kernels between values and codes, and the linear layer, against scalar
// code that follows quant_math.h: bit for bit on every tier. Row E29.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/GemmCase.h"
#include "lib/Tile/GemmToken.h"
#include "lib/Tile/TokenRows.h"
#include "quern/quant_math.h"
#include "test/lib/Tile/KernelCall.h"

#include <cmath>

using namespace quern;
using namespace quern::test;

namespace {

/// Bytes of rows of codes as TokenRows.h lays them out.
struct CodeRows {
  CodeRows(int64_t rows, int64_t d)
      : d(d), bytes(bufferSize(rows, tokenRowStride(d)), 0xcd) {}

  uint8_t *row(int64_t t) { return bytes.data() + t * tokenRowStride(d); }
  float scale(int64_t t) { return read<float>(row(t) + tokenRangeAt(d)); }
  int32_t zero(int64_t t) {
    return read<int32_t>(row(t) + tokenRangeAt(d) + 4);
  }
  template <typename T> static T read(const uint8_t *at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }

  int64_t d;
  std::vector<uint8_t> bytes;
};

/// What tq.quantize says.
CodeRows quantized(const std::vector<float> &x, int64_t rows, int64_t d,
                   int64_t stride, int bits, bool centred) {
  CodeRows result(rows, d);
  for (int64_t t = 0; t != rows; ++t) {
    const float *values = x.data() + t * stride;
    float lo, hi, top = float((1 << bits) - 1);
    qm_row_range(values, d, &lo, &hi);
    float scale = qm_range_scale(lo, hi, bits, centred);
    int32_t zero = qm_range_zero(lo, scale, bits, centred);
    float inverse = 1.0f / scale;
    for (int64_t j = 0; j != d; ++j)
      result.row(t)[j] =
          uint8_t(qm_round_code(values[j] * inverse, 0.0f - float(zero),
                                top - float(zero)) +
                  zero);
    std::memcpy(result.row(t) + tokenRangeAt(d), &scale, 4);
    std::memcpy(result.row(t) + tokenRangeAt(d) + 4, &zero, 4);
  }
  return result;
}

/// Rows of all kinds; the padding is large and must not count.
std::vector<float> rowsOf(int64_t rows, int64_t d, int64_t stride,
                          uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(bufferSize(rows, stride), 1e20f);
  for (int64_t t = 0; t != rows; ++t)
    for (int64_t j = 0; j != d; ++j) {
      float &value = x[t * stride + j];
      value = normal(random);
      switch (t % 9) {
      case 1: // nothing
        value = 0.0f;
        break;
      case 2:
        value = -0.0f;
        break;
      case 3: // one outlier
        value = j == d - 1 ? 150.0f : value;
        break;
      case 4: // a constant
        value = -3.25f;
        break;
      case 5: // no negative value
        value = std::fabs(value);
        break;
      case 6: // denormal
        value = value * 1e-44f;
        break;
      case 7: // below the least scale
        value = value * 1e-35f;
        break;
      case 8:
        value = value * 1e30f;
        break;
      }
    }
  return x;
}

int64_t rowChunkCount(int64_t rows) {
  return (rows + kRowsPerChunk - 1) / kRowsPerChunk;
}

class TokenRowsTest : public testing::TestWithParam<int64_t> {};

/// Both kernels of one shape, on one tier.
void checkRows(const TokenShape &shape, int64_t rows, Tier tier) {
  int64_t d = shape.d, stride = shape.realStride;
  SCOPED_TRACE(tokenName("quantize", shape) + "." + getTierName(tier).str());
  bool ofTokens = shape.rows == RowsOf::Tokens;
  int64_t tokens = ofTokens ? rows : 77, sequences = ofTokens ? 3 : rows;
  std::vector<float> x = rowsOf(rows, d, stride, 5);
  CodeRows expected =
      quantized(x, rows, d, stride, int(shape.bits), shape.centred);
  KernelCall quantize(tier, 0, [&](mlir::ModuleOp module) {
    buildTokenQuantize(module, "kernel", shape);
  });
  CodeRows got(rows, d);
  quantize.runSplit({x.data(), got.bytes.data()}, tokens, sequences,
                    rowChunkCount(rows), false, 9);
  expectRows(got.bytes, expected.bytes, rows, d, tokenRowStride(d));
  for (int64_t t = 0; t != rows; ++t) {
    EXPECT_EQ(got.scale(t), expected.scale(t)) << "row " << t;
    EXPECT_EQ(got.zero(t), expected.zero(t)) << "row " << t;
  }
  // The row behind the last is not the kernel's.
  EXPECT_EQ(got.bytes[rows * tokenRowStride(d)], 0xcd);

  KernelCall dequantize(tier, 0, [&](mlir::ModuleOp module) {
    buildTokenDequantize(module, "kernel", shape);
  });
  std::vector<float> y(bufferSize(rows, stride)), real(y.size());
  dequantize.run({expected.bytes.data(), y.data()}, tokens, sequences,
                 rowChunkCount(rows), false);
  for (int64_t t = 0; t != rows; ++t)
    for (int64_t j = 0; j != d; ++j)
      real[t * stride + j] =
          float(expected.row(t)[j] - expected.zero(t)) * expected.scale(t);
  expectRows(y, real, rows, d, stride);
}

TEST_P(TokenRowsTest, E29QuantizeAndDequantize) {
  int64_t d = GetParam(), stride = rowStride(d);
  for (Tier tier : testTiers()) {
    checkRows({d, stride, 8, false, RowsOf::Tokens}, 41, tier);
    checkRows({d, stride, 2, true, RowsOf::Tokens}, 41, tier);
    checkRows({d, stride, 5, true, RowsOf::Sequences}, 41, tier);
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, TokenRowsTest,
                         testing::Values(1, 16, 64, 100, 270));

struct GemmParam {
  int64_t k, n;
  GemmActivation activation = GemmActivation::None;
  Storage out = Storage::U8;
  int64_t weightBits = 8;
  bool extreme = false;
};

class TokenGemmTest : public testing::TestWithParam<GemmParam> {};

TEST_P(TokenGemmTest, E29LinearOfRowsWithRanges) {
  const GemmParam &param = GetParam();
  GemmShape shape;
  shape.k = param.k;
  shape.n = param.n;
  shape.xStride = tokenRowStride(param.k);
  shape.outStride = rowStride(param.n);
  shape.activation = param.activation;
  shape.out = param.out;
  shape.weightBits = param.weightBits;
  shape.range.hi = param.out == Storage::U16 ? 65535 : 255;
  std::mt19937 random(23);
  int64_t padded = (param.n + 15) / 16 * 16;
  std::vector<int8_t> w(param.n * param.k);
  for (int8_t &code : w)
    code = param.extreme ? int8_t(-128)
                         : int8_t(int8_t(random()) >> (8 - param.weightBits));
  std::vector<int8_t> packed(
      packedGemmBytes(param.n, param.k, param.weightBits) + 64);
  packGemmWeights(w.data(), param.n, param.k, packed.data(), param.weightBits);
  std::vector<int32_t> correction(padded);
  std::vector<float> multiplier(padded), offset(padded);
  for (int64_t n = 0; n != param.n; ++n) {
    for (int64_t k = 0; k != param.k; ++k)
      correction[n] -= w[n * param.k + k];
    multiplier[n] = 0.004f + 0.0001f * float(random() % 100);
    offset[n] = float(random() % 200) - 20;
  }
  std::vector<float> post = {30.0f, 17.0f};
  bool hasPost =
      param.activation != GemmActivation::None && param.out != Storage::F32;

  std::vector<std::unique_ptr<KernelCall>> calls;
  for (Tier tier : testTiers())
    calls.push_back(std::make_unique<KernelCall>(
        tier, getGemmScratchBytes(shape), [&](mlir::ModuleOp module) {
          buildTokenGemm(module, "kernel", shape);
        }));
  for (int64_t rows : {1, 5, 8, 13, 130}) {
    int64_t stride = rowStride(param.k);
    CodeRows x = quantized(rowsOf(rows, param.k, stride, 31), rows, param.k,
                           stride, 8, false);
    if (param.extreme)
      for (int64_t t = 0; t != rows; ++t) {
        // The largest sums of either sign.
        int32_t zero = t % 2 ? 255 : 0;
        std::memset(x.row(t), t % 2 ? 0 : 255, param.k);
        std::memcpy(x.row(t) + tokenRangeAt(param.k) + 4, &zero, 4);
      }
    size_t elements = bufferSize(rows, shape.outStride);
    std::vector<float> real(elements);
    std::vector<uint16_t> codes(elements);
    for (int64_t t = 0; t != rows; ++t)
      for (int64_t n = 0; n != param.n; ++n) {
        int64_t acc = 0;
        for (int64_t k = 0; k != param.k; ++k)
          acc += int64_t(x.row(t)[k] - x.zero(t)) * w[n * param.k + k];
        ASSERT_EQ(acc, int64_t(int32_t(acc)));
        float factor = x.scale(t) * multiplier[n];
        float v = float(int32_t(acc)) * factor;
        v = referenceActivation(param.activation, v + offset[n]);
        real[t * shape.outStride + n] = v;
        if (hasPost) {
          v = v * post[0];
          v = v + post[1];
        }
        if (param.out != Storage::F32)
          codes[t * shape.outStride + n] =
              uint16_t(qm_round_code(v, 0, shape.range.hi));
      }
    for (size_t i = 0; i != calls.size(); ++i) {
      KernelCall &call = *calls[i];
      SCOPED_TRACE(getTokenGemmName(shape) + "." +
                   getTierName(testTiers()[i]).str() + ", rows " +
                   std::to_string(rows));
      GemmChunks chunks = getGemmChunks(shape);
      int64_t count =
          (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
      auto run = [&](auto &y) {
        std::vector<void *> buffers = {x.bytes.data(), packed.data(),
                                       correction.data(), multiplier.data(),
                                       offset.data()};
        if (hasPost)
          buffers.push_back(post.data());
        buffers.push_back(y.data());
        call.runSplit(buffers, rows, 1, count, false, 3);
      };
      if (param.out == Storage::F32) {
        std::vector<float> y(elements);
        run(y);
        expectRows(y, real, rows, param.n, shape.outStride);
      } else if (param.out == Storage::U16) {
        std::vector<uint16_t> y(elements);
        run(y);
        expectRows(y, codes, rows, param.n, shape.outStride);
      } else {
        std::vector<uint8_t> y(elements), narrow(codes.begin(), codes.end());
        run(y);
        expectRows(y, narrow, rows, param.n, shape.outStride);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, TokenGemmTest,
    testing::Values(GemmParam{64, 96}, GemmParam{100, 270}, GemmParam{1, 1},
                    GemmParam{270, 100, GemmActivation::None, Storage::F32},
                    GemmParam{100, 80, GemmActivation::Gelu},
                    GemmParam{100, 80, GemmActivation::GeluTanh, Storage::F32},
                    GemmParam{64, 48, GemmActivation::Relu, Storage::U16},
                    GemmParam{64, 48, GemmActivation::Tanh},
                    // The end of a tile in the next one.
                    GemmParam{384, 96, GemmActivation::Gelu},
                    GemmParam{192, 96, GemmActivation::None, Storage::U8, 4},
                    GemmParam{192, 96, GemmActivation::None, Storage::F32, 2},
                    GemmParam{3072, 48, GemmActivation::None, Storage::F32, 8,
                              true}));

} // namespace
