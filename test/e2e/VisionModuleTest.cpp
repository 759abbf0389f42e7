//===- VisionModuleTest.cpp - Vision models, from folder to logits --------===//
//
// Row E50: a module of a tiny ViT gives, on every tier, on one and two threads,
// for one image and for several at once, the bytes that the interpreter finds
// for the integer graph, near those of PyTorch.
//
//===----------------------------------------------------------------------===//
#include "compiler/Compiler.h"
#include "compiler/Verify/Verifier.h"
#include "runtime/include/quern/introspect.h"
#include "test/e2e/TinyModule.h"
#include "test/support/TinyVision.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;

namespace {

constexpr int64_t imageCount = 3;

class VisionModule {
public:
  VisionModule(const std::string &recipe,
               const std::vector<std::string> &targets = fewTargets,
               const TinyVisionOptions &options = {},
               const std::vector<std::string> &overrides = {})
      : options(options) {
    allowEmulatedTiles();
    request.overrides = overrides;
    Error error = writeTinyVision(folder.file("model"), options);
    EXPECT_FALSE(error) << error.message();
    request.modelFolder = folder.file("model");
    request.output = folder.file("m.qbm");
    request.recipe = recipe;
    request.threads = 1;
    request.targets = targets;
    for (int64_t i = 1; i <= imageCount; ++i) {
      images.push_back(tinyPixels(options, i));
      request.calibration.emplace_back();
      request.calibration.back().pixels =
          std::make_shared<const std::vector<float>>(images.back());
    }
  }

  const quern_module *open() {
    Expected<CompileResult> result = compile(request);
    if (!result) {
      ADD_FAILURE() << result.message();
      return nullptr;
    }
    quern_error error = {};
    quern_module *opened = nullptr;
    if (quern_module_open(request.output.c_str(), &opened, &error))
      ADD_FAILURE() << error.message;
    module.reset(opened);
    return opened;
  }

  /// Logits of some images, run as one batch.
  std::vector<float> run(uint32_t threads, uint32_t tier,
                         const std::vector<size_t> &which) {
    quern_error error = {};
    quern_session *created = nullptr;
    std::vector<float> pixels;
    for (size_t i : which)
      pixels.insert(pixels.end(), images[i].begin(), images[i].end());
    quern_output output = {};
    if (quern_session_create(module.get(), threads, &created, &error) ||
        quern_session_force_tier(created, tier, &error) ||
        quern_run_images(created, pixels.data(), which.size(), &output, &error))
      ADD_FAILURE() << error.message;
    std::vector<float> logits(output.data,
                              output.data + output.rows * output.columns);
    quern_session_destroy(created);
    return logits;
  }

  TempFolder folder;
  TinyVisionOptions options;
  CompileRequest request;
  std::vector<std::vector<float>> images;

private:
  std::unique_ptr<quern_module, void (*)(quern_module *)> module{
      nullptr, quern_module_close};
};

} // namespace

TEST(VisionModule, E50SameBytesAsTheIntegerGraph) {
  VisionModule model("default");
  const quern_module *module = model.open();
  ASSERT_TRUE(module);
  VerifyRequest request;
  request.module = module;
  request.name = "m.qbm";
  request.texts = model.request.calibration;
  // One image at a time, then all in one batch.
  for (uint32_t tokens : {1u, 512u}) {
    SCOPED_TRACE(tokens);
    request.batchTokens = tokens;
    Expected<VerifyReport> report = verifyModule(request);
    ASSERT_TRUE(report) << report.message();
    EXPECT_THAT(report->failures, testing::IsEmpty());
    EXPECT_EQ(report->tokens, imageCount * model.options.tokens());
    EXPECT_EQ(report->tiers.size(), usableTiers().size());
    EXPECT_GE(report->sites.size(), 25u);
    for (const Difference &machine : report->outputs.machine) {
      EXPECT_EQ(machine.values, 2u * imageCount * model.options.labels);
      EXPECT_EQ(machine.differ, 0u);
    }
  }
  std::vector<float> all = model.run(1, QUERN_TIER_SSE2, {0, 1, 2});
  std::vector<float> first(all.begin(), all.begin() + 3);
  // Near the logits of PyTorch (tools/dev/vision-reference.py): the runtime
  // cuts images into the right patches. Codes cost 0.03 here; the logits of
  // the two images are at least 0.5 apart.
  const float expected[] = {1.3807027f, 0.2598752f,  -0.6249893f,
                            0.8196854f, -1.2752085f, 0.8708670f};
  for (size_t i = 0; i < std::size(expected); ++i)
    EXPECT_NEAR(all[i], expected[i], 0.1) << i;
  for (uint32_t tier : usableTiers())
    for (uint32_t threads : {1, 2}) {
      EXPECT_EQ(model.run(threads, tier, {0, 1, 2}), all);
      EXPECT_EQ(model.run(threads, tier, {0}), first);
    }
}

/// Rows E32 to E35, E39 and E40 on the shapes of DeiT-T (N = 197, d = 192), in
/// one layer, and groups of channels: machine code is the integer graph.
TEST(VisionModule, E50IntegerFormsOfDeit) {
  TinyVisionOptions deit = TinyVisionOptions::deitTiny();
  deit.layers = 1;
  const std::vector<std::string> factors = {
      "e.bits=8", "e.granularity=power_of_two",
      "u.bits=8", "u.granularity=power_of_two",
      "y.bits=8", "y.granularity=power_of_two"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), factors.begin(), factors.end());
    return more;
  };
  const std::pair<const char *, std::vector<std::string>> cases[] = {
      {"integer-only", with({"softmax=shiftmax", "gelu=shift_gelu"})},
      {"integer-only",
       with({"softmax=i_exp", "gelu=i_gelu", "p.quantizer=log2", "p.bits=4"})},
      {"peg6", {}}};
  for (const auto &[recipe, overrides] : cases) {
    SCOPED_TRACE(overrides.empty() ? recipe : overrides[0]);
    VisionModule model(recipe, {"x86-avx512vnni"}, deit, overrides);
    VerifyRequest request;
    request.module = model.open();
    ASSERT_TRUE(request.module);
    request.name = "m.qbm";
    request.texts = {model.request.calibration[0]};
    request.batchTokens = 1;
    Expected<VerifyReport> report = verifyModule(request);
    ASSERT_TRUE(report) << report.message();
    EXPECT_THAT(report->failures, testing::IsEmpty());
    EXPECT_THAT(report->hidden, testing::IsEmpty());
    for (const Difference &machine : report->outputs.machine)
      EXPECT_EQ(machine.differ, 0u);
  }
}

TEST(VisionModule, TextsAreRefused) {
  auto message = [](auto change) {
    VisionModule model("w8a8", {"x86-sse2"});
    change(model.request);
    Expected<CompileResult> result = compile(model.request);
    return result ? "no error" : result.message();
  };
  EXPECT_THAT(
      message([](CompileRequest &r) { r.calibration = {{"a fine film"}}; }),
      HasSubstr("found a text, expected images"));
  EXPECT_THAT(message([](CompileRequest &r) { r.calibration.clear(); }),
              HasSubstr("found nothing to calibrate on, expected images"));
  EXPECT_THAT(message([](CompileRequest &r) {
                r.calibration[1].pixels =
                    std::make_shared<const std::vector<float>>(7);
              }),
              HasSubstr("found an image of 7 numbers, expected 1728"));
}
