//===- WgmmaTest.cpp - Products of warpgroups, emulated -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// PTX as it is shipped for sm_90a: bit for bit what quant_math.h says. Then the
// same text with one thing wrong, which the emulator must find: no card has run
// these kernels, and most of what can be wrong with them is a race.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/GemmCase.h"

#include "gmock/gmock.h"

using namespace quern::nvptx;
using namespace quern::nvptx::test;
using testing::HasSubstr;

namespace {

void check(const GemmForm &form, const WgmmaSchedule &schedule,
           const std::vector<GemmSize> &sizes) {
  Emulator emulator(PtxVariant::Sm90a);
  checkWgmma(emulator, form, schedule, sizes);
}

TEST(NvptxWgmma, Rows) {
  // Fewer steps than stages, as many, and more; rows and columns that end
  // anywhere, also in the middle of 32 columns and of 128 k.
  check({}, {64, 64, 2},
        {{1, 16, 64}, {63, 48, 128}, {64, 64, 192}, {65, 100, 700}, {3, 1, 1}});
  check({}, {}, {{1, 192, 512}, {129, 208, 576}, {130, 400, 1100}});
}

TEST(NvptxWgmma, LayersOfBert) {
  check({}, {64, 96, 4}, {{17, 768, 768}});
  check({Activation::Gelu}, {128, 256, 3}, {{130, 768, 320}});
  check({}, {64, 256, 4}, {{5, 768, 3072}});
}

TEST(NvptxWgmma, ActivationsAndResults) {
  for (Activation activation : {Activation::Tanh, Activation::GeluTanh})
    for (Storage result : {Storage::U16, Storage::F32})
      check({activation, result}, {64, 32, 2}, {{21, 80, 128}});
}

/// A product with ones beside that with the weights.
TEST(NvptxWgmma, WeightsWithZeroPoints) {
  GemmForm form;
  form.hasZeros = true;
  check(form, {64, 64, 2}, {{1, 16, 64}, {65, 100, 700}});
  form.activation = Activation::Gelu;
  check(form, {128, 192, 4}, {{130, 208, 576}});
}

/// Both planes of bytes, with steps that end anywhere.
TEST(NvptxWgmma, CodesOf16Bits) {
  GemmForm form;
  form.wide = true;
  check(form, {64, 64, 2}, {{1, 16, 64}, {65, 100, 700}, {3, 1, 1}});
  form.activation = Activation::Gelu;
  form.result = Storage::U16;
  check(form, {128, 96, 3}, {{130, 112, 576}});
}

TEST(NvptxWgmma, FormsWithoutKernel) {
  GemmForm form;
  form.grouped = true;
  EXPECT_EQ(checkWgmmaForm({}, form).message(),
            "schedule: a block makes 192 columns, but only 96 of groups fit "
            "the registers");
  form = GemmForm();
  form.wide = true;
  EXPECT_EQ(checkWgmmaForm({}, form).message(),
            "schedule: a block makes 192 columns, but only 96 of 16-bit codes "
            "fit the registers");
  EXPECT_FALSE(checkWgmmaForm({128, 96, 4}, form));
  form = GemmForm();
  form.hasZeros = true;
  EXPECT_EQ(checkWgmmaForm({128, 256, 4}, form).message(),
            "schedule: a block makes 256 columns, but only 192 of weights with "
            "zero points fit the registers");
}

/// All codes at either end: the largest sums, and the least.
TEST(NvptxWgmma, Extremes) {
  Emulator emulator(PtxVariant::Sm90a);
  GemmForm form;
  form.result = Storage::F32;
  WgmmaSchedule schedule = {64, 64, 3};
  emulator.load(
      [&](mlir::ModuleOp module) { buildWgmmaGemm(module, schedule, form); });
  GemmCase gemm({66, 80, 1024}, form);
  for (size_t i = 0; i < gemm.x.size(); ++i)
    gemm.x[i] = i / 1024 % 3 == 0 ? 255 : i / 1024 % 3 == 1 ? 0 : 128;
  for (size_t i = 0; i < gemm.w.size(); ++i)
    gemm.w[i] = i / 1024 % 2 ? -128 : 127;
  for (size_t i = 0; i < gemm.correction.size(); ++i) {
    gemm.correction[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? 0x7fffffff : -0x7fffffff;
    gemm.multiplier[i] = 1.0f;
    gemm.offset[i] = 0.0f;
  }
  EXPECT_EQ(gemm.run(emulator, schedule), "");
}

//===----------------------------------------------------------------------===//
// Things that are wrong
//===----------------------------------------------------------------------===//

/// A kernel whose text is changed before it runs: more steps than stages.
class BrokenWgmma : public testing::Test {
protected:
  BrokenWgmma() { makeText(); }

  void makeText() {
    text = makePtx(
        [&](mlir::ModuleOp module) { buildWgmmaGemm(module, schedule, form); },
        PtxVariant::Sm90a);
  }

  /// Replaces all; there must be some.
  void replace(const std::string &from, const std::string &to) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
         at += to.size(), ++count)
      text.replace(at, from.size(), to);
    EXPECT_NE(count, 0u) << from;
  }
  /// Takes out the first wait for an mbarrier behind `place`: all of its text.
  void dropWait(const std::string &place) {
    size_t begin = text.find(".reg .pred       P1;", text.find(place));
    size_t end = text.find("DONE: ", begin);
    ASSERT_NE(end, std::string::npos);
    text.erase(begin, end + 6 - begin);
  }
  std::string run() {
    Emulator emulator;
    emulator.loadText(text);
    return GemmCase({70, 64, 896}, form).run(emulator, schedule);
  }
  static std::string number(uint64_t value) { return std::to_string(value); }

