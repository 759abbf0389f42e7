//===- GroupGemmTest.cpp - Products of grouped codes, emulated ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Groups of all kinds of sizes against the formula of lib/Tile/GemmGroup.h, bit
// for bit: f32 sums have an order.
//
//===----------------------------------------------------------------------===//
#include "test/lib/Target/NVPTX/GemmCase.h"

using namespace quern::nvptx;
using namespace quern::nvptx::test;

namespace {

struct GroupCase {
  GroupCase(int64_t m, int64_t n, std::vector<int64_t> ends)
      : m(m), n((n + 15) / 16 * 16), k(ends.back()),
        xStride((k + 63) / 64 * 64), ends(ends) {
    std::vector<ColumnGroup> groups;
    int64_t begin = 0;
    for (int64_t end : ends) {
      groups.push_back({begin, end});
      begin = end;
    }
    steps = getGroupSteps(groups, k);
    std::mt19937 random{uint32_t(m + n + k)};
    std::uniform_real_distribution<float> unit(-1.0f, 1.0f);
    w.resize(size_t(n * k));
    for (int8_t &v : w)
      v = int8_t(random());
    packed = packGroupWeights(w.data(), n, k, groups);
    w.resize(size_t(this->n * k));
    x.resize(size_t(m * xStride));
    for (uint8_t &v : x)
      v = uint8_t(random());
    for (size_t g = 0; g != ends.size(); ++g)
      for (int64_t i = 0; i < this->n; ++i) {
        correction.push_back(int32_t(random() % 20001) - 10000);
        multiplier.push_back(1e-3f * (1 + 50.0f * float(g)) *
                             (1 + 0.5f * unit(random)));
      }
    for (int64_t i = 0; i < this->n; ++i)
      offset.push_back(128 + 20 * unit(random));
  }

  float value(int64_t row, int64_t column) const {
    float v = 0;
    int64_t j = 0;
    for (size_t g = 0; g != ends.size(); ++g) {
      int32_t sum = correction[g * size_t(n) + size_t(column)];
      for (; j < ends[g]; ++j)
        sum += x[size_t(row * xStride + j)] * w[size_t(column * k + j)];
      float part = float(sum) * multiplier[g * size_t(n) + size_t(column)];
      v = g ? v + part : part;
    }
    return v + offset[size_t(column)];
  }

  std::string run(Runner &runner, const GemmSchedule &schedule,
                  const GemmForm &form) {
    DeviceCall call;
    call.kernel = getGemmName(schedule, form);
    call.launchAs(getGemmLaunch(schedule, m, n));
    return finishRun(runner, call, form);
  }

  /// The same of the kernel for warpgroups.
  std::string run(Runner &runner, const WgmmaSchedule &schedule,
                  const GemmForm &form) {
    int64_t width = int64_t(steps.sources.size()) * kGemmStep;
    int64_t rows = (n + kWgmmaRows - 1) / kWgmmaRows * kWgmmaRows;
    std::vector<int8_t> placed;
    for (int64_t place = 0; place < rows; ++place)
      for (int64_t j = 0; j < width; ++j) {
        int64_t row = getWgmmaRow(place);
        placed.push_back(row < n ? packed[size_t(row * width + j)] : int8_t(0));
      }
    DeviceCall call;
    call.kernel = getWgmmaName(schedule, form);
    call.launchAs(getWgmmaLaunch(schedule, form, m, n));
    call.map("x tiles", x, m, xStride, xStride, schedule.blockM);
    call.map("W tiles", placed, rows, width, width, schedule.blockN);
    return finishRun(runner, call, form);
  }

