//===- AttentionTest.cpp - Attention kernels against scalar code ----------===//
//
// Integer and f32 attention on every tier, bit for bit, with taps, for lengths
// around the block sizes and heads that are no multiple of anything.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Tile/KernelCall.h"
#include "test/lib/Tile/RowReference.h"

using namespace quern;
using namespace quern::test;

namespace {

struct Case {
  int64_t heads, headDim;
  std::vector<int64_t> lengths;
  /// Codes of 0 and 255 only.
  bool extreme = false;
  Storage context = Storage::U8;
  /// Steps and bits of heads, row E19.
  bool perHead = false;
};

std::ostream &operator<<(std::ostream &os, const Case &c) {
  os << c.heads << " heads of " << c.headDim << ", lengths";
  for (int64_t l : c.lengths)
    os << ' ' << l;
  return os << (c.extreme ? ", extreme" : "") << (c.perHead ? ", E19" : "");
}

class AttentionTest : public testing::TestWithParam<Case> {
protected:
  AttentionTest() {
    const Case &c = GetParam();
    int64_t d = c.heads * c.headDim;
    shape.heads = c.heads;
    shape.headDim = c.headDim;
    shape.qkvStride = rowStride(3 * d);
    shape.kColumn = d;
    shape.vColumn = 2 * d;
    shape.contextStride = rowStride(d);
    shape.context = c.context;
    if (c.context == Storage::U16)
      shape.contextRange = {0, 65535};
    shape.perHead = c.perHead;
    offsets = {0};
    for (int64_t l : c.lengths) {
      offsets.push_back(int32_t(offsets.back() + l));
      pairs += l * l;
      shape.maxLength = std::max(l, longest);
      longest = shape.maxLength;
    }
    tokens = offsets.back();
    sequences = int64_t(c.lengths.size());
    chunks = sequences * c.heads;
  }

  template <typename Context> void checkCodes();

  AttentionShape shape;
  std::vector<int32_t> offsets;
  int64_t tokens = 0, sequences = 0, chunks = 0, pairs = 0, longest = 1;
};

template <typename Context> void AttentionTest::checkCodes() {
  const Case &c = GetParam();
  Random random(7);
  auto qkv = random.codes<uint8_t>(bufferSize(tokens, shape.qkvStride), 256);
  if (c.extreme)
    for (uint8_t &v : qkv)
      v = v < 128 ? 0 : 255;
  QAttentionParams p;
  fillExpTables(0.031, 512, p);
  p.scoreMultiplier = c.extreme ? 1e-4f : 4e-4f / float(c.headDim) * 32;
  p.scoreOffset = 117;
  p.probMultiplier = 1.0f / 0.0039f;
  p.contextMultiplier = c.context == Storage::U16 ? 2.9f : 0.011f;
  p.contextOffset = c.context == Storage::U16 ? 30123.0f : 120.0f;
  p.zq = c.extreme ? 255 : 131;
  p.zk = c.extreme ? 0 : 97;
  p.zv = c.extreme ? 255 : 140;
  if (c.perHead)
    for (int64_t h = 0; h < c.heads; ++h) {
      // Of 2 to 8 bits, around one middle.
      int bits = 2 + int(h * 3 % 7);
      float half = float(1 << (bits - 1)), size = 1.0f + 0.37f * float(h);
      float top = float((1 << bits) - 1);
      p.perHead.insert(p.perHead.end(),
                       {p.scoreMultiplier * size, top, top,
                        p.contextMultiplier * size, 128 - half, 127 + half});
    }
  auto params = p.data();
  size_t size = bufferSize(tokens, shape.contextStride);
  std::vector<Context> expected(size);
  std::vector<uint8_t> s(c.heads * pairs), prob(s.size());
  qattention(shape, p, qkv, offsets, expected, s, prob);
  for (Tier tier : tileTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, qattentionScratch(shape), [&](mlir::ModuleOp m) {
      buildQAttention(m, "kernel", shape);
    });
    std::vector<Context> got(size, 77), split(size, 78);
    std::vector<uint8_t> gotS(s.size(), 1), gotP(s.size(), 1);
    auto buffers = [&](std::vector<Context> &out) -> std::vector<void *> {
      return {qkv.data(), offsets.data(), params.data(),
              out.data(), gotS.data(),    gotP.data()};
    };
    kernel.run(buffers(got), tokens, sequences, chunks, true);
    expectRows(gotS, s, 1, int64_t(s.size()), 0);
    expectRows(gotP, prob, 1, int64_t(s.size()), 0);
    int64_t d = c.heads * c.headDim;
    expectRows(got, expected, tokens, d, shape.contextStride);
    std::fill(gotS.begin(), gotS.end(), 1);
    kernel.runSplit(buffers(split), tokens, sequences, chunks, false, 3);
    expectRows(split, expected, tokens, d, shape.contextStride);
    EXPECT_TRUE(std::all_of(gotS.begin(), gotS.end(), [](uint8_t v) {
      return v == 1;
    })) << "taps were written though off";
  }
}

