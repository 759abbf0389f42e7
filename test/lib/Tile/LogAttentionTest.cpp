//===- LogAttentionTest.cpp - Rows E22 and E23 in the attention kernel ----===//
//
// Logarithmic probabilities on every tier, bit for bit as the definition, for
// all bits and both bases: random rows, flat ones, ties, one score far above
// all others, codes at both ends, channels with outliers.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Tile/KernelCall.h"
#include "test/lib/Tile/RowReference.h"

#include <list>
#include <tuple>

using namespace quern;
using namespace quern::test;

namespace {

/// Columns of one head, in the order of the buffer.
AttentionShape shapeOf(qm_log_codes log, int64_t heads, int64_t headDim,
                       int64_t maxLength) {
  AttentionShape shape;
  shape.heads = heads;
  shape.headDim = headDim;
  shape.maxLength = maxLength;
  int64_t d = heads * headDim;
  shape.qkvStride = rowStride(3 * d);
  shape.kColumn = d;
  shape.vColumn = 2 * d;
  shape.contextStride = rowStride(d);
  shape.log = log;
  return shape;
}

QAttentionParams paramsOf(const AttentionShape &shape, double step,
                          double scale) {
  QAttentionParams p;
  fillExpTables(step, shape.maxLength, p);
  p.scoreMultiplier = 4e-4f / float(shape.headDim) * 32;
  p.scoreOffset = 117;
  p.probMultiplier = float(scale / p.expHi[0]);
  p.probStep = float(shape.log.per_octave * step / std::log(2.0));
  p.contextMultiplier = 0.011f;
  p.contextOffset = 120;
  p.zq = 131;
  p.zk = 97;
  p.zv = 140;
  return p;
}

/// The kinds of rows, by sequence.
void fill(std::vector<uint8_t> &qkv, const AttentionShape &shape, int64_t first,
          int64_t length, int kind, Random &random) {
  int64_t width = 3 * shape.heads * shape.headDim;
  std::vector<uint8_t> codes = random.codes<uint8_t>(length * width, 256);
  for (int64_t t = 0; t < length; ++t)
    for (int64_t j = 0; j < width; ++j) {
      uint8_t code = codes[t * width + j];
      bool isQuery = j < shape.kColumn, isKey = !isQuery && j < shape.vColumn;
      switch (kind) {
      case 0: // Random.
        break;
      case 1: // Flat: every key alike.
        code = isKey ? 90 : code;
        break;
      case 2: // Few values, many ties.
        code = isKey ? 90 + code % 2 : code;
        break;
      case 3: // One key fits, all others do the opposite.
        code = isQuery ? 255 : isKey ? (t == length / 2 ? 255 : 0) : code;
        break;
      case 4: // Both ends.
        code = code < 128 ? 0 : 255;
        break;
      default: // 50 times the rest in every sixteenth channel.
        code = j % 16 == 3 ? (code < 128 ? 0 : 255) : 126 + code % 5;
      }
      qkv[(first + t) * shape.qkvStride + j] = code;
    }
}

/// One kernel against the definition, for every set of parameters.
template <typename Context, typename Prob>
void check(const AttentionShape &shape, const std::vector<int64_t> &lengths,
           const std::vector<QAttentionParams> &layers,
           const std::vector<Tier> &tiers = testTiers()) {
  std::vector<int32_t> offsets = {0};
  int64_t pairs = 0;
  for (int64_t length : lengths) {
    offsets.push_back(int32_t(offsets.back() + length));
    pairs += length * length;
  }
  int64_t tokens = offsets.back(), sequences = int64_t(lengths.size());
  Random random(3);
  std::vector<uint8_t> qkv(bufferSize(tokens, shape.qkvStride), 99);
  for (int64_t n = 0; n < sequences; ++n)
    fill(qkv, shape, offsets[n], lengths[n], int(n % 6), random);
  size_t size = bufferSize(tokens, shape.contextStride);
  std::list<std::pair<Tier, KernelCall>> kernels;
  for (Tier tier : tiers)
    kernels.emplace_back(std::piecewise_construct, std::forward_as_tuple(tier),
                         std::forward_as_tuple(tier, qattentionScratch(shape),
                                               [&](mlir::ModuleOp m) {
                                                 buildQAttention(m, "kernel",
                                                                 shape);
                                               }));
  for (const QAttentionParams &p : layers) {
    SCOPED_TRACE(p.probStep);
    std::vector<Context> expected(size);
    std::vector<uint8_t> s(shape.heads * pairs);
    std::vector<Prob> prob(s.size());
    qattention(shape, p, qkv, offsets, expected, s, prob);
    auto params = p.data();
    for (auto &[tier, kernel] : kernels) {
      SCOPED_TRACE(getTierName(tier).str());
      std::vector<Context> got(size, 77), split(size, 78);
      std::vector<uint8_t> gotS(s.size(), 1);
      std::vector<Prob> gotP(s.size(), 1);
      auto run = [&](std::vector<Context> &out) -> std::vector<void *> {
        return {qkv.data(), offsets.data(), params.data(),
                out.data(), gotS.data(),    gotP.data()};
      };
      int64_t chunks = sequences * shape.heads;
      amx::resetCounts();
      kernel.run(run(got), tokens, sequences, chunks, true);
      expectRows(gotS, s, 1, int64_t(s.size()), 0);
      expectRows(gotP, prob, 1, int64_t(s.size()), 0);
      int64_t d = shape.heads * shape.headDim;
      expectRows(got, expected, tokens, d, shape.contextStride);
      kernel.runSplit(run(split), tokens, sequences, chunks, false, 3);
      expectRows(split, expected, tokens, d, shape.contextStride);
      if (hasTileAttention(shape))
        expectTiles(tier);
    }
  }
}

class LogAttention : public testing::TestWithParam<qm_log_codes> {};

TEST_P(LogAttention, E22E23EqualsTheDefinition) {
  // Heads that fill no vector, and those that have a form with tile registers
  // where codes are bytes.
  for (bool isTiled : {false, true}) {
    AttentionShape shape = shapeOf(GetParam(), 2, isTiled ? 32 : 25, 130);
    // Tiers in between have patterns for products alone, whatever the codes.
    bool everyTier = GetParam().bits == 4 && GetParam().per_octave == 2;
    std::vector<Tier> tiers =
        withTiles(everyTier ? hostTiers() : testTiers(), isTiled);
    if (isTiled)
      llvm::erase_if(tiers, [](Tier tier) { return tier != Tier::Amx; });
    std::vector<QAttentionParams> layers;
    for (double step : {0.002, 0.031, 0.4, 3.0})
      layers.push_back(paramsOf(shape, step, step < 0.1 ? 1.0 : 0.37));
    std::vector<int64_t> lengths = {130, 5,  17, 33, 16, 64, 1,  2,  3, 13,
                                    31,  32, 65, 15, 8,  9,  48, 20, 12};
    if (shape.probStorage() == Storage::U16)
      check<uint8_t, uint16_t>(shape, lengths, layers, tiers);
    else
      check<uint8_t, uint8_t>(shape, lengths, layers, tiers);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, LogAttention,
    testing::Values(qm_log_codes{3, 1}, qm_log_codes{4, 1}, qm_log_codes{5, 1},
                    qm_log_codes{6, 1}, qm_log_codes{7, 1}, qm_log_codes{8, 1},
                    qm_log_codes{3, 2}, qm_log_codes{4, 2}, qm_log_codes{5, 2},
                    qm_log_codes{6, 2}, qm_log_codes{7, 2}, qm_log_codes{8, 2}),
    [](const auto &test) {
      return (test.param.per_octave == 1 ? "Log2x" : "LogSqrt2x") +
             std::to_string(test.param.bits);
    });

TEST(LogAttention, E23EveryLength) {
  AttentionShape shape = shapeOf({4, 2}, 1, 8, 512);
  std::vector<QAttentionParams> layers = {paramsOf(shape, 0.05, 0.9)};
  std::vector<int64_t> lengths;
  for (int64_t length = 1; length <= 512; length += length < 80 ? 1 : 7)
    lengths.push_back(length);
  lengths.push_back(511);
  lengths.push_back(512);
  check<uint8_t, uint8_t>(shape, lengths, layers);
}

TEST(LogAttention, ContextInOtherForms) {
  AttentionShape shape = shapeOf({5, 2}, 2, 64, 40);
  shape.context = Storage::U16;
  shape.contextRange = {0, 65535};
  QAttentionParams wide = paramsOf(shape, 0.05, 1);
  wide.contextMultiplier = 2.9f;
  wide.contextOffset = 30123;
  check<uint16_t, uint8_t>(shape, {40, 9}, {wide}, withTiles(testTiers()));
  shape.context = Storage::F32;
  check<float, uint8_t>(shape, {40, 9}, {wide}, withTiles(testTiers()));
}

} // namespace
