//===- TokenTest.cpp - Rows with ranges of their own, emulated ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/TokenRows.h"
#include "test/lib/Target/NVPTX/GemmCase.h"
#include "test/lib/Target/NVPTX/RowCase.h"

using namespace quern::nvptx;
using namespace quern::nvptx::test;

namespace {

/// Bytes of a row of d codes and its range.
int64_t rowBytes(int64_t d) { return (d + 63) / 64 * 64 + 64; }

/// Rows of all kinds: both signs, none below or above zero, all alike, all
/// zeros, values far apart.
std::vector<float> makeRows(int64_t m, int64_t d, int64_t stride) {
  Random random{uint32_t(d)};
  auto x = random.reals(size_t(m * stride), -3.0f, 5.0f);
  for (int64_t i = 0; i != m; ++i)
    for (int64_t j = 0; j != d; ++j) {
      float &v = x[size_t(i * stride + j)];
      v = i % 6 == 1   ? std::fabs(v)
          : i % 6 == 2 ? -std::fabs(v)
          : i % 6 == 3 ? 0.7f
          : i % 6 == 4 ? 0.0f
          : i % 6 == 5 ? (j == d / 2 ? 3e30f : v * 1e-30f)
                       : v;
    }
  return x;
}

void checkQuantize(Emulator &emulator, const TokenForm &form, int64_t m,
                   int64_t d) {
  ASSERT_FALSE(checkTokens(form));
  emulator.load([&](mlir::ModuleOp module) { buildTokens(module, form); });
  const int64_t stride = (d + 15) / 16 * 16;
  std::vector<float> x = makeRows(m, d, stride);
  std::vector<uint8_t> codes(size_t(m * rowBytes(d)), 0xa5), want = codes;
  for (int64_t i = 0; i != m; ++i) {
    const float *row = &x[size_t(i * stride)];
    int bits = int(form.bits);
    float lo, hi, top = float((1 << bits) - 1);
    qm_row_range(row, d, &lo, &hi);
    float scale = qm_range_scale(lo, hi, bits, form.centred);
    int32_t zero = qm_range_zero(lo, scale, bits, form.centred);
    float inverse = 1.0f / scale;
    uint8_t *to = &want[size_t(i * rowBytes(d))];
    for (int64_t j = 0; j != d; ++j)
      to[j] = uint8_t(qm_round_code(row[j] * inverse, 0.0f - float(zero),
                                    top - float(zero)) +
                      zero);
    std::memcpy(to + rowBytes(d) - 64, &scale, 4);
    std::memcpy(to + rowBytes(d) - 60, &zero, 4);
  }
  DeviceCall call;
  call.kernel = getTokensName(form);
  call.launchRows(m);
  call.input("x", x);
  call.output("codes", codes);
  call.integers({m, d, stride});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(codes, want) << call.kernel << ", " << d;
}

TEST(NvptxTokens, RangesOfRows) {
  Emulator emulator;
  for (bool centred : {false, true})
    for (int64_t bits : {2, 8}) {
      checkQuantize(emulator, {false, bits, centred}, 7, 100);
      checkQuantize(emulator, {false, bits, centred}, 6, 64);
    }
}

/// Codes of m rows, each with a range.
std::vector<uint8_t> makeCodes(int64_t m, int64_t d) {
  Random random{uint32_t(m)};
  auto rows = random.codes<uint8_t>(size_t(m * rowBytes(d)), 256);
  for (int64_t i = 0; i != m; ++i) {
    float scale = random.real(0.001f, 0.1f);
    int32_t zero = int32_t(random.below(256));
    uint8_t *range = &rows[size_t((i + 1) * rowBytes(d) - 64)];
    std::memcpy(range, &scale, 4);
    std::memcpy(range + 4, &zero, 4);
  }
  return rows;
}

std::pair<float, int32_t> rangeOf(const std::vector<uint8_t> &rows, int64_t row,
                                  int64_t d) {
  const uint8_t *range = &rows[size_t((row + 1) * rowBytes(d) - 64)];
  float scale;
  int32_t zero;
  std::memcpy(&scale, range, 4);
  std::memcpy(&zero, range + 4, 4);
  return {scale, zero};
}

TEST(NvptxTokens, Values) {
  Emulator emulator;
  TokenForm form = {true};
  emulator.load([&](mlir::ModuleOp module) { buildTokens(module, form); });
  const int64_t m = 5, d = 70, stride = 80;
  std::vector<uint8_t> codes = makeCodes(m, d);
  std::vector<float> x(size_t(m * stride), -1.0f), want = x;
  for (int64_t i = 0; i != m; ++i) {
    auto [scale, zero] = rangeOf(codes, i, d);
    for (int64_t j = 0; j != d; ++j)
      want[size_t(i * stride + j)] =
          float(codes[size_t(i * rowBytes(d) + j)] - zero) * scale;
  }
  DeviceCall call;
  call.kernel = getTokensName(form);
  call.launchRows(m);
  call.input("codes", codes);
  call.output("x", x);
  call.integers({m, d, stride});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(x, want);
}

TEST(NvptxTokens, Products) {
  GemmForm form;
  form.tokens = true;
  form.activation = Activation::Gelu;
  form.result = Storage::F32;
  GemmSchedule schedule;
  ASSERT_FALSE(checkForm(schedule, form));
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { buildGemm(module, schedule, form); });
  const int64_t m = 19, n = 48, k = 128;
  Random random(3);
  std::vector<uint8_t> x = makeCodes(m, k);
  auto w = random.codes<int8_t>(size_t(n * k), 256);
  std::vector<int32_t> correction;
  for (int64_t j = 0; j != n; ++j) {
    int32_t sum = 0;
    for (int64_t l = 0; l != k; ++l)
      sum += w[size_t(j * k + l)];
    correction.push_back(-sum);
  }
  auto multiplier = random.reals(size_t(n), 0.001f, 0.002f),
       offset = random.reals(size_t(n), -1.0f, 1.0f);
  std::vector<float> y(size_t(m * n), -1.0f), want;
  for (int64_t i = 0; i != m; ++i) {
    auto [scale, zero] = rangeOf(x, i, k);
    for (int64_t j = 0; j != n; ++j) {
      int32_t acc = zero * correction[size_t(j)];
      for (int64_t l = 0; l != k; ++l)
        acc += x[size_t(i * rowBytes(k) + l)] * w[size_t(j * k + l)];
      float all = scale * multiplier[size_t(j)];
      float v = float(acc) * all;
      want.push_back(qm_gelu(v + offset[size_t(j)]));
    }
  }
  GemmLaunch launch = getGemmLaunch(schedule, m, n);
  DeviceCall call;
  call.kernel = getGemmName(schedule, form);
  call.launchAs(launch);
  call.input("x", x);
  call.input("w", w);
  call.input("correction", correction);
  call.input("multiplier", multiplier);
  call.input("offset", offset);
  call.output("y", y);
  call.integers({m, n, k, rowBytes(k), n});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(y, want);
}

