//===- SameBytesTest.cpp - The same text gives the same bytes -------------===//
//
// Alone or in a batch, in any order, of any length up to the limit, on any
// number of threads and on every tier. Row E43: sequences are packed, none is
// padded, and no value depends on how long its neighbours are.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/TinyModule.h"
#include "test/support/amx/Emulator.h"

#include <algorithm>
#include <random>

using namespace quern;
using namespace quern::test;

namespace {
struct BytesCase {
  const char *name;
  HeadKind head;
  std::string recipe;
  std::vector<std::string> overrides = {};
  /// On all tiers, not only those of fewTargets.
  bool everyTier = false;
  /// And without vectors, which takes long to compile.
  bool scalar = false;
  /// Some of its kernels have a form with tiles: with 128 columns, which are
  /// four heads of 32 channels, attention is one unless its codes are uniform.
  bool tiles = true;
  int64_t hidden = 100;
  BytesCase ofHidden(int64_t columns) const {
    BytesCase changed = *this;
    changed.hidden = columns;
    return changed;
  }
};

void PrintTo(const BytesCase &value, std::ostream *out) { *out << value.name; }

class SameBytesTest : public testing::TestWithParam<BytesCase> {};

constexpr int longest = 35;

/// A sequence of every length, of random ids.
std::vector<std::vector<int32_t>> everyLength(int32_t vocab) {
  std::mt19937 random(7);
  std::vector<std::vector<int32_t>> sequences(longest);
  for (size_t i = 0; i < sequences.size(); ++i)
    for (size_t j = 0; j <= i; ++j)
      sequences[i].push_back(random() % vocab);
  return sequences;
}
} // namespace

TEST_P(SameBytesTest, E43InEveryBatch) {
  TinyModelOptions options;
  options.head = GetParam().head;
  options.hidden = GetParam().hidden;
  options.heads = 4;
  options.intermediate = 270;
  options.layers = 2;
  options.positions = longest;
  options.vocab = tinyVocabularySize();
  if (options.head == HeadKind::Regression)
    options.labels = 1;
  bool everyTier = GetParam().everyTier;
  std::vector<std::string> targets = fewTargets;
  if (everyTier)
    targets = {"x86"};
  if (GetParam().scalar)
    targets.push_back("x86-scalar");
  TinyModule module(options, GetParam().recipe, GetParam().overrides, false,
                    targets);
  ASSERT_TRUE(module.get());

  auto sequences = everyLength(options.vocab);
  TinySession alone(module.get(), 1, QUERN_TIER_SSE2);
  std::vector<std::string> expected;
  for (const auto &sequence : sequences) {
    auto result = alone.run({sequence});
    ASSERT_EQ(result.size(), 1u);
    expected.push_back(result[0]);
  }
  // Not all the same, or the comparison would say nothing.
  EXPECT_NE(expected[3], expected[4]);

  std::mt19937 random(11);
  std::vector<size_t> order(sequences.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  for (uint32_t tier : usableTiers(everyTier))
    for (uint32_t threads : {1, 2, 3, 7}) {
      if (tier == QUERN_TIER_SCALAR && !GetParam().scalar)
        continue;
      SCOPED_TRACE(std::string(quern_tier_name(tier)) + ", threads " +
                   std::to_string(threads));
      TinySession session(module.get(), threads, tier);
      amx::resetCounts();
      // All at once, in another order each time; then in small batches, with
      // what larger ones left in the buffers.
      std::shuffle(order.begin(), order.end(), random);
      // Seven threads wait for each other long where there are fewer cores.
      std::vector<size_t> batches = {order.size(), 4, 1};
      if (threads == 7)
        batches.pop_back();
      for (size_t batch : batches)
        for (size_t from = 0; from < order.size(); from += batch) {
          size_t to = std::min(order.size(), from + batch);
          std::vector<std::vector<int32_t>> picked;
          for (size_t i = from; i < to; ++i)
            picked.push_back(sequences[order[i]]);
          auto results = session.run(picked);
          ASSERT_EQ(results.size(), picked.size());
          for (size_t i = from; i < to; ++i)
            EXPECT_TRUE(results[i - from] == expected[order[i]])
                << "length " << order[i] + 1 << " in a batch of " << batch;
        }
      if (tier == QUERN_TIER_AMX && tileRun() == TileRun::Emulated) {
        amx::Counts counts = amx::counts();
        EXPECT_EQ(counts.dots() > 0, GetParam().tiles);
        EXPECT_EQ(counts.spills, 0u);
      }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Tiny, SameBytesTest,
    testing::Values(
        BytesCase{"ClassificationDefault",
                  HeadKind::Classification,
                  "default",
                  {},
                  /*everyTier=*/true,
                  /*scalar=*/true},
        BytesCase{"RegressionW8A8", HeadKind::Regression, "w8a8"}.ofHidden(128),
        BytesCase{"ClassificationMixed", HeadKind::Classification, "mp"},
        BytesCase{"ClassificationGroups",
                  HeadKind::Classification,
                  "peg6",
                  {},
                  /*everyTier=*/true},
        BytesCase{"ClassificationIntegerOnly", HeadKind::Classification,
                  "integer-only"}
            .ofHidden(128),
        BytesCase{"TokensChannel", HeadKind::TokenClassification,
                  "w8a8-channel"},
        BytesCase{
            "FourBitsAndLogarithms",
            HeadKind::Classification,
            "w4a8",
            {"p.quantizer=log_sqrt2", "p.bits=4", "p.estimator=allminmax"}}
            .ofHidden(128),
        BytesCase{"AnswersFloat",
                  HeadKind::QuestionAnswering,
                  "fp32",
                  {},
                  /*everyTier=*/true,
                  /*scalar=*/false,
                  /*tiles=*/false},
        // Ranges that are found at run time are those of one token.
        BytesCase{"E29RangesOfTokens",
                  HeadKind::Classification,
                  "w8a8",
                  {"emb.granularity=token", "x.granularity=token",
                   "z.granularity=token", "c.granularity=token",
                   "f.granularity=token"},
                  /*everyTier=*/false,
                  /*scalar=*/false,
                  /*tiles=*/false},
        BytesCase{"EmbeddingDefault", HeadKind::Embedding, "default"},
        BytesCase{"EmbeddingFloat",
                  HeadKind::Embedding,
                  "fp32",
                  {},
                  /*everyTier=*/false,
                  /*scalar=*/false,
                  /*tiles=*/false}),
    [](const auto &info) { return std::string(info.param.name); });
