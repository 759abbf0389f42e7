//===- GroupNormTest.cpp - LayerNorm over groups, emulated ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/GroupNormCase.h"

using namespace quern::nvptx;
using namespace quern::nvptx::test;

namespace {

/// Groups of channels in turns, or as neighbours; scales and zero points far
/// apart.
GroupNormCase makeCase(const GroupNormForm &form, size_t count, bool inTurns,
                       int64_t m) {
  auto d = size_t(form.norm.d);
  std::vector<ChannelGroup> groups;
  std::vector<size_t> map(form.grouped ? d : 0);
  for (size_t g = 0; form.grouped && g != count; ++g)
    groups.push_back({0.003 * double(g * g * g + 1), int64_t(g * 97 % 256)});
  for (size_t j = 0; j != map.size(); ++j)
    map[j] = inTurns ? j % count : std::min(j / (d / count), count - 1);
  return GroupNormCase(form, groups, map, m);
}

void load(Emulator &emulator, const GroupNormForm &form) {
  ASSERT_FALSE(checkGroupNorm(form));
  emulator.load([&](mlir::ModuleOp module) { buildGroupNorm(module, form); });
}

TEST(NvptxGroupNorm, GroupsAndWidths) {
  Emulator emulator;
  for (bool ordered : {false, true})
    for (int64_t d : {60, 132, 768}) {
      GroupNormForm form = {{d}, true, ordered};
      load(emulator, form);
      for (size_t groups : {1, 6, 12})
        EXPECT_EQ(makeCase(form, groups, groups == 12, 5).run(emulator), "")
            << getGroupNormName(form) << ", " << groups << " groups";
    }
}

TEST(NvptxGroupNorm, CodesAndReals) {
  Emulator emulator;
  for (const GroupNormForm &form :
       {GroupNormForm{
            {96, Storage::U16, Storage::U8, Storage::U8, Storage::U16},
            true,
            true},
        GroupNormForm{
            {128, Storage::U8, Storage::U16, Storage::U8, Storage::F32},
            true,
            false},
        // One scale, but another order of channels.
        GroupNormForm{
            {100, Storage::U8, Storage::U8, Storage::U16, Storage::U8},
            false,
            true}}) {
    load(emulator, form);
    EXPECT_EQ(makeCase(form, 3, true, 4).run(emulator), "")
        << getGroupNormName(form);
  }
}

TEST(NvptxGroupNorm, GroupForEveryChannel) {
  Emulator emulator;
  for (bool ordered : {false, true}) {
    GroupNormForm form = {{132}, true, ordered, true};
    load(emulator, form);
    EXPECT_EQ(makeCase(form, 132, true, 5).run(emulator), "");
  }
}

/// All channels have one value, whose square is rounded in two ways: a spread
/// below zero would have no root.
TEST(NvptxGroupNorm, SpreadBelowZero) {
  Emulator emulator;
  GroupNormForm form = {{72}, true, false};
  load(emulator, form);
  for (double scale : {1234.56789, 0.1}) {
    std::vector<size_t> map(72);
    for (size_t j = 0; j != map.size(); ++j)
      map[j] = j % 3;
    GroupNormCase flat(form, {{scale, 7}, {scale, 7}, {scale, 7}}, map, 64);
    flat.makeFlat(255);
    EXPECT_EQ(flat.run(emulator), "") << scale;
  }
}

} // namespace
