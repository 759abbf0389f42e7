//===- RealCase.h - Operands and reference of f32 kernels -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Products, LayerNorm, functions and attention of real numbers, one element at
// a time on quant_math.h, bit for bit. What lies beside operands in memory is
// no number.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_REALCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_REALCASE_H

#include "lib/Target/NVPTX/RealAttention.h"
#include "lib/Target/NVPTX/RealGemm.h"
#include "lib/Target/NVPTX/RealNorm.h"
#include "lib/Target/NVPTX/RealRows.h"
#include "lib/Tile/Gemm.h"
#include "test/lib/Target/NVPTX/GemmCase.h"
#include "test/lib/Target/NVPTX/RowCase.h"

#include <limits>

namespace quern::nvptx::test {

using Reals = std::vector<float>;

/// Rows of random numbers of all sizes; NaN beyond column d.
inline Reals realRows(Random &random, int64_t rows, int64_t d, int64_t stride) {
  Reals all(size_t(rows * stride), std::numeric_limits<float>::quiet_NaN());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < d; ++j)
      all[size_t(i * stride + j)] =
          random.real(-2.0f, 2.0f) * (j % 7 ? 1.0f : 1e-4f);
  return all;
}

/// Empty where both have the same bits.
inline std::string compareBits(const Reals &got, const Reals &want) {
  for (size_t i = 0; i != want.size(); ++i)
    if (argument(got[i]) != argument(want[i]))
      return "element " + std::to_string(i) + ": expected " +
             std::to_string(want[i]) + ", got " + std::to_string(got[i]);
  return "";
}

inline void checkRealGemm(Runner &runner, const RealGemmForm &form,
                          const std::vector<GemmSize> &sizes) {
  ASSERT_FALSE(nvptx::checkRealGemm(form));
  runner.load([&](mlir::ModuleOp module) { buildRealGemm(module, form); });
  for (const GemmSize &size : sizes) {
    int64_t n = (size.n + 15) / 16 * 16, k = size.k;
    int64_t xStride = (k + 3) / 4 * 4, yStride = n + 4;
    Random random(uint32_t(size.m * 31 + size.n + k));
    Reals x = realRows(random, size.m, k, xStride);
    Reals bias = random.reals(size_t(n), -1.0f, 1.0f), scales, w;
    std::vector<int8_t> codes;
    std::vector<uint8_t> packed;
    if (form.bits == 32) {
      w = random.reals(size_t(size.n * k), -0.5f, 0.5f);
      packed.resize(size_t(packedFloatGemmSize(size.n, k)) * 4);
      packFloatGemmWeights(w.data(), size.n, k,
                           reinterpret_cast<float *>(packed.data()));
    } else {
      codes = random.codes<int8_t>(size_t(size.n * k), 256);
      for (int8_t &code : codes)
        code = int8_t(code >> (8 - form.bits));
      scales = random.reals(size_t(n), 0.001f, 0.3f);
      for (size_t i = 0; i != codes.size(); ++i)
        w.push_back(scales[i / size_t(k)] * float(codes[i]));
      packed.resize(size_t(packedCodedGemmBytes(size.n, k, form.bits)));
      packCodedGemmWeights(codes.data(), size.n, k, form.bits,
                           reinterpret_cast<int8_t *>(packed.data()));
    }
    Reals y(size_t(size.m * yStride), -7.0f), want = y;
    for (int64_t i = 0; i < size.m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (int64_t c = 0; j < size.n && c < k; ++c) {
          float product = x[size_t(i * xStride + c)] * w[size_t(j * k + c)];
          sum = sum + product;
        }
        want[size_t(i * yStride + j)] =
            referenceActivation(form.activation, sum + bias[size_t(j)]);
      }
    DeviceCall call;
    call.kernel = getRealGemmName(form);
    call.launchAs(getRealGemmLaunch(size.m, n));
    call.input("x", x);
    call.input("w", packed);
    if (form.bits != 32)
      call.input("scales", scales);
    call.input("bias", bias);
    call.output("y", y);
    call.integers({size.m, n, k, xStride, yStride});
    ASSERT_EQ(runner.run(call), "");
    EXPECT_EQ(compareBits(y, want), "")
        << call.kernel << ", " << size.m << " x " << size.n << " x " << k;
  }
}

