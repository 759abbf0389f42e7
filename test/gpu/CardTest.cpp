//===- CardTest.cpp - Kernels on a card, where there is one ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The cases of test/lib/Target/NVPTX, which the emulator runs everywhere, run
// by the hardware: the same bytes. Skipped, with the reason, without a driver
// or a device.
//
//===----------------------------------------------------------------------===//
#include "runtime/src/cuda/Device.h"
#include "test/lib/Target/NVPTX/AttentionCase.h"
#include "test/lib/Target/NVPTX/GemmCase.h"
#include "test/lib/Target/NVPTX/GroupNormCase.h"
#include "test/lib/Target/NVPTX/RealCase.h"
#include "test/lib/Target/NVPTX/SumCase.h"

#include <memory>

using namespace quern::nvptx::test;
namespace cuda = quern::cuda;
namespace nvptx = quern::nvptx;
using nvptx::Storage;

namespace {

/// Runs the PTX of a variant on device 0.
class Card : public Runner {
public:
  explicit Card(cuda::DeviceContext &device,
                nvptx::PtxVariant variant = nvptx::PtxVariant::Sm80)
      : device(device), variant(variant) {}
  ~Card() override {
    if (module)
      device.unload(module);
  }

  void load(llvm::function_ref<void(mlir::ModuleOp)> build) override {
    if (module)
      device.unload(module);
    module = nullptr;
    std::string ptx = makePtx(build, variant);
    quern_error error = {};
    if (device.load(ptx.c_str(), module, &error))
      ADD_FAILURE() << error.message;
  }

  std::string run(const DeviceCall &call) override {
    if (!module)
      return "there is no module";
    std::vector<cuda::Address> addresses;
    quern_error error = {};
    bool failed = launch(call, addresses, error);
    for (cuda::Address address : addresses)
      device.release(address);
    return failed ? error.message : "";
  }

private:
  /// True, with an error, if something is refused.
  bool launch(const DeviceCall &call, std::vector<cuda::Address> &addresses,
              quern_error &error) {
    std::vector<uint64_t> values;
    std::vector<cuda::TensorMap> maps;
    for (const DeviceCall::Argument &a : call.arguments) {
      values.push_back(a.value);
      if (!a.data)
        continue;
      cuda::Address address;
      if (device.allocate(a.bytes, address, &error))
        return true;
      addresses.push_back(address);
      values.back() = address;
      if (device.copyIn(address, a.data, a.bytes, &error))
        return true;
      if (!a.map)
        continue;
      maps.emplace_back();
      cuda::TileSource source = {address, a.map->extents[1], a.map->extents[0],
                                 a.map->strides[0], a.map->box[1]};
      if (device.encode(source, maps.back(), &error))
        return true;
    }
    // Maps come first.
    std::vector<void *> parameters;
    for (cuda::TensorMap &map : maps)
      parameters.push_back(&map);
    for (size_t i = maps.size(); i != values.size(); ++i)
      parameters.push_back(&values[i]);
    cuda::Grid grid;
    grid.x = unsigned(call.gridX);
    grid.y = unsigned(call.gridY);
    grid.threads = unsigned(call.threads);
    grid.sharedBytes = unsigned(call.sharedBytes);
    cuda::Function function;
    if (device.find(module, call.kernel.c_str(), grid.sharedBytes, function,
                    &error) ||
        device.launch(function, grid, parameters.data(), &error))
      return true;
    for (size_t i = 0; i != call.arguments.size(); ++i) {
      const DeviceCall::Argument &a = call.arguments[i];
      if (a.isOutput && device.copyOut(a.data, values[i], a.bytes, &error))
        return true;
    }
    return device.synchronize(&error) != QUERN_OK;
  }

  cuda::DeviceContext &device;
  nvptx::PtxVariant variant;
  cuda::Module module = nullptr;
};

class OnCard : public testing::Test {
protected:
  void SetUp() override {
    quern_error error = {};
    if (driver.load(&error))
      GTEST_SKIP() << error.message;
    device = std::make_unique<cuda::DeviceContext>(driver);
    if (device->open(0, &error))
      GTEST_SKIP() << error.message;
    card = std::make_unique<Card>(*device);
  }

