//===- ProductLaunches.cpp - Launches of matrix products ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/LaunchBuilder.h"

#include "lib/Target/NVPTX/Gemm.h"
#include "lib/Target/NVPTX/WgmmaGemm.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern::nvptx {

/// Tiles for many rows: half the bytes for each product of codes, but a quarter
/// of the blocks.
static constexpr GemmSchedule kLargeTiles = {128, 128, 64, 64, 2};

/// The same of warpgroups; large ones as they divide the columns.
static constexpr WgmmaSchedule kSmallWarpgroup = {64, 64, 4};
static WgmmaSchedule largeWarpgroup(const GemmForm &form, int64_t n) {
  int64_t most = std::min<int64_t>(getMostWgmmaColumns(form), 128);
  for (int64_t columns : {192, 256})
    if (n % columns == 0 && columns <= getMostWgmmaColumns(form))
      return {128, columns, 4};
  return {128, most, 4};
}

/// A kernel of warpgroups that a run may take.
static void warpgroupKernel(LaunchBuilder &l, KernelForm &form,
                            const GemmForm &gemm,
                            const WgmmaSchedule &schedule) {
  GemmLaunch launch = getWgmmaLaunch(schedule, gemm, 1, form.number("n"));
  DeviceChoice choice;
  choice.kernel = l.kernelIndex(
      getWgmmaName(schedule, gemm), launch.threads, launch.sharedBytes, 0,
      {l.hopper}, [&](ModuleOp to) { buildWgmmaGemm(to, schedule, gemm); });
  choice.gridX.multiply = launch.gridX;
  choice.gridY.divide = schedule.blockM;
  choice.maps = {{0, 0, 0, 0, uint16_t(schedule.blockM)},
                 {1, 0, 0, 0, uint16_t(schedule.blockN)}};
  // Clocks for 128 k, as tools/bench/gpu_cost.py has them: 2683 products in
  // each, and 39 bytes of tiles.
  choice.cost =
      uint32_t(std::max(schedule.blockM * schedule.blockN * kWgmmaStep / 2683,
                        (schedule.blockM + schedule.blockN) * kWgmmaStep / 39));
  l.now.warpgroup.push_back(std::move(choice));
}

/// The kernels of a product; takes the rest of `gemm` from the form.
/// Warpgroups have some only if the operands are such that they can, and if
/// they gain by it.
static Error gemmKernel(LaunchBuilder &l, KernelForm &form, GemmForm &gemm,
                        bool forWarpgroups = true) {
  auto activation = parseActivation(form.text("activation"));
  if (!activation)
    return activation.takeError();
  gemm.activation = *activation;
  gemm.result = form.storage("out");
  GemmSchedule schedule;
  if (Error error = checkForm(schedule, gemm))
    return error;
  int64_t n = form.number("n");
  if (l.hopper && forWarpgroups && !checkWgmmaForm(kSmallWarpgroup, gemm))
    for (const WgmmaSchedule &each : {kSmallWarpgroup, largeWarpgroup(gemm, n)})
      warpgroupKernel(l, form, gemm, each);
  // Where warpgroups have kernels, theirs are the only ones.
  ModuleOp both[] = {l.portable, l.hopper};
  ArrayRef<ModuleOp> modules =
      ArrayRef(both).take_front(l.now.warpgroup.empty() ? 2 : 1);
  GemmLaunch launch = getGemmLaunch(schedule, 1, n);
  l.now.kernel = l.kernelIndex(
      getGemmName(schedule, gemm), launch.threads, launch.sharedBytes, 0,
      modules, [&](ModuleOp to) { buildGemm(to, schedule, gemm); });
  l.now.gridX.multiply = launch.gridX;
  if (checkForm(kLargeTiles, gemm))
    return Error::success();
  launch = getGemmLaunch(kLargeTiles, 1, n);
  DeviceChoice large;
  large.kernel = l.kernelIndex(
      getGemmName(kLargeTiles, gemm), launch.threads, launch.sharedBytes, 0,
      modules, [&](ModuleOp to) { buildGemm(to, kLargeTiles, gemm); });
  large.gridX.multiply = launch.gridX;
  l.now.large = large;
  return Error::success();
}

/// Says where the matrices are that kernels of warpgroups copy tiles of; `m` is
/// the first parameter of the product's shape.
static void placeMaps(LaunchBuilder &l, KernelForm &form, const GemmForm &gemm,
                      int64_t k, uint8_t m) {
  // Behind m: n, k, and the stride of x; that of w is k. Of columns in groups k
  // counts more than x has.
  uint8_t columns = uint8_t(m + 2), stride = uint8_t(m + 3);
  if (gemm.grouped)
    columns = stride;
  // What lies beyond its columns comes as zeros, which no sum of codes counts.
  if (gemm.hasZeros)
    columns = uint8_t(m + 5);
  if (gemm.wide && !l.now.warpgroup.empty()) {
    // Two planes in a row. Kernels know nothing of these parameters.
    int64_t plane = form.number("x_stride");
    columns = uint8_t(l.now.params.size());
    stride = uint8_t(columns + 1);
    l.integers({plane + k, 2 * plane});
  }
  for (DeviceChoice &choice : l.now.warpgroup) {
    choice.gridY.base = l.now.gridY.base;
    for (DeviceMap &map : choice.maps) {
      bool isX = map.address == 0;
      map.rows = uint8_t(m + (isX ? 0 : 1));
      map.columns = isX ? columns : uint8_t(m + 2);
      map.stride = isX ? stride : uint8_t(m + 2);
    }
  }
}

