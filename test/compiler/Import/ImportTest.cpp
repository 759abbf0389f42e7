//===- ImportTest.cpp - Model folders to L0 modules -----------------------===//
//
// Whole folders of every head and spelling, their graph and its weights.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"
#include "dialects/TQ/TQOps.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace quern;
using namespace quern::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
class ImportTest : public testing::Test {
protected:
  Expected<ImportedModel> import() {
    std::filesystem::remove_all(folder.path());
    if (Error error = writeTinyModel(folder.path(), options))
      return error;
    return importModel(context, folder.path());
  }
  static func::FuncOp forward(ImportedModel &model) {
    return model.module->lookupSymbol<func::FuncOp>("forward");
  }
  static std::string print(ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream out(text);
    module.print(out, OpPrintingFlags().elideLargeResourceString());
    return text;
  }
  /// The sites in the order of the function.
  static std::vector<std::string> sites(ImportedModel &model) {
    std::vector<std::string> names;
    model.module->walk(
        [&](tq::ObserveOp op) { names.push_back(op.getSite().str()); });
    return names;
  }

  MLIRContext context;
  TempFolder folder;
  TinyModelOptions options;
};
} // namespace

TEST_F(ImportTest, ClassificationGraph) {
  options.layers = 1;
  auto model = import();
  ASSERT_TRUE(model) << model.message();
  EXPECT_THAT(sites(*model),
              ElementsAre("E.t", "E.e", "E.z", "L0.q", "L0.k", "L0.v", "L0.s",
                          "L0.p", "L0.c", "L0.g", "L0.u", "L0.x", "L0.f",
                          "L0.h", "L0.y", "L0.z", "P", "C"));
  auto function = forward(*model);
  ASSERT_TRUE(function);
  EXPECT_EQ(print(*model->module).find("tensor<?x2xf32>") == std::string::npos,
            false);
  auto attribute = (*model->module)->getAttrOfType<DictionaryAttr>("tq.model");
  ASSERT_TRUE(attribute);
  EXPECT_EQ(attribute.getAs<StringAttr>("head").getValue(), "classification");
  EXPECT_EQ(attribute.getAs<ArrayAttr>("labels").size(), 2u);
  EXPECT_EQ(attribute.getAs<IntegerAttr>("max_length").getInt(), 64);
  EXPECT_THAT(model->ignoredTensors,
              ElementsAre("bert.embeddings.position_ids"));
  EXPECT_EQ(model->vocabTxt, folder.file("vocab.txt"));
  EXPECT_EQ(model->tokenizerJson, "");
}

TEST_F(ImportTest, EveryHeadAndSpelling) {
  for (HeadKind head : {HeadKind::Classification, HeadKind::Regression,
                        HeadKind::TokenClassification,
                        HeadKind::QuestionAnswering, HeadKind::Embedding})
    for (const char *dtype : {"F32", "F16", "BF16"})
      for (bool other : {false, true}) {
        options = TinyModelOptions();
        options.head = head;
        options.dtype = dtype;
        options.prefix = !other;
        options.oldNames = other;
        options.shards = other ? 3 : 1;
        options.labels = 5;
        auto model = import();
        ASSERT_TRUE(model) << model.message();
        int64_t width = head == HeadKind::Embedding           ? 32
                        : head == HeadKind::Regression        ? 1
                        : head == HeadKind::QuestionAnswering ? 2
                                                              : 5;
        auto type = cast<RankedTensorType>(forward(*model).getResultTypes()[0]);
        EXPECT_EQ(type.getDimSize(1), width);
      }
}