/// LayerNorm of a row or of the sum of two.
inline void checkRealNorm(Runner &runner, bool isSum, int64_t m, int64_t d) {
  RealNormForm form;
  form.source = isSum ? RealNormForm::Sum : RealNormForm::Row;
  runner.load([&](mlir::ModuleOp module) { buildRealNorm(module, form); });
  int64_t stride = d + 5;
  Random random(uint32_t(m + 3 * d));
  Reals a = realRows(random, m, d, stride), b = realRows(random, m, d, stride);
  Reals gamma = random.reals(size_t(d), 0.5f, 2.0f);
  Reals beta = random.reals(size_t(d), -1.0f, 1.0f), eps = {1e-5f};
  // A row without variance.
  std::fill_n(a.begin(), d, 0.25f);
  std::fill_n(b.begin(), d, 0.0f);
  Reals out(size_t(m * stride), -7.0f), want = out, tap = out, wantTap = out;
  for (int64_t i = 0; i < m; ++i) {
    Reals sums, y;
    for (int64_t j = i * stride; j < i * stride + d; ++j)
      sums.push_back(isSum ? a[size_t(j)] + b[size_t(j)] : a[size_t(j)]);
    quern::test::realNorm(sums, eps[0], gamma, beta, y);
    std::copy(y.begin(), y.end(), want.begin() + i * stride);
    std::copy(sums.begin(), sums.end(), wantTap.begin() + i * stride);
  }
  DeviceCall call;
  call.kernel = getRealNormName(form);
  call.launchRows(m);
  call.input("a", a);
  if (isSum)
    call.input("b", b);
  call.input("gamma", gamma);
  call.input("beta", beta);
  call.input("eps", eps);
  call.output("out", out);
  if (isSum) {
    call.output("tap", tap);
    call.integers({m, d, stride, stride, stride, stride, 1});
  } else {
    call.integers({m, d, stride, stride});
  }
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(compareBits(out, want), "") << call.kernel << ", " << d;
  if (isSum)
    EXPECT_EQ(compareBits(tap, wantTap), "") << d;
}

inline void checkRealEmbed(Runner &runner, const RealNormForm &form, int64_t m,
                           int64_t d) {
  ASSERT_FALSE(nvptx::checkRealNorm(form));
  runner.load([&](mlir::ModuleOp module) { buildRealNorm(module, form); });
  int64_t stride = (d + 15) / 16 * 16;
  Random random(uint32_t(m + 5 * d));
  std::vector<int32_t> indices[3];
  Reals values[3], scales[3];
  std::vector<uint8_t> tables[3];
  for (size_t t = 0; t != 3; ++t) {
    int64_t rows = 9 - 2 * int64_t(t), bits = form.tableBits[t];
    indices[t] = random.codes<int32_t>(size_t(m), uint32_t(rows));
    values[t] = realRows(random, rows, d, stride);
    scales[t] = random.reals(form.rowScales[t] ? size_t(rows) : 1, 0.01f, 0.3f);
    tables[t].resize(values[t].size() * 4);
    if (bits != 32) {
      auto codes = random.codes<int8_t>(size_t(rows * stride), 256);
      for (size_t i = 0; i != codes.size(); ++i) {
        codes[i] = int8_t(codes[i] >> (8 - bits));
        size_t row = form.rowScales[t] ? i / size_t(stride) : 0;
        values[t][i] = float(codes[i]) * scales[t][row];
      }
      std::vector<int8_t> packed = packTable(codes, d, stride, bits);
      tables[t].assign(packed.begin(), packed.end());
    } else {
      std::memcpy(tables[t].data(), values[t].data(), tables[t].size());
    }
  }
  Reals gamma = random.reals(size_t(d), 0.5f, 2.0f);
  Reals beta = random.reals(size_t(d), -1.0f, 1.0f), eps = {1e-12f};
  Reals none(size_t(m * stride), -7.0f), out = none, first = none,
                                         second = none, want[3];
  std::fill(std::begin(want), std::end(want), none);
  for (int64_t i = 0; i < m; ++i) {
    Reals sums, y;
    for (int64_t j = 0; j < d; ++j) {
      auto value = [&](size_t t) {
        return values[t][size_t(indices[t][size_t(i)] * stride + j)];
      };
      float both = value(0) + value(1);
      want[1][size_t(i * stride + j)] = both;
      sums.push_back(both + value(2));
    }
    quern::test::realNorm(sums, eps[0], gamma, beta, y);
    std::copy(y.begin(), y.end(), want[0].begin() + i * stride);
    std::copy(sums.begin(), sums.end(), want[2].begin() + i * stride);
  }
  DeviceCall call;
  call.kernel = getRealNormName(form);
  call.launchRows(m);
  for (auto &each : indices)
    call.input("indices", each);
  for (auto &each : tables)
    call.input("table", each);
  call.input("gamma", gamma);
  call.input("beta", beta);
  call.input("eps", eps);
  for (auto &each : scales)
    if (form.hasCodes())
      call.input("scales", each);
  call.output("out", out);
  call.output("first", first);
  call.output("second", second);
  call.integers({m, d, stride, stride, stride, 1});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(compareBits(out, want[0]), "") << call.kernel;
  EXPECT_EQ(compareBits(first, want[1]), "") << call.kernel;
  EXPECT_EQ(compareBits(second, want[2]), "") << call.kernel;
}

