//===- FixedTest.cpp - GPU products without floats, emulated --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Products in fixed-point numbers, bit for bit what integer_*.h say.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/FixedPoint.h"
#include "quern/integer_activation.h"
#include "test/lib/Target/NVPTX/GemmCase.h"
#include "test/lib/Target/NVPTX/RowCase.h"
#include "test/lib/Tile/FixedReference.h"

using namespace quern::nvptx::test;
using quern::test::affine;
namespace nvptx = quern::nvptx;
namespace tq = quern::tq;
using nvptx::Storage;

namespace {

int32_t activate(nvptx::Activation activation, int32_t t) {
  const tq::Activation same[] = {
      tq::Activation::None, tq::Activation::Gelu, tq::Activation::GeluTanh,
      tq::Activation::Relu, tq::Activation::Tanh, tq::Activation::IGelu};
  return tq::applyFixed(same[int(activation)], t);
}

void checkProduct(nvptx::Activation activation, Storage result, int64_t m,
                  int64_t n, int64_t k, bool hasZeros = false) {
  nvptx::GemmForm form;
  form.activation = activation;
  form.result = result;
  form.hasZeros = hasZeros;
  form.fixed = true;
  nvptx::GemmSchedule schedule;
  ASSERT_FALSE(nvptx::checkForm(schedule, form));
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { nvptx::buildGemm(module, schedule, form); });
  Random random{uint32_t(m + n + k)};
  auto x = random.codes<uint8_t>(size_t(m * k), 256);
  auto w = random.codes<int8_t>(size_t(n * k), 256);
  auto correction = random.codes<int32_t>(size_t(n), 20000);
  auto zeros = random.codes<int32_t>(size_t(n), 5);
  bool direct = activation == nvptx::Activation::None;
  float hi = highest(result);
  double spread = 1 / (128.0 * 74.0 * std::sqrt(double(k)));
  std::vector<qi_affine> outputs;
  for (int64_t j = 0; j < n; ++j)
    // Ties now and then: sums of whole halves.
    outputs.push_back(j % 5 ? affine(spread * (direct ? hi / 3 : 10000) *
                                         (1 + 0.01 * double(j)),
                                     direct ? hi / 2 : 7.25)
                            : affine(0.5, 3));
  qi_affine post = affine(hi / 1.3e5, 19.5);
  size_t size = size_t(nvptx::storageBytes(result));
  std::vector<uint8_t> y(size_t(m * n) * size, 0xa5), want;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      int32_t acc = correction[size_t(j)], sum = 0;
      for (int64_t l = 0; l < k; ++l) {
        acc += x[size_t(i * k + l)] * w[size_t(j * k + l)];
        sum += x[size_t(i * k + l)];
      }
      if (hasZeros)
        acc -= zeros[size_t(j)] * sum;
      int32_t code =
          direct
              ? qi_code(acc, &outputs[size_t(j)], 0, int32_t(hi))
              : qi_code(activate(activation, qi_code(acc, &outputs[size_t(j)],
                                                     -QI_ACTIVATION_LIMIT,
                                                     QI_ACTIVATION_LIMIT)),
                        &post, 0, int32_t(hi));
      for (size_t b = 0; b != size; ++b)
        want.push_back(uint8_t(code >> (8 * b)));
    }
  auto outputBytes = quern::packFixed(outputs),
       postBytes = quern::packFixed(post);
  nvptx::GemmLaunch launch = nvptx::getGemmLaunch(schedule, m, n);
  DeviceCall call;
  call.kernel = nvptx::getGemmName(schedule, form);
  call.launchAs(launch);
  call.input("x", x);
  call.input("w", w);
  call.input("correction", correction);
  if (hasZeros)
    call.input("zeros", zeros);
  call.input("outputs", outputBytes);
  if (!direct)
    call.input("post", postBytes);
  call.output("y", y);
  call.integers({m, n, k, k, n});
  if (hasZeros)
    call.integers({k});
  call.integers({0, int64_t(hi)});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(y, want) << call.kernel;
  EXPECT_NE(*std::min_element(y.begin(), y.end()),
            *std::max_element(y.begin(), y.end()));
}

TEST(NvptxFixed, Products) {
  checkProduct(nvptx::Activation::None, Storage::U8, 9, 80, 128);
  checkProduct(nvptx::Activation::None, Storage::U16, 5, 32, 64, true);
  for (nvptx::Activation activation :
       {nvptx::Activation::Gelu, nvptx::Activation::GeluTanh,
        nvptx::Activation::Relu, nvptx::Activation::Tanh,
        nvptx::Activation::IGelu})
    checkProduct(activation, Storage::U8, 17, 48, 64);
}

TEST(NvptxFixed, FormsWithoutKernel) {
  nvptx::GemmForm form;
  form.fixed = form.wide = true;
  EXPECT_EQ(nvptx::checkForm({}, form).message(),
            "products without floats: found groups of columns or 16-bit codes, "
            "expected neither");
  form = {nvptx::Activation::IGelu};
  EXPECT_EQ(nvptx::checkForm({}, form).message(),
            "activation: found 'i_gelu', expected it in products without "
            "floats");
}

} // namespace