TEST_F(ImportTest, FamiliesOfEveryHead) {
  for (const char *family : {"distilbert", "electra"})
    for (HeadKind head : {HeadKind::Classification, HeadKind::Regression,
                          HeadKind::TokenClassification,
                          HeadKind::QuestionAnswering, HeadKind::Embedding})
      for (bool prefix : {true, false}) {
        options = TinyModelOptions();
        options.head = head;
        options.family = family;
        options.prefix = prefix;
        auto model = import();
        ASSERT_TRUE(model) << model.message();
        // All that is left is the buffer which no model reads.
        EXPECT_EQ(model->ignoredTensors.size(), 1u) << family;
        bool pools =
            head == HeadKind::Classification || head == HeadKind::Regression;
        int relus = 0, gelus = 0, tanhs = 0;
        model->module->walk([&](Operation *op) {
          relus += isa<tq::ReluOp>(op);
          gelus += isa<tq::GeluOp>(op);
          tanhs += isa<tq::TanhOp>(op);
        });
        bool isElectra = std::string(family) == "electra";
        EXPECT_EQ(relus, pools && !isElectra ? 1 : 0);
        EXPECT_EQ(gelus, options.layers + (pools && isElectra ? 1 : 0));
        EXPECT_EQ(tanhs, 0);
      }
}

TEST_F(ImportTest, MissingTensorsAreNamedAsTheFamilyDoes) {
  for (auto [family, missing] :
       {std::pair("distilbert",
                  "distilbert.transformer.layer.1.output_layer_norm.bias"),
        {"distilbert", "distilbert.transformer.layer.0.ffn.lin2.weight"},
        {"distilbert", "pre_classifier.weight"},
        {"electra", "electra.encoder.layer.1.attention.self.key.bias"},
        {"electra", "classifier.dense.bias"}}) {
    options = TinyModelOptions();
    options.family = family;
    ASSERT_FALSE(writeTinyModel(folder.path(), options));
    std::vector<SafetensorsOutput> weights = tinyWeights(options);
    size_t before = weights.size();
    weights.erase(std::remove_if(weights.begin(), weights.end(),
                                 [name = missing](const auto &tensor) {
                                   return tensor.name == name;
                                 }),
                  weights.end());
    ASSERT_EQ(weights.size() + 1, before) << missing;
    ASSERT_FALSE(writeTinyWeights(folder.path(), weights));
    auto model = importModel(context, folder.path());
    ASSERT_FALSE(model);
    EXPECT_THAT(model.message(),
                HasSubstr("tensor " + std::string(missing) + ": found none"));
  }
}

TEST_F(ImportTest, OddWidths) {
  options.hidden = 100;
  options.heads = 4;
  options.intermediate = 270;
  options.layers = 3;
  auto model = import();
  ASSERT_TRUE(model) << model.message();
  std::string text = print(*model->module);
  EXPECT_THAT(text, HasSubstr("tensor<270x100xf32>"));
  EXPECT_THAT(text, HasSubstr("scale = 2.000000e-01 : f32"));
}

TEST_F(ImportTest, EmbeddingHeads) {
  options.head = HeadKind::Embedding;
  auto model = import();
  ASSERT_TRUE(model) << model.message();
  EXPECT_THAT(print(*model->module), HasSubstr("tq.normalize"));
  EXPECT_THAT(print(*model->module), HasSubstr("mean"));
  options.normalize = false;
  options.pooling = PoolingKind::Cls;
  model = import();
  ASSERT_TRUE(model) << model.message();
  EXPECT_THAT(print(*model->module), testing::Not(HasSubstr("tq.normalize")));
  EXPECT_EQ(model->info.pooling, PoolingKind::Cls);
  // A bare BertModel: its pooler if it has one, else the mean.
  options.pooler = true;
  model = import();
  ASSERT_TRUE(model) << model.message();
  EXPECT_EQ(sites(*model).back(), "P");
  options.pooler = false;
  ASSERT_TRUE(import());
  std::filesystem::remove(folder.file("modules.json"));
  model = importModel(context, folder.path());
  ASSERT_TRUE(model) << model.message();
  EXPECT_EQ(model->info.pooling, PoolingKind::Mean);
}

TEST_F(ImportTest, Activations) {
  for (auto [name, expected] :
       {std::pair("relu", "tq.relu"), std::pair("gelu_new", "tanh"),
        std::pair("gelu", "tq.gelu")}) {
    options.activation = name;
    auto model = import();
    ASSERT_TRUE(model) << model.message();
    EXPECT_THAT(print(*model->module), HasSubstr(expected));
  }
}

