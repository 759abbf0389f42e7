//===- RowKernelsTest.cpp - Embeddings, pooling, elementwise kernels ------===//
//
// Each against scalar code, bit for bit, on every tier.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/GemmWeights.h"
#include "lib/Tile/Pool.h"
#include "test/lib/Tile/KernelCall.h"
#include "test/lib/Tile/RowReference.h"

using namespace quern;
using namespace quern::test;

namespace {

/// Ids of tokens in three tables of 50, 2 and 40 rows.
struct Ids {
  Ids(Random &random, int64_t tokens) {
    for (int64_t t = 0; t != tokens; ++t) {
      word.push_back(int32_t(random.below(50)));
      type.push_back(int32_t(random.below(2)));
      position.push_back(int32_t(random.below(40)));
    }
  }
  std::vector<int32_t> word, type, position;
};

int64_t chunksOf(int64_t rows) {
  return (rows + kRowsPerChunk - 1) / kRowsPerChunk;
}

class WidthTest : public testing::TestWithParam<int64_t> {
protected:
  /// tq.qembed with tables of these bits.
  void checkQEmbed(std::array<int64_t, 3> bits);

  int64_t d = GetParam(), stride = rowStride(d);
  Random random{17};
};

void WidthTest::checkQEmbed(std::array<int64_t, 3> bits) {
  const int64_t tokens = 37;
  EmbedShape shape;
  shape.tableBits = bits;
  shape.d = d;
  shape.tableStride = (d + 15) / 16 * 16;
  shape.outStride = shape.tapStride = stride;
  shape.wordScales = true;
  shape.e2 = d == 100 ? Storage::U16 : Storage::U8;
  shape.e2Range.hi = d == 100 ? 65535 : 255;
  Ids ids(random, tokens);
  auto table = [&](int64_t rows, int64_t bits) {
    auto codes = random.codes<int8_t>(rows * shape.tableStride, 256);
    for (int8_t &code : codes)
      code = int8_t(code >> (8 - bits));
    return codes;
  };
  auto packed = [&](const std::vector<int8_t> &codes, int64_t bits) {
    int64_t rows = int64_t(codes.size()) / shape.tableStride;
    std::vector<int8_t> bytes(rows * tableRowBytes(d, bits));
    for (int64_t row = 0; row != rows; ++row)
      packTableRow(codes.data() + row * shape.tableStride, d, bits,
                   bytes.data() + row * tableRowBytes(d, bits));
    return bytes;
  };
  auto word = table(50, bits[0]), type = table(2, bits[1]);
  auto position = table(40, bits[2]);
  auto words = packed(word, bits[0]), types = packed(type, bits[1]);
  auto positions = packed(position, bits[2]);
  auto sw = random.reals(50, 0.001f, 0.02f);
  float st = 0.004f, sp = 0.003f;
  QEmbedParams p = {80.0f, 120.0f, 1 / 80.0f, d == 100 ? 9000.0f : 70.0f,
                    d == 100 ? 31000.0f : 130.0f};
  float sumScale = 1 / p.e2Multiplier;
  auto params = p.data();
  auto gamma = random.reals(stride, 10, 50);
  auto beta = random.reals(stride, 90, 150);
  size_t size = bufferSize(tokens, stride);
  std::vector<uint8_t> expected(size), e1(size);
  std::vector<uint16_t> e2(size);
  for (int64_t t = 0; t != tokens; ++t) {
    std::vector<int32_t> u(d);
    for (int64_t j = 0; j != d; ++j) {
      auto at = [&](const std::vector<int8_t> &m, int32_t row) {
        return float(m[row * shape.tableStride + j]);
      };
      float a = at(word, ids.word[t]) * sw[ids.word[t]];
      float b = at(type, ids.type[t]) * st;
      float v = a + b;
      v = v * p.e1Multiplier;
      v = v + p.e1Zero;
      int32_t first = qm_round_code(v, 0, 255);
      e1[t * stride + j] = uint8_t(first);
      v = float(first) - p.e1Zero;
      v = v * p.e1Scale;
      float c = at(position, ids.position[t]) * sp;
      v = v + c;
      v = v * p.e2Multiplier;
      v = v + p.e2Zero;
      u[j] = qm_round_code(v, 0, shape.e2Range.hi);
      e2[t * stride + j] = uint16_t(u[j]);
    }
    std::vector<float> y;
    codeNorm(u, sumScale, 1e-12, gamma, beta, y);
    for (int64_t j = 0; j != d; ++j)
      expected[t * stride + j] = uint8_t(qm_round_code(y[j], 0, 255));
  }
  auto norm = CodeNormParams(sumScale, d, 1e-12).data();
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, qembedScratch(shape), [&](mlir::ModuleOp m) {
      buildQEmbed(m, "kernel", shape);
    });
    std::vector<uint8_t> got(size), got1(size), got2(size);
    std::vector<uint16_t> wide2(size);
    bool wide = shape.e2 == Storage::U16;
    kernel.runSplit({ids.word.data(), ids.type.data(), ids.position.data(),
                     words.data(), types.data(), positions.data(), sw.data(),
                     &st, &sp, params.data(), gamma.data(), beta.data(),
                     norm.data(), got.data(), got1.data(),
                     wide ? (void *)wide2.data() : got2.data()},
                    tokens, 1, chunksOf(tokens), true, 4);
    if (!wide)
      wide2.assign(got2.begin(), got2.end());
    expectRows(got1, e1, tokens, d, stride);
    expectRows(wide2, e2, tokens, d, stride);
    expectRows(got, expected, tokens, d, stride);
  }
}