TEST_P(AttentionTest, Codes) {
  if (GetParam().context == Storage::F32)
    checkCodes<float>();
  else if (GetParam().context == Storage::U16)
    checkCodes<uint16_t>();
  else
    checkCodes<uint8_t>();
}

TEST_P(AttentionTest, Floats) {
  const Case &c = GetParam();
  Random random(11);
  auto qkv = random.reals(bufferSize(tokens, shape.qkvStride), -2.0f, 2.0f);
  float scale = 1.0f / std::sqrt(float(c.headDim)) * (c.extreme ? 20 : 1);
  size_t size = bufferSize(tokens, shape.contextStride);
  std::vector<float> expected(size), s(c.heads * pairs), prob(s.size());
  attention(shape, scale, qkv, offsets, expected, s, prob);
  for (Tier tier : testTiers()) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, attentionScratch(shape), [&](mlir::ModuleOp m) {
      buildAttention(m, "kernel", shape);
    });
    std::vector<float> got(size), split(size), gotS(s.size()), gotP(s.size());
    auto buffers = [&](std::vector<float> &out) -> std::vector<void *> {
      return {qkv.data(), qkv.data(), qkv.data(),  offsets.data(),
              &scale,     out.data(), gotS.data(), gotP.data()};
    };
    kernel.run(buffers(got), tokens, sequences, chunks, true);
    expectRows(gotS, s, 1, int64_t(s.size()), 0);
    expectRows(gotP, prob, 1, int64_t(s.size()), 0);
    int64_t d = c.heads * c.headDim;
    expectRows(got, expected, tokens, d, shape.contextStride);
    kernel.runSplit(buffers(split), tokens, sequences, chunks, false, 5);
    expectRows(split, expected, tokens, d, shape.contextStride);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionTest,
    testing::Values(
        Case{2, 64, {1}}, Case{1, 64, {2, 3, 17}}, Case{2, 32, {128, 1, 16}},
        Case{4, 25, {3, 31, 33, 8}}, Case{1, 64, {200}}, Case{1, 64, {512}},
        Case{2, 25, {1, 130}, true}, Case{1, 64, {65, 2}, true},
        Case{1, 80, {19, 48}}, Case{3, 7, {5, 64}},
        // Around the blocks of queries in lanes.
        Case{3, 32, {4, 5, 12, 15, 20, 27}}, Case{2, 32, {7, 34}, true},
        // Around the blocks and spans of tile registers.
        Case{2, 32, {16, 33, 128, 129, 161}},
        Case{1, 64, {63, 64, 65, 128, 129}}, Case{1, 128, {33, 130}},
        Case{1, 96, {40, 100}, true}, Case{2, 64, {40, 9}, false, Storage::U16},
        Case{2, 25, {9, 20}, false, Storage::U16},
        // One channel behind whole blocks, and nothing between
        // the last head and the next row.
        Case{64, 1, {3, 11}}, Case{4, 17, {2, 9}},
        Case{64, 1, {3, 11}, false, Storage::U16},
        // Values, for a quantizer behind that needs whole rows.
        Case{2, 64, {40, 9}, false, Storage::F32},
        Case{2, 25, {9, 20}, false, Storage::F32},
        Case{64, 1, {3, 11}, false, Storage::F32},
        // Row E19.
        Case{12, 64, {40, 9}, false, Storage::U8, true},
        Case{7, 25, {1, 130}, true, Storage::U8, true},
        Case{4, 17, {33, 8}, false, Storage::F32, true}));

