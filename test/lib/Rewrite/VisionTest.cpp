//===- VisionTest.cpp - ViT and DeiT against PyTorch and their simulation -===//
//
// Row E50: small random encoders with their LayerNorms in front, and the
// shapes of DeiT-T. The logits of L0 must be those of PyTorch
// (tools/dev/vision-reference.py made the figures), the levels below must
// agree from equal codes.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Rewrite/LevelComparison.h"
#include "test/support/TinyVision.h"

using namespace mlir;
using namespace quern;
using namespace quern::test;

namespace {

class VisionModel : public RewriteModel {
public:
  VisionModel(const TinyVisionOptions &vision, std::string recipe)
      : RewriteModel({}, std::move(recipe)), vision(vision) {}

  Error write() const override {
    return writeTinyVision(folder.path(), vision);
  }
  /// Two images.
  std::vector<Tensor> inputs(unsigned seed) const override {
    return images({seed, seed + 20});
  }

  std::vector<Tensor> images(std::vector<int64_t> which) const {
    std::vector<float> patches;
    std::vector<int32_t> positions, offsets = {0};
    for (int64_t image : which) {
      std::vector<float> rows = tinyPatches(vision, image);
      patches.insert(patches.end(), rows.begin(), rows.end());
      for (int64_t t = 0; t < vision.tokens(); ++t)
        positions.push_back(t);
      offsets.push_back(positions.size());
    }
    int64_t tokens = positions.size(), images = which.size();
    int64_t width = vision.channels * vision.patch * vision.patch;
    return {Tensor::of(std::move(patches), {tokens, width}),
            Tensor::of(std::move(positions), {tokens}),
            Tensor::of(std::move(offsets), {images + 1})};
  }

  TinyVisionOptions vision;
};

struct Reference {
  const char *name;
  TinyVisionOptions options;
  /// Of images 1 and 2.
  std::vector<double> logits;
};

TinyVisionOptions distilled() {
  TinyVisionOptions options;
  options.distilled = true;
  return options;
}

const std::vector<Reference> references = {
    {"vit",
     {},
     {1.3807027, 0.2598752, -0.6249893, 0.8196854, -1.2752085, 0.8708670}},
    {"deit",
     distilled(),
     {-0.0432050, 0.3813056, -0.6728395, 1.2252275, -1.4867938, 0.0789095}},
    {"bare",
     TinyVisionOptions::bare(false),
     {1.1766708, 0.4132017, 0.9405616, 1.3753760, -0.8358422, -0.8488836,
      -0.8210224, -1.1066887, 1.2379734, 0.9216912, 0.2272051, 1.3462591,
      -0.8164013, -1.0062153, -0.5090957, -1.0410339}},
    {"pooled",
     TinyVisionOptions::bare(true),
     {0.6687449, 0.8886638, -0.4938571, 0.8847010, 0.6423500, -0.7646687,
      0.3709054, 0.7581401, -0.0356792, 0.8535875, -0.4444273, 0.8056764,
      0.6593005, -0.8273387, 0.4424193, 0.8830229}},
    {"deit-tiny",
     TinyVisionOptions::deitTiny(),
     {0.1743631, 2.1170111, 1.1355106,  -2.5513782, 1.1309859,
      0.1042681, 1.0665791, -0.6051074, -0.4590151, 1.4403284,
      0.9809926, 3.9124961, 0.8266308,  -0.3041401, -0.1557582,
      0.7927590, 3.0721556, 1.7159236,  -0.9365278, -0.4895451}},
};

TEST(Vision, E50LogitsAreThoseOfPyTorch) {
  for (const Reference &reference : references) {
    SCOPED_TRACE(reference.name);
    VisionModel model(reference.options, R"({"base": "fp32"})");
    ASSERT_TRUE(succeeded(model.build())) << model.error;
    auto result = Interpreter(*model.l0).run(model.images({1, 2}));
    ASSERT_TRUE(succeeded(result)) << model.error;
    std::vector<double> logits = result->toVector<double>();
    ASSERT_EQ(logits.size(), reference.logits.size());
    for (size_t i = 0; i < logits.size(); ++i)
      EXPECT_NEAR(logits[i], reference.logits[i], 2e-5) << i;
  }
}

TEST(Vision, E50ProductsAreIntegers) {
  VisionModel model({}, R"({"base": "w8a8"})");
  Outcome outcome = Pipeline(model).run();
  expectEqualFromEqualCodes(outcome);
  // Pixels, their sum and its LayerNorm; 13 a layer; logits.
  EXPECT_EQ(outcome.sites, 30u);
  std::map<std::string, int> &ops = outcome.ops;
  // Patches; QKV, output and the FFN's two of each layer, of the last one Q
  // apart, for the first rows; classifier.
  EXPECT_EQ(ops["tq.qlinear"], 11);
  EXPECT_EQ(ops["tq.qattention"], 2);
  EXPECT_EQ(ops.count("tq.linear"), 0u);
  EXPECT_EQ(ops.count("tq.softmax"), 0u);
  // Sums that the next sum reads as well are ops of their own, the first one
  // of f32 summands; the last one has no such reader.
  EXPECT_EQ(ops.count("tq.layer_norm"), 0u);
  EXPECT_EQ(ops["tq.qadd"], 4);
  EXPECT_EQ(ops["tq.qadd_norm"], 5);
}

/// Groups and power-of-two factors (row E39), of sums and of what products
/// read.
TEST(Vision, E50Groups) {
  for (const char *recipe :
       {R"({"base": "peg6"})", R"({"base": "peg6", "sites": {"x":
            {"form": "folded"}}})",
        R"({"base": "w8a8", "sites": {"e": {"granularity": "power_of_two"},
            "u": {"granularity": "power_of_two"},
            "y": {"granularity": "power_of_two"}}})"}) {
    SCOPED_TRACE(recipe);
    VisionModel model({}, recipe);
    Outcome outcome = Pipeline(model).run();
    expectEqualFromEqualCodes(outcome);
    EXPECT_EQ(outcome.ops.count("tq.layer_norm"), 0u);
    EXPECT_EQ(outcome.ops.count("tq.linear"), 0u);
  }
}

/// Rows E20 to E23 on encoders with LayerNorms in front: channel scales move
/// into LayerNorms whose only readers are products; logarithmic codes.
TEST(Vision, E50RepQuant) {
  for (TinyVisionOptions options : {TinyVisionOptions(), distilled()})
    for (const char *recipe :
         {R"({"base": "repq-w8a8"})",
          R"({"base": "repq-w8a8", "sites": {"p": {"quantizer": "log_sqrt2",
              "bits": 4}}})",
          R"({"base": "repq-w8a8", "sites": {"p": {"quantizer": "log2",
              "bits": 4}, "emb": 6, "x": 6, "z": 6, "q": 6, "k": 6, "v": 6,
              "c": 6, "f": 6}})"}) {
      SCOPED_TRACE(recipe);
      VisionModel model(options, recipe);
      expectEqualFromEqualCodes(Pipeline(model).run());
    }
}

/// Rows E20 to E23 at N = 197, d = 192, 3 heads.
TEST(Vision, E50DeitTinyShapes) {
  TinyVisionOptions options = TinyVisionOptions::deitTiny();
  options.layers = 1;
  for (const char *quantizer : {"log_sqrt2", "log2"}) {
    SCOPED_TRACE(quantizer);
    VisionModel model(options,
                      std::string(R"({"base": "repq-w8a8", "sites": {"p":
                             {"bits": 4, "quantizer": ")") +
                          quantizer + "\"}}}");
    expectEqualFromEqualCodes(Pipeline(model).run());
  }
}

} // namespace
