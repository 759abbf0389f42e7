//===- GemmCase.h - Operands and reference of a GPU product -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Random codes with extreme rows and columns, outputs by quant_math.h one at a
// time, and a run of the kernel in the emulator.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_GEMMCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_GEMMCASE_H

#include "lib/Target/NVPTX/WgmmaGemm.h"
#include "test/lib/Target/NVPTX/DeviceRun.h"

#include "quern/quant_math.h"

#include <cmath>
#include <random>

namespace quern::nvptx::test {

/// Extents of a product; k and n as the model has them.
struct GemmSize {
  int64_t m = 1, n = 16, k = 64;
};

inline float referenceActivation(Activation activation, float v) {
  switch (activation) {
  case Activation::None:
    return v;
  case Activation::Gelu:
    return qm_gelu(v);
  case Activation::GeluTanh:
    return qm_gelu_tanh(v);
  case Activation::Relu:
    return qm_relu(v);
  case Activation::Tanh:
    return qm_tanh(v);
  case Activation::IGelu:
    break;
  }
  return v;
}

class GemmCase {
public:
  GemmCase(const GemmSize &size, const GemmForm &form, uint32_t seed = 1)
      : size(size), form(form), random(seed),
        k((size.k + kGemmStep - 1) / kGemmStep * kGemmStep),
        n((size.n + kGemmColumns - 1) / kGemmColumns * kGemmColumns),
        yStride(n + 8), hi(form.result == Storage::U16 ? 65535.0f : 255.0f) {
    fillCodes();
    fillConstants();
  }

  /// Runs the kernel over buffers without a spare byte; empty if the result is
  /// right and nothing beyond it was written.
  std::string run(Runner &runner, const GemmSchedule &schedule) {
    std::vector<uint8_t> y(size_t(size.m * yStride * storageBytes(form.result)),
                           0xa5);
    DeviceCall call;
    call.kernel = getGemmName(schedule, form);
    GemmLaunch launch = getGemmLaunch(schedule, size.m, n);
    call.launchAs(launch);
    return finishRun(runner, call, y);
  }

  /// The same of the kernel for warpgroups.
  std::string run(Runner &runner, const WgmmaSchedule &schedule) {
    std::vector<uint8_t> y(size_t(size.m * yStride * storageBytes(form.result)),
                           0xa5);
    // Rows of W as these kernels have them.
    std::vector<int8_t> placed;
    int64_t rows = (n + kWgmmaRows - 1) / kWgmmaRows * kWgmmaRows;
    for (int64_t place = 0; place < rows; ++place)
      for (int64_t j = 0; j < k; ++j) {
        int64_t row = getWgmmaRow(place);
        placed.push_back(row < n ? w[size_t(row * k + j)] : int8_t(0));
      }
    DeviceCall call;
    call.kernel = getWgmmaName(schedule, form);
    call.launchAs(getWgmmaLaunch(schedule, form, size.m, n));
    // Both planes of 16-bit codes lie in a row.
    int64_t stride = form.wide ? 2 * k : k;
    call.map("x tiles", x, size.m, form.hasZeros ? size.k : stride, stride,
             schedule.blockM);
    call.map("W tiles", placed, rows, k, k, schedule.blockN);
    return finishRun(runner, call, y);
  }

  /// Operands that a test may replace before it runs.
  std::vector<uint8_t> x;
  std::vector<int8_t> w;
  std::vector<int32_t> correction, zeros;
  std::vector<float> multiplier, offset, post;

private:
  /// Adds the parameters that all kernels have, and runs.
  std::string finishRun(Runner &runner, DeviceCall &call,
                        std::vector<uint8_t> &y) {
    call.input("x", x);
    call.input("w", w);
    call.input("correction", correction);
    if (form.hasZeros)
      call.input("zeros", zeros);
    call.input("multiplier", multiplier);
    call.input("offset", offset);
    if (form.activation != Activation::None && form.result != Storage::F32)
      call.input("post", post);
    call.output("y", y);
    call.integers({size.m, n, k, k, yStride});
    if (form.hasZeros)
      call.integers({size.k});
    if (form.result != Storage::F32)
      call.reals({0.0f, hi});
    std::string problem = runner.run(call);
    return problem.empty() ? compare(y) : problem;
  }

  void fillCodes() {
    // With 16-bit codes every row has two planes.
    x.resize(size_t(size.m * k * (form.wide ? 2 : 1)));
    w.resize(size_t(n * k));
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = uint8_t(random());
    for (int64_t i = 0; i < size.n; ++i)
      for (int64_t j = 0; j < size.k; ++j)
        w[size_t(i * k + j)] = int8_t(random());
    // The largest sums that bytes can make, and the least.
    for (int64_t j = 0; j < size.k; ++j) {
      x[size_t(j)] = 255;
      w[size_t(j)] = -128;
      w[size_t((size.n - 1) * k + j)] = 127;
    }
  }

