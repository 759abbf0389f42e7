//===- DeviceTable.cpp - A module's GPU part in its manifest --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/DeviceTable.h"

namespace fb = quern::manifest;

namespace quern {

static fb::DeviceCount countOf(const nvptx::DeviceCount &count) {
  return fb::DeviceCount(fb::DeviceBase(count.base), uint32_t(count.divide),
                         uint32_t(count.multiply));
}
static_assert(int(nvptx::CountOf::Longest) == int(fb::DeviceBase::Longest),
              "the same order");
static_assert(int(nvptx::DeviceParam::Table) ==
                      int(fb::DeviceParamKind::Table) &&
                  int(nvptx::DeviceParam::Number) ==
                      int(fb::DeviceParamKind::Number),
              "the same order");

static flatbuffers::Offset<fb::DeviceChoice>
writeChoice(flatbuffers::FlatBufferBuilder &builder,
            const nvptx::DeviceChoice &choice) {
  fb::DeviceCount x = countOf(choice.gridX), y = countOf(choice.gridY);
  std::vector<fb::DeviceMap> maps;
  for (const nvptx::DeviceMap &map : choice.maps)
    maps.emplace_back(map.address, map.rows, map.columns, map.stride,
                      map.boxRows);
  return fb::CreateDeviceChoice(builder, choice.kernel, &x, &y,
                                builder.CreateVectorOfStructs(maps),
                                choice.cost);
}

flatbuffers::Offset<fb::Device>
writeDevice(flatbuffers::FlatBufferBuilder &builder,
            const nvptx::DeviceProgram &program,
            llvm::function_ref<uint32_t(llvm::StringRef)> indexOf) {
  std::vector<flatbuffers::Offset<fb::DeviceKernel>> kernels;
  for (const nvptx::DeviceKernel &kernel : program.kernels)
    kernels.push_back(fb::CreateDeviceKernel(
        builder, builder.CreateString(kernel.name), uint32_t(kernel.threads),
        uint32_t(kernel.sharedBytes), uint32_t(kernel.sharedPerKey)));
  std::vector<flatbuffers::Offset<fb::DeviceWeights>> weights;
  for (const nvptx::DeviceWeights &each : program.weights)
    weights.push_back(fb::CreateDeviceWeights(
        builder, indexOf(each.symbol), uint32_t(each.n), uint32_t(each.k),
        uint8_t(each.bits),
        each.blocks.empty() ? 0 : builder.CreateVector(each.blocks),
        each.warpgroup));
  std::vector<flatbuffers::Offset<fb::DeviceTable>> tables;
  for (const std::vector<int32_t> &values : program.tables)
    tables.push_back(
        fb::CreateDeviceTable(builder, builder.CreateVector(values)));
  std::vector<flatbuffers::Offset<fb::DeviceStep>> steps;
  for (const nvptx::DeviceLaunch &launch : program.launches) {
    std::vector<fb::DeviceParam> params;
    for (const nvptx::DeviceParam &param : launch.params)
      params.emplace_back(fb::DeviceParamKind(param.kind),
                          param.symbol.empty() ? param.value
                                               : indexOf(param.symbol));
    fb::DeviceCount x = countOf(launch.gridX), y = countOf(launch.gridY);
    flatbuffers::Offset<fb::DeviceChoice> large;
    if (launch.large)
      large = writeChoice(builder, *launch.large);
    std::vector<flatbuffers::Offset<fb::DeviceChoice>> warpgroup;
    for (const nvptx::DeviceChoice &choice : launch.warpgroup)
      warpgroup.push_back(writeChoice(builder, choice));
    steps.push_back(fb::CreateDeviceStep(
        builder, launch.kernel, &x, &y, builder.CreateVectorOfStructs(params),
        large, builder.CreateVector(warpgroup), launch.joined));
  }
  std::vector<flatbuffers::Offset<fb::DeviceCode>> code;
  for (const nvptx::DeviceText &each : program.code)
    code.push_back(fb::CreateDeviceCode(
        builder, builder.CreateString(nvptx::variantName(each.variant).str()),
        builder.CreateString(each.ptx)));
  auto codes = builder.CreateVector(code);
  return fb::CreateDevice(builder, codes, builder.CreateVector(kernels),
                          builder.CreateVector(weights),
                          builder.CreateVector(tables),
                          builder.CreateVector(steps));
}

} // namespace quern