inline void checkRealFunction(Runner &runner, RealFunction function, int64_t m,
                              int64_t d) {
  runner.load(
      [&](mlir::ModuleOp module) { buildRealFunction(module, function); });
  int64_t stride = d + 4;
  Random random(uint32_t(m + 7 * d));
  Reals a = random.reals(size_t(m * stride), -8.0f, 8.0f);
  Reals b = random.reals(size_t(m * stride), -8.0f, 8.0f);
  a[0] = -0.0f;
  a[1] = -1e30f;
  Reals out(a.size(), -7.0f), want = out;
  const Activation activations[] = {Activation::Gelu, Activation::GeluTanh,
                                    Activation::Relu, Activation::Tanh};
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = i * stride; j < i * stride + d; ++j)
      want[size_t(j)] =
          function == RealFunction::Add
              ? a[size_t(j)] + b[size_t(j)]
              : referenceActivation(activations[int(function)], a[size_t(j)]);
  DeviceCall call;
  call.kernel = getRealFunctionName(function);
  call.launchRows(m);
  call.sharedBytes = getRealFunctionSharedBytes(function);
  call.input("a", a);
  if (function == RealFunction::Add)
    call.input("b", b);
  call.output("out", out);
  call.integers({m, d, stride, stride, stride});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(compareBits(out, want), "") << call.kernel;
}

/// tq.quantize and tq.dequantize of one number.
inline float quantizedReal(float v, const float *q) {
  return float(qm_round_code(v * q[0], q[1], q[2])) * q[3];
}

