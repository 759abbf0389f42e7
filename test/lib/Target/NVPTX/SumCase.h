//===- SumCase.h - Operands and reference of sums and tables ----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qadd in f32 and in fixed-point numbers, and tq.embedding, one element at a
// time on quant_math.h and integer_requant.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_SUMCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_SUMCASE_H

#include "lib/Target/NVPTX/AddCodes.h"
#include "lib/Target/NVPTX/Lookup.h"
#include "lib/Tile/FixedPoint.h"
#include "test/lib/Target/NVPTX/ElementCase.h"

namespace quern::nvptx::test {

/// Constants of both operands for sums in [0, hi], some of them beyond it, and
/// some in the middle between two codes.
struct SumScales {
  std::vector<float> a, b, offset;
  std::vector<qi_affine> fixedA, fixedB;

  SumScales(Random &random, const AddCodesForm &form, int64_t d) {
    float hi = highest(form.out);
    auto unit = [&](Stored s) {
      return s == Stored::F32 ? hi / 8 : hi / (2 * highest(s));
    };
    a = random.reals(d, 0.3f * unit(form.a), 1.4f * unit(form.a));
    b = random.reals(d, -0.4f * unit(form.b), 1.4f * unit(form.b));
    offset = random.reals(d, -0.1f * hi, 0.1f * hi);
    for (size_t j = 0; j < size_t(d); j += 3) {
      a[j] = 0.5f;
      b[j] = -1.0f;
      offset[j] = hi / 2 + 1;
    }
    fixedA.resize(size_t(d));
    fixedB.resize(size_t(d));
    for (size_t j = 0; j != size_t(d); ++j) {
      EXPECT_EQ(qi_make_affine(a[j], offset[j], &fixedA[j]), 0);
      EXPECT_EQ(qi_make_affine(b[j], 0, &fixedB[j]), 0);
    }
  }

  /// The code of one sum; lo is 2, so that it is seen to be held.
  uint32_t code(const AddCodesForm &form, float x, float y, size_t j) const {
    int32_t hi = int32_t(highest(form.out)) - 1;
    if (form.fixed)
      return uint32_t(qi_clamp(qi_at(int32_t(x), &fixedA[j]) +
                                   qi_at(int32_t(y), &fixedB[j]),
                               2, hi));
    float p = x * a[j], q = y * b[j];
    float v = p + q;
    v = v + offset[j];
    return uint32_t(qm_round_code(v, 2.0f, float(hi)));
  }
};

inline void checkAddCodes(Runner &runner, const AddCodesForm &form, int64_t m,
                          int64_t d) {
  ASSERT_FALSE(nvptx::checkAddCodes(form));
  runner.load(
      [&](mlir::ModuleOp module) { nvptx::buildAddCodes(module, form); });
  int64_t stride = (d + 15) / 16 * 16 + 16, four = (d + 3) / 4 * 4;
  Random random(uint32_t(d * 5 + form.fixed));
  ElementRows a(random, size_t(m * stride), form.a);
  ElementRows b(random, size_t(m * stride), form.b);
  SumScales scales(random, form, four);
  size_t size = size_t(storageBytes(form.out));
  std::vector<uint8_t> out(size_t(m * stride) * size, 0xa5), want = out;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < four; ++j) {
      size_t at = size_t(i * stride + j);
      uint32_t code = scales.code(form, a.values[at], b.values[at], size_t(j));
      std::memcpy(&want[at * size], &code, size);
    }
  std::vector<int8_t> fixedA = quern::packFixed(scales.fixedA),
                      fixedB = quern::packFixed(scales.fixedB);
  DeviceCall call;
  call.kernel = getAddCodesName(form);
  call.launchRows(m);
  call.input("a", a.bytes);
  call.input("b", b.bytes);
  if (form.fixed) {
    call.input("aScale", fixedA);
    call.input("bScale", fixedB);
  } else {
    call.input("ma", scales.a);
    call.input("mb", scales.b);
    call.input("mo", scales.offset);
  }
  call.output("out", out);
  call.integers({m, four, stride, stride, stride});
  if (form.fixed)
    call.integers({2, int64_t(highest(form.out)) - 1});
  else
    call.reals({2.0f, highest(form.out) - 1});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(out, want) << call.kernel << ", " << d;
}

inline void checkLookup(Runner &runner, const LookupForm &form, int64_t m,
                        int64_t d) {
  ASSERT_FALSE(nvptx::checkLookup(form));
  runner.load([&](mlir::ModuleOp module) { nvptx::buildLookup(module, form); });
  const int64_t rows = 23, stride = (d + 15) / 16 * 16;
  Random random{uint32_t(d + form.bits)};
  auto index = random.codes<int32_t>(m, uint32_t(rows));
  auto reals = random.reals(rows * stride, -2.0f, 2.0f);
  auto codes = random.codes<int8_t>(rows * stride, 256);
  for (int8_t &code : codes)
    code = int8_t(code >> (8 - std::min<int64_t>(form.bits, 8)));
  auto scales = random.reals(form.rowScales ? rows : 1, 0.01f, 0.2f);
  std::vector<float> out(size_t(m * stride), -7.0f), want = out;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < d; ++j) {
      auto row = size_t(index[size_t(i)]),
           at = row * size_t(stride) + size_t(j);
      want[size_t(i * stride + j)] =
          form.bits == 32 ? reals[at]
                          : float(codes[at]) * scales[form.rowScales ? row : 0];
    }
  std::vector<int8_t> packed;
  int64_t rowBytes = 4 * stride;
  if (form.bits != 32) {
    packed = packTable(codes, d, stride, form.bits);
    rowBytes = int64_t(packed.size()) / rows;
  }
  DeviceCall call;
  call.kernel = getLookupName(form);
  call.launchRows(m);
  call.input("index", index);
  if (form.bits == 32)
    call.input("table", reals);
  else
    call.input("table", packed);
  call.output("out", out);
  if (form.bits != 32)
    call.input("scales", scales);
  call.integers({m, d, rowBytes, stride});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(out, want) << call.kernel << ", " << d;
}

/// Sums of every storage, and tables of every width.
inline void checkSumsAndTables(Runner &runner) {
  const Stored u8 = Stored::U8, u16 = Stored::U16, f32 = Stored::F32;
  for (int64_t d : {2, 132}) {
    for (AddCodesForm form :
         {AddCodesForm{u8, u8, u8}, AddCodesForm{u16, u8, u16},
          AddCodesForm{f32, u16, u8}, AddCodesForm{u8, f32, u16}})
      checkAddCodes(runner, form, 6, d);
    for (AddCodesForm form :
         {AddCodesForm{u8, u8, u8, true}, AddCodesForm{u8, u16, u16, true},
          AddCodesForm{u16, u8, u8, true}})
      checkAddCodes(runner, form, 6, d);
  }
  for (int64_t bits : {32, 8, 4, 2})
    for (bool rowScales : {false, true})
      if (bits != 32 || !rowScales)
        for (int64_t d : {64, 132})
          checkLookup(runner, {bits, rowScales}, 7, d);
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_SUMCASE_H