  GemmForm form;
  WgmmaSchedule schedule = {64, 64, 2};
  std::string text;
  static constexpr uint64_t swizzle = uint64_t(1) << 62,
                            rows = uint64_t(64) << 32,
                            unused = uint64_t(1) << 16;
};

TEST_F(BrokenWgmma, Whole) { EXPECT_EQ(run(), ""); }

TEST_F(BrokenWgmma, DescriptorWithoutSwizzle) {
  for (uint64_t part : {0, 2, 4, 6})
    replace(number(swizzle | rows | unused | part),
            number(rows | unused | part));
  EXPECT_NE(run(), "");
}

TEST_F(BrokenWgmma, DescriptorOfOtherRows) {
  replace(number(swizzle | rows | unused), number(swizzle | rows / 2 | unused));
  EXPECT_THAT(run(), HasSubstr("descriptor: found 512 bytes from 8 rows to the "
                               "next, expected a multiple of 1024"));
}

TEST_F(BrokenWgmma, DescriptorWithOtherBase) {
  replace(number(swizzle | rows | unused),
          number(swizzle | rows | unused | uint64_t(1) << 49));
  EXPECT_THAT(run(), HasSubstr("descriptor: found base offset 1, expected 0"));
}

TEST_F(BrokenWgmma, DescriptorWithStrangeBits) {
  replace(number(swizzle | rows | unused),
          number(swizzle | rows | unused | uint64_t(1) << 52));
  EXPECT_THAT(run(), HasSubstr("descriptor: bits that mean nothing are set"));
}

TEST_F(BrokenWgmma, StepsOfTheWrongSize) {
  replace(number(swizzle | rows | unused | 2),
          number(swizzle | rows | unused | 8));
  EXPECT_THAT(run(), HasSubstr("begins in the middle of a pattern"));
}

TEST_F(BrokenWgmma, NoFenceOfSums) {
  replace("wgmma.fence.sync.aligned;", "");
  EXPECT_THAT(run(), HasSubstr("no wgmma.fence lies between"));
}

TEST_F(BrokenWgmma, NoWaitForSums) {
  replace("wgmma.wait_group.sync.aligned 0;", "");
  EXPECT_THAT(run(), HasSubstr("touches a sum of the product of line "));
}

TEST_F(BrokenWgmma, NoCommit) {
  replace("wgmma.commit_group.sync.aligned;", "");
  EXPECT_THAT(run(), HasSubstr("product"));
}

TEST_F(BrokenWgmma, StagesGivenBackTooEarly) {
  replace("wgmma.wait_group.sync.aligned \t1;",
          "wgmma.wait_group.sync.aligned \t2;");
  EXPECT_THAT(run(),
              HasSubstr("that is under way reads what this copy writes"));
}

TEST_F(BrokenWgmma, FilledWithoutWait) {
  dropWait("setp.ne.b32");
  EXPECT_THAT(run(), HasSubstr("all 1 arrivals have been"));
}

TEST_F(BrokenWgmma, MultipliedWithoutWait) {
  dropWait("setp.gt.u32");
  EXPECT_THAT(run(), HasSubstr("is read, but never written"));
}

TEST_F(BrokenWgmma, NothingGivenBack) {
  replace("@p mbarrier.arrive.shared::cta", "// mbarrier.arrive");
  EXPECT_THAT(run(), HasSubstr("for an mbarrier whose phase nobody ends"));
}

TEST_F(BrokenWgmma, OtherBytesExpected) {
  replace(", 16384;\n\tmbarrier.arrive", ", 16400;\n\tmbarrier.arrive");
  EXPECT_THAT(run(), HasSubstr("for an mbarrier whose phase nobody ends"));
}