inline void checkRealAttention(Runner &runner, const RealAttentionForm &form,
                               int64_t heads,
                               const std::vector<int64_t> &lengths) {
  ASSERT_FALSE(nvptx::checkRealAttention(form));
  runner.load([&](mlir::ModuleOp module) { buildRealAttention(module, form); });
  std::vector<int32_t> offsets = {0};
  int64_t longest = 0, sequences = int64_t(lengths.size());
  for (int64_t length : lengths) {
    offsets.push_back(offsets.back() + int32_t(length));
    longest = std::max(longest, length);
  }
  int64_t tokens = offsets.back(), dim = form.headDim, width = heads * dim;
  int64_t part = (width + 15) / 16 * 16, stride = 2 * part + 16;
  int64_t askers = form.firstQuery ? sequences : tokens;
  Random random(uint32_t(dim + tokens));
  Reals keys = realRows(random, tokens, 2 * part, stride);
  Reals queries = realRows(random, askers, part, part);
  Reals params = {0.31f,  20.0f, -100.0f, 155.0f,    1 / 20.0f,
                  255.0f, 0.0f,  255.0f,  1 / 255.0f};
  Reals context(size_t(askers * part), -7.0f), want = context;
  int64_t pairs = 0;
  for (int64_t length : lengths)
    pairs += form.firstQuery ? length : length * length;
  Reals scores(size_t(pairs * heads), -7.0f), probs = scores;
  Reals wantScores = scores, wantProbs = scores;
  for (int64_t h = 0, at = 0; h != heads; ++h)
    for (int64_t s = 0; s != sequences; ++s) {
      int64_t first = offsets[size_t(s)], length = lengths[size_t(s)];
      int64_t count = form.firstQuery ? 1 : length;
      for (int64_t i = 0; i != count; ++i, at += length) {
        int64_t asker = form.firstQuery ? s : first + i;
        Reals v(size_t(length), 0.0f);
        float top = -INFINITY;
        for (int64_t j = 0; j != length; ++j) {
          float &sum = v[size_t(j)];
          for (int64_t c = h * dim; c != (h + 1) * dim; ++c) {
            float product = queries[size_t(asker * part + c)] *
                            keys[size_t((first + j) * stride + c)];
            sum = sum + product;
          }
          wantScores[size_t(at + j)] = sum;
          if (form.quantizeScores)
            sum = quantizedReal(sum, &params[1]);
          top = qm_max(top, sum);
        }
        for (float &x : v) {
          float below = x - top;
          x = qm_exp(below * params[0]);
        }
        float total = qm_sum16(v.data(), length);
        for (int64_t j = 0; j != length; ++j) {
          float &p = v[size_t(j)];
          p = p / total;
          wantProbs[size_t(at + j)] = p;
          if (form.quantizeProbs)
            p = quantizedReal(p, &params[5]);
        }
        for (int64_t c = h * dim; c != (h + 1) * dim; ++c) {
          float sum = 0;
          for (int64_t j = 0; j != length; ++j) {
            float product =
                v[size_t(j)] * keys[size_t((first + j) * stride + part + c)];
            sum = sum + product;
          }
          want[size_t(asker * part + c)] = sum;
        }
      }
    }
  AttentionLaunch launch =
      getRealAttentionLaunch(form, sequences, heads, longest);
  DeviceCall call;
  call.kernel = getRealAttentionName(form);
  call.launchAs(launch);
  call.input("q", queries);
  call.input("k", keys);
  call.input("v", keys);
  call.input("offsets", offsets);
  call.input("params", params);
  call.output("context", context);
  call.output("scores", scores);
  call.output("probs", probs);
  call.integers(
      {heads, launch.keys, part, stride, part, 0, 0, part, sequences, 1});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(compareBits(scores, wantScores), "") << call.kernel;
  EXPECT_EQ(compareBits(probs, wantProbs), "") << call.kernel;
  EXPECT_EQ(compareBits(context, want), "") << call.kernel;
}

/// All kernels, each with what it may be made for.
inline void checkAllReals(Runner &runner) {
  for (int64_t bits : {32, 8, 4, 2})
    checkRealGemm(runner, {bits, Activation::None},
                  {{1, 16, 64}, {35, 80, 37}, {3, 5, 1}});
  for (Activation activation : {Activation::Gelu, Activation::GeluTanh,
                                Activation::Relu, Activation::Tanh})
    checkRealGemm(runner, {activation == Activation::Gelu ? 4 : 32, activation},
                  {{33, 48, 50}});
  for (int64_t d : {1, 35, 260}) {
    checkRealNorm(runner, /*isSum=*/false, 6, d);
    checkRealNorm(runner, /*isSum=*/true, 5, d);
  }
  for (RealFunction function :
       {RealFunction::Gelu, RealFunction::GeluTanh, RealFunction::Relu,
        RealFunction::Tanh, RealFunction::Add})
    checkRealFunction(runner, function, 5, 132);
  checkRealEmbed(runner, {RealNormForm::Tables}, 6, 36);
  checkRealEmbed(
      runner, {RealNormForm::Tables, {4, 32, 2}, {true, false, false}}, 5, 70);
  checkRealEmbed(runner, {RealNormForm::Tables, {8, 2, 4}, {false, true, true}},
                 5, 65);
  checkRealAttention(runner, {16}, 2, {1, 33, 18});
  checkRealAttention(runner, {64, false, true, true}, 1, {7, 40});
  checkRealAttention(runner, {24, true}, 2, {3, 1, 37});
  checkRealAttention(runner, {7, false, false, true}, 3, {20});
  checkRealAttention(runner, {136, true, true}, 1, {9, 2});
  checkRealAttention(runner, {20, false, true, false, true}, 2, {35, 1});
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_REALCASE_H
