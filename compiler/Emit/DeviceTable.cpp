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

flatbuffers::Offset<fb::Device>
writeDevice(flatbuffers::FlatBufferBuilder &builder,
            const nvptx::DeviceProgram &program, nvptx::PtxVariant variant,
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
        each.blocks.empty() ? 0 : builder.CreateVector(each.blocks)));
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
    if (launch.large) {
      fb::DeviceCount largeX = countOf(launch.large->gridX),
                      largeY = countOf(launch.large->gridY);
      large = fb::CreateDeviceChoice(builder, launch.large->kernel, &largeX,
                                     &largeY);
    }
    steps.push_back(fb::CreateDeviceStep(builder, launch.kernel, &x, &y,
                                         builder.CreateVectorOfStructs(params),
                                         large));
  }
  auto code = fb::CreateDeviceCode(
      builder, builder.CreateString(nvptx::variantName(variant).str()),
      builder.CreateString(program.ptx));
  auto codes = builder.CreateVector(&code, 1);
  return fb::CreateDevice(builder, codes, builder.CreateVector(kernels),
                          builder.CreateVector(weights),
                          builder.CreateVector(tables),
                          builder.CreateVector(steps));
}

} // namespace quern