TEST(NvptxTokens, ShiftGelu) {
  Emulator emulator;
  emulator.load([&](mlir::ModuleOp module) { buildShiftGelu(module); });
  const int64_t m = 6, d = 100, stride = 128;
  Random random(5);
  auto tables = random.codes<uint8_t>(256 * 256, 256);
  auto x = random.codes<uint8_t>(size_t(m * stride), 200);
  std::vector<uint8_t> out(x.size(), 0xa5), want = out;
  for (int64_t i = 0; i != m; ++i) {
    // What is behind the row must not count.
    std::fill_n(&x[size_t(i * stride + d)], stride - d, uint8_t(255));
    auto row = x.begin() + i * stride;
    size_t top = *std::max_element(row, row + d);
    for (int64_t j = 0; j != d; ++j)
      want[size_t(i * stride + j)] = tables[top * 256 + row[j]];
  }
  DeviceCall call;
  call.kernel = "shift_gelu";
  call.launchRows(m);
  call.input("x", x);
  call.input("tables", tables);
  call.output("out", out);
  call.integers({m, d, stride, stride});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(out, want);
}

TEST(NvptxTokens, FormsWithoutKernel) {
  EXPECT_EQ(checkTokens({false, 9}).message(),
            "ranges of tokens: codes of 9 bits, expected 2 to 8");
  GemmForm form;
  form.tokens = form.hasZeros = true;
  EXPECT_EQ(checkForm({}, form).message(),
            "ranges of tokens: found groups of columns, 16-bit codes, zero "
            "points of weights or fixed-point numbers, expected none");
}

} // namespace
