//===- SliceRowsTest.cpp - Rows that the head does not read ---------------===//
//
// A module that computes only the first rows of its last layer against one that
// computes all of them: the same bytes, with one thread and with two, in
// batches of mixed lengths; the operations that are left, counted; and heads
// that read all rows, which keep them. More recipes:
// test/lib/Rewrite/SliceRowsTest.cpp.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/TinyModule.h"

#include "runtime/src/manifest_generated.h"

#include "gtest/gtest.h"

#include <random>

using namespace quern;
using namespace quern::test;

namespace {

struct SliceCase {
  const char *name;
  std::string recipe;
  std::vector<std::string> overrides = {};
  HeadKind head = HeadKind::Classification;
  int64_t layers = 2;
};

void PrintTo(const SliceCase &value, std::ostream *out) { *out << value.name; }

TinyModelOptions optionsFor(HeadKind head, int64_t layers) {
  TinyModelOptions options;
  options.head = head;
  options.hidden = 96;
  options.heads = 4;
  options.intermediate = 272;
  options.layers = layers;
  options.positions = 40;
  options.vocab = tinyVocabularySize();
  options.pooling = PoolingKind::Cls;
  return options;
}

/// Multiply-adds of a module for sequences of the same length.
uint64_t multiplyAdds(const quern_module *module, uint64_t sequences,
                      uint64_t length) {
  uint64_t bytes = 0, macs = 0;
  for (const auto *step :
       *manifest::GetManifest(quern_module_manifest(module, &bytes))->steps())
    macs += sequences * (step->macs_per_token() * length +
                         step->macs_per_pair() * length * length +
                         step->macs_per_sequence());
  return macs;
}

std::vector<std::vector<int32_t>> mixedLengths(int32_t vocab) {
  std::mt19937 random(3);
  std::vector<std::vector<int32_t>> sequences;
  for (size_t length : {7, 1, 40, 16, 33, 2, 8, 1, 17, 31, 32, 5}) {
    sequences.emplace_back();
    for (size_t i = 0; i < length; ++i)
      sequences.back().push_back(random() % vocab);
  }
  return sequences;
}

class SliceRowsTest : public testing::TestWithParam<SliceCase> {};

TEST_P(SliceRowsTest, SameBytesFromFewerOperations) {
  TinyModelOptions options = optionsFor(GetParam().head, GetParam().layers);
  TinyModule few(options, GetParam().recipe, GetParam().overrides, false,
                 {"host"});
  TinyModule all(options, GetParam().recipe, GetParam().overrides, true,
                 {"host"});
  ASSERT_TRUE(few.get() && all.get());

  auto sequences = mixedLengths(int32_t(options.vocab));
  for (uint32_t tier : {uint32_t(QUERN_TIER_SSE2), usableTiers().back()}) {
    std::vector<std::string> expected =
        TinySession(all.get(), 1, tier).run(sequences);
    ASSERT_EQ(expected.size(), sequences.size());
    EXPECT_NE(expected[0], expected[2]);
    for (uint32_t threads : {1, 2}) {
      SCOPED_TRACE(std::string(quern_tier_name(tier)) + ", threads " +
                   std::to_string(threads));
      TinySession session(few.get(), threads, tier);
      EXPECT_TRUE(session.run(sequences) == expected);
      for (size_t i = 0; i < sequences.size(); ++i)
        EXPECT_TRUE(session.run({sequences[i]})[0] == expected[i]) << i;
    }
  }

  // Of the last layer queries, attention's output and the FFN are left with a
  // row for each sequence, scores and context with a row of pairs.
  uint64_t d = options.hidden, f = options.intermediate, n = 3, t = 20;
  uint64_t rows = n * (t - 1) * (2 * d * d + 2 * d * f);
  uint64_t pairs = n * (t * t - t) * 2 * d;
  EXPECT_EQ(multiplyAdds(all.get(), n, t) - multiplyAdds(few.get(), n, t),
            rows + pairs);
}

INSTANTIATE_TEST_SUITE_P(
    Tiny, SliceRowsTest,
    testing::Values(
        SliceCase{"Float", "fp32"}, SliceCase{"Default", "default"},
        // 16-bit codes at everything that is pooled, and planes of bytes.
        SliceCase{"Wide", "w8a8", {"emb=16", "x=16", "z=16"}},
        SliceCase{"OneLayerResidual", "repq-w4a4", {}, HeadKind::Embedding, 1}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(SliceRowsTest, HeadsThatReadAllRowsKeepThem) {
  for (HeadKind head : {HeadKind::TokenClassification,
                        HeadKind::QuestionAnswering, HeadKind::Embedding}) {
    TinyModelOptions options = optionsFor(head, 2);
    options.pooling = PoolingKind::Mean;
    TinyModule few(options, "w8a8", {}, false, {"x86-sse2"});
    TinyModule all(options, "w8a8", {}, true, {"x86-sse2"});
    ASSERT_TRUE(few.get() && all.get());
    EXPECT_EQ(multiplyAdds(few.get(), 3, 20), multiplyAdds(all.get(), 3, 20));
  }
}

} // namespace