/// What follows the pointers of a product over `k` columns as the device has
/// them: its shape, `more`, and the range of codes.
static void gemmNumbers(LaunchBuilder &l, KernelForm &form,
                        const GemmForm &gemm, int64_t k,
                        std::initializer_list<int64_t> more) {
  auto m = uint8_t(l.now.params.size());
  l.rows(form, l.now.gridY, GemmSchedule().blockM);
  if (l.now.large)
    l.now.large->gridY = {l.now.gridY.base, kLargeTiles.blockM, 1};
  l.integers({int64_t(llvm::alignTo(form.number("n"), kGemmColumns)), k,
              form.number("x_stride"), form.number("out_stride")});
  l.integers(more);
  if (gemm.result != Storage::F32)
    l.numbers(form, {"lo", "hi"}, gemm.fixed);
  placeMaps(l, form, gemm, k, m);
}

/// x, w, correction, [zeros], multiplier, offset, [post], y. In place of the
/// three before y, a fixed product has constants of columns and [post].
Error launchLinear(LaunchBuilder &l, KernelForm &form) {
  GemmForm gemm;
  gemm.hasZeros = form.number("zeros");
  gemm.wide = form.number("wide");
  gemm.fixed = form.number("fixed");
  gemm.tokens = form.number("tokens");
  int64_t k = form.number("k"), n = form.number("n");
  if (Error error = gemmKernel(l, form, gemm))
    return error;
  l.pointer(0);
  l.weights(1, n, k, form.number("bits"));
  l.pointers(2, l.operandCount());
  auto width = int64_t(llvm::alignTo(k, kGemmStep));
  if (gemm.hasZeros)
    gemmNumbers(l, form, gemm, width, {k});
  else
    gemmNumbers(l, form, gemm, width, {});
  return Error::success();
}

/// The elements of a constant of i32; empty if it is none.
static std::vector<int32_t> readTable(Operation *data) {
  ElementsAttr value = cast<tk::DataOp>(data).getValue();
  if (auto blob = dyn_cast<DenseI32ResourceElementsAttr>(value))
    if (auto values = blob.tryGetAsArrayRef())
      return values->vec();
  if (auto dense = dyn_cast<DenseIntElementsAttr>(value)) {
    auto values = dense.getValues<int32_t>();
    return {values.begin(), values.end()};
  }
  return {};
}

/// Groups as CPUs multiply them: first columns of x, and how many fours follow.
/// Beside those of the group they have zeros.
static std::vector<ColumnGroup> groupsOf(ArrayRef<int32_t> steps) {
  std::vector<ColumnGroup> groups;
  for (size_t i = 0; i + 1 < steps.size(); i += 2)
    groups.push_back({steps[i], steps[i] + 4 * int64_t(steps[i + 1])});
  return groups;
}

/// For each four columns of W which of the packed ones they are.
static std::vector<int32_t> blocksOf(ArrayRef<ColumnGroup> groups,
                                     const GroupSteps &steps) {
  std::vector<int32_t> blocks;
  size_t step = 0;
  int64_t before = 0;
  for (auto [g, group] : llvm::enumerate(groups)) {
    for (; step < 2 * size_t(steps.tileEnds[g]); ++step)
      for (int64_t j = 0; j != kGemmStep; j += 4) {
        int64_t column = steps.sources[step] + j;
        bool isThere = steps.sources[step] >= 0 && column >= group.first &&
                       column < group.second;
        blocks.push_back(isThere ? int32_t(before + (column - group.first) / 4)
                                 : -1);
      }
    before += (group.second - group.first) / 4;
  }
  return blocks;
}

/// x, w, steps, correction, multiplier, offset, [post], y.
Error launchGroupLinear(LaunchBuilder &l, KernelForm &form) {
  GemmForm gemm;
  gemm.grouped = true;
  std::vector<ColumnGroup> all = groupsOf(readTable(l.target(2)));
  if (all.empty())
    return Error("its steps are no constant");
  GroupSteps steps = getGroupSteps(all, form.number("k"));
  // Warpgroups are half again as fast, but multiply zeros beside groups.
  bool isWorthIt = steps.sources.size() <= steps.columns.size() / 2 * 3 / 2;
  if (Error error = gemmKernel(l, form, gemm, isWorthIt))
    return error;
  auto groups = int64_t(all.size());
  auto k = int64_t(steps.sources.size()) * kGemmStep;
  l.pointer(0);
  l.weights(1, form.number("n"), k, form.number("bits"), blocksOf(all, steps));
  for (std::vector<int32_t> *each :
       {&steps.columns, &steps.ends, &steps.tiles, &steps.tileEnds})
    l.table(std::move(*each));
  l.pointers(3, l.operandCount());
  gemmNumbers(l, form, gemm, k, {groups});
  return Error::success();
}

} // namespace quern::nvptx
