//===- ElementCase.h - Operands and reference of simple kernels -*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Quantization, its way back and pooling: the formulas of the tq ops, one
// element at a time on quant_math.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_ELEMENTCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_ELEMENTCASE_H

#include "lib/Target/NVPTX/Elements.h"
#include "test/lib/Target/NVPTX/RowCase.h"

namespace quern::nvptx::test {

/// Rows as a kernel reads them and as numbers.
struct ElementRows {
  std::vector<uint8_t> bytes;
  std::vector<float> values;

  ElementRows(Random &random, size_t size, Stored storage) {
    if (storage == Stored::F32) {
      values = random.reals(int64_t(size), -3.0f, 3.0f);
      // What is beyond all codes.
      values[0] = 1e30f;
      values[1] = -1e30f;
      bytes.resize(size * 4);
      std::memcpy(bytes.data(), values.data(), bytes.size());
      return;
    }
    auto codes =
        random.codes<uint16_t>(int64_t(size), uint32_t(highest(storage)) + 1);
    values.assign(codes.begin(), codes.end());
    bytes = pack(codes, storage);
  }
};

/// The largest code of a column, anything from none to all.
inline uint32_t limitOf(int64_t column) {
  return column % 3 ? uint32_t(column * 37) & 255 : 255;
}

/// The smallest: none, in the middle, or no less than the largest.
inline uint32_t leastOf(int64_t column) {
  return column % 2 ? limitOf(column) * uint32_t(column % 3) / 2 : 0;
}

/// What row `i` of the result has at `column`; bits of an f32 or a code.
inline uint32_t expectedElement(const ElementForm &form, const ElementRows &x,
                                const std::vector<int32_t> &offsets,
                                const std::vector<float> &p, int64_t i,
                                int64_t column, int64_t d, int64_t stride) {
  auto at = [&](int64_t row) {
    return x.values[size_t(row * stride + column)];
  };
  if (form.pools() && form.in == Stored::F32) {
    int32_t first = offsets[size_t(i)], end = offsets[size_t(i) + 1];
    float v = first == end ? 0.0f : at(first);
    bool isMean = form.function == ElementFunction::PoolMean;
    for (int32_t row = first + 1; isMean && row < end; ++row)
      v = v + at(row);
    return uint32_t(
        argument(isMean && first != end ? v / float(end - first) : v));
  }
  switch (form.function) {
  case ElementFunction::Quantize:
    return uint32_t(qm_round_code(at(i) * p[0], p[1], p[2]) + int32_t(p[3]));
  case ElementFunction::Dequantize:
    return uint32_t(argument(float(int32_t(at(i)) - int32_t(p[1])) * p[0]));
  case ElementFunction::Requantize: {
    float v = at(i) * p[0];
    v = v + p[1];
    return uint32_t(qm_round_code(v, p[2], p[3]));
  }
  case ElementFunction::PoolFirst:
    return offsets[size_t(i)] == offsets[size_t(i) + 1]
               ? uint32_t(p[1])
               : uint32_t(at(offsets[size_t(i)]));
  case ElementFunction::Planes: {
    auto code = uint32_t(at(i / 2));
    return i % 2 ? code & 255 : code >> 8;
  }
  case ElementFunction::Limit:
    return std::max(std::min(uint32_t(at(i)), limitOf(column)),
                    leastOf(column));
  case ElementFunction::Normalize: {
    float sums[16] = {};
    for (int64_t j = 0; j < d; ++j) {
      float v = x.values[size_t(i * stride + j)];
      float square = v * v;
      sums[j % 16] = sums[j % 16] + square;
    }
    for (int half : {8, 4, 2, 1})
      for (int l = 0; l != half; ++l)
        sums[l] = sums[l] + sums[l + half];
    return uint32_t(argument(at(i) / std::max(std::sqrt(sums[0]), p[0])));
  }
  case ElementFunction::PoolMean: {
    int32_t sum = 0, count = offsets[size_t(i) + 1] - offsets[size_t(i)];
    for (int32_t row = offsets[size_t(i)]; row != offsets[size_t(i) + 1]; ++row)
      sum += int32_t(at(row)) - int32_t(p[1]);
    float factor = count ? p[0] / float(count) : 0.0f;
    float mean = float(sum) * factor;
    if (form.offset && count)
      mean = mean + p[2];
    return uint32_t(argument(mean));
  }
  }
  return 0;
}

inline void checkElements(Runner &runner, const ElementForm &form, int64_t d) {
  ASSERT_FALSE(nvptx::checkElements(form));
  runner.load([&](mlir::ModuleOp module) { buildElements(module, form); });
  // One sequence is empty, one has a token.
  std::vector<int32_t> offsets = {0, 5, 5, 6, 9};
  int64_t tokens = 9, m = form.pools() ? 4 : tokens;
  int64_t stride = (d + 15) / 16 * 16 + 16, padded = (d + 3) / 4 * 4;
  if (form.function == ElementFunction::Normalize)
    padded = d;
  Random random(uint32_t(d * 3 + int64_t(form.function)));
  ElementRows x(random, size_t(tokens * stride), form.in);
  float hi = highest(form.out);
  std::vector<float> params;
  switch (form.function) {
  case ElementFunction::Quantize:
    params = {hi / 5.1f, 0.0f - 117.0f, hi - 117.0f, 117.0f};
    break;
  case ElementFunction::Requantize:
    params = {hi / highest(form.in) * 1.3f, hi * -0.1f, 3.0f, hi};
    break;
  default:
    // Codes with a real offset have no zero point.
    params = {0.0371f, form.offset ? 0.0f : 117.0f, -1.713f, 0.0f};
  }
  bool isPlanes = form.function == ElementFunction::Planes;
  int64_t outRows = isPlanes ? 2 * m : m;
  size_t size = size_t(storageBytes(form.out));
  std::vector<uint8_t> out(size_t(outRows * stride) * size, 0xa5), want = out;
  for (int64_t i = 0; i < outRows; ++i)
    for (int64_t c = 0; c < padded; ++c) {
      uint32_t value =
          expectedElement(form, x, offsets, params, i, c, d, stride);
      std::memcpy(&want[size_t(i * stride + c) * size], &value, size);
    }
  DeviceCall call;
  call.kernel = getElementsName(form);
  call.launchRows(m);
  call.input("x", x.bytes);
  if (form.pools())
    call.input("offsets", offsets);
  int64_t leastAt = (d + 63) / 64 * 64;
  std::vector<uint8_t> limits(size_t(2 * leastAt));
  for (int64_t c = 0; c < leastAt; ++c) {
    limits[size_t(c)] = uint8_t(limitOf(c));
    limits[size_t(leastAt + c)] = uint8_t(leastOf(c));
  }
  if (form.function == ElementFunction::Limit)
    call.input("params", limits);
  else if (!isPlanes)
    call.input("params", params);
  call.output("out", out);
  call.integers({m, padded, stride, stride});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(out, want) << getElementsName(form) << ", " << d;
}

/// Every function, from and to every storage that it has, at odd widths.
inline void checkAllElements(Runner &runner) {
  using F = ElementFunction;
  for (int64_t d : {2, 132}) {
    for (Stored codes : {Stored::U8, Stored::U16}) {
      checkElements(runner, {F::Quantize, Stored::F32, codes}, d);
      checkElements(runner, {F::Dequantize, codes, Stored::F32}, d);
      checkElements(runner, {F::PoolFirst, codes, codes}, d);
      checkElements(runner, {F::PoolMean, codes, Stored::F32}, d);
      checkElements(runner, {F::PoolMean, codes, Stored::F32, true}, d);
    }
    checkElements(runner, {F::Planes, Stored::U16, Stored::U8}, d);
    checkElements(runner, {F::Limit, Stored::U8, Stored::U8}, d);
    for (F function : {F::Normalize, F::PoolFirst, F::PoolMean})
      checkElements(runner, {function, Stored::F32, Stored::F32}, d);
    checkElements(runner, {F::Requantize, Stored::U16, Stored::U8}, d);
    checkElements(runner, {F::Requantize, Stored::U8, Stored::U16}, d);
  }
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_ELEMENTCASE_H
