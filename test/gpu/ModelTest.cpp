//===- ModelTest.cpp - Models on a card, where there is one ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What test/e2e/DeviceTest.cpp has the emulator run, run by the hardware: a
// layer of BERT-base in each recipe, with what the interpreter of L2 finds at
// every site. Skipped, with the reason, without a driver or a device.
//
//===----------------------------------------------------------------------===//
#include "runtime/src/cuda/Device.h"
#include "test/e2e/DeviceFixture.h"

#include <random>

using namespace quern;
using namespace quern::test;

namespace {

struct CardCase {
  const char *name, *recipe;
  std::vector<std::string> overrides = {};
};
void PrintTo(const CardCase &value, std::ostream *out) { *out << value.name; }

class ModelOnCard : public DeviceTest,
                    public testing::WithParamInterface<CardCase> {
protected:
  void SetUp() override {
    cuda::Driver driver;
    quern_error error = {};
    if (driver.load(&error))
      GTEST_SKIP() << error.message;
    cuda::DeviceContext device(driver);
    if (device.open(0, &error))
      GTEST_SKIP() << error.message;
  }
};

TEST_P(ModelOnCard, EverySite) {
  TinyModelOptions options;
  options.head = HeadKind::Classification;
  options.layers = 2;
  options.hidden = 768;
  options.heads = 12;
  options.intermediate = 3072;
  options.vocab = tinyVocabularySize();
  options.positions = 128;
  DeviceModule module(options, GetParam().recipe, GetParam().overrides,
                      {nvptx::PtxVariant::Sm80, nvptx::PtxVariant::Sm90a});
  ASSERT_TRUE(module.get());
  std::mt19937 random(3);
  TokenBatch batch;
  batch.offsets = {0};
  for (int32_t length : {1, 97, 40}) {
    for (int32_t i = 0; i < length; ++i) {
      batch.ids.push_back(int32_t(random() % uint32_t(options.vocab)));
      batch.types.push_back(i % 2);
    }
    batch.offsets.push_back(int32_t(batch.ids.size()));
  }
  compareWithGraph(module, batch);
}

INSTANTIATE_TEST_SUITE_P(
    Bert, ModelOnCard,
    testing::Values(
        CardCase{"Bytes", "w8a8"},
        CardCase{"Groups", "peg6", {"bias_correction=false"}},
        CardCase{"WideCodes", "mp", {"bias_correction=false"}},
        CardCase{"WeightsOf4Bits",
                 "w4a8",
                 {"weight.rounding=nearest", "bias_correction=false"}},
        CardCase{"LogProbs", "w8a8", {"p.quantizer=log_sqrt2", "p.bits=4"}},
        CardCase{
            "ZeroPointsOfWeights", "w8a8-channel", {"weight.symmetric=false"}},
        CardCase{"IntegerOnly", "integer-only"},
        CardCase{"RangesOfTokens",
                 "w8a8",
                 {"f.granularity=token", "c.granularity=token",
                  "x.granularity=token", "emb.granularity=token"}},
        CardCase{"Float", "fp32"}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
