//===- DeviceVisionTest.cpp - A vision model on an emulated GPU -----------===//
//
// Encoders with their LayerNorms in front: residual sums that several kernels
// read, patches in place of tokens, a table of positions alone. Every site that
// leaves a kernel holds what the interpreter of L2 finds, bit for bit.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/DeviceFixture.h"

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;

namespace {

struct VisionCase {
  const char *name, *recipe;
  /// Part of the name of a kernel that it must have.
  const char *kernel;
  std::vector<std::string> overrides = {};
  int64_t layers = 1;
};
void PrintTo(const VisionCase &value, std::ostream *out) { *out << value.name; }

class DeviceVision : public DeviceTest,
                     public testing::WithParamInterface<VisionCase> {};

TEST_P(DeviceVision, EverySite) {
  TinyVisionOptions options;
  options.layers = GetParam().layers;
  DeviceModule module(options, GetParam().recipe, GetParam().overrides);
  ASSERT_TRUE(module.get());
  EXPECT_THAT(module.kernelNames(), HasSubstr(GetParam().kernel));
  // All images at once.
  auto batches = tokenBatches(module.get(), "images", module.inputs(), 1000);
  ASSERT_TRUE(batches) << batches.message();
  ASSERT_EQ(batches->size(), 1u);
  EXPECT_THAT(compareWithGraph(module, batches->front()), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Tiny, DeviceVision,
    testing::Values( // The last layer's sums are those of one token of each
                     // image.
        VisionCase{"Default", "default", "add_u16_u16_u16", {}, 2},
        VisionCase{"Groups", "peg6", "_groups"},
        VisionCase{"Float", "fp32", "norm_f32"},
        VisionCase{"IntegerOnly",
                   "integer-only",
                   "add_u16_u8_u8_fixed",
                   {"e.bits=8", "e.granularity=power_of_two", "u.bits=8",
                    "u.granularity=power_of_two", "y.bits=8",
                    "y.granularity=power_of_two", "softmax=shiftmax",
                    "gelu=shift_gelu"},
                   2},
        VisionCase{"FewBits", "w4a8-e2", "lookup_w4_rows"}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