TEST_F(ImportTest, WeightsAreThoseOfTheFileAndOutliveTheFolder) {
  auto model = import();
  ASSERT_TRUE(model) << model.message();
  std::filesystem::remove_all(folder.path());
  std::map<std::string, SafetensorsOutput> stored;
  for (SafetensorsOutput &tensor : tinyWeights(options))
    stored[tensor.name.substr(tensor.name.rfind("bert.", 0) == 0 ? 5 : 0)] =
        tensor;
  int compared = 0;
  model->module->walk([&](arith::ConstantOp op) {
    auto value = cast<DenseResourceElementsAttr>(op.getValue());
    auto handle = value.getRawHandle();
    ArrayRef<char> bytes = handle.getBlob()->getData();
    const SafetensorsOutput &tensor = stored[handle.getKey().str()];
    ASSERT_EQ(bytes.size(), tensor.data.size()) << handle.getKey().str();
    EXPECT_EQ(std::memcmp(bytes.data(), tensor.data.data(), bytes.size()), 0);
    ++compared;
  });
  EXPECT_EQ(compared, 3 + 2 + 2 * 16 + 4);
}

TEST_F(ImportTest, DumpParsesAgain) {
  auto model = import();
  ASSERT_TRUE(model) << model.message();
  std::string elided = print(*model->module);
  std::string whole;
  llvm::raw_string_ostream out(whole);
  model->module->print(out);
  for (const std::string &text : {elided, whole}) {
    MLIRContext other;
    other.loadDialect<arith::ArithDialect, func::FuncDialect, tq::TQDialect>();
    auto again = parseSourceString<ModuleOp>(text, &other);
    ASSERT_TRUE(again);
    EXPECT_EQ(print(*again), elided);
  }
}

TEST_F(ImportTest, BadFolders) {
  auto message = [&] {
    auto model = importModel(context, folder.path());
    return model ? "no error" : model.message();
  };
  EXPECT_THAT(message(), HasSubstr("found no config.json"));
  EXPECT_THAT(importModel(context, folder.file("none")).message(),
              HasSubstr("found nothing, expected a model folder"));
  ASSERT_TRUE(import());
  EXPECT_THAT(importModel(context, folder.file("config.json")).message(),
              HasSubstr("expected a Hugging Face model folder"));
  std::filesystem::remove(folder.file("vocab.txt"));
  EXPECT_THAT(message(), HasSubstr("found no tokenizer"));
}

TEST_F(ImportTest, EveryMissingWeightIsNamed) {
  ASSERT_TRUE(import());
  auto weights = tinyWeights(options);
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].dtype == "I64")
      continue;
    auto fewer = weights;
    fewer.erase(fewer.begin() + i);
    ASSERT_FALSE(writeTinyWeights(folder.path(), fewer));
    auto model = importModel(context, folder.path());
    ASSERT_FALSE(model) << weights[i].name;
    EXPECT_THAT(model.message(),
                HasSubstr("model.safetensors: tensor " + weights[i].name +
                          ": found none, expected"))
        << weights[i].name;
  }
}

TEST_F(ImportTest, ConfigurationAndWeightsMustAgree) {
  ASSERT_TRUE(import());
  auto message = [&](TinyModelOptions other) {
    EXPECT_FALSE(writeText(folder.file("config.json"), tinyConfig(other)));
    auto model = importModel(context, folder.path());
    return model ? "no error" : model.message();
  };
  TinyModelOptions other = options;
  other.vocab = 385;
  EXPECT_THAT(message(other),
              HasSubstr("tensor bert.embeddings.word_embeddings.weight: found "
                        "shape 384x32, expected f32, f16 or bf16 of shape "
                        "385x32"));
  other = options;
  other.labels = 3;
  EXPECT_THAT(message(other), HasSubstr("tensor classifier.weight: found shape "
                                        "2x32"));
  other = options;
  other.layers = 3;
  EXPECT_THAT(message(other),
              HasSubstr("tensor bert.encoder.layer.2.attention.self.query."
                        "weight: found none"));
  other.layers = 1;
  EXPECT_THAT(message(other),
              HasSubstr("model.safetensors: tensor bert.encoder.layer.1."
                        "attention.output.LayerNorm.bias: found layer number "
                        "1, expected 1 layers as in config.json"));
}