TEST_P(WidthTest, QEmbed) { checkQEmbed({8, 8, 8}); }

TEST_P(WidthTest, E16TablesOfFewBits) {
  checkQEmbed({2, 8, 8});
  checkQEmbed({4, 2, 4});
}

TEST_P(WidthTest, Embed) {
  const int64_t tokens = 37;
  EmbedShape shape;
  shape.d = d;
  shape.tableStride = (d + 15) / 16 * 16;
  shape.outStride = shape.tapStride = stride;
  Ids ids(random, tokens);
  auto table = [&](int64_t rows) {
    return random.reals(rows * shape.tableStride, -1, 1);
  };
  auto word = table(50), type = table(2), position = table(40);
  auto gamma = random.reals(stride, -2, 2), beta = random.reals(stride, -1, 1);
  float eps = 1e-5f;
  size_t size = bufferSize(tokens, stride);
  std::vector<float> expected(size), e1(size), e2(size);
  for (int64_t t = 0; t != tokens; ++t) {
    std::vector<float> x(d), y;
    for (int64_t j = 0; j != d; ++j) {
      float v = word[ids.word[t] * shape.tableStride + j] +
                type[ids.type[t] * shape.tableStride + j];
      e1[t * stride + j] = v;
      v = v + position[ids.position[t] * shape.tableStride + j];
      e2[t * stride + j] = x[j] = v;
    }
    realNorm(x, eps, gamma, beta, y);
    std::copy(y.begin(), y.end(), expected.begin() + t * stride);
  }
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, embedScratch(shape), [&](mlir::ModuleOp m) {
      buildEmbed(m, "kernel", shape);
    });
    std::vector<float> got(size), got1(size), got2(size);
    kernel.runSplit({ids.word.data(), ids.type.data(), ids.position.data(),
                     word.data(), type.data(), position.data(), gamma.data(),
                     beta.data(), &eps, got.data(), got1.data(), got2.data()},
                    tokens, 1, chunksOf(tokens), true, 4);
    expectRows(got1, e1, tokens, d, stride);
    expectRows(got2, e2, tokens, d, stride);
    expectRows(got, expected, tokens, d, stride);
  }
}

