//===- AttentionCase.h - Operands and reference of attention ----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Packed sequences against the formula of tq.qattention in
// test/lib/Tile/RowReference.h, bit for bit.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_ATTENTIONCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_ATTENTIONCASE_H

#include "lib/Target/NVPTX/Attention.h"
#include "test/lib/Target/NVPTX/DeviceRun.h"
#include "test/lib/Tile/RowReference.h"

namespace quern::nvptx::test {

/// Parameters under which scores and contexts use all their codes.
/// Probabilities of many logarithmic codes use many planes of them.
inline quern::QAttentionParams makeParams(const nvptx::AttentionForm &form,
                                          int64_t heads, int64_t longest) {
  quern::QAttentionParams p;
  int64_t dim = form.headDim;
  double step = form.log.bits > 4 ? 0.3 : 0.05;
  quern::test::fillExpTables(step, longest, p);
  p.zq = 121;
  p.zk = 130;
  p.zv = 117;
  p.scoreMultiplier = 40.0f / (74.0f * 74.0f * std::sqrt(float(dim)));
  p.scoreOffset = 127.3f;
  p.probMultiplier = 255.0f;
  p.contextMultiplier = 2.5f / 255.0f;
  p.contextOffset = 119.0f;
  if (form.perHead)
    for (int64_t h = 0; h != heads; ++h) {
      // Of 8 to 2 bits, around one middle.
      int bits = 8 - int(h * 3 % 7);
      float half = float(1 << (bits - 1)), size = 1.0f + 0.37f * float(h);
      p.perHead.insert(p.perHead.end(),
                       {p.scoreMultiplier * size, 2 * half - 1, 2 * half - 1,
                        p.contextMultiplier * size * 16, 128 - half,
                        127 + half});
    }
  if (form.isLog()) {
    p.probMultiplier = float(0.9 / p.expHi[0]);
    p.probStep = float(form.log.per_octave * step / std::log(2.0));
    p.contextMultiplier = 0.019f;
  }
  return p;
}

inline std::vector<float> flatten(const quern::QAttentionParams &p) {
  std::vector<float> flat(p.expHi.begin(), p.expHi.end());
  flat.insert(flat.end(), p.expLo.begin(), p.expLo.end());
  for (float v :
       {p.scoreMultiplier, p.scoreOffset, p.probMultiplier, p.contextMultiplier,
        p.contextOffset, float(p.zq), float(p.zk), float(p.zv), p.probStep})
    flat.push_back(v);
  flat.resize(quern::QAttentionParams::size);
  flat.insert(flat.end(), p.perHead.begin(), p.perHead.end());
  return flat;
}

/// Context of the type T, codes of probabilities of the type P.
template <typename T, typename P>
void checkAttentionOf(Runner &runner, const nvptx::AttentionForm &form,
                      int64_t heads, const std::vector<int64_t> &lengths,
                      uint32_t seed) {
  ASSERT_FALSE(nvptx::checkAttention(form));
  runner.load(
      [&](mlir::ModuleOp module) { nvptx::buildAttention(module, form); });
  std::vector<int32_t> offsets = {0};
  int64_t longest = 0;
  for (int64_t length : lengths) {
    offsets.push_back(offsets.back() + int32_t(length));
    longest = std::max(longest, length);
  }
  int64_t tokens = offsets.back(), width = heads * form.headDim;
  quern::AttentionShape shape;
  shape.heads = heads;
  shape.headDim = form.headDim;
  // Rows of heads that fill no 16 bytes end with others.
  int64_t stride = (width + 15) / 16 * 16;
  shape.qkvStride = (3 * width + 15) / 16 * 16 + (form.headDim % 8 ? 0 : 16);
  shape.kColumn = width;
  shape.vColumn = 2 * width;
  shape.contextStride = stride;
  shape.contextRange = {0, form.context == nvptx::Storage::U16 ? 65535.0f
                                                               : 255.0f};
  shape.log = form.log;
  shape.perHead = form.perHead;
  quern::QAttentionParams params = makeParams(form, heads, longest);

  // Keys of one sequence are alike, of another all different.
  quern::test::Random random(seed);
  auto qkv = random.codes<uint8_t>(size_t(tokens * shape.qkvStride), 256);
  for (int64_t t = 0; lengths.size() > 1 && t < lengths[0]; ++t)
    for (int64_t c = 0; c < width; ++c)
      qkv[size_t(t * shape.qkvStride + shape.kColumn + c)] = uint8_t(c % 251);
  size_t squares = 0;
  for (int64_t length : lengths)
    squares += size_t(length * length);
  std::vector<uint8_t> sTap(squares * size_t(heads));
  std::vector<P> pTap(sTap.size());
  std::vector<T> context(size_t(tokens * stride)), want = context;
  quern::test::qattention(shape, params, qkv, offsets, want, sTap, pTap);

  // Queries and contexts of first tokens move to buffers of their own.
  std::vector<uint8_t> queries;
  if (form.firstQuery) {
    std::vector<T> firsts;
    for (size_t s = 0; s != lengths.size(); ++s) {
      auto row = qkv.begin() + offsets[s] * shape.qkvStride;
      queries.insert(queries.end(), row, row + stride);
      std::fill(row, row + width, uint8_t(77));
      auto from = want.begin() + offsets[s] * stride;
      firsts.insert(firsts.end(), from, from + stride);
    }
    want = firsts;
    context.resize(firsts.size());
    // Of each head the first rows of all sequences.
    std::vector<uint8_t> sRows;
    std::vector<P> pRows;
    for (int64_t h = 0; h != heads; ++h)
      for (size_t s = 0; s != lengths.size(); ++s) {
        size_t at = quern::test::tapBase(offsets, s, size_t(h));
        size_t end = at + size_t(lengths[s]);
        sRows.insert(sRows.end(), &sTap[at], &sTap[end - 1] + 1);
        pRows.insert(pRows.end(), &pTap[at], &pTap[end - 1] + 1);
      }
    sTap = sRows;
    pTap = pRows;
  }
  std::vector<uint8_t> scores(sTap.size(), 0x5a);
  std::vector<P> probs(pTap.size(), 0x5a);

  std::vector<float> flat = flatten(params);
  nvptx::AttentionLaunch launch =
      nvptx::getAttentionLaunch(form, int64_t(lengths.size()), heads, longest);
  DeviceCall call;
  call.kernel = nvptx::getAttentionName(form);
  call.launchAs(launch);
  call.input("qkv", qkv);
  call.input("offsets", offsets);
  call.input("params", flat);
  if (form.firstQuery)
    call.input("queries", queries);
  call.output("context", context);
  call.output("scores", scores);
  call.output("probs", probs);
  call.integers({heads, launch.keys, shape.qkvStride, shape.contextStride,
                 shape.qColumn, shape.kColumn, shape.vColumn});
  if (form.firstQuery)
    call.integers({stride});
  call.integers({int64_t(lengths.size()), 1});
  // Of heads with their own the last three are not read.
  if (form.perHead)
    call.reals({255.0f, 9.0f, 7.0f, 8.0f});
  else
    call.reals({255.0f, 255.0f, 0.0f, float(shape.contextRange.hi)});
  ASSERT_EQ(runner.run(call), "");
  EXPECT_EQ(context, want) << nvptx::getAttentionName(form);
  EXPECT_EQ(scores, sTap) << nvptx::getAttentionName(form);
  EXPECT_EQ(probs, pTap) << nvptx::getAttentionName(form);
  // The case is worth something only if codes differ.
  EXPECT_NE(*std::min_element(want.begin(), want.end()),
            *std::max_element(want.begin(), want.end()));
}

template <typename T>
void checkAttention(Runner &runner, const nvptx::AttentionForm &form,
                    int64_t heads, const std::vector<int64_t> &lengths,
                    uint32_t seed = 1) {
  if (form.probStorage() == nvptx::Storage::U16)
    checkAttentionOf<T, uint16_t>(runner, form, heads, lengths, seed);
  else
    checkAttentionOf<T, uint8_t>(runner, form, heads, lengths, seed);
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_ATTENTIONCASE_H
