//===- DeviceLaunchesTest.cpp - Launches of a layer on a GPU --------------===//
//
// A launch costs as much as a small product, so a layer has few: four products,
// attention, and two sums with LayerNorm. What only changes the form of codes
// is done by who makes them.
//
//===----------------------------------------------------------------------===//
#include "compiler/Recipe/Recipe.h"
#include "test/e2e/DeviceFixture.h"

#include <algorithm>

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;
using testing::Not;

namespace {

class DeviceLaunches : public DeviceTest,
                       public testing::WithParamInterface<std::string> {};

TEST_P(DeviceLaunches, OfALayer) {
  DeviceModule module(optionsFor(HeadKind::Classification), GetParam());
  ASSERT_TRUE(module.get());
  std::string layer = sessionKernels(module, 0);
  auto count = std::count(layer.begin(), layer.end(), '\n');
  EXPECT_GE(count, 5) << layer;
  EXPECT_LE(count, 7) << layer;
}

/// Those of codes, but for recipes in which tokens have ranges, known when all
/// blocks of a row are done, and so when their kernel ends; these have more.
std::vector<std::string> presetsOfCodes() {
  std::vector<std::string> names;
  for (const std::string &name : Recipe::presets())
    if (name.find("32") == std::string::npos && name != "repq-w6a6" &&
        name != "repq-w4a4")
      names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Presets, DeviceLaunches,
                         testing::ValuesIn(presetsOfCodes()),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TokenBatch someTokens() {
  TokenBatch batch;
  batch.ids = {5, 9, 3, 12, 7, 30, 8};
  batch.types = {0, 0, 1, 0, 0, 0, 1};
  batch.offsets = {0, 3, 7};
  return batch;
}

/// LayerNorm writes planes of 16-bit codes beside what the residual reads; each
/// site holds what it held with a launch of its own.
TEST_F(DeviceTest, FormsThatAreJoined) {
  DeviceModule wide(optionsFor(HeadKind::Classification), "mp");
  ASSERT_TRUE(wide.get());
  EXPECT_THAT(sessionKernels(wide, 0), HasSubstr("_planes\n"));
  EXPECT_THAT(wide.kernelNames(), Not(HasSubstr("planes_u16_u8")));
  compareWithGraph(wide, someTokens());
}

} // namespace
