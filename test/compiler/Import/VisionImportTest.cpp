//===- VisionImportTest.cpp - ViT and DeiT folders to L0 modules ----------===//
//
// Graph and refusals; values are in test/lib/Rewrite/VisionTest.cpp.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"
#include "dialects/TQ/TQOps.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"
#include "test/support/TinyVision.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace mlir;
using namespace quern;
using namespace quern::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
class VisionImportTest : public testing::Test {
protected:
  Expected<ImportedModel> import() {
    if (Error error = writeTinyVision(folder.path(), options))
      return error;
    return importModel(context, folder.path());
  }
  /// The message after the weight that ends in `name` was changed by `change`.
  std::string with(const std::string &name,
                   const std::function<void(SafetensorsOutput &)> &change) {
    EXPECT_FALSE(writeTinyVision(folder.path(), options));
    std::vector<SafetensorsOutput> weights = tinyVisionWeights(options);
    for (SafetensorsOutput &weight : weights)
      if (weight.name.size() >= name.size() &&
          weight.name.compare(weight.name.size() - name.size(), name.size(),
                              name) == 0)
        change(weight);
    EXPECT_FALSE(writeTinyWeights(folder.path(), weights));
    auto model = importModel(context, folder.path());
    return model ? "no error" : model.message();
  }

  MLIRContext context;
  TempFolder folder;
  TinyVisionOptions options;
};
} // namespace

TEST_F(VisionImportTest, GraphAndSites) {
  options.layers = 1;
  auto model = import();
  ASSERT_TRUE(model) << model.message();
  std::vector<std::string> sites;
  model->module->walk(
      [&](tq::ObserveOp op) { sites.push_back(op.getSite().str()); });
  EXPECT_THAT(sites, ElementsAre("E.i", "E.e", "E.z", "L0.q", "L0.k", "L0.v",
                                 "L0.s", "L0.p", "L0.c", "L0.g", "L0.u", "L0.x",
                                 "L0.f", "L0.h", "L0.y", "L0.z", "C"));
  auto function = model->module->lookupSymbol<func::FuncOp>("forward");
  ASSERT_EQ(function.getNumArguments(), 3u);
  EXPECT_EQ(
      cast<RankedTensorType>(function.getArgumentTypes()[0]).getDimSize(1),
      3 * 8 * 8);
  auto facts = (*model->module)->getAttrOfType<DictionaryAttr>("tq.model");
  EXPECT_EQ(facts.getAs<IntegerAttr>("patch_size").getInt(), 8);
  EXPECT_EQ(facts.getAs<IntegerAttr>("positions").getInt(), 10);
  EXPECT_THAT(model->ignoredTensors, ElementsAre());
}

TEST_F(VisionImportTest, BadWeightsAreNamed) {
  options.distilled = true;
  auto rename = [](SafetensorsOutput &weight) { weight.name += "s"; };
  for (const char *name :
       {"cls_token", "distillation_token", "position_embeddings",
        "projection.bias", "projection.weight", "layernorm_after.bias",
        "layer.1.attention.attention.key.weight", "classifier.bias",
        "deit.layernorm.weight"})
    EXPECT_THAT(with(name, rename), HasSubstr(std::string(name) + ": found"))
        << name;
  EXPECT_THAT(with("position_embeddings",
                   [](SafetensorsOutput &weight) {
                     weight.shape = {1, weight.shape[2], weight.shape[1]};
                   }),
              HasSubstr("position_embeddings: found shape 1x32x11, expected"));
  EXPECT_THAT(
      with("projection.weight",
           [](SafetensorsOutput &weight) { weight.shape = {32, 3 * 8 * 8}; }),
      HasSubstr("found shape 32x192, expected"));
}

/// Recipes are measured on texts.
TEST_F(VisionImportTest, IsNoTextModel) {
  ASSERT_FALSE(writeTinyVision(folder.path(), options));
  auto model = importTextModel(context, folder.path());
  ASSERT_FALSE(model);
  EXPECT_THAT(model.message(),
              HasSubstr("model_type: found \"vit\", expected \"bert\""));
}