/// Products by tile registers where there are 65 tokens or more: four tiles of
/// sums for 32 rows and 32 keys or channels, and nothing twice.
TEST(TileAttention, MakesEachProductOnce) {
  if (tileRun() != TileRun::Emulated)
    GTEST_SKIP() << "instructions are only counted where they are emulated";
  AttentionShape shape;
  shape.heads = 2;
  shape.headDim = 64;
  shape.qkvStride = rowStride(384);
  shape.kColumn = 128;
  shape.vColumn = 256;
  shape.contextStride = rowStride(128);
  shape.maxLength = 128;
  ASSERT_TRUE(hasTileAttention(shape));
  KernelCall kernel(Tier::Amx, qattentionScratch(shape), [&](mlir::ModuleOp m) {
    buildQAttention(m, "kernel", shape);
  });
  QAttentionParams p;
  fillExpTables(0.031, 512, p);
  auto params = p.data();
  auto count = [&](int32_t length) {
    std::vector<int32_t> offsets = {0, length};
    std::vector<uint8_t> qkv(bufferSize(length, shape.qkvStride), 100);
    std::vector<uint8_t> out(bufferSize(length, shape.contextStride));
    amx::resetCounts();
    kernel.run({qkv.data(), offsets.data(), params.data(), out.data(), nullptr,
                nullptr},
               length, 1, shape.heads, false);
    return amx::counts();
  };
  using amx::Op;
  amx::Counts counts = count(128);
  // Of both heads, blocks of four products: 4 x 4 of scores, and of two steps
  // each 4 x 2 of context.
  EXPECT_EQ(counts.dots(), 2u * 4 * (16 + 2 * 8));
  EXPECT_EQ(counts[Op::DotUS], counts.dots());
  EXPECT_EQ(counts.loads(), counts.dots());
  EXPECT_EQ(counts[Op::Zero], 2u * 4 * (16 + 8));
  EXPECT_EQ(counts[Op::Store], counts[Op::Zero]);
  EXPECT_EQ(counts[Op::LoadConfig], 1u);
  EXPECT_EQ(counts.spills, 0u);
  EXPECT_EQ(count(65).dots(), 2u * 3 * (4 * 3 + 2 * 8));
  EXPECT_EQ(count(64).dots(), 0u);
}

