//===- RowCase.h - Operands and reference of row kernels --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// LayerNorm over a residual sum and over embeddings: the codes of the formulas
// of test/lib/Tile/RowReference.h, bit for bit.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_ROWCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_ROWCASE_H

#include "lib/Target/NVPTX/AddNorm.h"
#include "lib/Target/NVPTX/Embed.h"
#include "test/lib/Target/NVPTX/DeviceRun.h"
#include "test/lib/Tile/RowReference.h"

namespace quern::nvptx::test {

using quern::test::Random;
using Stored = nvptx::Storage;

inline constexpr double kEps = 1e-12;

inline float highest(Stored storage) {
  return storage == Stored::U8 ? 255.0f : 65535.0f;
}

/// Codes as they lie in memory.
inline std::vector<uint8_t> pack(const std::vector<uint16_t> &codes,
                                 Stored storage) {
  std::vector<uint8_t> bytes;
  for (uint16_t code : codes) {
    bytes.push_back(uint8_t(code));
    if (storage == Stored::U16)
      bytes.push_back(uint8_t(code >> 8));
  }
  return bytes;
}

/// What is stored of a normalized row.
inline void store(const std::vector<float> &y, Stored storage, uint8_t *to) {
  for (float v : y) {
    uint32_t bits = uint32_t(argument(v));
    if (storage != Stored::F32)
      bits = uint32_t(qm_round_code(v, 0.0f, highest(storage)));
    std::memcpy(to, &bits, size_t(nvptx::storageBytes(storage)));
    to += nvptx::storageBytes(storage);
  }
}

/// What a LayerNorm stores beside its result, of which each code has one other
/// form.
class SecondOutput {
public:
  SecondOutput(const nvptx::SecondForm &form, int64_t m, int64_t stride)
      : form(form), m(m), stride(stride),
        out(size_t(m * stride * 2), uint8_t(0x3c)) {}

  void addTo(DeviceCall &call) {
    if (form.kind == nvptx::SecondForm::None)
      return;
    call.output("second", out);
    if (form.kind == nvptx::SecondForm::Requantized)
      call.input("to second", params);
    call.integers({stride});
  }

  /// Empty if it is made of these codes, d in each row.
  std::string check(const std::vector<uint8_t> &codes, Stored storage,
                    int64_t d) const {
    std::vector<uint8_t> want(out.size(), 0x3c);
    bool wide = storage == Stored::U16;
    for (int64_t i = 0; form.kind && i != m; ++i)
      for (int64_t j = 0; j != d; ++j) {
        size_t at = size_t(i * stride + j);
        uint32_t code = wide ? codes[2 * at] | codes[2 * at + 1] << 8u
                             : uint32_t(codes[at]);
        if (form.kind == nvptx::SecondForm::Planes) {
          want[size_t(2 * i * stride + j)] = uint8_t(code >> 8);
          want[size_t((2 * i + 1) * stride + j)] = uint8_t(code);
          continue;
        }
        float v = float(code) * params[0];
        v = v + params[1];
        auto other = uint16_t(qm_round_code(v, params[2], params[3]));
        std::memcpy(&want[at * size_t(storageBytes(form.storage))], &other,
                    size_t(storageBytes(form.storage)));
      }
    return out == want ? "" : "the second form differs";
  }

private:
  nvptx::SecondForm form;
  int64_t m, stride;
  std::vector<uint8_t> out;
  /// Cuts both ends of u8 off, and rounds many a tie.
  std::vector<float> params = {0.5f, -7.0f, 0.0f, 99.0f};
};

/// scale, factor and eps as CodeNormParams computes them.
inline std::vector<double> normOf(float scale, int64_t d) {
  return {scale, double(scale) * scale / (double(d) * double(d)), kEps};
}

inline void checkAddNorm(Runner &runner, const nvptx::AddNormForm &form,
                         const std::vector<int64_t> &rows, bool tapping) {
  ASSERT_FALSE(nvptx::checkAddNorm(form));
  runner.load(
      [&](mlir::ModuleOp module) { nvptx::buildAddNorm(module, form); });
  int64_t d = form.d, stride = (d + 15) / 16 * 16 + 16;
  for (int64_t m : rows) {
    Random random(uint32_t(m * 7 + d));
    float sumHi = highest(form.sum), middle = sumHi / 2;
    auto a = random.codes<uint16_t>(m * stride, uint32_t(highest(form.a)) + 1);
    auto b = random.codes<uint16_t>(m * stride, uint32_t(highest(form.b)) + 1);
    auto ma = random.reals(d, 0.2f, middle / highest(form.a));
    auto mb = random.reals(d, 0.2f, middle / highest(form.b));
    auto mo = random.reals(d, -20.0f, 20.0f);
    // Outputs of all codes, and some beyond them.
    float spread = form.out == Stored::F32 ? 1.0f : highest(form.out) / 4;
    auto gamma = random.reals(d, 0.5f * spread, spread);
    auto beta = random.reals(d, spread, 3 * spread);
    std::vector<double> norm = normOf(0.037f, d);
    // A row of one code: no variance but eps.
    for (int64_t j = 0; j < d; ++j)
      a[size_t(j)] = b[size_t(j)] = 0;
    std::fill(mo.begin(), mo.end(), 0.0f);

    size_t size = size_t(nvptx::storageBytes(form.out));
    size_t tapSize = size_t(nvptx::storageBytes(form.sum));
    std::vector<uint8_t> out(size_t(m * stride) * size, 0xa5), wantOut = out;
    std::vector<uint8_t> tap(size_t(m * stride) * tapSize, 0x5a), wantTap = tap;
    for (int64_t i = 0; i < m; ++i) {
      std::vector<uint16_t> u;
      for (int64_t j = 0; j < d; ++j) {
        float x = float(a[size_t(i * stride + j)]) * ma[size_t(j)];
        float y = float(b[size_t(i * stride + j)]) * mb[size_t(j)];
        float v = x + y;
        v = v + mo[size_t(j)];
        u.push_back(uint16_t(qm_round_code(v, 0.0f, sumHi)));
      }
      std::vector<float> y;
      quern::test::codeNorm(u, float(norm[0]), kEps, gamma, beta, y);
      store(y, form.out, &wantOut[size_t(i * stride) * size]);
      std::vector<uint8_t> bytes = pack(u, form.sum);
      if (tapping)
        std::copy(bytes.begin(), bytes.end(),
                  wantTap.begin() + int64_t(size_t(i * stride) * tapSize));
    }

    std::vector<uint8_t> aBytes = pack(a, form.a), bBytes = pack(b, form.b);
    DeviceCall call;
    call.kernel = nvptx::getAddNormName(form);
    call.launchRows(m);
    call.input("a", aBytes);
    call.input("b", bBytes);
    call.input("ma", ma);
    call.input("mb", mb);
    call.input("mo", mo);
    call.input("gamma", gamma);
    call.input("beta", beta);
    call.input("norm", norm);
    call.output("out", out);
    call.output("tap", tap);
    call.integers({m, stride, stride, stride, stride, tapping});
    call.reals({0.0f, sumHi, 0.0f, highest(form.out)});
    SecondOutput second(form.second, m, stride);
    second.addTo(call);
    ASSERT_EQ(runner.run(call), "");
    EXPECT_EQ(out, wantOut) << nvptx::getAddNormName(form) << ", " << m;
    EXPECT_EQ(second.check(out, form.out, d), "")
        << nvptx::getAddNormName(form) << ", " << m;
    EXPECT_EQ(tap, wantTap) << nvptx::getAddNormName(form) << ", " << m;
  }
}

/// One row of the codes of both sums.
inline std::pair<std::vector<uint16_t>, std::vector<uint16_t>>
embedRow(const std::vector<int8_t> *tables, const std::vector<float> *scales,
         const int32_t *rows, const bool *byRow, const std::vector<float> &c,
         int64_t d, int64_t stride, float e1Hi, float e2Hi) {
  std::vector<uint16_t> first, codes;
  for (int64_t j = 0; j < d; ++j) {
    float parts[3];
    for (size_t t = 0; t != 3; ++t)
      parts[t] = float(tables[t][size_t(rows[t] * stride + j)]) *
                 scales[t][byRow[t] ? size_t(rows[t]) : 0];
    float v = parts[0] + parts[1];
    v = v * c[0];
    v = v + c[1];
    int32_t e1 = qm_round_code(v, 0.0f, e1Hi);
    first.push_back(uint16_t(e1));
    v = float(e1) - c[1];
    v = v * c[2];
    v = v + parts[2];
    v = v * c[3];
    v = v + c[4];
    codes.push_back(uint16_t(qm_round_code(v, 0.0f, e2Hi)));
  }
  return {first, codes};
}

/// Rows of codes of 4 or 2 bits: 16 bytes hold the codes of 16 columns in their
/// lowest bits, those of the next 16 columns above.
inline std::vector<int8_t> packTable(const std::vector<int8_t> &codes,
                                     int64_t d, int64_t stride, int64_t bits) {
  if (bits == 8)
    return codes;
  int64_t group = 16 * (8 / bits), bytes = (d + group - 1) / group * 16;
  size_t rows = codes.size() / size_t(stride);
  std::vector<int8_t> packed(rows * size_t(bytes));
  for (size_t row = 0; row != rows; ++row)
    for (int64_t j = 0; j != d; ++j) {
      int8_t &byte =
          packed[row * size_t(bytes) + size_t(j / group * 16 + j % 16)];
      int code = codes[row * size_t(stride) + size_t(j)] & ((1 << bits) - 1);
      byte = int8_t(byte | code << (j % group / 16 * bits));
    }
  return packed;
}

inline void checkEmbed(Runner &runner, const nvptx::EmbedForm &form,
                       int64_t m) {
  ASSERT_FALSE(nvptx::checkEmbed(form));
  runner.load([&](mlir::ModuleOp module) { nvptx::buildEmbed(module, form); });
  int64_t d = form.d, stride = (d + 15) / 16 * 16;
  Random random{uint32_t(d)};
  const int64_t sizes[] = {50, 2, 32};
  std::vector<int32_t> numbers[3];
  std::vector<int8_t> tables[3];
  std::vector<float> scales[3];
  for (size_t t = 0; t != 3; ++t) {
    numbers[t] = random.codes<int32_t>(m, uint32_t(sizes[t]));
    tables[t] = random.codes<int8_t>(sizes[t] * stride, 256);
    for (int8_t &code : tables[t])
      code = int8_t(code >> (8 - form.tableBits[t]));
    float unit = float(1 << (8 - form.tableBits[t]));
    scales[t] = random.reals(form.rowScales[t] ? sizes[t] : 1, 0.001f * unit,
                             0.002f * unit);
  }
  float e1Hi = highest(form.e1), e2Hi = highest(form.e2);
  std::vector<float> c = {e1Hi / 0.5f, float(int(e1Hi) / 2), 0.5f / e1Hi,
                          e2Hi / 0.6f, float(int(e2Hi) / 2)};
  auto gamma = random.reals(d, 20.0f, 70.0f);
  auto beta = random.reals(d, 100.0f, 150.0f);
  std::vector<double> norm = normOf(0.6f / e2Hi, d);
  std::vector<uint8_t> out(size_t(m * stride), 0xa5), want = out;
  const size_t sizes1 = size_t(nvptx::storageBytes(form.e1)),
               sizes2 = size_t(nvptx::storageBytes(form.e2));
  std::vector<uint8_t> first(size_t(m * stride) * sizes1, 0x5a),
      second(size_t(m * stride) * sizes2, 0x5a), wantFirst = first,
                                                 wantSecond = second;
  for (int64_t i = 0; i < m; ++i) {
    int32_t rows[3];
    for (size_t t = 0; t != 3; ++t)
      rows[t] = numbers[t][size_t(i)];
    std::vector<float> y;
    auto [e1, e2] = embedRow(tables, scales, rows, form.rowScales, c, d, stride,
                             e1Hi, e2Hi);
    quern::test::codeNorm(e2, float(norm[0]), kEps, gamma, beta, y);
    std::vector<uint8_t> firstBytes = pack(e1, form.e1),
                         secondBytes = pack(e2, form.e2);
    std::copy(firstBytes.begin(), firstBytes.end(),
              &wantFirst[size_t(i * stride) * sizes1]);
    std::copy(secondBytes.begin(), secondBytes.end(),
              &wantSecond[size_t(i * stride) * sizes2]);
    store(y, form.out, &want[size_t(i * stride)]);
  }
  DeviceCall call;
  call.kernel = nvptx::getEmbedName(form);
  call.launchRows(m);
  for (auto &v : numbers)
    call.input("numbers", v);
  std::vector<int8_t> packed[3];
  for (size_t t = 0; t != 3; ++t) {
    packed[t] = packTable(tables[t], d, stride, form.tableBits[t]);
    call.input("table", packed[t]);
  }
  for (auto &v : scales)
    call.input("scales", v);
  call.input("params", c);
  call.input("gamma", gamma);
  call.input("beta", beta);
  call.input("norm", norm);
  call.output("out", out);
  call.output("first", first);
  call.output("second", second);
  call.integers({m, stride, stride, stride, 1});
  call.reals({0.0f, e1Hi, 0.0f, e2Hi, 0.0f, highest(form.out)});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(out, want) << nvptx::getEmbedName(form);
  EXPECT_EQ(first, wantFirst) << nvptx::getEmbedName(form);
  EXPECT_EQ(second, wantSecond) << nvptx::getEmbedName(form);
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_ROWCASE_H