  std::string finishRun(Runner &runner, DeviceCall &call,
                        const GemmForm &form) {
    std::vector<float> y(size_t(m * n), -1.0f);
    call.input("x", x);
    call.input("w", packed);
    call.input("columns", steps.columns);
    call.input("ends", steps.ends);
    call.input("tiles", steps.tiles);
    call.input("tile ends", steps.tileEnds);
    call.input("correction", correction);
    call.input("multiplier", multiplier);
    call.input("offset", offset);
    call.output("y", y);
    call.integers({m, n, int64_t(steps.sources.size()) * kGemmStep, xStride, n,
                   int64_t(ends.size())});
    std::string problem = runner.run(call);
    for (int64_t i = 0; i < m && problem.empty(); ++i)
      for (int64_t j = 0; j < n; ++j) {
        float v = referenceActivation(form.activation, value(i, j));
        if (argument(v) != argument(y[size_t(i * n + j)]))
          return "row " + std::to_string(i) + ", column " + std::to_string(j) +
                 ": expected " + std::to_string(v) + ", got " +
                 std::to_string(y[size_t(i * n + j)]);
      }
    return problem;
  }

  int64_t m, n, k, xStride;
  std::vector<int64_t> ends;
  GroupSteps steps;
  std::vector<uint8_t> x;
  std::vector<int8_t> w, packed;
  std::vector<int32_t> correction;
  std::vector<float> multiplier, offset;
};

void check(const GemmSchedule &schedule, Activation activation,
           std::initializer_list<GroupCase> cases) {
  GemmForm form = {activation, Storage::F32, false, true};
  ASSERT_FALSE(checkForm(schedule, form));
  Emulator emulator;
  emulator.load(
      [&](mlir::ModuleOp module) { buildGemm(module, schedule, form); });
  for (GroupCase group : cases)
    EXPECT_EQ(group.run(emulator, schedule, form), "")
        << group.m << " x " << group.n << " x " << group.k << ", "
        << group.ends.size() << " groups";
}

TEST(NvptxGroupGemm, GroupsOfAllSizes) {
  check({}, Activation::None,
        {{5, 64, {64, 128}},
         {9, 48, {16, 48, 128, 192}},
         {3, 20, {1, 2, 100}},
         {70, 80, {160}},
         {4, 16, {13}},
         {6, 33, {70, 71, 200, 250, 251, 300}}});
}

TEST(NvptxGroupGemm, SixGroupsOfBert) {
  check({}, Activation::Gelu, {{7, 96, {16, 128, 256, 512, 752, 768}}});
  check({64, 128, 32, 64, 3}, Activation::None,
        {{33, 144, {128, 256, 384, 512, 640, 768}}});
}

/// Groups of whole tiles of 128 columns, and of any; tiles may reach beyond the
/// rows.
TEST(NvptxGroupGemm, Warpgroups) {
  for (Activation activation : {Activation::None, Activation::Gelu}) {
    GemmForm form = {activation, Storage::F32, false, true};
    WgmmaSchedule schedule = {64, 64, 2};
    if (activation == Activation::Gelu)
      schedule = {128, 96, 4};
    ASSERT_FALSE(checkWgmmaForm(schedule, form));
    Emulator emulator(PtxVariant::Sm90a);
    emulator.load(
        [&](mlir::ModuleOp module) { buildWgmmaGemm(module, schedule, form); });
    for (GroupCase group :
         {GroupCase{5, 64, {128}}, GroupCase{3, 20, {1, 2, 100}},
          GroupCase{70, 100, {100, 300, 384}},
          GroupCase{6, 33, {70, 71, 200, 250, 251, 300}},
          GroupCase{130, 112, {128, 256, 384, 512, 640, 768}}})
      EXPECT_EQ(group.run(emulator, schedule, form), "")
          << group.m << " x " << group.n << " x " << group.k;
  }
}

TEST(NvptxGroupGemm, FormsWithoutKernel) {
  EXPECT_EQ(
      checkForm({128, 128, 64, 64, 2},
                {Activation::None, Storage::U8, false, true})
          .message(),
      "schedule: a warp makes 64x64, but only 2048 sums of groups fit its "
      "registers");
  EXPECT_EQ(
      checkForm({}, {Activation::None, Storage::U8, true, true}).message(),
      "groups of columns: found weights with zero points, expected none");
}

} // namespace