/// Products read what threads have written.
TEST_F(BrokenWgmma, OnesWithoutFence) {
  form.hasZeros = true;
  makeText();
  EXPECT_EQ(run(), "");
  replace("fence.proxy.async.shared::cta;", "");
  EXPECT_THAT(run(), HasSubstr("without a fence.proxy.async since"));
}

TEST_F(BrokenWgmma, MbarriersWithoutFence) {
  replace("fence.mbarrier_init.release.cluster;", "");
  EXPECT_THAT(run(), HasSubstr("no fence lies between the making"));
}

TEST_F(BrokenWgmma, MbarriersWithoutBarrier) {
  replace("bar.sync \t0;", "");
  EXPECT_THAT(run(), HasSubstr("mbarrier"));
}

/// Kernels that may begin before the one in front of them has ended.
TEST(NvptxWgmma, EarlyLaunches) {
  GemmForm form;
  WgmmaSchedule schedule = {64, 32, 2};
  std::string text = makePtx(
      [&](mlir::ModuleOp module) {
        DeviceBuilder::allowEarlyLaunch(module);
        buildWgmmaGemm(module, schedule, form);
      },
      PtxVariant::Sm90a);
  EXPECT_THAT(text, HasSubstr("griddepcontrol.launch_dependents;"));
  Emulator emulator;
  emulator.early = true;
  emulator.loadText(text);
  EXPECT_EQ(GemmCase({5, 32, 128}, form).run(emulator, schedule), "");
  text.erase(text.find("griddepcontrol.wait;"), 20);
  emulator.loadText(text);
  EXPECT_THAT(GemmCase({5, 32, 128}, form).run(emulator, schedule),
              HasSubstr("before griddepcontrol.wait"));
}

/// A product may read a tile when its warp has waited for it, and a copy may
/// write there again when it has been told that the product is over.
TEST(NvptxWgmma, WhoHasSeenWhat) {
  namespace ptx = quern::ptx;
  std::vector<uint8_t> data(8 * 128, 1);
  ptx::GlobalMemory memory;
  ptx::TensorMap map;
  map.address = memory.add("x", data.data(), data.size(), false);
  map.rank = 2;
  map.extents[0] = map.strides[0] = map.box[0] = 128;
  map.extents[1] = map.box[1] = 8;
  map.swizzle = 3;
  ASSERT_EQ(map.check(), "");
  ptx::SharedMemory shared(4096);
  ptx::BlockAsync async(memory, shared);
  constexpr uint64_t tile = ptx::SharedMemory::kBase, full = tile + 2048,
                     empty = full + 8;
  // Warp 0 copies, warp 1 multiplies.
  ptx::Clock clocks[2];
  clocks[0].seen[0] = clocks[1].seen[1] = 1;
  clocks[1].seen[0] = 1;
  EXPECT_EQ(async.init(full, 1, 0, clocks[0]), "");
  EXPECT_EQ(async.init(empty, 1, 0, clocks[0]), "");
  async.fenceInit(0);
  auto copy = [&] {
    std::string problem = async.expectBytes(full, 1024, 0, clocks[0]);
    if (problem.empty())
      problem = async.arrive(full, 0, clocks[0]);
    return problem.empty()
               ? async.copyTile(map, {0, 0}, tile, full, {0, 0, 0}, clocks[0])
               : problem;
  };
  EXPECT_EQ(copy(), "");
  std::string problem;
  EXPECT_TRUE(async.landOne(problem));
  EXPECT_THAT(async.startRead(tile, tile + 1024, 1, clocks[1]),
              HasSubstr("for whose mbarrier this warp has not waited"));
  bool done = false;
  EXPECT_EQ(async.tryWait(full, 0, 1, clocks[1], done), "");
  EXPECT_TRUE(done);
  EXPECT_EQ(async.startRead(tile, tile + 1024, 1, clocks[1]), "");
  EXPECT_THAT(copy(), HasSubstr("that is under way reads what this copy"));
  async.endReads(1, 1, clocks[1]);
  // The second phase of the first copy's mbarrier has its arrival by now.
  EXPECT_THAT(async.copyTile(map, {0, 0}, tile, full, {0, 0, 0}, clocks[0]),
              HasSubstr("has read what this copy writes, and it was not"));
  EXPECT_EQ(async.arrive(empty, 1, clocks[1]), "");
  EXPECT_EQ(async.tryWait(empty, 0, 0, clocks[0], done), "");
  EXPECT_EQ(async.copyTile(map, {0, 0}, tile, full, {0, 0, 0}, clocks[0]), "");
  EXPECT_TRUE(async.landOne(problem));
  EXPECT_EQ(problem, "");
}

} // namespace
