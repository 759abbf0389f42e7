//===- FixedAttentionTest.cpp - GPU attention without floats --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Attention in fixed-point numbers in the emulator, bit for bit what
// integer_*.h say.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedAttention.h"
#include "dialects/TQ/FixedPoint.h"
#include "lib/Target/NVPTX/Attention.h"
#include "test/lib/Target/NVPTX/DeviceRun.h"
#include "test/lib/Tile/FixedReference.h"

using namespace quern::nvptx::test;
using quern::test::affine;
namespace nvptx = quern::nvptx;
namespace tq = quern::tq;

namespace {

struct AttentionCase {
  int64_t headDim;
  /// Of logarithmic codes, 0 for uniform ones.
  int32_t bits;
  tq::SoftmaxForm softmax;
  std::vector<int64_t> lengths;
  int64_t keysAtOnce = 0;
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
  form.keysAtOnce = c.keysAtOnce;
  ASSERT_FALSE(nvptx::checkAttention(form));
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { nvptx::buildAttention(module, form); });
  const int64_t heads = 2, d = heads * c.headDim, stride = 3 * d;
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
  quern::test::Random random(7);
  auto qkv = random.codes<uint8_t>(size_t(tokens * stride), 256);
  std::vector<uint8_t> out(size_t(tokens * d), 0xa5), want = out;
  std::vector<uint8_t> s(size_t(heads) * pairs), p(s), wantS(s), wantP(s);
  const quern::test::FixedAttentionReference reference = {
      qkv, offsets, heads, c.headDim, stride, d, score, context};
  ASSERT_NO_FATAL_FAILURE(reference.run(
      [&](const auto &row, auto &codes) { softmax.codes(row, codes.data()); },
      [&](int32_t code) {
        return !c.bits ? code : code <= last ? 1 << (last - code) : 0;
      },
      wantS, wantP, want));
  auto params =
      softmax.pack(score, context, reference.zq, reference.zk, reference.zv);
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

TEST(NvptxFixedAttention, AgainstIntegers) {
  using Form = tq::SoftmaxForm;
  for (const AttentionCase &c : {AttentionCase{64, 0, Form::Table, {1, 33, 70}},
                                 AttentionCase{32, 0, Form::IExp, {5, 40}},
                                 AttentionCase{32, 0, Form::Shiftmax, {5, 40}},
                                 AttentionCase{32, 4, Form::Table, {5, 40}},
                                 AttentionCase{32, 3, Form::Table, {40}},
                                 AttentionCase{16, 4, Form::IExp, {5, 40}}})
    checkAttention(c);
}
/// As long sequences have them.
TEST(NvptxFixedAttention, KeysInParts) {
  using Form = tq::SoftmaxForm;
  checkAttention({32, 0, Form::Table, {5, 70}, 32});
  checkAttention({16, 4, Form::IExp, {40}, 32});
  checkAttention({72, 3, Form::Table, {33}, 32});
}

} // namespace