TEST_P(WidthTest, Pool) {
  std::vector<int32_t> offsets = {0, 1, 3, 3, 40};
  const int64_t sequences = 4, tokens = 40;
  size_t in = bufferSize(tokens, stride), out = bufferSize(sequences, stride);
  auto codes = random.codes<uint8_t>(in, 256);
  auto reals = random.reals(in, -4, 4);
  reals[0] = -0.0f;
  float params[] = {0.021f, 119.0f}, withOffset[] = {0.021f, 119.0f, -0.37f};
  std::vector<uint8_t> firstCode(out, 119);
  std::vector<float> firstReal(out, 0), meanCode(out, 0), meanReal(out, 0);
  std::vector<float> meanOffset(out, 0);
  for (int64_t s = 0; s != sequences; ++s) {
    int64_t begin = offsets[s], n = offsets[s + 1] - begin;
    for (int64_t j = 0; n && j != d; ++j) {
      firstCode[s * stride + j] = codes[begin * stride + j];
      firstReal[s * stride + j] = reals[begin * stride + j];
      int32_t sum = 0;
      float total = 0;
      for (int64_t t = begin; t != begin + n; ++t) {
        sum += codes[t * stride + j];
        float v = reals[t * stride + j];
        total = t == begin ? v : total + v;
      }
      float factor = params[0] / float(n);
      meanCode[s * stride + j] = float(sum - int32_t(n) * 119) * factor;
      meanOffset[s * stride + j] = meanCode[s * stride + j] - 0.37f;
      meanReal[s * stride + j] = total / float(n);
    }
  }
  for (Tier tier : testTiers())
    for (bool mean : {false, true})
      for (Storage storage : {Storage::U8, Storage::F32}) {
        SCOPED_TRACE(getTierName(tier).str() + (mean ? " mean" : " first"));
        PoolShape shape = {d, stride, stride, storage, mean};
        KernelCall kernel(
            tier, 0, [&](mlir::ModuleOp m) { buildPool(m, "kernel", shape); });
        bool real = storage == Storage::F32;
        std::vector<uint8_t> got8(out);
        std::vector<float> got(out);
        kernel.runSplit({real ? (void *)reals.data() : codes.data(),
                         offsets.data(), params,
                         real || mean ? (void *)got.data() : got8.data()},
                        tokens, sequences, sequences, false, 4);
        if (!real && !mean)
          expectRows(got8, firstCode, sequences, d, stride);
        else
          expectRows(got, mean ? real ? meanReal : meanCode : firstReal,
                     sequences, d, stride);
        if (real || !mean)
          continue;
        // Row E18.
        shape.offset = true;
        KernelCall added(
            tier, 0, [&](mlir::ModuleOp m) { buildPool(m, "kernel", shape); });
        added.runSplit({codes.data(), offsets.data(), withOffset, got.data()},
                       tokens, sequences, sequences, false, 4);
        expectRows(got, meanOffset, sequences, d, stride);
      }
}

TEST_P(WidthTest, Elementwise) {
  const int64_t rows = 19;
  RowShape shape;
  shape.d = d;
  shape.inStride = shape.bStride = shape.outStride = stride;
  size_t size = bufferSize(rows, stride);
  auto x = random.reals(size, -9, 9), y = random.reals(size, -9, 9);
  x[0] = 0.0f;
  x[1] = -0.0f;
  x[2] = 1e30f;
  auto check = [&](int64_t buffers, auto build, auto reference) {
    std::vector<float> expected(size);
    for (size_t i = 0; i != size; ++i)
      expected[i] = reference(x[i], y[i]);
    for (Tier tier : testTiers()) {
      SCOPED_TRACE(getTierName(tier).str());
      KernelCall kernel(tier, 0, build);
      std::vector<float> got(size);
      std::vector<void *> arguments = {x.data(), got.data()};
      if (buffers == 3)
        arguments.insert(arguments.begin() + 1, y.data());
      kernel.runSplit(arguments, rows, 1, chunksOf(rows), false, 1);
      expectRows(got, expected, rows, d, stride);
    }
  };
  auto function = [&](ElementFunction f) {
    return [&shape, f](mlir::ModuleOp m) {
      buildElementFunction(m, "kernel", f, shape);
    };
  };
  check(2, function(ElementFunction::Gelu),
        [](float v, float) { return qm_gelu(v); });
  check(2, function(ElementFunction::GeluTanh),
        [](float v, float) { return qm_gelu_tanh(v); });
  check(2, function(ElementFunction::Relu),
        [](float v, float) { return qm_relu(v); });
  check(2, function(ElementFunction::Tanh),
        [](float v, float) { return qm_tanh(v); });
  check(
      3, [&](mlir::ModuleOp m) { buildAdd(m, "kernel", shape); },
      [](float a, float b) { return a + b; });
}

