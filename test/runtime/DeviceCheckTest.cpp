//===- DeviceCheckTest.cpp - GPU parts of manifests that lie --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "runtime/src/cuda/DeviceProgram.h"
#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

using namespace quern;
using namespace quern::manifest;
using namespace quern::test;
using testing::HasSubstr;

namespace {

/// A GPU part that holds together: each step has a kernel of one parameter.
std::unique_ptr<DeviceT> soundDevice(const ManifestT &manifest) {
  auto device = std::make_unique<DeviceT>();
  device->code.push_back(std::make_unique<DeviceCodeT>());
  device->code[0]->variant = "sm_80";
  device->code[0]->ptx = ".version 7.0";
  device->kernels.push_back(std::make_unique<DeviceKernelT>());
  device->kernels[0]->name = "kernel";
  device->kernels[0]->threads = 128;
  for (size_t i = 0; i != manifest.steps.size(); ++i) {
    device->steps.push_back(std::make_unique<DeviceStepT>());
    DeviceStepT &step = *device->steps.back();
    step.x = std::make_unique<DeviceCount>(DeviceBase::Tokens, 4, 1);
    step.y = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
    step.params.emplace_back(DeviceParamKind::Data, 0);
  }
  return device;
}

/// Opens the hand-made module with a changed GPU part; the message, or "".
std::string open(const std::function<void(DeviceT &)> &change) {
  TestModule module;
  module.manifest.device = soundDevice(module.manifest);
  change(*module.manifest.device);
  module.pack();
  TemporaryFile file(module.file());
  quern_module *opened = nullptr;
  quern_error error = {};
  quern_status status = quern_module_open(file.path(), &opened, &error);
  quern_module_close(opened);
  EXPECT_TRUE(status == QUERN_OK || status == QUERN_ERROR_FORMAT);
  return error.message;
}

TEST(DeviceCheck, SoundParts) {
  EXPECT_EQ(open([](DeviceT &) {}), "");
}

TEST(DeviceCheck, LyingParts) {
  const struct {
    std::function<void(DeviceT &)> change;
    const char *message;
  } cases[] = {
      {[](DeviceT &d) { d.code.clear(); }, "GPU: found no code, expected PTX"},
      {[](DeviceT &d) { d.code[0]->ptx = std::string("a\0b", 3); },
       "GPU: code for sm_80: found 1 characters of 3, expected text"},
      {[](DeviceT &d) { d.kernels[0]->threads = 1025; },
       "GPU: kernel 0: threads: found 1025, expected 1 to 1024"},
      {[](DeviceT &d) { d.kernels[0]->shared_per_key = 1u << 20; },
       "GPU: kernel 0: bytes of shared memory: found "},
      {[](DeviceT &d) { d.steps.pop_back(); }, "GPU: steps: found "},
      {[](DeviceT &d) { d.steps[0]->kernel = 1; },
       "GPU: step 0: kernel: found 1, expected 0 to 0"},
      {[](DeviceT &d) { d.steps[0]->x.reset(); },
       "GPU: step 0: what its blocks are counted from: found "},
      {[](DeviceT &d) { *d.steps[0]->y = DeviceCount(DeviceBase::One, 0, 1); },
       "GPU: step 0: blocks: found 0, expected 1 to 65536"},
      {[](DeviceT &d) {
         d.steps[0]->large = std::make_unique<DeviceChoiceT>();
         d.steps[0]->large->kernel = 7;
       },
       "GPU: step 0: large kernel: found 7, expected 0 to 0"},
      {[](DeviceT &d) {
         d.steps[0]->large = std::make_unique<DeviceChoiceT>();
       },
       "GPU: step 0: what its blocks are counted from: found "},
      {[](DeviceT &d) { d.steps[0]->params.clear(); },
       "GPU: step 0: parameters: found 0, expected 1 to 48"},
      {[](DeviceT &d) { d.steps[0]->params.assign(49, d.steps[0]->params[0]); },
       "GPU: step 0: parameters: found 49, expected 1 to 48"},
      {[](DeviceT &d) {
         d.steps[0]->params[0] = DeviceParam(DeviceParamKind(99), 0);
       },
       "GPU: step 0: kind of a parameter: found 99, expected 0 to 9"},
      {[](DeviceT &d) {
         d.steps[0]->params[0] = DeviceParam(DeviceParamKind::Buffer, 999);
       },
       "GPU: step 0: Buffer: found 999, expected 0 to "},
      {[](DeviceT &d) {
         d.steps[0]->params[0] = DeviceParam(DeviceParamKind::Weights, 0);
       },
       "GPU: step 0: Weights: found 0, expected 0 to 0"},
      {[](DeviceT &d) {
         d.steps[0]->params[0] = DeviceParam(DeviceParamKind::Tap, 0);
       },
       "GPU: step 0: found buffer "},
      {[](DeviceT &d) { d.steps[0]->joined = true; },
       "GPU: step 0: joined: found 1, expected 0 to 0"},
  };
  for (const auto &[change, message] : cases)
    EXPECT_THAT(open(change), HasSubstr(message));
}

/// Choices of warpgroups, whose tensor maps the driver must not refuse.
TEST(DeviceCheck, LyingTiles) {
  // The first step's parameters: a buffer, its rows, columns and stride.
  auto with =
      [](const std::function<void(DeviceStepT &, DeviceMap &)> &change) {
        return open([&](DeviceT &d) {
          DeviceStepT &step = *d.steps[0];
          step.params = {{DeviceParamKind::Buffer, 0},
                         {DeviceParamKind::Tokens, 0},
                         {DeviceParamKind::Number, 1},
                         {DeviceParamKind::Number, 16}};
          auto choice = std::make_unique<DeviceChoiceT>();
          choice->x = std::make_unique<DeviceCount>(DeviceBase::Tokens, 64, 1);
          choice->y = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
          choice->cost = 1;
          choice->maps.emplace_back(0, 1, 2, 3, 64);
          step.warpgroup.push_back(std::move(choice));
          change(step, step.warpgroup[0]->maps[0]);
        });
      };
  const struct {
    std::function<void(DeviceStepT &, DeviceMap &)> change;
    const char *message;
  } cases[] = {
      {[](DeviceStepT &s, DeviceMap &) { s.warpgroup[0]->kernel = 1; },
       "GPU: step 0: kernel of warpgroups: found 1, expected 0 to 0"},
      {[](DeviceStepT &s, DeviceMap &) { s.warpgroup[0]->cost = 0; },
       "GPU: step 0: cost of a block: found 0, expected 1 to "},
      {[](DeviceStepT &s, DeviceMap &) { s.warpgroup[0]->y.reset(); },
       "GPU: step 0: what its blocks are counted from: found "},
      {[](DeviceStepT &s, DeviceMap &map) {
         s.warpgroup[0]->maps.assign(3, DeviceMap(map));
       },
       "GPU: step 0: tensor maps: found 3, expected 0 to 2"},
      {[](DeviceStepT &, DeviceMap &map) { map = DeviceMap(4, 1, 2, 3, 64); },
       "GPU: step 0: parameter of a tensor map: found 4, expected 0 to 3"},
      {[](DeviceStepT &, DeviceMap &map) { map = DeviceMap(0, 1, 2, 3, 257); },
       "GPU: step 0: rows of a tile: found 257, expected 1 to 256"},
      {[](DeviceStepT &, DeviceMap &map) { map = DeviceMap(1, 1, 2, 3, 64); },
       "GPU: step 0: kind of what a tensor map is of: found "},
      {[](DeviceStepT &, DeviceMap &map) { map = DeviceMap(0, 2, 2, 3, 64); },
       "GPU: step 0: kind of the rows of a tensor map: found "},
      {[](DeviceStepT &, DeviceMap &map) { map = DeviceMap(0, 1, 1, 3, 64); },
       "GPU: step 0: kind of a width of a tensor map: found "},
      {[](DeviceStepT &s, DeviceMap &) {
         s.params[3] = DeviceParam(DeviceParamKind::Number, 1u << 30);
       },
       "GPU: step 0: bytes from row to row, in sixteens: found 1073741824"},
  };
  for (const auto &[change, message] : cases)
    EXPECT_THAT(with(change), HasSubstr(message));
}

/// Rows of 32 in the order that leaves neighbours in a thread.
TEST(DeviceCheck, UnpacksWeightsOfWarpgroups) {
  const uint32_t n = 40, k = 64;
  std::vector<char> packed(48 * k);
  for (uint32_t row = 0; row != 48; ++row)
    for (uint32_t column = 0; column != k; ++column)
      packed[(row / 16 * 16 + column / 4) * 64 + row % 16 * 4 + column % 4] =
          char(row);
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(CreateDeviceWeightsDirect(builder, 0, n, k, 8, nullptr, true));
  std::vector<char> rows(64 * k, 99);
  cuda::unpackWeights(
      *flatbuffers::GetRoot<DeviceWeights>(builder.GetBufferPointer()),
      packed.data(), packed.size(), rows.data(), /*warpgroup=*/true);
  const int first[] = {0, 1, 8, 9, 16, 17, 24, 25, 2, 3, 10, 11};
  for (size_t i = 0; i != 12; ++i) {
    EXPECT_EQ(rows[i * k], first[i]);
    // Of the second 32 rows 16 are packed.
    int row = first[i] + 32;
    EXPECT_EQ(rows[(32 + i) * k + 5], row < 48 ? row : 0);
  }
}

TEST(DeviceCheck, LyingWeights) {
  auto with = [](uint32_t data, uint32_t n, uint32_t k, uint8_t bits) {
    return open([=](DeviceT &d) {
      d.weights.push_back(std::make_unique<DeviceWeightsT>());
      *d.weights[0] = DeviceWeightsT();
      d.weights[0]->data = data;
      d.weights[0]->n = n;
      d.weights[0]->k = k;
      d.weights[0]->bits = bits;
    });
  };
  EXPECT_THAT(with(999, 16, 64, 8), HasSubstr("GPU: weights 0: constant: "));
  EXPECT_THAT(with(0, 0, 64, 8),
              HasSubstr("GPU: weights 0: side: found 0, expected 1 to "));
  EXPECT_THAT(with(0, 16, 64, 3),
              HasSubstr("GPU: weights 0: bits: found 3, expected 2, 4 or 8"));
  EXPECT_THAT(with(0, 4096, 64, 8), HasSubstr("expected 262144 to 262144"));
}

TEST(DeviceCheck, LyingBlocks) {
  auto with = [](uint32_t k, std::vector<int32_t> blocks) {
    return open([&](DeviceT &d) {
      d.weights.push_back(std::make_unique<DeviceWeightsT>());
      d.weights[0]->n = 1;
      d.weights[0]->k = k;
      d.weights[0]->bits = 8;
      d.weights[0]->blocks = std::move(blocks);
    });
  };
  EXPECT_THAT(with(64, std::vector<int32_t>(15, 0)),
              HasSubstr("GPU: weights 0: blocks of four columns: found 15, "
                        "expected 16 to 16"));
  EXPECT_THAT(with(65, std::vector<int32_t>(16, 0)),
              HasSubstr("GPU: weights 0: blocks of four columns: found 16, "
                        "expected 32 to 32"));
  for (int32_t block : {-2, 1 << 20}) {
    std::vector<int32_t> blocks(16, -1);
    blocks[15] = block;
    EXPECT_THAT(with(64, blocks), HasSubstr("GPU: weights 0: block: found "));
  }
}

TEST(DeviceCheck, UnpacksBlocks) {
  // Two panels of four blocks of 4 k; their codes name panel, block, row and k.
  std::vector<char> packed;
  for (int i = 0; i != 2 * 4 * 64; ++i)
    packed.push_back(char(i % 97));
  std::vector<int32_t> blocks(16, -1);
  blocks[0] = 3;
  blocks[15] = 0;
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(CreateDeviceWeightsDirect(builder, 0, 20, 64, 8, &blocks));
  std::vector<char> rows(32 * 64, 99);
  cuda::unpackWeights(
      *flatbuffers::GetRoot<DeviceWeights>(builder.GetBufferPointer()),
      packed.data(), packed.size(), rows.data());
  for (size_t row = 0; row != 32; ++row)
    for (size_t column = 0; column != 64; ++column) {
      int32_t block = blocks[column / 4];
      size_t at = (row / 16 * 4 + size_t(block)) * 64 + row % 16 * 4;
      EXPECT_EQ(rows[row * 64 + column],
                block < 0 ? 0 : packed[at + column % 4]);
    }
}

/// Packs by the words of manifest.fbs, one code at a time.
TEST(DeviceCheck, UnpacksWeights) {
  for (uint32_t bits : {8u, 4u, 2u}) {
    const uint32_t n = 19, k = 70, rows = 32, columns = 128;
    auto code = [&](uint32_t row, uint32_t column) {
      int32_t all = 1 << bits;
      return row < n && column < k
                 ? int32_t((row * 31 + column * 7) % uint32_t(all)) - all / 2
                 : 0;
    };
    uint32_t perByte = 8 / bits;
    std::vector<char> packed(rows * columns * bits / 8);
    for (uint32_t row = 0; row != rows; ++row)
      for (uint32_t column = 0; column != columns; ++column) {
        uint32_t group = column / 4;
        char &byte =
            packed[((row / 16) * (columns / 4 / perByte) + group / perByte) *
                       64 +
                   row % 16 * 4 + column % 4];
        byte = char(byte | (code(row, column) & ((1 << bits) - 1))
                               << group % perByte * bits);
      }
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(CreateDeviceWeights(builder, 0, n, k, uint8_t(bits)));
    std::vector<char> unpacked(rows * columns, 99);
    cuda::unpackWeights(
        *flatbuffers::GetRoot<DeviceWeights>(builder.GetBufferPointer()),
        packed.data(), packed.size(), unpacked.data());
    for (uint32_t row = 0; row != rows; ++row)
      for (uint32_t column = 0; column != columns; ++column)
        ASSERT_EQ(unpacked[row * columns + column], code(row, column))
            << bits << " bits, " << row << ", " << column;
  }
}

} // namespace
