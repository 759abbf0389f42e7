//===- LevelsTest.cpp - Machine code equals the integer graph -------------===//
//
// Tiny random models of every head, odd widths and all recipes: every site of
// the machine code, on every tier and on one and two threads, must hold what
// the interpreter of L2 finds, and L2 be within one code of L1 from equal
// codes.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/TinyModule.h"

#include "compiler/Verify/Verifier.h"

#include <gmock/gmock.h>

#include <algorithm>

using namespace quern;
using namespace quern::test;

namespace {
struct LevelsCase {
  const char *name;
  TinyModelOptions options;
  std::string recipe = "default";
  std::vector<std::string> overrides = {};
  /// Sites that the report must have at least.
  size_t sites = 12;
  /// False where a float kernel holds quantizers within and shows no codes.
  bool allShown = true;
};

void PrintTo(const LevelsCase &value, std::ostream *out) { *out << value.name; }

class LevelsTest : public testing::TestWithParam<LevelsCase> {};

TinyModelOptions small(HeadKind head) {
  TinyModelOptions options;
  options.head = head;
  return options;
}

/// Widths that fill no vector, no tile and no group of four.
TinyModelOptions odd(HeadKind head) {
  TinyModelOptions options = small(head);
  options.hidden = 100;
  options.heads = 4;
  options.intermediate = 270;
  options.layers = 1;
  options.vocab = tinyVocabularySize();
  options.positions = 37;
  options.labels = 3;
  return options;
}

template <typename F> TinyModelOptions with(TinyModelOptions options, F f) {
  f(options);
  return options;
}

/// Quantizers in the checkpoint, row E17.
TinyModelOptions learnedSteps(TinyModelOptions options, int64_t bits) {
  options.learned = true;
  options.learnedSteps = bits;
  return options;
}
TinyModelOptions learnedMix(TinyModelOptions options, int64_t bits) {
  options.learnedMix = true;
  return learnedSteps(std::move(options), bits);
}
TinyModelOptions learnedHeads(TinyModelOptions options, int64_t bits) {
  options.learnedHeads = true;
  return learnedMix(std::move(options), bits);
}
TinyModelOptions learned(TinyModelOptions options, int64_t groups = 0) {
  options.learned = true;
  options.learnedGroups = groups;
  return options;
}

std::vector<LevelsCase> cases() {
  auto cls = [](TinyModelOptions &o) {
    o.pooling = PoolingKind::Cls;
    o.normalize = false;
  };
  auto relu = [](TinyModelOptions &o) { o.activation = "relu"; };
  auto tanhGelu = [](TinyModelOptions &o) { o.activation = "gelu_new"; };
  // Blocks of channels that cross those of the weights.
  auto blocks = [](TinyModelOptions &o) {
    o.learnedGroups = o.hidden == 100 ? 10 : 16;
  };
  auto wide = [](TinyModelOptions &o) {
    o.hidden = 192;
    o.heads = 3;
    o.intermediate = 320;
  };
  using H = HeadKind;
  return {
      {"E03ClassificationW8A8", small(H::Classification), "w8a8"},
      {"E04ClassificationChannel", odd(H::Classification), "w8a8-channel"},
      {"E44ClassificationOfThree", odd(H::Classification)},
      {"ClassificationFloat", odd(H::Classification), "fp32", {}, 0},
      {"ClassificationWide", with(small(H::Classification), wide)},
      {"E44Regression",
       with(odd(H::Regression), [](TinyModelOptions &o) { o.labels = 1; })},
      {"E44TokensDefault", with(small(H::TokenClassification), relu)},
      {"TokensW8A8", odd(H::TokenClassification), "w8a8"},
      {"E44AnswersChannel", with(odd(H::QuestionAnswering), tanhGelu),
       "w8a8-channel"},
      {"AnswersFloat",
       with(odd(H::QuestionAnswering), tanhGelu),
       "fp32",
       {},
       0},
      {"EmbeddingMean", odd(H::Embedding)},
      {"EmbeddingMeanFloat", with(small(H::Embedding), relu), "fp32", {}, 0},
      {"EmbeddingCls", with(small(H::Embedding), cls), "w8a8"},
      {"EmbeddingClsFloat", with(odd(H::Embedding), cls), "fp32", {}, 0},
      // Queries, keys and values of their own widths; those of the first row
      // alone come from a product apart.
      {"MixedWidths",
       small(H::Classification),
       "w8a8",
       {"L0.q=5", "L0.k=8", "L0.v=3", "L1.k=4", "L1.v=6"}},
      {"MixedWidthsOdd",
       odd(H::TokenClassification),
       "integer-only",
       {"q=8", "k=7", "v=2"}},
      {"MixedWidthsLearned",
       odd(H::Classification),
       "w8a8-channel",
       {"q=2", "k=2", "v=4", "s=6"}},
      // Mixed precision, rows E11 and E12.
      {"E12MixedClassification", odd(H::Classification), "mp"},
      {"MixedRegression",
       with(odd(H::Regression), [](TinyModelOptions &o) { o.labels = 1; }),
       "mp",
       {"P=16", "C=16", "quant_setup=MSE_logits"}},
      {"MixedTokens", with(small(H::TokenClassification), relu), "mp"},
      {"E44MixedAnswers", odd(H::QuestionAnswering), "mp", {"C=16"}},
      {"MixedEmbedding", odd(H::Embedding), "mp"},
      {"E11WideInputsOfEveryProduct",
       odd(H::Classification),
       "w8a8-channel",
       {"e=16", "emb=16", "c=16", "g=16", "u=16", "x=16", "f=16", "h=16",
        "y=16", "z=16", "P=16", "C=16"}},
      // Groups of channels, rows E06 to E09: of equal size or not, of any
      // number of channels, in any order.
      {"E09GroupsClassification", odd(H::Classification), "peg6"},
      {"E09GroupsWide", with(small(H::Classification), wide), "peg12"},
      {"E09GroupsTokens", with(small(H::TokenClassification), relu), "peg3"},
      {"E09GroupsEmbedding", odd(H::Embedding), "peg12"},
      // The paper's: six equal groups by the ranges of h, twelve layers.
      {"E09TwelveLayers",
       with(small(H::Classification),
            [](TinyModelOptions &o) { o.layers = 12; }),
       "w8a8",
       {"x.groups=6", "x.permute=shared-h", "h.groups=6", "h.permute=shared-h",
        "y.groups=6", "y.permute=shared-h"}},
      // The groups of x in its LayerNorm and weights, where no order is left.
      {"E49FoldedGroups", odd(H::Classification), "peg6", {"x.form=folded"}},
      {"FoldedGroupsWide",
       with(small(H::Classification), wide),
       "peg12",
       {"x.form=folded", "x.permute=shared-h", "h.permute=true",
        "y.permute=shared-h"}},
      {"FoldedGroupsEmbedding",
       odd(H::Embedding),
       "peg3",
       {"x.form=folded", "h.granularity=tensor", "y.granularity=tensor"}},
      {"FoldedGroupsTwelveLayers",
       with(small(H::Classification),
            [](TinyModelOptions &o) { o.layers = 12; }),
       "peg6",
       {"x.form=folded", "L1.x.form=direct", "L4.x.form=direct",
        "L5.x.form=direct"}},
      {"FoldedGroupsOfFewBits",
       with(small(H::TokenClassification), relu),
       "peg6",
       {"x.form=folded", "x=5", "h=4", "y=6", "activation.symmetric=true"}},
      {"FoldedGroupOfEachChannel",
       odd(H::Classification),
       "per-embedding",
       {"x.form=folded"}},
      {"FoldedGroupsByCost", odd(H::Classification), "peg6", {"x.form=auto"}},
      {"E06GroupOfEachChannel", odd(H::Classification), "per-embedding"},
      // Codes of any width: a byte up to 8 bits, two above.
      {"CodesOfTwoBits",
       odd(H::Classification),
       "w8a8-channel",
       {"L=2", "e=2", "emb=2", "P=2", "C=2"}},
      {"CodesOfFourBits",
       odd(H::Classification),
       "w8a8",
       {"L=4", "e=4", "emb=4", "P=4", "C=4"}},
      {"CodesOfSixBitsWide",
       with(small(H::Classification), wide),
       "default",
       {"L=6", "emb=6"}},
      {"CodesOfSixBitsTokens",
       with(small(H::TokenClassification), relu),
       "w8a8",
       {"L=6", "s=5", "p=7", "e=6"}},
      // Logarithmic probabilities, rows E22 and E23: one plane, many planes, a
      // code of zero that needs two bytes, contexts of every kind.
      {"E22Log2Of3Bits",
       odd(H::Classification),
       "w8a8",
       {"p.quantizer=log2", "p.bits=3"}},
      {"E22Log2Of8Bits",
       with(small(H::TokenClassification), relu),
       "w8a8",
       {"p.quantizer=log2", "p.bits=8"}},
      {"E23LogSqrt2Of4Bits",
       odd(H::Classification),
       "default",
       {"p.quantizer=log_sqrt2", "p.bits=4", "p.estimator=allminmax"}},
      {"E23LogSqrt2Of6BitsWide",
       with(small(H::Classification), wide),
       "w8a8",
       {"p.quantizer=log_sqrt2", "p.bits=6", "c=16", "s=6"}},
      {"E23LogSqrt2Of8BitsTokens",
       odd(H::Embedding),
       "w8a8",
       {"p.quantizer=log_sqrt2", "p.bits=8", "c.granularity=token"}},
      {"ResidualsOfTwelveBits",
       odd(H::Classification),
       "default",
       {"e=12", "g=12", "u=12", "h=11", "y=13"}},
      {"InputsOfNineToFifteenBits",
       odd(H::Embedding),
       "w8a8-channel",
       {"e=9", "emb=10", "c=15", "g=9", "u=14", "x=12", "f=9", "h=10", "y=11",
        "z=13"}},
      {"GroupsOfFewBits",
       odd(H::Classification),
       "peg6",
       {"x=5", "h=4", "y=6"}},
      // Symmetric codes: the middle code means zero, or the lowest one.
      {"Symmetric",
       odd(H::Classification),
       "w8a8",
       {"activation.symmetric=true"}},
      {"SymmetricChannels",
       odd(H::Classification),
       "default",
       {"activation.symmetric=true", "L=5"}},
      {"SymmetricGroups",
       with(small(H::Classification), wide),
       "peg6",
       {"activation.symmetric=true", "x.estimator=mse",
        "h.estimator=percentile", "y.estimator=running_minmax"}},
      {"EstimatorsOfChannels",
       odd(H::Embedding),
       "default",
       {"x.estimator=percentile", "z.estimator=mse", "emb.estimator=mse_golden",
        "calibration.batch_size=1"}},
      {"E17LearnedRanges", learned(odd(H::Classification)), "w8a8"},
      {"E17LearnedRows",
       with(learned(odd(H::Classification)),
            [](TinyModelOptions &o) { o.learnedRows = true; }),
       "w8a8-channel"},
      {"E17LearnedSymmetric",
       with(learned(small(H::TokenClassification)),
            [](TinyModelOptions &o) { o.learnedSymmetric = true; }),
       "w8a8",
       {"activation.symmetric=true"}},
      {"E17LearnedWeightsOfFourBits",
       learned(small(H::Classification)),
       "w8a8",
       {"weight.bits=4", "Et.bits=2"}},
      {"E18LearnedSteps", learnedSteps(odd(H::Classification), 8), "w8a8"},
      {"E18LearnedStepsOfFourBits",
       learnedSteps(with(small(H::Classification), wide), 4),
       "w8a8",
       {"activation.bits=4", "weight.bits=4"}},
      {"E18LearnedStepsOfTwoBits",
       learnedSteps(odd(H::TokenClassification), 2),
       "w8a8",
       {"activation.bits=2", "weight.bits=2"}},
      // Steps of heads, and any bits at any site and weight.
      {"E19LearnedMix",
       learnedMix(odd(H::Classification), 7),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      {"E19LearnedMixWide",
       learnedMix(with(small(H::TokenClassification), wide), 8),
       "w8a8-channel",
       {"activation.bits=learned", "weight.bits=learned",
        "weight.granularity=tensor"}},
      // Activations by heads, too.
      {"E19LearnedHeads",
       learnedHeads(odd(H::Classification), 8),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      {"E19LearnedHeadsOfFewBits",
       learnedHeads(odd(H::Embedding), 4),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      // And by blocks of channels outside of attention, which cross those of
      // the weights, each with bits of its own or all alike.
      {"E19LearnedBlocks",
       with(learnedHeads(odd(H::Classification), 8), blocks),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      {"E19LearnedBlocksWide",
       with(learnedHeads(with(small(H::TokenClassification), wide), 6), blocks),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      // Pooled rows of groups become f32.
      {"E19LearnedBlocksEmbedding",
       with(learnedMix(odd(H::Embedding), 8), blocks),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      {"E19LearnedBlocksFirstToken",
       with(with(learnedMix(odd(H::Embedding), 8), blocks), cls),
       "w8a8",
       {"activation.bits=learned", "weight.bits=learned"}},
      {"E19LearnedBlocksOfFourBits",
       with(with(learnedSteps(odd(H::Regression), 4), blocks), relu),
       "w8a8",
       {"activation.bits=4", "weight.bits=4"}},
      {"E10LearnedGroups",
       learned(odd(H::Classification), 3),
       "w8a8",
       {"x.groups=3", "h.groups=3", "y.groups=3"}},
      {"E10LearnedGroupsWide",
       learned(with(small(H::Embedding), wide), 6),
       "w8a8",
       {"x.groups=6", "h.groups=6", "y.groups=6"}},
      {"QueriesOfOtherBits",
       odd(H::Classification),
       "w8a8",
       {"q=6"},
       12,
       false},
      {"FloatActivations", odd(H::Classification), "w8a32", {}, 0},
      {"FloatWeights", odd(H::Classification), "w32a8", {}, 12, false},
      {"FloatWeightsEmbedding", odd(H::Embedding), "w32a8", {}, 12, false},
      // Packed weights and tables, rows E14, E15 and E16.
      {"E14FloatWeightsOfFourBits", odd(H::Classification), "w4a32", {}, 0},
      {"E14FloatWeightsEmbedding",
       with(odd(H::Embedding), relu),
       "w4a32",
       {"tables=8", "weight.rounding=nearest"},
       0},
      {"E15FloatWeightsOfTwoBits",
       with(odd(H::Regression), tanhGelu),
       "w8a32",
       {"weight.bits=2", "Et=4", "tables=fp32", "wC=8"},
       0},
      {"FloatWeightsOfOtherBits",
       small(H::TokenClassification),
       "w8a32",
       {"weight.bits=5", "weight.granularity=channel"},
       0},
      // Learned rounding: the codes are read back from the module.
      {"LearnedCodes",
       odd(H::Classification),
       "w8a8",
       {"weight.bits=4", "weight.rounding=adaround"}},
      {"LearnedCodesInGroups",
       odd(H::Classification),
       "peg6",
       {"weight.bits=4", "weight.granularity=channel",
        "weight.rounding=adaround"}},
      {"LearnedCodesInFoldedGroups",
       odd(H::Classification),
       "peg6",
       {"x.form=folded", "weight.bits=4", "weight.granularity=channel",
        "weight.rounding=adaround"}},
      {"LearnedCodesOfTwoBitsInGroups",
       with(small(H::TokenClassification), wide),
       "peg6",
       {"weight.bits=2", "weight.granularity=channel",
        "weight.rounding=adaround"}},
      {"LearnedCodesOfDefault",
       odd(H::Embedding),
       "default",
       {"weight.bits=4", "weight.rounding=adaround"}},
      {"LearnedCodesMixed",
       odd(H::Classification),
       "mp",
       {"weight.bits=4", "weight.rounding=adaround"}},
      {"E14WeightsOfFourBits", odd(H::Classification), "w4a8"},
      {"E14WeightsOfFourBitsWide", with(small(H::Classification), wide),
       "w4a8"},
      // Weights with zero points and sums of rows, row E05.
      {"E05AsymmetricWeights",
       odd(H::Classification),
       "default",
       {"weight.symmetric=false"}},
      {"E05AsymmetricWeightsOfFourBits",
       with(small(H::Embedding), wide),
       "w8a8-channel",
       {"weight.symmetric=false", "weight.bits=4", "weight.estimator=minmax"}},
      {"E05AsymmetricLearnedCodes",
       odd(H::TokenClassification),
       "w4a8",
       {"x.granularity=tensor", "h.granularity=tensor", "y.granularity=tensor",
        "weight.symmetric=false"}},
      // RepQuant: ranges of channels clipped and folded; row E20.
      {"E20RepQuantOfEightBits", odd(H::Classification), "repq-w8a8"},
      {"E20RepQuantOfSixBits", odd(H::Classification), "repq-w6a6"},
      {"E20RepQuantOfFourBitWeights", odd(H::Regression), "repq-w4a8"},
      {"E20RepQuantOfFourBits", odd(H::Classification), "repq-w4a4"},
      {"E20RepQuantOfFourBitsWide",
       with(small(H::Embedding), wide),
       "repq-w4a4",
       {"f.granularity=tensor", "weight.symmetric=false"}},
      {"E15WordsOfTwoBits", odd(H::Classification), "w4a8-e2"},
      {"E15WordsOfTwoBitsEmbedding", odd(H::Embedding), "w4a8-e2"},
      {"E16TablesOfFourBits", odd(H::Regression), "w4a8", {"Et=4", "tables=4"}},
      // Ranges of tokens, found at run time, row E29.
      {"E29TokensAtFfn",
       odd(H::Classification),
       "w8a8",
       {"x.granularity=token", "f.granularity=token"}},
      {"E29TokensOfDefault",
       odd(H::TokenClassification),
       "default",
       {"x.granularity=token", "f.granularity=token"}},
      {"E29TokensAtAttention",
       with(small(H::Embedding), wide),
       "w8a8-channel",
       {"emb.granularity=token", "z.granularity=token", "c.granularity=token"}},
      {"E29TokensEverywhere",
       odd(H::Classification),
       "w8a8",
       {"emb.granularity=token", "x.granularity=token", "z.granularity=token",
        "c.granularity=token", "f.granularity=token"}},
      {"E29TokensOfFewBitsSymmetric",
       with(odd(H::QuestionAnswering), tanhGelu),
       "mp",
       {"emb.granularity=token", "x.granularity=token", "x.bits=5",
        "z.granularity=token", "z.bits=7", "c.granularity=token", "c.bits=3",
        "f.granularity=token", "f.bits=4", "activation.symmetric=true"}},
      {"E29TokensWithWeightsOfFourBits",
       with(small(H::TokenClassification), relu),
       "w8a8-channel",
       {"weight.bits=4", "weight.rounding=adaround", "x.granularity=token",
        "f.granularity=token"}},
      {"E29TokensWithFloatWeights",
       odd(H::Classification),
       "w32a8",
       {"x.granularity=token", "z.granularity=token", "c.granularity=token"},
       12,
       false},
      {"E29TokensBesideFloatSums",
       odd(H::Embedding),
       "w8a8",
       {"x.granularity=token", "z.granularity=token", "u=fp32", "y=fp32"}},
      // Fixed-point numbers throughout, rows E31 to E35 and E38 to E40.
      {"E40IntegerOnly", odd(H::Classification), "integer-only"},
      {"E38IntegerOnlyWide", with(small(H::Classification), wide),
       "integer-only"},
      {"E38IntegerOnlySumsOfEightBits",
       odd(H::Classification),
       "integer-only",
       {"e=8", "g=8", "u=8", "h=8", "y=8"}},
      {"E39IntegerOnlyFactors",
       odd(H::Classification),
       "integer-only",
       {"E.e.bits=8", "E.e.granularity=power_of_two", "u.bits=8",
        "u.granularity=power_of_two", "y.bits=8",
        "y.granularity=power_of_two"}},
      {"E39IntegerOnlyFactorsWide",
       with(small(H::Classification), wide),
       "integer-only",
       {"E.e.bits=5", "E.e.granularity=power_of_two", "u.bits=6",
        "u.granularity=power_of_two", "y.bits=8",
        "y.granularity=power_of_two"}},
      {"E39FactorsInFloat",
       odd(H::Classification),
       "w8a8",
       {"u.granularity=power_of_two", "y.granularity=power_of_two"}},
      {"IntegerOnlyEmbedding", odd(H::Embedding), "integer-only"},
      {"IntegerOnlyTokens", with(small(H::TokenClassification), relu),
       "integer-only"},
      {"IntegerOnlyAnswers", with(odd(H::QuestionAnswering), tanhGelu),
       "integer-only"},
      {"IntegerOnlyOfFewBits",
       odd(H::Regression),
       "w8a8",
       {"arithmetic=fixed", "L=6", "e=7", "p=5", "weight.bits=4", "Et=2",
        "C=fp32"}},
      {"E34IGelu", odd(H::Classification), "integer-only", {"gelu=i_gelu"}},
      {"E35ShiftGelu",
       odd(H::Classification),
       "integer-only",
       {"gelu=shift_gelu"}},
      {"E35ShiftGeluOfFewBits",
       with(odd(H::Regression), tanhGelu),
       "integer-only",
       {"gelu=shift_gelu", "f=5"}},
      {"E31IExp", odd(H::Classification), "integer-only", {"softmax=i_exp"}},
      {"E33LogIntSoftmax",
       odd(H::Classification),
       "integer-only",
       {"softmax=i_exp", "p.quantizer=log2", "p.bits=4"}},
      {"E33LogIntSoftmaxOfThreeBits",
       with(small(H::Classification), wide),
       "integer-only",
       {"softmax=i_exp", "p.quantizer=log2", "p.bits=3"}},
      {"E33IntegerLog2",
       odd(H::Classification),
       "integer-only",
       {"p.quantizer=log2", "p.bits=4"}},
      {"E33IntegerLog2OfThreeBits",
       odd(H::Regression),
       "integer-only",
       {"p.quantizer=log2", "p.bits=3"}},
      {"E32Shiftmax",
       with(small(H::Classification), wide),
       "integer-only",
       {"softmax=shiftmax"}},
      {"FloatLogits",
       small(H::Classification),
       "w8a8",
       {"quant_setup=FP_logits"}},
      {"FloatSums", odd(H::Classification), "default", {"u=fp32", "y=fp32"}},
      {"FloatAttention",
       odd(H::Classification),
       "w8a8",
       {"s=fp32", "c=fp32"},
       12,
       false},
      {"FloatFeedForward",
       odd(H::Embedding),
       "w8a8",
       {"f=fp32", "emb=fp32"},
       12,
       false},
  };
}
} // namespace

TEST_P(LevelsTest, AreEqual) {
  const LevelsCase &param = GetParam();
  TinyModule module(param.options, param.recipe, param.overrides);
  ASSERT_TRUE(module.get());
  VerifyRequest request;
  request.module = module.get();
  request.name = param.name;
  request.texts = {{"", std::nullopt},
                   {"the best film of the year, and very funny", std::nullopt},
                   {"two dogs", "a red house with 17 people in it"},
                   {std::string(400, 'a') +
                        " b c d e f g h i j k l m n o p q "
                        "r s t u v w x y z 0 1 2 3 4 5 6 7 8 9 and all of them",
                    std::nullopt}};
  request.batchTokens = 60;
  Expected<VerifyReport> report = verifyModule(request);
  ASSERT_TRUE(report) << report.message();
  EXPECT_THAT(report->failures, testing::IsEmpty());
  if (param.allShown)
    EXPECT_THAT(report->hidden, testing::IsEmpty());
  EXPECT_EQ(report->tiers.size(), usableTiers().size());
  EXPECT_GE(report->sites.size(), param.sites);
  for (const Difference &machine : report->outputs.machine) {
    EXPECT_GT(machine.values, 0u);
    EXPECT_EQ(machine.differ, 0u);
  }
}

/// Row E44: codes at the outputs of a head are those of the simulation, or one
/// beside them, and so are the real outputs that they mean.
TEST(HeadsTest, E44OutputsAreWithinOneCode) {
  struct Head {
    HeadKind kind;
    int64_t labels;
  };
  for (Head head :
       {Head{HeadKind::Regression, 1}, Head{HeadKind::Classification, 2},
        Head{HeadKind::Classification, 3},
        Head{HeadKind::QuestionAnswering, 2}})
    for (unsigned bits : {8, 16}) {
      SCOPED_TRACE(std::string(headName(head.kind)) + ", " +
                   std::to_string(head.labels) + " outputs, " +
                   std::to_string(bits) + " bits");
      TinyModelOptions options = odd(head.kind);
      options.labels = head.labels;
      std::string set = "C=" + std::to_string(bits);
      TinyModule module(options, "w8a8-channel", {set});
      ASSERT_TRUE(module.get());
      VerifyRequest request;
      request.module = module.get();
      request.name = set;
      request.texts = {{"the best film of the year", std::nullopt},
                       {"two dogs", "a red house with 17 people in it"}};
      Expected<VerifyReport> report = verifyModule(request);
      ASSERT_TRUE(report) << report.message();
      EXPECT_THAT(report->failures, testing::IsEmpty());
      auto site = llvm::find_if(
          report->sites, [](const SiteReport &one) { return one.name == "C"; });
      ASSERT_NE(site, report->sites.end());
      EXPECT_EQ(site->bits, bits);
      EXPECT_GE(site->equalCodes.values, uint64_t(2 * head.labels));
      EXPECT_LE(site->equalCodes.largest, 1);
      for (const Difference &machine : report->outputs.machine) {
        EXPECT_GT(machine.values, 0u);
        EXPECT_EQ(machine.differ, 0u);
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Tiny, LevelsTest, testing::ValuesIn(cases()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });
