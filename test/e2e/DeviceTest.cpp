//===- DeviceTest.cpp - A model on a GPU that the emulator plays ----------===//
//
// The runtime's own way to a GPU (driver, PTX, memory, launches) with a driver
// that runs the kernels on the CPU: every site that leaves a kernel must hold
// what the interpreter of L2 finds, and so must the output, bit for bit. That
// the code of CPUs does is shown elsewhere; test/tools/quern/device.test has
// both in one module.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/DeviceFixture.h"

#include <algorithm>
#include <random>

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;
using testing::Not;

namespace {

/// Sequences of one token, of a few, and of more than a chunk of keys.
TokenBatch mixedBatch(int64_t vocab) {
  std::mt19937 random(7);
  TokenBatch batch;
  batch.offsets = {0};
  for (int32_t length : {5, 1, 34}) {
    for (int32_t i = 0; i < length; ++i) {
      batch.ids.push_back(int32_t(random() % uint32_t(vocab)));
      batch.types.push_back(i > length / 2);
    }
    batch.offsets.push_back(int32_t(batch.ids.size()));
  }
  return batch;
}

TEST_F(DeviceTest, EverySiteOfAClassifier) {
  TinyModelOptions options = optionsFor(HeadKind::Classification);
  DeviceModule module(options, "w8a8");
  ASSERT_TRUE(module.get());
  EXPECT_THAT(compareWithGraph(module, mixedBatch(options.vocab)),
              testing::IsEmpty());
  // The emulator has one multiprocessor: two blocks of large tiles, which q, k
  // and v have together, keep it busy; one does not.
  EXPECT_THAT(module.kernelNames(), HasSubstr("gemm_u8_128x128"));
  // Four products, attention, and two sums with LayerNorm.
  std::string layer = sessionKernels(module, 0);
  EXPECT_EQ(std::count(layer.begin(), layer.end(), '\n'), 7) << layer;
}

/// A device of sm_90 has kernels of its own; what the driver or the device does
/// not take falls back to the portable ones.
TEST_F(DeviceTest, WarpgroupsOnHopper) {
  TinyModelOptions options = optionsFor(HeadKind::Classification);
  options.layers = 1;
  DeviceModule module(options, "w8a8", {},
                      {nvptx::PtxVariant::Sm80, nvptx::PtxVariant::Sm90a});
  ASSERT_TRUE(module.get());
  setenv("EMULATED_CUDA_CAPABILITY", "90", 1);
  compareWithGraph(module, mixedBatch(options.vocab));
  EXPECT_GT(counted("emulatedCudaEarlyLaunches"), 0u);
  EXPECT_THAT(sessionKernels(module), HasSubstr("wgmma_u8_64x64_s4_u8"));
  setenv("EMULATED_CUDA_VERSION", "12000", 1);
  EXPECT_THAT(sessionKernels(module), Not(HasSubstr("wgmma")));
  unsetenv("EMULATED_CUDA_VERSION");
  setenv("EMULATED_CUDA_REFUSES", "sm_90a", 1);
  EXPECT_THAT(sessionKernels(module), Not(HasSubstr("wgmma")));
  compareWithGraph(module, mixedBatch(options.vocab));
  unsetenv("EMULATED_CUDA_REFUSES");
  setenv("EMULATED_CUDA_CAPABILITY", "100", 1);
  compareWithGraph(module, mixedBatch(options.vocab));
  EXPECT_THAT(sessionKernels(module), Not(HasSubstr("wgmma")));
}

struct RecipeCase {
  const char *name, *recipe;
  HeadKind head;
  /// Part of the name of a kernel that it must have.
  const char *kernel = "";
  std::vector<std::string> overrides = {};
  /// Run on a device of sm_90, too.
  bool hopper = false;
  /// TinyModelOptions::learnedSteps
  int64_t learnedSteps = 0;
  int64_t hidden = 64;
  /// TinyModelOptions::learnedHeads
  bool learnedHeads = false;
};
void PrintTo(const RecipeCase &value, std::ostream *out) { *out << value.name; }

class DeviceRecipes : public DeviceTest,
                      public testing::WithParamInterface<RecipeCase> {};

TEST_P(DeviceRecipes, EverySite) {
  TinyModelOptions options = optionsFor(GetParam().head);
  options.layers = 1;
  options.hidden = GetParam().hidden;
  options.heads = options.hidden / 32;
  options.learnedSteps = GetParam().learnedSteps;
  options.learned = options.learnedSteps != 0;
  options.learnedMix = options.learnedHeads = GetParam().learnedHeads;
  std::vector<nvptx::PtxVariant> variants = {nvptx::PtxVariant::Sm80};
  if (GetParam().hopper)
    variants.push_back(nvptx::PtxVariant::Sm90a);
  DeviceModule module(options, GetParam().recipe, GetParam().overrides,
                      variants);
  ASSERT_TRUE(module.get());
  EXPECT_THAT(module.kernelNames(), HasSubstr(GetParam().kernel));
  compareWithGraph(module, mixedBatch(options.vocab));
  if (!GetParam().hopper)
    return;
  setenv("EMULATED_CUDA_CAPABILITY", "90", 1);
  EXPECT_THAT(sessionKernels(module), HasSubstr("wgmma_u8_"));
  compareWithGraph(module, mixedBatch(options.vocab));
}

INSTANTIATE_TEST_SUITE_P(
    Tiny, DeviceRecipes,
    testing::Values(
        RecipeCase{"DefaultEmbedding", "default", HeadKind::Embedding},
        RecipeCase{"WideCodes",
                   "mp",
                   HeadKind::Classification,
                   "wgmma_u16",
                   {},
                   /*hopper=*/true},
        RecipeCase{"ZeroPointsOfWeights",
                   "w8a8-channel",
                   HeadKind::Classification,
                   "_zeros_",
                   {"weight.symmetric=false"},
                   /*hopper=*/true},
        RecipeCase{"Groups", "peg6", HeadKind::Classification, "_groups_"},
        RecipeCase{"GroupsOnWarpgroups",
                   "peg3",
                   HeadKind::Classification,
                   "wgmma_u8_64x64_s4_groups",
                   {},
                   /*hopper=*/true,
                   /*learnedSteps=*/0,
                   /*hidden=*/192},
        RecipeCase{"GroupForEveryChannel", "per-embedding",
                   HeadKind::Classification, "_each"},
        RecipeCase{"LogProbs",
                   "w8a8",
                   HeadKind::Classification,
                   "_log2x4_",
                   {"p.quantizer=log2", "p.bits=4"}},
        RecipeCase{"LogRootProbs",
                   "default",
                   HeadKind::Embedding,
                   "attention_42_logsqrt2x8_",
                   {"p.quantizer=log_sqrt2", "p.bits=8"},
                   /*hopper=*/false,
                   /*learnedSteps=*/0,
                   /*hidden=*/84},
        RecipeCase{"FewBits",
                   "w8a8",
                   HeadKind::QuestionAnswering,
                   "_w2_",
                   {"L=4", "s=6", "Et=2"}},
        RecipeCase{"Float", "fp32", HeadKind::Classification,
                   "gemm_f32_32x64_w32_gelu"},
        RecipeCase{"FloatWithWeightsOfFewBits",
                   "w4a32",
                   HeadKind::Embedding,
                   "gemm_f32_32x64_w4",
                   {"weight.rounding=nearest"}},
        RecipeCase{"FloatWithWeightsOf8Bits", "w8a32",
                   HeadKind::QuestionAnswering, "embed_f32_w8"},
        RecipeCase{"CodesAndFloatWeights", "w32a8", HeadKind::Classification,
                   "attention_f32_first_32_sp"},
        RecipeCase{"FloatIslands",
                   "w8a8",
                   HeadKind::Classification,
                   "add_f32",
                   {"h=fp32", "c=fp32", "e=fp32"}},
        RecipeCase{"IntegerOnly",
                   "integer-only",
                   HeadKind::Classification,
                   "_fixed_",
                   {},
                   /*hopper=*/true},
        RecipeCase{"MixedWidthsOfHeads",
                   "w8a8",
                   HeadKind::Classification,
                   "limit_u8_u8",
                   {"q.bits=6", "k.bits=4"}},
        RecipeCase{"StepsOfHeads",
                   "w8a8",
                   HeadKind::Classification,
                   "attention_first_32_heads_u8",
                   {"activation.bits=learned", "weight.bits=learned"},
                   /*hopper=*/false,
                   /*learnedSteps=*/8,
                   /*hidden=*/64,
                   /*learnedHeads=*/true},
        RecipeCase{"IntegerOnlyFactors",
                   "integer-only",
                   HeadKind::Classification,
                   "_position_u16_u8_u8_fixed_factors",
                   {"E.e.bits=8", "E.e.granularity=power_of_two", "u.bits=8",
                    "u.granularity=power_of_two"}},
        RecipeCase{"MeanOfOffsets",
                   "w8a8",
                   HeadKind::Embedding,
                   "pool_mean_u8_f32_offset",
                   {"activation.bits=4", "weight.bits=4"},
                   /*hopper=*/false,
                   /*learnedSteps=*/4},
        RecipeCase{"RangesOfTokens",
                   "w8a8",
                   HeadKind::Classification,
                   "_tokens_",
                   {"f.granularity=token", "c.granularity=token",
                    "x.granularity=token", "emb.granularity=token"},
                   /*hopper=*/true}),
    [](const auto &info) { return std::string(info.param.name); });

/// A layer of BERT-base, with all of its widths, on both kinds of devices.
class DeviceLayers : public DeviceTest,
                     public testing::WithParamInterface<RecipeCase> {};

TEST_P(DeviceLayers, OfBert) {
  // Its head reads all rows, so all are computed.
  TinyModelOptions options = optionsFor(HeadKind::QuestionAnswering);
  options.layers = 1;
  options.hidden = 768;
  options.heads = 12;
  options.intermediate = 3072;
  std::vector<std::string> overrides = {
      "activation.estimator=allminmax", "weight.estimator=minmax",
      "weight.rounding=nearest", "bias_correction=false"};
  overrides.insert(overrides.end(), GetParam().overrides.begin(),
                   GetParam().overrides.end());
  DeviceModule module(options, GetParam().recipe, overrides,
                      {nvptx::PtxVariant::Sm80, nvptx::PtxVariant::Sm90a});
  ASSERT_TRUE(module.get());
  EXPECT_THAT(module.kernelNames(), HasSubstr(GetParam().kernel));
  TokenBatch batch;
  batch.ids = {5, 60, 33, 2, 9};
  batch.types = {0, 0, 1, 0, 0};
  batch.offsets = {0, 3, 5};
  compareWithGraph(module, batch);
  setenv("EMULATED_CUDA_CAPABILITY", "90", 1);
  EXPECT_THAT(sessionKernels(module), HasSubstr("wgmma_u"));
  compareWithGraph(module, batch);
}

INSTANTIATE_TEST_SUITE_P(
    Base, DeviceLayers,
    testing::Values(
        RecipeCase{"Bytes", "w8a8", HeadKind::QuestionAnswering},
        RecipeCase{"Groups", "peg6", HeadKind::QuestionAnswering,
                   "wgmma_u8_64x64_s4_groups"},
        RecipeCase{"WideCodes", "mp", HeadKind::QuestionAnswering, "gemm_u16"},
        RecipeCase{"WeightsOf4Bits", "w4a8", HeadKind::QuestionAnswering,
                   "wgmma_u8_64x64_s4_groups"},
        RecipeCase{"LogProbs",
                   "w8a8",
                   HeadKind::QuestionAnswering,
                   "_logsqrt2x4_",
                   {"p.quantizer=log_sqrt2", "p.bits=4"}}),
    [](const auto &info) { return std::string(info.param.name); });

/// The same bytes alone and in a batch, with the memory that a larger batch
/// took; and memory that is out.
TEST_F(DeviceTest, BatchesAndMemory) {
  TinyModelOptions options = optionsFor(HeadKind::Classification);
  options.layers = 1;
  DeviceModule module(options, "w8a8");
  ASSERT_TRUE(module.get());
  TokenBatch batch = mixedBatch(options.vocab);
  quern_error error = {};
  quern_session *session = nullptr;
  ASSERT_EQ(quern_session_create_on(module.get(), QUERN_DEVICE_CUDA, 0,
                                    &session, &error),
            QUERN_OK)
      << error.message;
  quern_output output = {};
  ASSERT_EQ(quern_run_ids(session, batch.ids.data(), batch.types.data(),
                          batch.offsets.data(), 3, &output, &error),
            QUERN_OK)
      << error.message;
  std::vector<float> all(output.data, output.data + 3 * output.columns);
  for (size_t s = 0; s != 3; ++s) {
    const int32_t from = batch.offsets[s];
    const int32_t offsets[] = {0, batch.offsets[s + 1] - from};
    ASSERT_EQ(quern_run_ids(session, batch.ids.data() + from,
                            batch.types.data() + from, offsets, 1, &output,
                            &error),
              QUERN_OK);
    EXPECT_EQ(std::memcmp(output.data, &all[s * output.columns],
                          output.columns * sizeof(float)),
              0);
  }
  // Texts that came twice are a graph from then on, with the same bytes, and
  // other texts of the same lengths, too.
  size_t before = counted("emulatedCudaGraphLaunches");
  for (int round = 0; round != 4; ++round) {
    std::swap(batch.ids[0], batch.ids[1]);
    ASSERT_EQ(quern_run_ids(session, batch.ids.data(), batch.types.data(),
                            batch.offsets.data(), 3, &output, &error),
              QUERN_OK);
    bool isFirst = round % 2 == 1;
    EXPECT_EQ(
        std::memcmp(output.data, all.data(), all.size() * sizeof(float)) == 0,
        isFirst);
  }
  EXPECT_EQ(counted("emulatedCudaGraphLaunches") - before, 4u);
  quern_session_destroy(session);

  // Room for the constants and for the first texts, not for many.
  setenv("EMULATED_CUDA_MEMORY", "600000", 1);
  for (quern_device device : {QUERN_DEVICE_CUDA, QUERN_DEVICE_AUTO}) {
    ASSERT_EQ(
        quern_session_create_on(module.get(), device, 1, &session, &error),
        QUERN_OK)
        << error.message;
    ASSERT_EQ(quern_session_device(session, nullptr), QUERN_DEVICE_CUDA);
    quern_status status = quern_session_reserve(session, 100000, 1, &error);
    if (device == QUERN_DEVICE_CUDA) {
      EXPECT_EQ(status, QUERN_ERROR_MEMORY);
      EXPECT_THAT(error.message,
                  HasSubstr("CUDA device 0, PTX emulator: out of memory for "));
    } else {
      EXPECT_EQ(status, QUERN_OK);
      const char *why = nullptr;
      EXPECT_EQ(quern_session_device(session, &why), QUERN_DEVICE_CPU);
      EXPECT_THAT(why, HasSubstr("out of memory for "));
    }
    quern_session_destroy(session);
  }
}

/// Token-packed texts of these lengths.
TokenBatch batchOf(const std::vector<int32_t> &lengths, int64_t vocab) {
  std::mt19937 random{uint32_t(lengths[0])};
  TokenBatch batch;
  batch.offsets = {0};
  for (int32_t length : lengths) {
    for (int32_t i = 0; i < length; ++i) {
      batch.ids.push_back(int32_t(random() % uint32_t(vocab)));
      batch.types.push_back(0);
    }
    batch.offsets.push_back(int32_t(batch.ids.size()));
  }
  return batch;
}

/// Texts of other lengths are launched by the graph of their bucket, and every
/// token of them has the bytes that it has when they are launched as they are.
/// Ranges of tokens read what rows hold that belong to no text.
TEST_F(DeviceTest, GraphsOfBuckets) {
  TinyModelOptions options = optionsFor(HeadKind::TokenClassification);
  options.layers = 1;
  DeviceModule module(
      options, "w8a8",
      {"f.granularity=token", "c.granularity=token", "x.granularity=token"});
  ASSERT_TRUE(module.get());
  quern_error error = {};
  quern_session *session = nullptr;
  ASSERT_EQ(quern_session_create_on(module.get(), QUERN_DEVICE_CUDA, 0,
                                    &session, &error),
            QUERN_OK)
      << error.message;
  ASSERT_EQ(quern_session_reserve(session, 80, 4, &error), QUERN_OK);
  auto run = [&](const TokenBatch &batch, bool asItIs) {
    quern_session_set_capture(session, asItIs);
    quern_output output = {};
    EXPECT_EQ(quern_run_ids(session, batch.ids.data(), batch.types.data(),
                            batch.offsets.data(),
                            uint32_t(batch.offsets.size() - 1), &output,
                            &error),
              QUERN_OK)
        << error.message;
    EXPECT_EQ(output.rows, batch.tokens());
    return std::vector<float>(output.data,
                              output.data + output.rows * output.columns);
  };
  struct {
    std::vector<int32_t> lengths;
    /// Made and launched so far, when the run is over.
    size_t graphs, launches;
  } runs[] = {{{5, 1, 34}, 0, 0},
              {{7, 20, 2}, 1, 1},
              {{5, 1, 34}, 1, 2},
              {{33, 3}, 1, 2},
              {{40, 24}, 2, 3},
              {{30}, 2, 3},
              // More tokens than 64.
              {{40, 10, 20}, 2, 3},
              {{25, 25, 15}, 3, 4}};
  size_t graphs = counted("emulatedCudaGraphs");
  size_t launches = counted("emulatedCudaGraphLaunches");
  for (const auto &each : runs) {
    TokenBatch batch = batchOf(each.lengths, options.vocab);
    std::vector<float> expected = run(batch, true), found = run(batch, false);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0);
    EXPECT_EQ(counted("emulatedCudaGraphs") - graphs, each.graphs);
    EXPECT_EQ(counted("emulatedCudaGraphLaunches") - launches, each.launches);
  }
  quern_session_destroy(session);
}

/// Every module here is assembled as it is made; see DeviceAssembly.h.
TEST_F(DeviceTest, ModulesAreAssembled) {
  if (findAssembler().empty())
    GTEST_SKIP() << "NVIDIA's assembler is not there "
                    "(tools/dev/requirements-gpu.txt)";
}

/// The first step without a kernel, and why.
TEST_F(DeviceTest, ModelsWithoutKernels) {
  TempFolder folder;
  TinyModelOptions options = optionsFor(HeadKind::Classification);
  options.hidden = 272;
  ASSERT_FALSE(writeTinyModel(folder.file("model"), options));
  CompileRequest request;
  request.modelFolder = folder.file("model");
  request.output = folder.file("m.qbm");
  request.threads = 1;
  request.targets = {"x86-sse2", "nvptx"};
  request.calibration = {{"a fine film", std::nullopt}};
  request.recipe = "w8a8";
  Expected<CompileResult> result = compile(request);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.message(),
              HasSubstr("GPU: step L0.attention: attention: heads of 136 "
                        "channels, expected 1 to 128"));
}

} // namespace
