//===- FixedNormTest.cpp - GPU norms without floats, emulated -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// LayerNorm and embeddings in fixed-point numbers, bit for bit what integer_*.h
// say.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/FixedNorm.h"
#include "lib/Tile/FixedNorm.h"
#include "test/lib/Target/NVPTX/RowCase.h"
#include "test/lib/Tile/FixedReference.h"

using namespace quern::nvptx::test;
using quern::test::affine;
namespace nvptx = quern::nvptx;
using nvptx::Storage;

namespace {

//===----------------------------------------------------------------------===//
// LayerNorm
//===----------------------------------------------------------------------===//

struct NormCase {
  nvptx::FixedAddNormForm form;
  /// Largest code of the sum, 0 for that of its storage.
  int64_t sumHi = 0;
  bool flat = false;
};

void checkNorm(Emulator &emulator, const NormCase &c) {
  const nvptx::AddNormForm &norm = c.form.norm;
  ASSERT_FALSE(nvptx::checkFixedAddNorm(c.form));
  emulator.load(
      [&](mlir::ModuleOp module) { nvptx::buildFixedAddNorm(module, c.form); });
  const int64_t m = 6, d = norm.d, stride = (d + 15) / 16 * 16 + 16;
  Random random{uint32_t(d)};
  auto limit = [&](Storage s) {
    return c.flat ? 1u : uint32_t(highest(s)) + 1;
  };
  auto a = random.codes<uint16_t>(size_t(m * stride), limit(norm.a));
  auto b = random.codes<uint16_t>(size_t(m * stride), limit(norm.b));
  // A row at both ends, whose squares are the largest.
  for (int64_t j = 0; j < d && !c.flat; ++j) {
    a[size_t(j)] = uint16_t(j % 2 ? highest(norm.a) : 0);
    b[size_t(j)] = uint16_t(j % 2 ? highest(norm.b) : 0);
  }
  const int64_t sumHi = c.sumHi ? c.sumHi : int64_t(highest(norm.sum));
  double unit = double(sumHi) / 255;
  std::vector<qi_affine> scales[2];
  std::vector<float> gamma, beta;
  std::vector<uint8_t> factors;
  int up = qi_sum_shift(qi_bits(uint64_t(sumHi)), 0);
  for (int64_t j = 0; j < d; ++j) {
    scales[0].push_back(affine(
        (0.3 + 0.001 * double(j)) * unit * 255 / highest(norm.a), 12.5 * unit));
    scales[1].push_back(affine((-0.1 + 0.7 * unit) * 255 / highest(norm.b), 0));
    // A gain of zero divides nothing.
    gamma.push_back(j % 7 ? 30.0f - float(j % 60) : 0.0f);
    beta.push_back(100 + 0.25f * float(j % 50));
    factors.push_back(c.form.byChannel ? uint8_t(j * 5 % 7 % 4) : 0);
  }
  const int32_t zero = c.form.byChannel ? 77 : 0;
  std::vector<qi_channel> channels(size_t(d), qi_channel{});
  int shift =
      qi_make_channels(gamma.data(), beta.data(), d, 1, 0, channels.data());
  ASSERT_GT(shift, 0);
  size_t size = size_t(nvptx::storageBytes(norm.out)),
         tapSize = size_t(nvptx::storageBytes(norm.sum));
  std::vector<uint8_t> out(size_t(m * stride) * size, 0xa5), want = out;
  std::vector<uint8_t> tap(size_t(m * stride) * tapSize, 0x5a), kept = tap;
  for (int64_t i = 0; i < m; ++i) {
    std::vector<uint16_t> sums, codes;
    std::vector<int32_t> u, y(size_t(d), 0);
    for (int64_t j = 0; j < d; ++j) {
      size_t at = size_t(i * stride + j);
      int64_t sum = qi_clamp(qi_at(a[at], &scales[0][size_t(j)]) +
                                 qi_at(b[at], &scales[1][size_t(j)]),
                             0, sumHi);
      sums.push_back(uint16_t(sum));
      u.push_back(c.form.byChannel ? int32_t(sum) - zero : int32_t(sum) << up);
    }
    qi_layer_norm(u.data(), factors.data(), d, channels.data(), shift, 0,
                  int32_t(highest(norm.out)), y.data());
    codes.assign(y.begin(), y.end());
    std::vector<uint8_t> outBytes = pack(codes, norm.out),
                         tapBytes = pack(sums, norm.sum);
    std::copy(outBytes.begin(), outBytes.end(),
              &want[size_t(i * stride) * size]);
    std::copy(tapBytes.begin(), tapBytes.end(),
              &kept[size_t(i * stride) * tapSize]);
  }
  std::vector<uint8_t> aBytes = pack(a, norm.a), bBytes = pack(b, norm.b);
  auto aScale = quern::packFixed(scales[0]),
       bScale = quern::packFixed(scales[1]);
  auto channelBytes = quern::packChannels(channels, shift, factors, zero);
  DeviceCall call;
  call.kernel = nvptx::getFixedAddNormName(c.form);
  call.launchRows(m);
  call.input("a", aBytes);
  call.input("b", bBytes);
  call.input("aScale", aScale);
  call.input("bScale", bScale);
  call.input("channels", channelBytes);
  call.output("out", out);
  call.output("tap", tap);
  call.integers({m, stride, stride, stride, stride, 1, up, 0, sumHi, 0,
                 int64_t(highest(norm.out))});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(out, want) << call.kernel << ", sums to " << sumHi;
  EXPECT_EQ(tap, kept) << call.kernel << ", sums to " << sumHi;
}

TEST(NvptxFixedNorm, Norms) {
  Emulator emulator;
  const Storage u8 = Storage::U8, u16 = Storage::U16;
  for (const NormCase &c :
       std::vector<NormCase>{{{{768}, false}},
                             {{{100}, false}, 15},
                             {{{64}, false}, 0, true},
                             // Squares that are cut.
                             {{{384, u16, u8, u16, u8}, false}},
                             {{{132, u8, u8, u16, u16}, false}, 32767},
                             {{{768}, true}},
                             {{{60}, true}, 63}})
    checkNorm(emulator, c);
}

//===----------------------------------------------------------------------===//
// Embeddings
//===----------------------------------------------------------------------===//

void checkEmbeddings(bool hasFactors) {
  nvptx::EmbedForm form;
  form.d = 100;
  form.rowScales[0] = true;
  form.tableBits[1] = 4;
  form.fixed = true;
  form.factors = hasFactors;
  ASSERT_FALSE(nvptx::checkEmbed(form));
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { nvptx::buildEmbed(module, form); });
  const int64_t m = 7, d = form.d, stride = 112;
  const int32_t zero1 = 121, zero2 = 130;
  Random random(3);
  const int64_t sizes[] = {50, 2, 32};
  std::vector<int32_t> numbers[3], rows[3];
  std::vector<int8_t> tables[3], packed[3];
  std::vector<qi_scale> scales[3];
  for (size_t t = 0; t != 3; ++t) {
    numbers[t] = random.codes<int32_t>(size_t(m), uint32_t(sizes[t]));
    tables[t] = random.codes<int8_t>(size_t(sizes[t] * stride), 256);
    for (int8_t &code : tables[t])
      code = int8_t(code >> (8 - form.tableBits[t]));
    packed[t] = packTable(tables[t], d, stride, form.tableBits[t]);
    for (int64_t i = 0; i != (form.rowScales[t] ? sizes[t] : 1); ++i) {
      qi_scale scale;
      ASSERT_EQ(qi_make_scale(random.real(0.2f, 0.6f), &scale), 0);
      scales[t].push_back(scale);
      rows[t].push_back(scale.mantissa);
      rows[t].push_back(scale.shift);
    }
  }
  qi_affine first = affine(0.7, 0);
  std::vector<float> gamma = random.reals(size_t(d), 20.0f, 70.0f),
                     beta = random.reals(size_t(d), 100.0f, 150.0f);
  std::vector<qi_channel> channels(size_t(d), qi_channel{});
  int shift =
      qi_make_channels(gamma.data(), beta.data(), d, 1, 0, channels.data());
  // Of every channel the power of two of its scale, and what that of its sum
  // is multiplied by: together they are the greatest scale.
  std::vector<uint8_t> factors(size_t(d), 0);
  std::vector<int32_t> powers(size_t((d + 15) / 16 * 16), 1);
  for (int64_t j = 0; hasFactors && j != d; ++j) {
    factors[size_t(j)] = uint8_t(j * 5 % 7 % 4);
    powers[size_t(j)] = 1 << (3 - factors[size_t(j)]);
  }
  std::vector<uint8_t> out(size_t(m * stride), 0xa5),
      want = out, e1(out), e2(out), want1 = out, want2 = out;
  const int up = qi_sum_shift(8, 0);
  for (int64_t i = 0; i != m; ++i) {
    std::vector<int32_t> u, y(size_t(d), 0);
    for (int64_t j = 0; j != d; ++j) {
      int64_t parts[3];
      for (size_t t = 0; t != 3; ++t) {
        int32_t row = numbers[t][size_t(i)];
        parts[t] = qi_rescale(tables[t][size_t(row * stride + j)],
                              scales[t][form.rowScales[t] ? size_t(row) : 0]);
      }
      int64_t v = qi_clamp(parts[0] + parts[1] + zero1, 0, 255);
      want1[size_t(i * stride + j)] = uint8_t(v);
      int32_t power = powers[size_t(j)], row = numbers[2][size_t(i)];
      v = qi_at(int32_t(v - zero1) * power, &first) +
          qi_rescale(tables[2][size_t(row * stride + j)] * power,
                     scales[2][0]) +
          zero2;
      v = qi_clamp(v, 0, 255);
      want2[size_t(i * stride + j)] = uint8_t(v);
      u.push_back(hasFactors ? int32_t(v) - zero2 : int32_t(v) << up);
    }
    qi_layer_norm(u.data(), factors.data(), d, channels.data(), shift, 0, 255,
                  y.data());
    for (int64_t j = 0; j != d; ++j)
      want[size_t(i * stride + j)] = uint8_t(y[size_t(j)]);
  }
  auto firstBytes = quern::packFixed(first);
  auto channelBytes =
      quern::packChannels(channels, shift, factors, hasFactors ? zero2 : 0);
  DeviceCall call;
  call.kernel = nvptx::getEmbedName(form);
  call.launchRows(m);
  for (auto &v : numbers)
    call.input("numbers", v);
  for (auto &v : packed)
    call.input("table", v);
  for (auto &v : rows)
    call.input("rows", v);
  call.input("first", firstBytes);
  call.input("channels", channelBytes);
  if (hasFactors)
    call.input("powers", powers);
  call.output("out", out);
  call.output("e1", e1);
  call.output("e2", e2);
  call.integers(
      {m, stride, stride, stride, 1, up, zero1, zero2, 0, 255, 0, 255, 0, 255});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(e1, want1);
  EXPECT_EQ(e2, want2);
  EXPECT_EQ(out, want);
}

TEST(NvptxFixedNorm, Embeddings) {
  checkEmbeddings(/*hasFactors=*/false);
  checkEmbeddings(/*hasFactors=*/true);
}

TEST(NvptxFixedNorm, FormsWithoutKernel) {
  EXPECT_EQ(
      nvptx::checkFixedAddNorm(
          {{64, Storage::U8, Storage::U8, Storage::U8, Storage::F32}, false})
          .message(),
      "a LayerNorm without floats with f32 results, expected u8 or u16");
  EXPECT_EQ(nvptx::checkFixedAddNorm({{2048}, false}).message(),
            "a LayerNorm without floats of 2048 columns, expected at most "
            "1024");
}

} // namespace