  void fillConstants() {
    std::uniform_real_distribution<float> unit(-1.0f, 1.0f);
    float typical = 128.0f * 74.0f * std::sqrt(float(size.k));
    bool direct =
        form.activation == Activation::None && form.result != Storage::F32;
    float middle = hi / 2;
    for (int64_t i = 0; i < n; ++i) {
      int32_t sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += w[size_t(i * k + j)];
      zeros.push_back(form.hasZeros ? int32_t(random() % 401) - 200 : 0);
      correction.push_back(-128 * (sum - zeros.back() * int32_t(size.k)));
      multiplier.push_back((direct ? middle : 3.0f) / typical *
                           (1.0f + 0.3f * unit(random)));
      offset.push_back((direct ? middle : 0.0f) + unit(random));
    }
    // Of 16-bit codes those of high bytes; of low bytes behind them.
    for (int64_t i = 0; form.wide && i < n; ++i) {
      correction.push_back(int32_t(random() % 256));
      multiplier[size_t(i)] /= 256;
    }
    post = {hi / 7.3f, 21.0f};
  }

  /// The bits of one output.
  uint32_t expected(int64_t row, int64_t column) const {
    if (form.wide)
      return finished(float(wideSum(row, column)), column);
    uint32_t sum = uint32_t(correction[size_t(column)]);
    for (int64_t j = 0; j < size.k; ++j)
      sum += uint32_t(int32_t(x[size_t(row * k + j)]) *
                      (w[size_t(column * k + j)] - zeros[size_t(column)]));
    return finished(float(int32_t(sum)), column);
  }

  int64_t wideSum(int64_t row, int64_t column) const {
    int64_t sum = 256 * int64_t(correction[size_t(column)]) +
                  correction[size_t(n + column)];
    for (int64_t j = 0; j < size.k; ++j)
      sum += (256 * int64_t(x[size_t(row * 2 * k + j)]) +
              x[size_t((row * 2 + 1) * k + j)]) *
             w[size_t(column * k + j)];
    return sum;
  }

  /// The bits of the output that a sum becomes.
  uint32_t finished(float sum, int64_t column) const {
    float v = sum * multiplier[size_t(column)];
    v = v + offset[size_t(column)];
    if (form.activation == Activation::None && form.result != Storage::F32)
      return uint32_t(qm_round_code(v, 0.0f, hi));
    v = referenceActivation(form.activation, v);
    if (form.result == Storage::F32)
      return uint32_t(argument(v));
    v = v * post[0];
    v = v + post[1];
    return uint32_t(qm_round_code(v, 0.0f, hi));
  }

  std::string compare(const std::vector<uint8_t> &y) const {
    size_t bytes = size_t(storageBytes(form.result));
    for (int64_t row = 0; row < size.m; ++row)
      for (int64_t column = 0; column < yStride; ++column) {
        uint32_t got = 0, want = 0xa5a5a5a5u >> (32 - 8 * bytes);
        std::memcpy(&got, &y[size_t(row * yStride + column) * bytes], bytes);
        if (column < n)
          want = expected(row, column);
        if (got != want)
          return "row " + std::to_string(row) + ", column " +
                 std::to_string(column) + ": expected " + std::to_string(want) +
                 ", got " + std::to_string(got);
      }
    return "";
  }

  GemmSize size;
  GemmForm form;
  std::mt19937 random;
  int64_t k, n, yStride;
  float hi;
};

/// Checks a kernel at some sizes.
inline void checkGemm(Runner &runner, const GemmForm &form,
                      const GemmSchedule &schedule,
                      const std::vector<GemmSize> &sizes) {
  ASSERT_FALSE(checkSchedule(schedule));
  runner.load(
      [&](mlir::ModuleOp module) { buildGemm(module, schedule, form); });
  uint32_t seed = 1;
  for (const GemmSize &size : sizes)
    EXPECT_EQ(GemmCase(size, form, seed++).run(runner, schedule), "")
        << getGemmName(schedule, form) << ", " << size.m << " x " << size.n
        << " x " << size.k;
}

/// The same for warpgroups.
inline void checkWgmma(Runner &runner, const GemmForm &form,
                       const WgmmaSchedule &schedule,
                       const std::vector<GemmSize> &sizes) {
  ASSERT_FALSE(checkWgmmaForm(schedule, form));
  runner.load(
      [&](mlir::ModuleOp module) { buildWgmmaGemm(module, schedule, form); });
  uint32_t seed = 1;
  for (const GemmSize &size : sizes)
    EXPECT_EQ(GemmCase(size, form, seed++).run(runner, schedule), "")
        << getWgmmaName(schedule, form) << ", " << size.m << " x " << size.n
        << " x " << size.k;
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_GEMMCASE_H
