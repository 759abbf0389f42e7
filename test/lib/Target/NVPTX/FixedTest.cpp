//===- FixedTest.cpp - GPU kernels without floats, emulated ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Products, LayerNorm, embeddings and attention in fixed-point numbers, bit for
// bit what integer_*.h say.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Target/NVPTX/Attention.h"
#include "lib/Target/NVPTX/FixedNorm.h"
#include "lib/Tile/FixedAttention.h"
#include "lib/Tile/FixedNorm.h"
#include "quern/integer_activation.h"
#include "test/lib/Target/NVPTX/GemmCase.h"
#include "test/lib/Target/NVPTX/RowCase.h"

using namespace quern::nvptx::test;
namespace nvptx = quern::nvptx;
namespace tq = quern::tq;
using nvptx::Storage;

namespace {

qi_affine affine(double multiplier, double offset) {
  qi_affine a = {};
  EXPECT_EQ(qi_make_affine(multiplier, offset, &a), 0);
  return a;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

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

TEST(NvptxFixed, Norms) {
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

TEST(NvptxFixed, Embeddings) {
  checkEmbeddings(/*hasFactors=*/false);
  checkEmbeddings(/*hasFactors=*/true);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

struct AttentionCase {
  int64_t headDim;
  /// Of logarithmic codes, 0 for uniform ones.
  int32_t bits;
  tq::SoftmaxForm softmax;
  std::vector<int64_t> lengths;
};

/// The constants of a case, packed, and its codes of a row of scores.
struct FixedSoftmax {
  qi_probs probs;
  qi_log_probs logs;
  bool isLog, nearest;

  explicit FixedSoftmax(const AttentionCase &c) : isLog(c.bits != 0) {
    quern::QAttentionParams tables;
    quern::test::fillExpTables(0.031, 512, tables);
    const float *hi = tables.expHi.data(), *lo = tables.expLo.data();
    bool isTable = c.softmax == tq::SoftmaxForm::Table;
    int failed =
        isLog ? isTable ? qi_make_table_log_probs(hi, lo, 0.9, c.bits, &logs)
                        : qi_make_exp_log_probs(0.031, c.bits, &logs)
        : isTable ? qi_make_table_probs(hi, lo, 255 / 0.9, 255, &probs)
        : c.softmax == tq::SoftmaxForm::IExp
            ? qi_make_exp_probs(0.031, 255, &probs)
            : qi_make_shift_probs(0.031, 255, &probs);
    EXPECT_EQ(failed, 0);
    nearest = isLog ? !logs.published : probs.nearest;
  }

  std::vector<int8_t> pack(const qi_affine &score, const qi_affine &context,
                           int64_t zq, int64_t zk, int64_t zv) const {
    return isLog ? quern::packFixedAttention(score, context, logs,
                                             /*maxLength=*/512, zq, zk, zv)
                 : quern::packFixedAttention(score, context, probs, zq, zk, zv);
  }
  void codes(const std::vector<int32_t> &scores, int32_t *codes) const {
    auto n = int64_t(scores.size());
    isLog ? qi_log_probs_of(scores.data(), n, &logs, codes)
          : qi_probs_of(scores.data(), n, &probs, codes);
  }
};

void checkAttention(const AttentionCase &c) {
  nvptx::AttentionForm form;
  form.headDim = c.headDim;
  form.log = {c.bits, 1};
  form.fixed = true;
  FixedSoftmax softmax(c);
  form.nearest = softmax.nearest;
  ASSERT_FALSE(nvptx::checkAttention(form));
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { nvptx::buildAttention(module, form); });
  const int64_t heads = 2, d = heads * c.headDim, stride = 3 * d;
  const int64_t zq = 131, zk = 97, zv = 140;
  std::vector<int32_t> offsets = {0};
  int64_t longest = 0;
  size_t pairs = 0;
  for (int64_t l : c.lengths) {
    offsets.push_back(offsets.back() + int32_t(l));
    longest = std::max(longest, l);
    pairs += size_t(l * l);
  }
  int64_t tokens = offsets.back();
  qi_affine score = affine(4e-4 / double(c.headDim) * 32, 117);
  int32_t last = (1 << c.bits) - 1;
  qi_affine context = affine(c.bits ? std::ldexp(1.6, -last) : 0.011, 120.5);
  Random random(7);
  auto qkv = random.codes<uint8_t>(size_t(tokens * stride), 256);
  std::vector<uint8_t> out(size_t(tokens * d), 0xa5), want = out;
  std::vector<uint8_t> s(size_t(heads) * pairs), p(s), wantS(s), wantP(s);
  for (size_t n = 0; n < c.lengths.size(); ++n)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t length = c.lengths[n], first = offsets[n];
      auto at = [&](int64_t token, int64_t column, int64_t zero) {
        return int32_t(qkv[size_t((first + token) * stride + h * c.headDim +
                                  column)]) -
               int32_t(zero);
      };
      for (int64_t i = 0; i < length; ++i) {
        std::vector<int32_t> row(size_t(length), 0), codes(row);
        for (int64_t j = 0; j < length; ++j) {
          int32_t acc = 0;
          for (int64_t e = 0; e < c.headDim; ++e)
            acc += at(i, e, zq) * at(j, d + e, zk);
          row[size_t(j)] = qi_code(acc, &score, 0, 255);
        }
        softmax.codes(row, codes.data());
        size_t base =
            quern::test::tapBase(offsets, n, size_t(h)) + size_t(i * length);
        std::copy(row.begin(), row.end(), wantS.begin() + long(base));
        std::copy(codes.begin(), codes.end(), wantP.begin() + long(base));
        for (int64_t e = 0; e < c.headDim; ++e) {
          int32_t acc = 0;
          for (int64_t j = 0; j < length; ++j) {
            int32_t code = codes[size_t(j)];
            int32_t weight = !c.bits        ? code
                             : code <= last ? 1 << (last - code)
                                            : 0;
            acc += weight * at(j, 2 * d + e, zv);
          }
          want[size_t((first + i) * d + h * c.headDim + e)] =
              uint8_t(qi_code(acc, &context, 0, 255));
        }
      }
    }
  auto params = softmax.pack(score, context, zq, zk, zv);
  nvptx::AttentionLaunch launch = nvptx::getAttentionLaunch(
      form, int64_t(c.lengths.size()), heads, longest);
  DeviceCall call;
  call.kernel = nvptx::getAttentionName(form);
  call.launchAs(launch);
  call.input("qkv", qkv);
  call.input("offsets", offsets);
  call.input("params", params);
  call.output("context", out);
  call.output("scores", s);
  call.output("probs", p);
  call.integers({heads, launch.keys, stride, d, 0, d, 2 * d,
                 int64_t(c.lengths.size()), 1, 255, 255, 0, 255});
  ASSERT_EQ(emulator.run(call), "");
  EXPECT_EQ(s, wantS) << call.kernel;
  EXPECT_EQ(p, wantP) << call.kernel;
  EXPECT_EQ(out, want) << call.kernel;
}

TEST(NvptxFixed, Attention) {
  using Form = tq::SoftmaxForm;
  for (const AttentionCase &c : {AttentionCase{64, 0, Form::Table, {1, 33, 70}},
                                 AttentionCase{32, 0, Form::IExp, {5, 40}},
                                 AttentionCase{32, 0, Form::Shiftmax, {5, 40}},
                                 AttentionCase{32, 4, Form::Table, {5, 40}},
                                 AttentionCase{32, 3, Form::Table, {40}},
                                 AttentionCase{16, 4, Form::IExp, {5, 40}}})
    checkAttention(c);
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