TEST_P(WidthTest, CodesAndValues) {
  const int64_t rows = 21;
  RowShape shape;
  shape.d = d;
  shape.inStride = shape.outStride = stride;
  shape.rows = RowsOf::Sequences;
  size_t size = bufferSize(rows, stride);
  auto x = random.reals(size, -30, 30);
  x[0] = 2.5f / 4.7f; // near a tie
  x[1] = 1e30f;
  x[2] = -1e30f;
  float quantizer[] = {4.7f, 0.0f - 117.0f, 255.0f - 117.0f, 117.0f};
  float values[] = {1 / 4.7f, 117.0f}, change[] = {0.61f, 11.3f, 0, 63};
  std::vector<uint8_t> codes(size), changed(size);
  std::vector<float> back(size), byChannel(size);
  // Of each channel, as groups have them.
  auto scales = random.reals(rowStride(d), 0.01f, 2);
  std::vector<float> zeros(rowStride(d));
  for (size_t j = 0; j != zeros.size(); ++j)
    zeros[j] = float(j * 37 % 256);
  for (size_t i = 0; i != size; ++i) {
    float v = x[i] * quantizer[0];
    codes[i] = uint8_t(qm_round_code(v, quantizer[1], quantizer[2]) + 117);
    back[i] = float(codes[i] - 117) * values[0];
    size_t j = i % stride;
    byChannel[i] = float(codes[i] - int(zeros[j])) * scales[j];
    v = float(codes[i]) * change[0];
    v = v + change[1];
    changed[i] = uint8_t(qm_round_code(v, 0, 63));
  }
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    auto run = [&](auto build, Storage in, Storage out,
                   std::vector<void *> buffers) {
      shape.in = in;
      shape.out = out;
      KernelCall kernel(tier, 0,
                        [&](mlir::ModuleOp m) { build(m, "kernel", shape); });
      kernel.runSplit(buffers, 1, rows, chunksOf(rows), false, 6);
    };
    std::vector<uint8_t> got(size);
    std::vector<float> gotBack(size);
    run(buildQuantize, Storage::F32, Storage::U8,
        {x.data(), quantizer, got.data()});
    expectRows(got, codes, rows, d, stride);
    run(buildDequantize, Storage::U8, Storage::F32,
        {codes.data(), values, gotBack.data()});
    expectRows(gotBack, back, rows, d, stride);
    run(buildDequantizeChannels, Storage::U8, Storage::F32,
        {codes.data(), scales.data(), zeros.data(), gotBack.data()});
    expectRows(gotBack, byChannel, rows, d, stride);
    run(buildRequantize, Storage::U8, Storage::U8,
        {codes.data(), change, got.data()});
    expectRows(got, changed, rows, d, stride);
  }
}

TEST_P(WidthTest, Normalize) {
  const int64_t rows = 5;
  RowShape shape;
  shape.d = d;
  shape.inStride = shape.outStride = stride;
  size_t size = bufferSize(rows, stride);
  auto x = random.reals(size, -1, 1);
  std::fill_n(x.begin() + stride, d, 0.0f);
  float eps = 1e-12f;
  std::vector<float> expected(size);
  for (int64_t r = 0; r != rows; ++r) {
    float length = std::sqrt(qm_sum_squares16(&x[r * stride], 0, d));
    length = qm_max(length, eps);
    for (int64_t j = 0; j != d; ++j)
      expected[r * stride + j] = x[r * stride + j] / length;
  }
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(
        tier, 0, [&](mlir::ModuleOp m) { buildNormalize(m, "kernel", shape); });
    std::vector<float> got(size);
    kernel.run({x.data(), &eps, got.data()}, rows, 1, chunksOf(rows), false);
    expectRows(got, expected, rows, d, stride);
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, WidthTest,
                         testing::Values(1, 16, 100, 384, 768));

} // namespace
