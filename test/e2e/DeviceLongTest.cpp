//===- DeviceLongTest.cpp - Texts longer than a block's memory ------------===//
//
// Models with more positions than attention can hold at once have kernels that
// take keys in parts, or fewer queries: same sites, same bytes.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/DeviceFixture.h"

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;

namespace {

TinyModelOptions longModel(int64_t positions) {
  TinyModelOptions options;
  options.layers = 1;
  options.positions = positions;
  options.vocab = tinyVocabularySize();
  return options;
}

TokenBatch textsOf(std::vector<int32_t> lengths) {
  TokenBatch batch;
  batch.offsets = {0};
  for (int32_t length : lengths) {
    for (int32_t i = 0; i < length; ++i) {
      batch.ids.push_back(5 + i * 7 % 200);
      batch.types.push_back(i > length / 2);
    }
    batch.offsets.push_back(int32_t(batch.ids.size()));
  }
  return batch;
}

TEST_F(DeviceTest, LongTextsOfCodes) {
  TinyModelOptions options = longModel(600);
  options.head = HeadKind::Embedding;
  DeviceModule module(options, "w8a8");
  ASSERT_TRUE(module.get());
  EXPECT_THAT(module.kernelNames(), HasSubstr("attention_16_by256_u8"));
  compareWithGraph(module, textsOf({520, 1, 256}));
}

TEST_F(DeviceTest, LongTextsOfReals) {
  TinyModelOptions options = longModel(1600);
  options.head = HeadKind::QuestionAnswering;
  DeviceModule module(options, "fp32");
  ASSERT_TRUE(module.get());
  EXPECT_THAT(module.kernelNames(), HasSubstr("attention_f32_16_alone"));
  compareWithGraph(module, textsOf({70, 2}));
}

} // namespace
