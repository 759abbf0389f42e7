//===- RealModelTest.cpp - Import of MiniLM and BERT-base -----------------===//
//
// Memory and dump of real models, where `QUERN_MODELS` (default:
// build/models of the source tree) has them; skipped otherwise.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"
#include "lib/Support/File.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sys/resource.h>

using namespace mlir;
using namespace quern;

/// Under AddressSanitizer memory is not what it is for users.
#if defined(__has_feature)
static constexpr bool sanitized = __has_feature(address_sanitizer);
#else
static constexpr bool sanitized = false;
#endif

/// The folder of a prepared model.
static std::string modelFolder(const char *name) {
  if (const char *models = std::getenv("QUERN_MODELS"))
    return joinPath(models, name);
  const char *source = std::getenv("QUERN_SOURCE_DIR");
  return joinPath(joinPath(source ? source : ".", "build/models"), name);
}

/// The most memory that the process ever held, in bytes.
static int64_t peakMemory() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t(usage.ru_maxrss) * 1024;
}

static void importAndMeasure(const char *name, int64_t layers) {
  std::string folder = modelFolder(name);
  if (!fileExists(joinPath(folder, "model.safetensors")))
    GTEST_SKIP() << "no " << folder;
  int64_t before = peakMemory();
  MLIRContext context;
  auto model = importModel(context, folder);
  ASSERT_TRUE(model) << model.message();
  EXPECT_EQ(model->info.layers, layers);
  if (!sanitized)
    EXPECT_LT(peakMemory() - before, 100 << 20);
  std::string text;
  llvm::raw_string_ostream out(text);
  model->module->print(out, OpPrintingFlags().elideLargeResourceString());
  EXPECT_LT(text.size(), 80000u);
}

TEST(RealModelTest, MiniLm) { importAndMeasure("minilm", 6); }

TEST(RealModelTest, BertBase) { importAndMeasure("bert-base", 12); }

TEST(RealModelTest, MiniLmIsAnEmbedder) {
  std::string folder = modelFolder("minilm");
  if (!fileExists(joinPath(folder, "model.safetensors")))
    GTEST_SKIP() << "no " << folder;
  MLIRContext context;
  auto model = importModel(context, folder);
  ASSERT_TRUE(model) << model.message();
  EXPECT_EQ(model->info.head, HeadKind::Embedding);
  EXPECT_EQ(model->info.pooling, PoolingKind::Mean);
  EXPECT_TRUE(model->info.normalize);
  EXPECT_EQ(model->info.maxLength, 256);
  EXPECT_THAT(model->ignoredTensors,
              testing::ElementsAre("embeddings.position_ids",
                                   "pooler.dense.bias", "pooler.dense.weight"));
}