  cuda::Driver driver;
  std::unique_ptr<cuda::DeviceContext> device;
  std::unique_ptr<Card> card;
};

TEST_F(OnCard, Gemm) {
  std::vector<nvptx::test::GemmSize> sizes = {
      {1, 64, 64}, {17, 100, 100}, {130, 272, 320}, {65, 768, 768}};
  for (nvptx::GemmSchedule schedule :
       {nvptx::GemmSchedule(), nvptx::GemmSchedule{128, 128, 64, 64, 2},
        nvptx::GemmSchedule{128, 256, 64, 64, 3}}) {
    checkGemm(*card, {}, schedule, sizes);
    checkGemm(*card, {nvptx::Activation::Gelu, Storage::U8, true}, schedule,
              sizes);
  }
  for (nvptx::Activation activation :
       {nvptx::Activation::GeluTanh, nvptx::Activation::Relu,
        nvptx::Activation::Tanh})
    for (Storage result : {Storage::U8, Storage::U16, Storage::F32})
      checkGemm(*card, {activation, result}, {}, sizes);
}

/// First of all whether the descriptors of tiles mean what the emulator takes
/// them for.
TEST_F(OnCard, Wgmma) {
  if (!device->info().isHopper())
    GTEST_SKIP() << device->info().name << " is no sm_90";
  Card hopper(*device, nvptx::PtxVariant::Sm90a);
  checkWgmma(hopper, {}, {64, 64, 4}, {{64, 64, 128}});
  std::vector<nvptx::test::GemmSize> sizes = {
      {1, 64, 64}, {17, 100, 100}, {130, 272, 320}, {260, 768, 3072}};
  for (int64_t columns : {64, 128, 192, 256})
    for (nvptx::Activation activation :
         {nvptx::Activation::None, nvptx::Activation::Gelu})
      checkWgmma(hopper, {activation}, {columns == 64 ? 64 : 128, columns, 4},
                 sizes);
  nvptx::GemmForm zeros, wide;
  zeros.hasZeros = wide.wide = true;
  checkWgmma(hopper, zeros, {128, 192, 4}, sizes);
  checkWgmma(hopper, wide, {128, 96, 4}, sizes);
}

TEST_F(OnCard, Rows) {
  for (int64_t d : {60, 384, 768, 1024})
    checkAddNorm(*card, {d}, {1, 7, 130}, true);
  checkAddNorm(*card,
               {768, Storage::U16, Storage::U8, Storage::U16, Storage::F32},
               {9}, true);
  checkAddNorm(*card,
               {768,
                Storage::U8,
                Storage::U8,
                Storage::U8,
                Storage::U16,
                {nvptx::SecondForm::Planes}},
               {130}, false);
  nvptx::AddNormForm few = {768};
  few.second.kind = nvptx::SecondForm::Requantized;
  checkAddNorm(*card, few, {130}, false);
  checkEmbed(*card, {768}, 130);
  nvptx::GroupNormForm groups = {{768}, true, true};
  card->load(
      [&](mlir::ModuleOp module) { nvptx::buildGroupNorm(module, groups); });
  std::vector<size_t> map(768);
  for (size_t j = 0; j != map.size(); ++j)
    map[j] = j % 3;
  EXPECT_EQ(GroupNormCase(groups, {{0.1, 7}, {0.02, 130}, {3.0, 255}}, map, 130)
                .run(*card),
            "");
}

TEST_F(OnCard, Attention) {
  checkAttention<uint8_t>(*card, {64}, 2, {1, 33, 200, 7});
  checkAttention<uint8_t>(*card, {32}, 3, {128, 64, 5});
  checkAttention<uint8_t>(*card, {64}, 1, {nvptx::kMostKeysAtOnce});
  for (qm_log_codes log : {qm_log_codes{0, 0}, {8, 2}}) {
    nvptx::AttentionForm parts = {64, Storage::U8, false, log};
    parts.keysAtOnce = nvptx::kKeysAtOnce;
    checkAttention<uint8_t>(*card, parts, 2, {200, 700, 1, 256});
  }
  checkAttention<uint8_t>(*card, {64, Storage::U8, true}, 2, {1, 33, 200});
  checkAttention<uint8_t>(*card, {128}, 2, {1, 33, 200});
  checkAttention<uint8_t>(
      *card, {64, Storage::U8, false, {}, false, true, true}, 5, {1, 33, 200});
  for (int32_t perOctave : {1, 2})
    checkAttention<uint8_t>(*card, {64, Storage::U8, false, {4, perOctave}}, 2,
                            {1, 33, 200});
}

TEST_F(OnCard, Elements) {
  checkAllElements(*card);
  checkSumsAndTables(*card);
}

TEST_F(OnCard, Reals) { checkAllReals(*card); }

} // namespace