/// Row E43: neither what lies around a sequence, as padding would, nor the
/// length that the kernel was made for is in any code of it.
TEST(Attention, E43NothingBeyondTheSequenceCounts) {
  constexpr int64_t before = 3, after = 20;
  // Heads of 32 and 64 channels have queries in lanes where taps are off.
  const std::pair<int64_t, int64_t> cases[] = {{5, 25},  {17, 25}, {5, 32},
                                               {18, 32}, {7, 64},  {20, 64}};
  for (const auto &sizes : cases) {
    const int64_t length = sizes.first, headDim = sizes.second;
    SCOPED_TRACE(testing::Message() << length << " of " << headDim);
    AttentionShape shape;
    shape.heads = 2;
    shape.headDim = headDim;
    int64_t d = 2 * headDim;
    shape.qkvStride = rowStride(3 * d);
    shape.kColumn = d;
    shape.vColumn = 2 * d;
    shape.contextStride = rowStride(d);
    QAttentionParams p;
    fillExpTables(0.031, 512, p);
    p.scoreMultiplier = 5e-4f;
    p.scoreOffset = 117;
    p.probMultiplier = 1.0f / 0.0039f;
    p.contextMultiplier = 0.011f;
    p.contextOffset = 120;
    p.zq = 131;
    p.zk = 97;
    p.zv = 140;
    auto params = p.data();
    auto own = Random(9).codes<uint8_t>(length * shape.qkvStride, 256);
    // Of each head, all sequences in turn.
    auto tapsOf = [&](const std::vector<uint8_t> &all, int64_t pairs,
                      int64_t skipped) {
      std::vector<uint8_t> taps;
      for (int64_t h = 0; h < shape.heads; ++h) {
        auto at = all.begin() + h * pairs + skipped;
        taps.insert(taps.end(), at, at + length * length);
      }
      return taps;
    };
    std::vector<std::vector<uint8_t>> contexts, scores, probabilities;
    for (int64_t longest : {after, int64_t(512)})
      for (Tier tier : tileTiers()) {
        shape.maxLength = longest;
        KernelCall kernel(
            tier, qattentionScratch(shape),
            [&](mlir::ModuleOp m) { buildQAttention(m, "kernel", shape); });
        for (int fill : {-1, 0, 255}) {
          // Alone, or between rows of extreme codes that are its neighbours.
          int64_t first = fill < 0 ? 0 : before;
          int64_t tokens = first + length + (fill < 0 ? 0 : after);
          std::vector<uint8_t> qkv(bufferSize(tokens, shape.qkvStride),
                                   uint8_t(fill));
          std::copy(own.begin(), own.end(),
                    qkv.begin() + first * shape.qkvStride);
          std::vector<int32_t> offsets = {0, int32_t(length)};
          if (fill >= 0)
            offsets = {0, int32_t(first), int32_t(first + length),
                       int32_t(tokens)};
          int64_t sequences = int64_t(offsets.size()) - 1;
          int64_t pairs = 0, skipped = 0;
          for (int64_t s = 0; s < sequences; ++s) {
            int64_t l = offsets[s + 1] - offsets[s];
            if (offsets[s] < first)
              skipped += l * l;
            pairs += l * l;
          }
          std::vector<uint8_t> out(bufferSize(tokens, shape.contextStride), 77);
          std::vector<uint8_t> s(shape.heads * pairs + 64), prob(s.size());
          for (bool tapping : {true, false}) {
            std::fill(out.begin(), out.end(), 77);
            kernel.run({qkv.data(), offsets.data(), params.data(), out.data(),
                        s.data(), prob.data()},
                       tokens, sequences, sequences * shape.heads, tapping);
            std::vector<uint8_t> context;
            for (int64_t r = 0; r < length; ++r) {
              auto row = out.begin() + (first + r) * shape.contextStride;
              context.insert(context.end(), row, row + d);
            }
            contexts.push_back(std::move(context));
          }
          scores.push_back(tapsOf(s, pairs, skipped));
          probabilities.push_back(tapsOf(prob, pairs, skipped));
        }
      }
    for (size_t i = 1; i < contexts.size(); ++i)
      EXPECT_EQ(contexts[i], contexts[0]) << "run " << i;
    for (size_t i = 1; i < scores.size(); ++i) {
      EXPECT_EQ(scores[i], scores[0]) << "run " << i;
      EXPECT_EQ(probabilities[i], probabilities[0]) << "run " << i;
    }
  }
}

/// The table softmax against the softmax of the same scores in double, before
/// the probabilities are rounded to codes, and after that by codes.
TEST(TableSoftmax, IsWithin2ToMinus15) {
  Random random(5);
  std::vector<std::vector<uint8_t>> rows = {std::vector<uint8_t>(512, 255),
                                            std::vector<uint8_t>(512, 0),
                                            std::vector<uint8_t>(128, 200),
                                            {7},
                                            {0, 255},
                                            {255, 254}};
  std::vector<uint8_t> peak(512, 0);
  peak[300] = 255;
  rows.push_back(peak);
  peak.assign(512, 250);
  peak[3] = 255;
  rows.push_back(peak);
  for (uint32_t limit : {2u, 5u, 40u, 256u})
    rows.push_back(random.codes<uint8_t>(512, limit));
  double worst = 0;
  for (double step : {1e-4, 1e-3, 0.01, 0.05, 0.2, 1.0, 4.0}) {
    QAttentionParams p;
    fillExpTables(step, 512, p);
    for (const auto &s : rows) {
      std::vector<int32_t> e;
      double sum = softmaxNumerators(p, s, e), exact = 0;
      int top = *std::max_element(s.begin(), s.end());
      for (uint8_t c : s)
        exact += std::exp(-step * (top - c));
      for (size_t j = 0; j != s.size(); ++j) {
        double expected = std::exp(-step * (top - s[j])) / exact;
        worst = std::max(worst, std::abs(e[j] / sum - expected));
        float ratio = 255.0f / float(uint32_t(sum));
        int32_t code = qm_round_code(float(e[j]) * ratio, 0, 255);
        EXPECT_LE(std::abs(code - std::nearbyint(255 * expected)), 1);
      }
    }
  }
  EXPECT_LE(worst, 0x1p-15);
  EXPECT_GT(worst, 0);
}

} // namespace
